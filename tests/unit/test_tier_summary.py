"""What the runner says of failed tests at its end, from the JUnit file of a pytest of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tiers import results

FAILING = """
import asyncio
import pytest


@pytest.fixture
def no_guest():
    raise RuntimeError("no guest\\nto be had")


@pytest.fixture
def untidy():
    yield
    raise OSError("left behind")


def helper():
    raise ValueError("much too long" * 100)


def test_fixture(no_guest): ...
def test_end(untidy): ...
def test_values(): assert {"lost": 1} == {"lost": 2}, "of the second run"
def test_below(): helper()
def test_many_lines(): raise AssertionError("\\n".join(map(str, range(100))))


def test_group():
    async def inner():
        raise KeyError("in the group")

    async def outer():
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())

    asyncio.run(outer())


def test_well(): ...
@pytest.mark.skip(reason="for want of a radio")
def test_not_here(): ...
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("summary")
    (root / "tests").mkdir()
    (root / "tests" / "test_some.py").write_text(FAILING)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(root)]
    argv += ["--junitxml", str(root / "junit.xml"), "tests"]
    subprocess.run(argv, cwd=root, capture_output=True, timeout=60, check=False)
    result = results.Result("pure", results.read_junit(root / "junit.xml", root))
    result.problems.append("pytest ended with status 1")
    return results.summary([result]).splitlines()


def below(said: list[str], test: str) -> list[str]:
    """The lines below the FAILED lines of a test."""
    lines, wanted = [], False
    for line in said:
        if line.startswith("        "):
            lines += [line.strip()] * wanted
        else:
            wanted = line == f"FAILED  tests/test_some.py::{test}"
    return lines


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("test_fixture", 'failed on setup with "RuntimeError: no guest'),
        ("test_end", 'failed on teardown with "OSError: left behind"'),
        ("test_values", "AssertionError: of the second run"),
        ("test_values", "assert {'lost': 1} == {'lost': 2}"),
        ("test_group", "KeyError: 'in the group'"),
    ],
)
def test_the_reason_is_below_the_name(said: list[str], test: str, reason: str) -> None:
    assert reason in below(said, test)


def test_the_test_s_own_line_is_told_and_where_it_ended(said: list[str]) -> None:
    source = FAILING.splitlines()
    called = 1 + source.index("def test_below(): helper()")
    raised = 1 + source.index('    raise ValueError("much too long" * 100)')
    wanted = f"at tests/test_some.py:{called}, tests/test_some.py:{raised}"
    assert below(said, "test_below")[0] == wanted


def test_it_is_bounded(said: list[str]) -> None:
    many = below(said, "test_many_lines")
    assert len(many) == results.REASON_LINES + 1
    assert many[-1].startswith("... 9")
    assert all(len(line) < results.LINE_COLUMNS + 20 for line in said)


def test_what_is_well_or_skipped_is_no_failure(said: list[str]) -> None:
    assert not [line for line in said if "test_well" in line]
    assert "  pure: for want of a radio" in said
    assert "FAILED  pure: pytest ended with status 1" in said


def test_many_failures_are_told_in_a_line_each() -> None:
    cases = [results.Case(f"t{n}", "failed", "one\ntwo\nthree", 0) for n in range(100)]
    lines = results.summary([results.Result("wired", cases)]).splitlines()
    assert lines.count("        one") == 100
    assert "        two" not in lines
