"""Runs the checks and the tiers of tests: ``python -m tests.tiers [TIER...]``.

    check   formatting, lint, types
    pure    tests/unit: no root, no guest
    fuzz    tests/fuzz: every decoder, 20,000 inputs each; tests/campaign: attacks and faults
    wired   tests/wired: real daemons on veth pairs; here where root asks and they are installed,
            and in the guest what could not run here
    lab     tests/lab: the guest itself, on this machine; tests/lab/inside: in the guest
    radio   tests/radio: real radios of this machine; only when asked for by name

What needs the guest's insides shares one boot. Tests that boot guests of their own go on beside all
the rest, file by file; whoever is done first takes the next. Exit status: 0 all is well, 1
something failed, 3 this machine lacks something.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable
from pathlib import Path

from . import guest
from .children import ROOT, Prefixed, run
from .results import Result, read_junit, summary

PURE, FUZZ, CAMPAIGN, WIRED, LAB, INSIDE, RADIO = (
    f"tests/{folder}"
    for folder in ("unit", "fuzz", "campaign", "wired", "lab", "lab/inside", "radio")
)
DEFAULT = ("check", "pure", "fuzz", "wired", "lab")
TIERS = (*DEFAULT, "radio")
HOW_TO_RADIO = (
    'needs radios that are yours to use: as root, MPA_HIL_RADIOS="wlan1 wlan2" make test-radio'
)
ALL_CORES = ("--numprocesses=auto", "--dist=worksteal")
WAITING = ("--numprocesses=3", "--dist=worksteal")
"""Real daemons mostly wait out their time limits: side by side the wired tests take a third."""
CHECKS = (
    ("ruff", "format", "--check"),
    ("ruff", "check"),
    ("mypy",),
    ("mypy", "--package", "tests.tiers"),
)


async def timed(work: Awaitable[Result]) -> Result:
    """The result, with how long it took."""
    started = time.monotonic()
    result = await work
    result.wall_s = time.monotonic() - started
    return result


async def check() -> Result:
    """Formatting, lint and types; all of them, also when one fails."""
    output, result = Prefixed("check"), Result("check")
    for name, *arguments in CHECKS:
        program = Path(sys.executable).parent / name
        if await run(output, str(program), *arguments):
            result.problems.append(" ".join((name, *arguments)))
    return result


async def here(tier: str, *arguments: str) -> Result:
    """A tier's tests on this machine."""
    output, result = Prefixed(tier), Result(tier)
    with tempfile.TemporaryDirectory(prefix="mpa-tests-") as folder:
        junit = Path(folder) / "junit.xml"
        status = await run(
            output,
            *(sys.executable, "-m", "pytest", "-q", "--color=no", "-rfE"),
            *(f"--junitxml={junit}", *arguments),
        )
        with contextlib.suppress(FileNotFoundError):
            result.cases = read_junit(junit, ROOT)
    if status and not result.count("failed"):
        result.problems.append(f"pytest ended with status {status}")
    elif result.cases and result.count("skipped") == len(result.cases):
        result.problems.append("not one test could run; the reasons are above")
        result.status = 3
    return result


async def inside(tiers: tuple[str, ...]) -> list[Result]:
    """What needs a kernel to itself: on this machine what its kernel and programs allow, if root
    asks (the guest's processor is emulated, and many times slower); the rest on one boot."""
    results: dict[str, Result] = {}
    wanted: dict[str, tuple[str, ...]] = {}
    if "wired" in tiers:
        results["wired"] = Result("wired")
        wanted["wired"] = (WIRED,)
        if os.geteuid() == 0:
            results["wired"] = await timed(here("wired", WIRED, *WAITING))
            wanted["wired"] = left_over(results["wired"])
    if "lab" in tiers:
        results["lab"] = Result("lab")
        wanted["lab"] = (INSIDE,)
    paths = tuple(path for tier in wanted for path in wanted[tier])
    if paths:
        whole = await timed(guest.run("guest", paths))
        for tier, folder in (("wired", WIRED), ("lab", INSIDE)):
            if wanted.get(tier):
                take_over(results[tier], whole, folder)
        # One boot for both: what it took and what went wrong is told once.
        told = next(result for tier, result in results.items() if wanted[tier])
        told.wall_s += whole.wall_s
        told.problems += whole.problems
        told.status = max(told.status, whole.status)
    return list(results.values())


def left_over(result: Result) -> tuple[str, ...]:
    """The tests that could not run here, for the guest; one that nobody can run stays skipped."""
    skipped = tuple(case.test for case in result.cases if case.state == "skipped")
    if not result.cases:
        return (WIRED,)
    if len(skipped) == len(result.cases):
        result.problems.clear()
        result.status = 1
        return (WIRED,)
    return skipped


def take_over(result: Result, whole: Result, folder: str) -> None:
    """Put what the guest says of a folder's tests in the place of what was skipped here."""
    said = {case.test: case for case in whole.cases if case.test.startswith(f"{folder}/")}
    before = {case.test: case for case in result.cases}
    for test, case in said.items():
        if case.state != "skipped" or test not in before:
            before[test] = case
    result.cases = list(before.values())


async def on_host(tiers: tuple[str, ...]) -> list[Result]:
    """What needs no more than this machine's Python, one after the other."""
    results = []
    if "check" in tiers:
        results.append(await timed(check()))
    if "pure" in tiers:
        results.append(await timed(here("pure", PURE, *ALL_CORES)))
    if "fuzz" in tiers:
        results.append(await timed(here("fuzz", FUZZ, CAMPAIGN, *ALL_CORES)))
    if "radio" in tiers:
        results.append(await timed(here("radio", RADIO)))
    results += await inside(tiers)
    return results


async def with_guests(files: deque[str]) -> list[Result]:
    """The tests that boot guests of their own, file by file until none is left."""
    results = []
    while files:
        results.append(await timed(here("lab", files.popleft())))
    return results


async def main(tiers: tuple[str, ...]) -> int:
    """Run tiers and print what came of them; the exit status."""
    folder = ROOT / LAB
    files = deque(f"{LAB}/{path.name}" for path in sorted(folder.glob("test_*.py")))
    if "lab" not in tiers:
        files.clear()

    async def first_the_host() -> list[Result]:
        return [*await on_host(tiers), *await with_guests(files)]

    async with asyncio.TaskGroup() as group:
        one = group.create_task(first_the_host())
        other = group.create_task(with_guests(files))
    results = merged([*one.result(), *other.result()])
    left_out = [("radio", HOW_TO_RADIO)] if tiers == DEFAULT else []
    print(summary(results, left_out))
    return max((result.status for result in results if not result.ok), default=0)


def merged(results: list[Result]) -> list[Result]:
    """One result a tier, in the tiers' order."""
    by_tier: dict[str, Result] = {}
    for result in results:
        known = by_tier.setdefault(result.tier, result)
        if known is not result:
            known.cases += result.cases
            known.problems += result.problems
            known.status = max(known.status, result.status)
            known.wall_s += result.wall_s
    return sorted(by_tier.values(), key=lambda result: TIERS.index(result.tier))


if __name__ == "__main__":
    asked = tuple(sys.argv[1:]) or DEFAULT
    if unknown := set(asked) - set(TIERS):
        sys.exit(f"no such tier: {', '.join(sorted(unknown))}; there are {', '.join(TIERS)}")
    try:
        sys.exit(asyncio.run(main(asked)))
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing is left running")
