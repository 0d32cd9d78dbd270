"""``mpa-hil replay``: a recorded trace, decided again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("recording", metavar="TRACE", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "-p",
    "name",
    help="Policy to decide with.  [default: the one that was recorded, else `default`]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="OPTION=VALUE",
    help="Change one option of the policy; repeatable.",
)
@click.option("--scheme", default="", help="Of a run with several schemes: this one.")
@click.option("--repeat", type=click.IntRange(min=0), help="And this repeat, from 0.")
@click.option("--start", default="", help="Access point to begin on, where TRACE does not say.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of a lab file's movement.")
@click.option(
    "--rehearse",
    is_flag=True,
    help="Play the node too, even if nothing else than what was recorded is to be decided.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(
    recording: Path,
    name: str | None,
    overrides: tuple[str, ...],
    scheme: str,
    repeat: int | None,
    start: str,
    seed: int | None,
    rehearse: bool,
    as_json: bool,
) -> int:
    """Have a policy decide again on TRACE: a trace, a run's events.jsonl, or a run's folder; or
    decide on the movement of a lab file.

    The policy that was recorded, with its options, must decide the same again: exit status 1 if it
    does not. Any other is rehearsed: the signals are as recorded, what follows from its decisions
    is worked out.
    """
    from ..policy.replay_files import run

    return run(
        recording,
        name,
        overrides,
        scheme=scheme,
        repeat=repeat,
        start=start,
        seed=seed,
        rehearse=rehearse,
        as_json=as_json,
    )
