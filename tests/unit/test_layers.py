"""The house's rules, read off the source: imports go only down, and protocol code does no I/O."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STOREYS = ("radios", "rigs", "mpa_hil")
"""From the lowest up: each may import itself and those before it."""
SOURCES = sorted(path for storey in STOREYS for path in (ROOT / storey).rglob("*.py"))

SANS_IO = (
    "mpa_hil/events",
    "mpa_hil/eap",
    "mpa_hil/mobility",
    "mpa_hil/pana",
    "mpa_hil/scenario/movement.py",
    "mpa_hil/traffic/codecs.py",
    "mpa_hil/traffic/figures.py",
    "mpa_hil/traffic/mos.py",
    "radios/replies.py",
    "radios/signal.py",
    "radios/wpa_events.py",
    "radios/wpa_text.py",
    "rigs/network_plan.py",
)
"""Besides these, every module whose docstring calls it sans-IO is held to its word."""
IMPURE = {
    "_socket",
    "asyncio",
    "multiprocessing",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "subprocess",
    "threading",
    "time",
}
HEAVY = {"OpenSSL", "asyncssh", "cryptography", "pyroute2", "rich", "scapy"}
"""Seconds each in the guest: imported inside what needs them, never when a module is loaded."""
LINES = 400
"""A longer file is two rooms."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules(node: ast.AST, path: Path) -> Iterator[str]:
    """The absolute names of what one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if not node.level:
            yield node.module or ""
            return
        package = path.relative_to(ROOT).parent.parts
        base = package[: len(package) - node.level + 1]
        yield ".".join((*base, node.module or "")).rstrip(".")


def imports(path: Path) -> set[str]:
    """Everything that a file imports anywhere."""
    return {m for node in ast.walk(ast.parse(path.read_bytes())) for m in modules(node, path)}


def loaded(path: Path) -> set[str]:
    """What is imported when the file is loaded: not in functions, not for the type checker."""
    found: set[str] = set()
    pending: list[ast.AST] = list(ast.parse(path.read_bytes()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found.update(modules(node, path))
        pending.extend(ast.iter_child_nodes(node))
    return found


def is_sans_io(path: Path) -> bool:
    if any(name(path) == entry or name(path).startswith(f"{entry}/") for entry in SANS_IO):
        return True
    docstring = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    return "sans-io" in docstring.partition("\n")[0].lower()


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_go_only_down(path: Path) -> None:
    storey = path.relative_to(ROOT).parts[0]
    above = STOREYS[STOREYS.index(storey) + 1 :]
    assert not {module for module in imports(path) if module.split(".")[0] in above}


@pytest.mark.parametrize("path", [path for path in SOURCES if is_sans_io(path)], ids=name)
def test_protocol_code_does_no_io(path: Path) -> None:
    assert not {module for module in imports(path) if module.split(".")[0] in IMPURE}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    assert not {module for module in loaded(path) if module.split(".")[0] in HEAVY}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_cancellation_is_lost(path: Path) -> None:
    """Before Python 3.12 `wait_for` forgets one that comes along with the result, and whoever
    cancelled waits for ever; `async with asyncio.timeout` does not."""
    assert "asyncio.wait_for(" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_is_one_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


@pytest.mark.parametrize("entry", SANS_IO)
def test_the_sans_io_list_names_what_exists(entry: str) -> None:
    assert (ROOT / entry).exists()
