"""The floor, run again and again with one seed: the same packets with the same fate, whatever else
the machine does.

Two runs at once; should they part, a third must be like one of them. A run that is chance's would
be like none.
"""

from __future__ import annotations

import csv
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, count
from pathlib import Path
from typing import Any

import pytest
from lab_runs import FLOOR_MS, Summary, figures, run

OPTIONS = ("--seed", "5", "--repeat", "2", "--set", "measure.null_run=false")
Floor = tuple[Summary, list[dict[str, str]]]
"""What a run says of itself, and its packets."""


@pytest.fixture(scope="module")
def floors() -> Iterator[list[Floor]]:
    """The floor twice over, both at once; and once more if these two are not alike."""
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-x-") as folder, ThreadPoolExecutor() as pool:
        numbers = count()

        def again() -> Floor:
            out = Path(folder) / f"floor{next(numbers)}"
            return figures(run("l2_floor.toml", out, *OPTIONS)), packets(out / "packets.csv")

        jobs = [pool.submit(again) for _ in range(2)]
        done = [job.result() for job in jobs]
        if parted(*done):
            warnings.warn(f"two runs with one seed parted: {parted(*done)[:3]}", stacklevel=2)
            done.append(again())
        yield done


def test_it_is_below_its_limit_and_loses_nothing(floors: list[Floor]) -> None:
    for summary, _ in floors:
        assert summary["verdict"]["given"], summary["verdict"]["refused"]
        for each in summary["schemes"]["l2-floor"]["runs"]:
            for direction in ("downlink", "uplink"):
                assert each["lost"][direction] == 0
                assert each["gap_ms"][direction] <= FLOOR_MS


def test_the_same_seed_gives_the_same_packets(floors: list[Floor]) -> None:
    apart = [parted(*pair) for pair in combinations(floors, 2)]
    assert [] in apart, apart


def parted(first: Floor, second: Floor) -> list[str]:
    """Where two runs are not alike."""
    if len(first[1]) != len(second[1]):
        return [f"{len(first[1])} and {len(second[1])} packets"]
    pairs = [pair for pair in zip(first[1], second[1], strict=True) if not same(*pair)]
    found = [f"{len(pairs)} of {len(first[1])} packets, the first: {pairs[0]}"] if pairs else []
    return found + differences(first[0], second[0])


def differences(first: Any, second: Any, where: str = "summary") -> list[str]:
    """Where two summaries are not alike; times count to a hundredth of a millisecond."""
    if isinstance(first, dict) and isinstance(second, dict):
        pairs = [(key, first.get(key), second.get(key)) for key in first | second]
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = [(number, *pair) for number, pair in enumerate(zip(first, second, strict=True))]
    else:
        close = isinstance(first, float) and isinstance(second, float)
        alike = abs(first - second) <= 0.01 if close else first == second
        return [] if alike else [f"{where}: {first} and {second}"]
    return [said for key, *pair in pairs for said in differences(*pair, f"{where}.{key}")]


def same(one_packet: dict[str, str], other: dict[str, str]) -> bool:
    """The same packet with the same fate, its times within 10 microseconds."""
    times = ("sent_ns", "received_ns")
    for column in times:
        here, there = one_packet[column], other[column]
        if bool(here) != bool(there) or abs(int(here or 0) - int(there or 0)) >= 10_000:
            return False
    return all(one_packet[key] == other[key] for key in one_packet if key not in times)


def packets(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
