"""Tests inside the guest: one boot, pytest in it, its JUnit file brought out."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from radios.errors import MpaError
from rigs.guest import accelerator, image, machine
from rigs.guest.payload import TESTS, Job

from .children import ROOT, Prefixed, collected
from .results import Result, not_reported, read_junit

JUNIT = "junit.xml"
PYTEST = ("python3", "-m", "pytest", "--no-header", "--color=no", "-p", "no:cacheprovider", "-rfE")
SILENCE_S = 300.0
"""The slowest test takes half a minute; five without a dot are a test that hangs."""
CAMPAIGN_SILENCE_S = 7200.0
"""A whole row of a campaign is one test."""

QUANTITIES = ("MPA_HIL_CAMPAIGN", "MPA_HIL_FUZZ_INPUTS")
"""Environment variables that say how much is tried."""


def _quantities() -> dict[str, str]:
    return {name: os.environ[name] for name in QUANTITIES if name in os.environ}


async def run(tier: str, paths: tuple[str, ...]) -> Result:
    """Run the tests below some paths in a guest under the virtual clock.

    Every test that is there when collected here must be reported from there.
    """
    output = Prefixed(tier)
    whole = os.environ.get("MPA_HIL_CAMPAIGN") == "whole"
    silence_s = CAMPAIGN_SILENCE_S if whole else SILENCE_S
    result = Result(tier)
    try:
        built = await asyncio.to_thread(image.ensure, output.say)
        chosen = await asyncio.to_thread(accelerator.probe)
        output.say(f"booting the guest ({chosen.name}, virtual clock) for {' '.join(paths)}")
        with tempfile.TemporaryDirectory(prefix="mpa-tests-") as folder:
            outcome = await machine.run(
                built,
                # Unset, for else every process in the guest compiles the project's code anew.
                Job(
                    argv=(*PYTEST, f"--junitxml=/run/out/{JUNIT}", *paths),
                    env={"PYTHONDONTWRITEBYTECODE": "", "COLUMNS": "100", **_quantities()},
                    folders=TESTS,
                ),
                machine.Settings(chosen, "virtual", silence_s=silence_s),
                Path(folder),
                output,
            )
            result.cases = read_junit(Path(folder) / JUNIT, ROOT)
        output.end()
    except MpaError as error:
        output.end()
        result.problems.append(str(error))
        result.status = error.exit_code
        return result
    except FileNotFoundError:
        result.problems.append(f"pytest ended with status {outcome.status} before its first test")
        return result
    if outcome.status and not result.count("failed"):
        result.problems.append(f"pytest ended with status {outcome.status}")
    if silent := not_reported(await collected(*paths), result.cases):
        result.problems.append(f"nothing was heard of {len(silent)} tests: {' '.join(silent)}")
    return result
