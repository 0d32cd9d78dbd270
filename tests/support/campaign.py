"""How often the rows of attacks and faults run: a tenth here, all of them in `make campaign`.

The numbers are the project's own table of what must be survived (A1-A19, F1-F15); each test names
its row. A tenth has the same seed each time, so what it finds can be found again; the whole is its
continuation, not another sample.
"""

from __future__ import annotations

import os
import random

WHOLE = "MPA_HIL_CAMPAIGN"
"""Environment variable: `whole` runs every row in full."""


def runs(whole: int) -> int:
    """How many of a row's runs are due: a tenth, rounded up, unless the whole is asked for."""
    return whole if os.environ.get(WHOLE) == "whole" else -(-whole // 10)


def dice(row: str) -> random.Random:
    """The random choices of a row, the same in each campaign."""
    return random.Random(f"mpa-hil campaign {row}")
