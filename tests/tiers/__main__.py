"""Runs the checks and the tiers of tests: ``python -m tests.tiers [TIER...]``.

    check   formatting, lint, types
    pure    tests/unit: no root, no guest
    fuzz    tests/fuzz: every decoder, 20,000 inputs each; tests/campaign: attacks and faults
    wired   tests/wired: real daemons on veth pairs, in the guest
    lab     tests/lab: the guest itself, on this machine; tests/lab/inside: in the guest
    radio   tests/radio: real radios of this machine; only when asked for by name

What needs the guest's insides shares one boot, which goes on beside the rest. Exit status: 0 all
is well, 1 something failed, 3 this machine lacks something.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
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


async def in_guest(tiers: tuple[str, ...]) -> list[Result]:
    """What of these tiers runs inside the guest, on one boot; a result for each."""
    folders = {"wired": WIRED, "lab": INSIDE}
    wanted = {tier: folders[tier] for tier in folders if tier in tiers}
    if not wanted:
        return []
    whole = await timed(guest.run("guest", tuple(wanted.values())))
    results = [
        Result(tier, [case for case in whole.cases if case.test.startswith(f"{folder}/")])
        for tier, folder in wanted.items()
    ]
    for result in results:
        # One boot for both: the time is told once, with the first.
        result.wall_s = whole.wall_s if result is results[0] else 0.0
    results[0].problems, results[0].status = whole.problems, whole.status
    if "wired" in wanted:
        await try_here(results[0])
    return results


async def try_here(result: Result) -> None:
    """Run here what the guest could not, where this machine may: a kernel that lacks things."""
    skipped = [case.test for case in result.cases if case.state == "skipped"]
    if not skipped or os.geteuid() != 0:
        return
    again = {case.test: case for case in (await here("wired", *skipped)).cases}
    result.cases = [again.get(case.test, case) for case in result.cases]


async def on_host(tiers: tuple[str, ...]) -> list[Result]:
    """What of these tiers runs on this machine, one after the other."""
    results = []
    if "check" in tiers:
        results.append(await timed(check()))
    if "pure" in tiers:
        results.append(await timed(here("pure", PURE, *ALL_CORES)))
    if "fuzz" in tiers:
        results.append(await timed(here("fuzz", FUZZ, CAMPAIGN, *ALL_CORES)))
    if "lab" in tiers:
        results.append(await timed(here("lab", LAB, f"--ignore={INSIDE}")))
    if "radio" in tiers:
        results.append(await timed(here("radio", RADIO)))
    return results


async def main(tiers: tuple[str, ...]) -> int:
    """Run tiers and print what came of them; the exit status."""
    async with asyncio.TaskGroup() as group:
        inside = group.create_task(in_guest(tiers))
        outside = group.create_task(on_host(tiers))
    results = merged([*outside.result(), *inside.result()])
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
