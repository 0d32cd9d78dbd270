"""What a tier's tests came to, read from the JUnit file that pytest wrote."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

State = Literal["passed", "failed", "skipped"]

REASON_LINES = 8
"""What is told of one failed test, at most."""
REASONS_LINES = 120
"""What is told of all of them: a long list would push what came first out of sight."""
LINE_COLUMNS = 300
_PLACE = re.compile(r"^(\S+\.py:\d+): ", re.MULTILINE)
_IN_GROUP = re.compile(r"^[ |]*\| (\w[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    Attributes:
        test: its id, as pytest takes it on the command line.
        detail: why it was skipped, or what it failed of, in a few lines; empty otherwise.
        seconds: how long it took, by the clock where it ran.
    """

    test: str
    state: State
    detail: str
    seconds: float


@dataclass(slots=True)
class Result:
    """How a tier went.

    Attributes:
        cases: its tests; none for a tier that is not made of tests.
        problems: what went wrong apart from failing tests, a line each.
        status: exit status that the problems ask for.
        wall_s: how long it took here.
    """

    tier: str
    cases: list[Case] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    status: int = 1
    wall_s: float = 0.0

    def count(self, state: State) -> int:
        """How many tests ended so."""
        return sum(case.state == state for case in self.cases)

    @property
    def ok(self) -> bool:
        """Nothing failed, and something ran."""
        return not self.problems and not self.count("failed")


def read_junit(file: Path, root: Path) -> list[Case]:
    """The tests of a JUnit file that pytest wrote.

    Args:
        root: the folder that pytest ran in, or a copy of it.

    Raises:
        FileNotFoundError: pytest did not come to its end.
    """
    tree = ElementTree.parse(file).getroot()
    return [_case(element, root) for element in tree.iter("testcase")]


def _case(element: ElementTree.Element, root: Path) -> Case:
    skipped = element.find("skipped")
    failures = [child for child in element if child.tag in ("failure", "error")]
    state: State = "passed"
    detail = ""
    if failures:
        state = "failed"
        detail = "\n".join(_reason(failure) for failure in failures)
    elif skipped is not None:
        state = "skipped"
        detail = " ".join(skipped.get("message", "").split())
    return Case(_id(element, root), state, detail, float(element.get("time", "0")))


def _reason(failure: ElementTree.Element) -> str:
    """Where it failed and the exception's text; of a group, what is in it."""
    text = failure.text or ""
    places = list(dict.fromkeys(_PLACE.findall(text)))
    # The test's own line comes first, what it called last; between them lie libraries.
    ours = [place for place in places if place.startswith("tests/")] or places
    ends = dict.fromkeys(ours[:1] + ours[-1:] + places[-1:])
    message = [line for line in failure.get("message", "").splitlines() if line.strip()]
    lines = [f"at {', '.join(ends)}"] if ends else []
    return "\n".join([*lines, *message, *_IN_GROUP.findall(text)])


def _id(element: ElementTree.Element, root: Path) -> str:
    """`tests/x/test_y.py::Class::test_z`, from the dotted name of folders, module and classes."""
    words = element.get("classname", "").split(".")
    for length in range(len(words), 0, -1):
        file = f"{'/'.join(words[:length])}.py"
        if (root / file).is_file():
            return "::".join((file, *words[length:], element.get("name", "")))
    return f"{element.get('classname')}::{element.get('name')}"


def not_reported(wanted: Iterable[str], cases: Iterable[Case]) -> list[str]:
    """The tests that were there to be run and of which nothing was heard.

    Parameters are counted, not compared: some tests have their own process number in them.
    """
    missing = Counter(test.partition("[")[0] for test in wanted)
    missing.subtract(case.test.partition("[")[0] for case in cases)
    return sorted((+missing).elements())


def summary(results: Iterable[Result], left_out: Iterable[tuple[str, str]] = ()) -> str:
    """A table of the tiers, then every test that did not run, with the reason and what to do,
    and every test that failed, with the reason.

    Args:
        left_out: tiers that were not asked for, and how to ask for them.
    """
    results = list(results)
    lines = ["", f"{'tier':8} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for result in results:
        counts = [str(result.count(state)) for state in ("passed", "failed", "skipped")]
        if not result.cases:
            counts = ["ok" if result.ok else "-", "-", "-"]
        lines.append(
            f"{result.tier:8} {counts[0]:>7} {counts[1]:>7} {counts[2]:>8} {result.wall_s:8.0f}"
        )
    lines += _not_run(results, left_out)
    lines += _failed(results)
    lines.append("all is well" if all(result.ok for result in results) else "NOT ALL IS WELL")
    return "\n".join(lines)


def _failed(results: list[Result]) -> list[str]:
    """Each test that failed, with its reason below it; then what else went wrong."""
    lines = []
    failed = sum(result.count("failed") for result in results)
    each = max(1, min(REASON_LINES, REASONS_LINES // max(failed, 1)))
    for result in results:
        for case in result.cases:
            if case.state == "failed":
                lines.append(f"FAILED  {case.test}")
                lines += [f"        {line}" for line in _bounded(case.detail, each)]
        lines += [f"FAILED  {result.tier}: {problem}" for problem in result.problems]
    return lines


def _bounded(text: str, most: int) -> list[str]:
    """The first lines of a text, none too long, and how many are left out."""
    lines = [
        line if len(line) <= LINE_COLUMNS else f"{line[:LINE_COLUMNS]} ..."
        for line in text.splitlines()
    ]
    if len(lines) <= most:
        return lines
    return [*lines[:most], f"... {len(lines) - most} more lines above"]


def _not_run(results: list[Result], left_out: Iterable[tuple[str, str]]) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for case in result.cases:
            if case.state == "skipped":
                groups.setdefault((result.tier, case.detail), []).append(case.test)
    lines = []
    for (tier, reason), tests in groups.items():
        lines.append(f"  {tier}: {reason or 'no reason given'}")
        lines += [f"      {test}" for test in tests]
    lines += [f"  {tier}, the whole tier: {how}" for tier, how in left_out]
    return ["", "NOT RUN:", *lines, ""] if lines else [""]
