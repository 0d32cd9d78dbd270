"""``mpa-hil agent``: one agent by itself, as a lab starts it on a box."""

from __future__ import annotations

import click


def roles() -> list[str]:
    """Every agent there is: the modules of `mpa_hil.agents` that can be run."""
    import ast
    from pathlib import Path

    from .. import agents

    found = []
    for file in Path(agents.__path__[0]).glob("*.py"):
        body = ast.parse(file.read_bytes()).body
        if any("__main__" in ast.unparse(node.test) for node in body if isinstance(node, ast.If)):
            found.append(file.stem)
    return sorted(found)


ALIASES = {
    "aa": "authentication_agent",
    "ar": "access_router",
    "ca": "configuration_agent",
    "ep": "enforcement_point",
    "pac": "preauthentication",
}
"""RFC 6252's short names of the candidate network's agents, RFC 5807's EP and RFC 5191's PaC."""


@click.command()
@click.argument("role")
@click.argument("config", type=click.Path())
def agent(role: str, config: str) -> int:
    """Run the agent ROLE (aa, ca, ar, ep, pac, or a full name) here, as the file CONFIG tells it.

    It takes commands on standard input and gives events on standard output, one JSON object a
    line; docs/events.md lists them.
    """
    known = roles()
    name = ALIASES.get(role, role.replace("-", "_"))
    if name not in known:
        from ..errors import LocalError

        raise LocalError(
            "there is no such agent",
            where=role,
            remedy=f"choose from {', '.join((*ALIASES, *known))}",
        )
    import runpy
    import sys

    sys.argv = [f"mpa-hil agent {role}", config]
    try:
        runpy.run_module(f"mpa_hil.agents.{name}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    return 0
