"""``mpa-hil watch``: signals, phases, preparations and the flow, as they change."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--observe",
    is_flag=True,
    help="SOURCE is a wpa_supplicant's control socket: a live radio, whose link is not touched.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=1000),
    default=1.0,
    show_default=True,
    help="A recording: so many times as fast as it happened; 0: show its end.",
)
@click.option(
    "--policy", default="default", show_default=True, help="Live: say what this one would do."
)
@click.option(
    "--for",
    "for_s",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Live: stop after that time.  [default: at Ctrl-C]",
)
@click.option("--scheme", default="", help="Of a run with several schemes: this one.")
@click.option(
    "--repeat", type=click.IntRange(min=0), default=0, help="And this repeat, from 0.  [default: 0]"
)
def watch(
    source: Path,
    observe: bool,
    speed: float,
    policy: str,
    for_s: float | None,
    scheme: str,
    repeat: int,
) -> int:
    """Watch SOURCE: a run's folder or event log, a trace, or (--observe) a live radio.

    Shows the SNR of each access point with the policy's thresholds (p, c, b, s: prepare, configure,
    bind, switch), what is prepared where, the phase, the flow's gap and loss, and what was decided.
    Without a terminal the last picture is printed.
    """
    from ..watching import playing
    from ..watching.view import View

    view = View(title=source.name)
    if observe or source.is_socket():
        playing.on_terminal(
            lambda show: playing.observe(source, view, show, policy=policy, for_s=for_s)
        )
    else:
        playing.on_terminal(
            lambda show: playing.play(source, view, show, speed=speed, scheme=scheme, repeat=repeat)
        )
    return 0
