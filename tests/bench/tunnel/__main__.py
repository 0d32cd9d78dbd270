"""`python -m tests.bench.tunnel`: what a handover tunnel costs, plain, with ESP and with WireGuard,
beside the same way without one; and a thousand of them, with hold devices, on one router.

It is measured in the guest under the virtual clock: one processor on which an instruction takes a
nanosecond, shared by all boxes, the sender and the receiver. So the ratios are what to read, and
they are the same on every machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rigs.guest import accelerator, image, machine
from rigs.guest.payload import OUT, TESTS, Job

_RESULT = "bench-tunnel.json"


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    options = _options(arguments)
    found = asyncio.run(_measure(options))
    print(table(found))
    if options.output:
        Path(options.output).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(f"written to {options.output}")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tunnel", description=__doc__)
    parser.add_argument("--octets", type=int, default=8_000_000, help="of each TCP transfer")
    parser.add_argument("--rounds", type=int, default=400, help="round trips of each way")
    parser.add_argument("--tunnels", default="1,100,1000", help="how many on one router")
    parser.add_argument("--output", default="", help="JSON file")
    return parser.parse_args(arguments)


async def _measure(options: argparse.Namespace) -> dict[str, Any]:
    built = await asyncio.to_thread(image.ensure, _say)
    chosen = await asyncio.to_thread(accelerator.probe)
    inside = ["python3", "-m", "tests.bench.tunnel.inside", f"{OUT}/{_RESULT}"]
    inside += [str(options.octets), str(options.rounds), options.tunnels]
    with tempfile.TemporaryDirectory(prefix="mpa-bench-") as name:
        folder = Path(name)
        job = Job(argv=inside, env={"PYTHONDONTWRITEBYTECODE": ""}, folders=TESTS)
        outcome = await machine.run(built, job, machine.Settings(chosen, "virtual"), folder, _print)
        if outcome.status:
            raise SystemExit(f"the benchmark failed in the guest with status {outcome.status}")
        found: dict[str, Any] = json.loads((folder / _RESULT).read_text())
        return found


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


def _print(octets: bytes) -> None:
    sys.stderr.write(octets.decode(errors="replace"))
    sys.stderr.flush()


def table(found: dict[str, Any]) -> str:
    """The figures, to be read."""
    lines = [
        ("way", "outer", "inner", "MTU", "down Mbit/s", "", "up Mbit/s", "", "RTT us", "added")
    ]
    base: dict[str, Any] = {}
    for row in found["costs"]:
        if row["kind"] == "none":
            base = row
        lines.append(
            (
                row["kind"],
                f"IPv{row['outer']}" if row["outer"] else "-",
                f"IPv{row['inner']}",
                str(row["mtu"]),
                *_with_ratio(row, base, "down_mbit_s"),
                *_with_ratio(row, base, "up_mbit_s"),
                f"{row['round_trip_us']:.0f}",
                f"{row['round_trip_us'] - base['round_trip_us']:+.0f}",
            )
        )
    left = ("tunnels", "kind", "create ms", "remove ms", "kernel KiB", "agent KiB")
    crowds = [(*left, "RTT us", "p99", "hold us", "release us")]
    for row in found["crowds"]:
        crowds.append(
            (
                str(row["tunnels"]),
                row["kind"],
                *(
                    f"{row[name]:.1f}" if row[name] else "-"
                    for name in ("create_ms", "remove_ms", "kernel_kib", "process_kib")
                ),
                *(
                    f"{row[name]:.0f}"
                    for name in ("round_trip_us", "round_trip_p99_us", "hold_us", "release_us")
                ),
            )
        )
    title = "On one router; round trip, hold and release are the first tunnel's:"
    return "\n".join((_aligned(lines), "", title, _aligned(crowds)))


def _with_ratio(row: dict[str, Any], base: dict[str, Any], name: str) -> tuple[str, str]:
    return f"{row[name]:.0f}", f"x {row[name] / base[name]:.2f}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


if __name__ == "__main__":
    main(sys.argv[1:])
