"""``mpa-hil record``: a trace of what a radio hears, live or out of a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("trace.jsonl"),
    show_default=True,
    help="File to write, a new one; .csv: the signals alone, as t_s, ap, signal_dbm.",
)
@click.option(
    "--for",
    "for_s",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Live: stop after that time.  [default: at Ctrl-C]",
)
@click.option(
    "--interface",
    metavar="NAME",
    help="Live: read this interface's station table, not only the supplicant.  [default: the"
    " socket's name, if there is such an interface here]",
)
@click.option(
    "--poll-ms",
    type=click.IntRange(20, 60_000),
    default=200,
    show_default=True,
    help="Live: between two questions for the present signal.",
)
@click.option(
    "--scan",
    "scan_ms",
    type=click.FloatRange(min=0.1, max=500),
    metavar="MS",
    help="Live: look at other channels as well, for so many ms of each second; each look is a hole"
    " of 70 ms in the traffic.  [default: never]",
)
@click.option("--note", default="", help="A line for people, kept in the trace.")
@click.option("--scheme", default="", help="Of a run with several schemes: this one.")
@click.option("--repeat", type=click.IntRange(min=0), help="And this repeat, from 0.")
def record(
    source: Path,
    out: Path,
    for_s: float | None,
    interface: str | None,
    poll_ms: int,
    scan_ms: float | None,
    note: str,
    scheme: str,
    repeat: int | None,
) -> int:
    """Write a trace of SOURCE: a wpa_supplicant's control socket, or a run's folder or event log.

    A live radio's link is not touched: the supplicant is asked and listened to, and nothing is
    changed. `mpa-hil replay` has a policy decide on the trace; a lab file plays it to a mobile node
    (movement.trace).
    """
    from ..recording import from_run, live

    if source.is_socket():
        return live(
            source,
            out,
            interface=interface,
            poll_ms=poll_ms,
            scan_ms=scan_ms,
            for_s=for_s,
            note=note,
        )
    return from_run(source, out, scheme=scheme, repeat=repeat, note=note)
