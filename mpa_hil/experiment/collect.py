"""Collects an experiment's raw records: `python3 -m mpa_hil.experiment.collect REQUEST.json`.

In the guest this is the job; on the host's own radios `collect` is called directly. What it leaves
below the output folder:

    lab.json        rig, clock, versions of everything that took part
    events.jsonl    events of the labs themselves
    runs/001/ ...   one folder a run (`mpa_hil.experiment.conduct`)
    failure.json    what ended the experiment early, if anything did

Progress is told between runs only: while one runs, under a virtual clock, nothing may be printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpa_hil.experiment.conduct import conduct
from mpa_hil.experiment.plan import AHEAD, RunSpec, order
from mpa_hil.lab.builder import Lab, standing_lab
from mpa_hil.scenario import Scenario, decode, encode, floor_scenario
from radios.errors import LocalError, MpaError
from rigs.host import Host
from rigs.netns import NamespaceHost
from rigs.services.capture import AIR_INTERFACE

Say = Callable[[str], None]

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "hostapd": ("hostapd", "-v"),
    "wpa_supplicant": ("wpa_supplicant", "-v"),
    "freeradius": ("freeradius", "-v"),
    "dnsmasq": ("dnsmasq", "--version"),
    "dhcpcd": ("dhcpcd", "--version"),
    "tcpdump": ("tcpdump", "--version"),
    "iproute2": ("ip", "-V"),
}
"""What took part, and how it tells its version."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to collect.

    Attributes:
        pem: the user's certificates by lab key; empty: the lab makes its own.
        lab_id: marks what belongs to the experiment on its machine.
    """

    scenario: Scenario
    schemes: tuple[str, ...]
    repeat: int
    rig: str
    clock: str
    lab_id: str
    pem: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def to_json(self) -> bytes:
        """For the guest; secrets of the lab file included."""
        described: dict[str, Any] = {
            "scenario": json.loads(encode(self.scenario)),
            "schemes": self.schemes,
            "repeat": self.repeat,
            "rig": self.rig,
            "clock": self.clock,
            "lab_id": self.lab_id,
            "pem": {key: value.decode() for key, value in self.pem.items()},
        }
        return json.dumps(described, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Request:
        """What `to_json` wrote."""
        described = json.loads(data)
        return cls(
            decode(json.dumps(described["scenario"]).encode()),
            tuple(described["schemes"]),
            described["repeat"],
            described["rig"],
            described["clock"],
            described["lab_id"],
            {key: value.encode() for key, value in described["pem"].items()},
        )


async def collect(request: Request, out: Path, say: Say, lab: Lab | None = None) -> None:
    """Carry all runs out; everything that they leave is below `out`, whatever happens.

    Args:
        lab: one that stands already, for runs that need no other; it stands afterwards too.

    Raises:
        MpaError: what ended the experiment early; `failure.json` has it too.
    """
    os.makedirs(out, exist_ok=True)
    labs: list[Lab] = []
    try:
        async with contextlib.AsyncExitStack() as stack:
            runs = order(request.scenario, request.schemes, request.repeat)
            built = {False: lab} if lab is not None else await _build(request, runs, stack, say)
            air = await stack.enter_async_context(_air(request))
            labs += built.values()
            await describe(request, next(iter(built.values())), out)
            for number, spec in enumerate(runs, 1):
                say(f"run {number} of {len(runs)}: {spec}")
                failure = await conduct(built[spec.floor], spec, out / f"runs/{number:03}", air)
                if failure:
                    say(f"run {number} failed: {failure}")
    except MpaError as error:
        note_failure(error, out)
        raise
    finally:
        (out / "events.jsonl").write_bytes(b"".join(line for lab in labs for line in lab.events))


def note_failure(error: MpaError, out: Path) -> None:
    """Write `failure.json`: what ended an experiment early."""
    os.makedirs(out, exist_ok=True)
    failed = {
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "exit_code": error.exit_code,
    }
    (out / "failure.json").write_text(json.dumps(failed))


async def _build(
    request: Request, runs: tuple[RunSpec, ...], stack: contextlib.AsyncExitStack, say: Say
) -> dict[bool, Lab]:
    """The labs that the runs take place in, by whether they are the floor's."""
    scenario = request.scenario
    built: dict[bool, Lab] = {}
    for floor in sorted({spec.floor for spec in runs}):
        described = floor_scenario(scenario) if floor else scenario
        built[floor] = await stack.enter_async_context(
            standing_lab(
                described,
                f"{request.lab_id}{'f' if floor else ''}",
                say,
                floor=floor,
                group=2 if floor else 1,
                pem=request.pem,
                preauthentication=not floor and any(s in AHEAD for s in request.schemes),
            )
        )
    return built


@contextlib.asynccontextmanager
async def _air(request: Request) -> AsyncIterator[Host | None]:
    """A box with the monitor of all virtual radios, if the air is to be captured."""
    capture = request.scenario.capture
    if not (capture.enabled and capture.air):
        yield None
        return
    host = await NamespaceHost.create("air", request.lab_id)
    try:
        await _move_monitor(host)
        yield host
    finally:
        # A namespace's end would give the monitor back under another name.
        await host.run("ip", "link", "set", AIR_INTERFACE, "netns", "1", check=False)
        await host.close()


async def _move_monitor(host: NamespaceHost) -> None:
    from rigs.local import run_local

    await run_local(
        ("ip", "link", "set", AIR_INTERFACE, "netns", host.namespace), where="the air's monitor"
    )
    await host.run("ip", "link", "set", AIR_INTERFACE, "up")


async def describe(request: Request, lab: Lab, out: Path) -> None:
    """Write `lab.json`: what takes part."""
    versions = {"linux": platform.release(), "python": platform.python_version()}
    host = lab.hosts["mn"]
    for name, argv in PROGRAMS.items():
        with contextlib.suppress(MpaError):
            told = await host.run(*argv, check=False)
            lines = (told.stdout + told.stderr).decode(errors="replace").splitlines()
            versions[name] = next((line.strip() for line in lines if line.strip()), "")
    described = {
        "rig": request.rig,
        "clock": request.clock,
        "versions": versions,
        "lab_id": request.lab_id,
    }
    (out / "lab.json").write_text(json.dumps(described))


def stand_back() -> None:
    """Let every other process run first: the collector only waits while a handover goes on.

    What it starts is scheduled as usual (SCHED_RESET_ON_FORK).
    """
    policy = os.SCHED_IDLE | os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(0))


def run_job(work: Callable[[bytes, Path, Say], Coroutine[object, object, int | None]]) -> int:
    """Run a program of the guest: what the request file asks for, into the guest's output folder.

    Args:
        work: takes the file's content; how many parts of it failed, if it can say so.

    Returns:
        The exit status.
    """
    from rigs.guest.payload import OUT

    try:
        if len(sys.argv) != 2:
            raise LocalError(f"usage: {Path(sys.argv[0]).name} REQUEST.json")
        asked = Path(sys.argv[1]).read_bytes()
        stand_back()
        failed = asyncio.run(work(asked, Path(OUT), lambda text: print(text, flush=True)))
    except MpaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 1 if failed else 0


async def _collect(asked: bytes, out: Path, say: Say) -> None:
    await collect(Request.from_json(asked), out, say)


if __name__ == "__main__":
    sys.exit(run_job(_collect))
