"""Which tests may run where: a tier is a folder, and says so itself when it is in the wrong place.

docs/tests.md describes the tiers; `python -m tests.tiers` runs each where it belongs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rigs.guest.inside import JOB

TESTS = Path(__file__).parent
IN_GUEST = Path(JOB).exists()
TIMED = ("test_traffic_veth.py",)
"""Wired tests that measure times: other work on this machine would change them."""
RADIOS = "MPA_HIL_RADIOS"
"""Environment variable: names of wireless interfaces that the tests may take and move."""


# The suites that several tiers run on what they have; their assertions are rewritten like a test's.
for folder in ("contract", "support"):
    sys.path.insert(0, str(TESTS / folder))
pytest.register_assert_rewrite("air", "radio_contract", "fuzzing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what belongs elsewhere, with the command that runs it there."""
    for item in items:
        if reason := out_of_place(item.path.relative_to(TESTS).parts):
            item.add_marker(pytest.mark.skip(reason=reason))


def out_of_place(parts: tuple[str, ...]) -> str:
    """Why the tests of a file cannot run here, and what to do; empty when they can."""
    if parts[:2] == ("lab", "inside"):
        return "" if IN_GUEST else "runs inside the guest: make test-lab"
    if parts[0] == "lab" and IN_GUEST:
        return "boots guests itself, so not inside one: make test-lab"
    if parts[0] == "wired" and parts[-1] in TIMED and not IN_GUEST:
        return "measures times, for which the guest has a clock of its own: make test-wired"
    if parts[0] == "radio" and not os.environ.get(RADIOS):
        return f'takes real radios, so only when told which: {RADIOS}="wlan1 wlan2" make test-radio'
    return ""
