"""Whole experiments through the command line, in a guest each, and what they came to."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
LABS = PROJECT / "lab_configs"
BOUND_S = 900
GUEST = ("--rig", "guest", "--clock", "virtual")
FLOOR_MS = 13.0
"""What the bare switch may cost at most at 2 ms spacing."""

Summary = dict[str, Any]


def run(lab: str, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`mpa-hil run`, with its temporary files where this test sees them."""
    temporary = out.parent / f"{out.name}.tmp"
    temporary.mkdir()
    return subprocess.run(
        [
            *(sys.executable, "-m", "mpa_hil.cli", "run", str(LABS / lab)),
            *(*GUEST, "--out", str(out), "--json", *options),
        ],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


def figures(done: subprocess.CompletedProcess[str], status: int = 0) -> Summary:
    assert done.returncode == status, f"status {done.returncode}: {why(done)}"
    summary: Summary = json.loads(done.stdout)
    return summary


def why(done: subprocess.CompletedProcess[str]) -> str:
    """What a run says of its failure: refused checks and failed runs, then the error itself."""
    told: list[str] = []
    with contextlib.suppress(json.JSONDecodeError):
        summary: Summary = json.loads(done.stdout)
        told += (summary.get("verdict") or {}).get("refused", [])
        told += [
            f"{name}: {each['error']}"
            for name, scheme in summary["schemes"].items()
            for each in scheme["runs"]
            if not each["ok"]
        ]
    lines = done.stderr.splitlines()
    told += [line for line in lines if not line.startswith("[")] or lines[-4:]
    return "\n".join(told)
