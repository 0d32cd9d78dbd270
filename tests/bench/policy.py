"""What a policy's decision costs: `python -m tests.bench.policy [--output FILE]`.

For each policy: a walk between two access points, and the same with a thousand candidates that are
all heard once a second, their readings fading. Processor time of every single input is taken; the
bound is 100 microseconds a sample in the mean, with a thousand candidates too.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mpa_hil.policy import loading
from mpa_hil.policy.engine import Engine
from mpa_hil.policy.interface import (
    Attached,
    Candidate,
    CandidateSeen,
    Holding,
    Input,
    Prepare,
    Return,
    Sample,
    Switch,
)

S = 1_000_000_000
LIMIT_US = 100.0
MANY = 1000


def walk(candidates: int, seconds: float) -> Iterator[Input]:
    """A walk along a row of access points, 30 m apart; each second every one is heard."""
    dice = random.Random(candidates)
    names = [f"ap{number:04}" for number in range(candidates)]
    for number, name in enumerate(names):
        yield CandidateSeen(S, Candidate(name, f"{number % 7}.example", 2412, dice.random()))
    at = 0
    for step in range(int(seconds * 10)):
        t_s = step / 10
        near = min(int(1.4 * t_s / 30), candidates - 1)
        heard = {near, min(near + 1, candidates - 1)}
        for _ in range(max(1, candidates // 10)):
            heard.add(at % candidates)
            at += 1
        for number in sorted(heard):
            distance_m = math.hypot(1.4 * t_s - 30 * number, 3)
            signal_dbm = -40 - 30 * math.log10(distance_m) + dice.gauss(0, 3)
            yield Sample(S + int(t_s * S), names[number], max(-100, signal_dbm), -92)


def measure(name: str, candidates: int, seconds: float) -> dict[str, float]:
    """Microseconds for each input, and how many there were."""
    engine = Engine(loading.choose(name, {}).make())
    took: list[int] = []
    decisions = 0
    pending: list[Input] = [Attached(S, "ap0000")]
    for event in walk(candidates, seconds):
        pending.append(event)
        while pending:
            now = pending.pop(0)
            begun = time.thread_time_ns()
            out = engine.feed(now)
            took.append(time.thread_time_ns() - begun)
            decisions += len(out)
            for decision in out:  # everything is prepared and done at once
                if isinstance(decision, Prepare):
                    level = min(int(decision.level), 2)
                    tunnel = decision.level == 3
                    pending.append(Holding(now.t_ns, decision.target, level, tunnel=tunnel))
                elif isinstance(decision, Switch | Return):
                    pending.append(Attached(now.t_ns, decision.target))
    took.sort()
    return {
        "inputs": len(took),
        "decisions": decisions,
        "mean_us": round(sum(took) / len(took) / 1000, 2),
        "median_us": round(took[len(took) // 2] / 1000, 2),
        "p99_us": round(took[len(took) * 99 // 100] / 1000, 2),
        "max_us": round(took[-1] / 1000, 2),
    }


def main() -> int:
    """Print a table; 1 if a mean is over the limit."""
    parser = argparse.ArgumentParser(description="What a policy's decision costs.")
    parser.add_argument("--output", type=Path, help="the figures as JSON, too")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of each walk")
    told = parser.parse_args()
    figures = {
        f"{name}, {candidates}": measure(name, candidates, told.seconds)
        for name in loading.SHIPPED
        for candidates in (2, MANY)
    }
    columns = ("inputs", "decisions", "mean_us", "median_us", "p99_us", "max_us")
    print(f"{'policy, candidates':20}" + "".join(f"{column:>12}" for column in columns))
    for title, row in figures.items():
        print(f"{title:20}" + "".join(f"{row[column]:12}" for column in columns))
    if told.output is not None:
        told.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    slow = [title for title, row in figures.items() if row["mean_us"] > LIMIT_US]
    if slow:
        print(f"over {LIMIT_US:g} microseconds: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
