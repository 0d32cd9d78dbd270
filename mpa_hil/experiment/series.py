"""Collects several experiments one after the other: `python3 -m mpa_hil.experiment.series FILE`.

One boot of the guest serves them all. FILE is a JSON list of requests (`collect.Request`); each
leaves its records in a folder of its own, `001` up. One that fails does not keep the others.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mpa_hil.experiment.collect import Request, collect, note_failure, stand_back
from mpa_hil.experiment.shared import SharedLab
from radios.errors import LocalError, MpaError

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


def main() -> int:
    """Collect what the request file asks for into the guest's output folder."""
    from rigs.guest.payload import OUT

    try:
        if len(sys.argv) != 2:
            raise LocalError("usage: python3 -m mpa_hil.experiment.series REQUESTS.json")
        requests = from_json(Path(sys.argv[1]).read_bytes())
        stand_back()
        failed = asyncio.run(collect_all(requests, Path(OUT), lambda text: print(text, flush=True)))
    except MpaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
