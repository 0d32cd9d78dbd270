"""A lab to look around in: `python3 -m mpa_hil.lab.standing REQUEST.json`.

Puts the lab up, the MN on its first access point, says so, and takes all down on SIGTERM or when
the request's end file appears. On standard output, one JSON object a line:

    {"type": "lab.progress", "text"}
    {"type": "lab.ready", "hosts": [...]}
    {"type": "lab.trouble", "text"}           a daemon died; the rest stands, to see why
    {"type": "lab.failed", "what", "where", "remedy", "exit_code"}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mpa_hil import exits
from mpa_hil.experiment.plan import AHEAD
from mpa_hil.lab.builder import Lab, standing_lab
from mpa_hil.scenario import Scenario, decode, encode, floor_scenario, is_floor
from radios.errors import MpaError, RemoteError

LOOK_S = 0.5
"""Between two looks for the end file."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to put up.

    Attributes:
        lab_id: marks what belongs to the lab on its machine (`rigs.paths`).
        end_file: when this file appears the lab is taken down; empty: only by signal.
        pem: the user's certificates by lab key; empty: the lab makes its own.
    """

    scenario: Scenario
    lab_id: str
    end_file: str = ""
    pem: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def to_json(self) -> bytes:
        """For the process that puts it up; secrets of the lab file included."""
        described = {
            "scenario": json.loads(encode(self.scenario)),
            "lab_id": self.lab_id,
            "end_file": self.end_file,
            "pem": {key: value.decode() for key, value in self.pem.items()},
        }
        return json.dumps(described).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Request:
        """What `to_json` wrote."""
        described = json.loads(data)
        return cls(
            decode(json.dumps(described["scenario"]).encode()),
            described["lab_id"],
            described.get("end_file", ""),
            {key: value.encode() for key, value in described.get("pem", {}).items()},
        )


def tell(kind: str, **fields: object) -> None:
    """One line for whoever keeps this lab."""
    print(json.dumps({"type": f"lab.{kind}", **fields}), flush=True)


async def stand(request: Request) -> None:
    """Put the lab up, wait for its end, take it down.

    Raises:
        MpaError: it did not come up.
    """
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    living = asyncio.create_task(_live(request))
    ending = asyncio.create_task(_wait_for_end(end, request.end_file))
    try:
        await asyncio.wait({living, ending}, return_when=asyncio.FIRST_COMPLETED)
        if living.done():
            living.result()
    finally:
        for task in (living, ending):
            task.cancel()
        await asyncio.gather(living, ending, return_exceptions=True)


async def _live(request: Request) -> None:
    floor = is_floor(request.scenario)
    described = floor_scenario(request.scenario) if floor else request.scenario

    def say(text: str) -> None:
        tell("progress", text=text)

    async with standing_lab(
        described,
        request.lab_id,
        say,
        floor=floor,
        pem=request.pem,
        preauthentication=not floor and any(s in AHEAD for s in described.lab.schemes),
    ) as lab:
        say("the mobile node joins its first access point")
        await lab.guard(lab.explore())
        tell("ready", hosts=list(lab.hosts))
        await _watch(lab)


async def _watch(lab: Lab) -> None:
    """Tell of the first death, then stay: a dead daemon is what somebody may want to look at."""
    forever = asyncio.Event()
    try:
        await lab.guard(forever.wait())
    except RemoteError as error:
        tell("trouble", text=str(error))
    await forever.wait()


async def _wait_for_end(end: asyncio.Event, end_file: str) -> None:
    while not end.is_set() and not _is_there(end_file):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await end.wait()


def _is_there(path: str) -> bool:
    return bool(path) and os.path.exists(path)


def main() -> int:
    """Do what the request named on the command line says; an exit status."""
    try:
        asyncio.run(stand(Request.from_json(Path(sys.argv[1]).read_bytes())))
    except (MpaError, BaseExceptionGroup) as error:
        known = exits.first_mpa_error(error)
        if known is None:
            raise
        tell(
            "failed",
            what=known.what,
            where=known.where,
            remedy=known.remedy,
            exit_code=known.exit_code,
        )
        return known.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
