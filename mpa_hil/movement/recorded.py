"""Recorded signals: a file of readings as points of a trace. Sans-IO.

CSV has a heading with the columns t_s, ap and signal_dbm, in any order, beside whatever else; an
access point goes by the lab's name for it or by its BSSID. Readings without a signal are passed
over, and of a level stretch only its ends are kept: straight lines between them say the same.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

COLUMNS = ("t_s", "ap", "signal_dbm")
WEAKEST_DBM, STRONGEST_DBM = -110.0, 0.0
"""What a reading is cut to: below nothing is received, and above it a receiver says nonsense."""
LONGEST_S = 86_400.0
_LINE_MOST = 10_000
"""Characters; a longer line is passed over."""


class BadTrace(ValueError):
    """A file that is no trace.

    Attributes:
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Reading:
    """What was received of an access point at a time."""

    t_s: float
    ap: str
    signal_dbm: float


def read_csv(text: str) -> Iterator[Reading]:
    """The readings of a CSV text.

    Raises:
        BadTrace: with the line.
    """
    rows = csv.reader(line for line in text.splitlines() if len(line) <= _LINE_MOST)
    heading = [name.strip() for name in next(rows, [])]
    if not set(COLUMNS) <= set(heading):
        missing = [name for name in COLUMNS if name not in heading]
        raise BadTrace(
            f"no column {', '.join(missing)} in its first line",
            "begin with a line that names the columns t_s, ap, signal_dbm",
        )
    time_at, ap_at, signal_at = (heading.index(name) for name in COLUMNS)
    for row in rows:
        if not any(row):
            continue
        try:
            signal = row[signal_at].strip()
            if signal:
                yield Reading(_number(row[time_at]), row[ap_at].strip(), _number(signal))
        except (ValueError, IndexError) as error:
            raise BadTrace(
                f"line {rows.line_num}: {error}", "give t_s and signal_dbm as plain numbers"
            ) from None


def points(
    readings: Iterable[Reading], names: Mapping[str, str]
) -> Mapping[str, tuple[tuple[float, float], ...]]:
    """The points of each access point, from 0 s on, in the order of time.

    Args:
        names: the lab's access points by what a trace may call them, in lower case; others that
            were heard are left out.

    Raises:
        BadTrace: nothing of it is about these access points, or it takes longer than a day.
    """
    found: dict[str, dict[float, float]] = {}
    heard: set[str] = set()
    for reading in readings:
        heard.add(reading.ap)
        name = names.get(reading.ap.lower())
        if name is not None:
            dbm = min(max(reading.signal_dbm, WEAKEST_DBM), STRONGEST_DBM)
            found.setdefault(name, {})[reading.t_s] = dbm
    if not found:
        others = ", ".join(sorted(heard)[:8]) or "nobody"
        raise BadTrace(
            f"it is about none of the lab's access points, but about {others}",
            "call them there as the lab does, or give the lab's their BSSIDs",
        )
    begin_s = min(min(some) for some in found.values())
    end_s = max(max(some) for some in found.values())
    if end_s - begin_s > LONGEST_S:
        raise BadTrace("it takes longer than a day", "cut a part out of it")
    return {
        ap: _without_level([(round(t_s - begin_s, 6), dbm) for t_s, dbm in sorted(some.items())])
        for ap, some in sorted(found.items())
    }


def _without_level(some: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    kept = [
        point
        for index, point in enumerate(some)
        if index in (0, len(some) - 1) or not some[index - 1][1] == point[1] == some[index + 1][1]
    ]
    return tuple(kept)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text.strip()} is no number")
    return number
