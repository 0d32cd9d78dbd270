"""Makes the contract suites importable for the tests beside it, assertions rewritten."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "contract"))
pytest.register_assert_rewrite("air", "radio_contract")
