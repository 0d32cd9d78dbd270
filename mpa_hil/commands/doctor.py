"""``mpa-hil doctor``: what this machine can do."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> int:
    """Say which rigs this machine can run, why not, and the command that mends it."""
    from .. import doctor as examination
    from ..probes import real

    diagnosis = examination.examine(real())
    click.echo(examination.as_json(diagnosis) if as_json else examination.as_text(diagnosis))
    return diagnosis.exit_code
