"""Collects several experiments one after the other: `python3 -m mpa_hil.experiment.series FILE`.

One boot of the guest serves them all. FILE is a JSON list of requests (`collect.Request`); each
leaves its records in a folder of its own, `001` up. One that fails does not keep the others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mpa_hil.experiment.collect import Request, collect, note_failure, run_job
from mpa_hil.experiment.shared import SharedLab
from radios.errors import MpaError

Say = Callable[[str], None]


def to_json(requests: Sequence[Request]) -> bytes:
    """The requests for the guest; secrets of the lab file included."""
    return b"[" + b",".join(request.to_json() for request in requests) + b"]"


def from_json(data: bytes) -> tuple[Request, ...]:
    """What `to_json` wrote."""
    return tuple(Request.from_json(json.dumps(entry).encode()) for entry in json.loads(data))


def folder(out: Path, number: int) -> Path:
    """Where the records of an experiment lie, counted from 0."""
    return out / f"{number + 1:03}"


async def collect_all(requests: Sequence[Request], out: Path, say: Say) -> int:
    """Carry all experiments out; how many of them ended early (each has its `failure.json`).

    Walks of other ways and speeds share a lab.
    """
    failed = 0
    async with SharedLab(requests, say) as shared:
        for number, request in enumerate(requests):
            say(f"experiment {number + 1} of {len(requests)}: {', '.join(request.schemes)}")
            try:
                lab = await shared.lab(request)
                await collect(request, folder(out, number), say, lab)
            except MpaError as error:
                failed += 1
                note_failure(error, folder(out, number))
                say(f"experiment {number + 1} ended early: {error}")
    return failed


async def _collect_all(asked: bytes, out: Path, say: Say) -> int:
    return await collect_all(from_json(asked), out, say)


if __name__ == "__main__":
    sys.exit(run_job(_collect_all))
