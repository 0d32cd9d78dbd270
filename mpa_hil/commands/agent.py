"""``mpa-hil agent``: one agent by itself, as a lab starts it on a box."""

from __future__ import annotations

import click


def roles() -> list[str]:
    """Every agent there is."""
    import pkgutil

    from .. import agents

    return sorted(
        module.name for module in pkgutil.iter_modules(agents.__path__) if module.name[0] != "_"
    )


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("role")
@click.argument("config", nargs=-1, type=click.UNPROCESSED)
def agent(role: str, config: tuple[str, ...]) -> int:
    """Run the agent ROLE here, with CONFIG as its arguments.

    It takes commands on standard input and gives events on standard output, one JSON object a
    line; docs/events.md lists them.
    """
    known = roles()
    name = role.replace("-", "_")
    if name not in known:
        from ..errors import LocalError

        raise LocalError(
            "there is no such agent",
            where=role,
            remedy=f"choose from {', '.join(known) or 'none: this installation has no agents'}",
        )
    import runpy
    import sys

    sys.argv = [f"mpa-hil agent {role}", *config]
    try:
        runpy.run_module(f"mpa_hil.agents.{name}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    return 0
