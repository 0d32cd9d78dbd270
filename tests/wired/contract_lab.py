"""Makes the Host contract suite importable for the tests beside it, and names their labs.

Import this before `host_contract` and `contract_rig`: their assertions are rewritten like a test
file's own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))
pytest.register_assert_rewrite("host_contract", "contract_rig")


def unique_lab(kind: str) -> str:
    """A lab id of this test process alone: several may run on one machine."""
    return f"{kind}{os.getpid()}"
