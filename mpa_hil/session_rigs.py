"""What keeps a standing lab running: the guest, or a process on the host itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from radios.errors import MpaError

from .lab.agents import environment
from .session_place import Place, Record

MODULE = "mpa_hil.lab.standing"
END_FILE = "/run/lab/end"
"""In the guest: when it appears, the lab there ends."""
_ASK_S = 20.0

Output = Callable[[bytes], None]


class Rig(Protocol):
    """Where the lab stands."""

    async def run(self, output: Output) -> int:
        """Put the lab up and see it to its end: the exit status of `mpa_hil.lab.standing`.

        Cancelled, it ends the lab by force and leaves nothing.

        Args:
            output: given what that prints, as it comes.

        Raises:
            MachineError: it could not be started, or its machine died.
        """

    async def ask_to_end(self, *, ready: bool) -> bool:
        """Ask the lab to end in order; False: there is nothing to be gained by that."""


class GuestRig:
    """The lab in a virtual machine."""

    def __init__(self, place: Place, record: Record, lock: int) -> None:
        self._place = place
        self._record = record
        self._lock = lock

    async def run(self, output: Output) -> int:
        from rigs.guest import image, machine
        from rigs.guest.accelerator import Accelerator
        from rigs.guest.payload import Job

        record, guest = self._record, self._place.guest
        accelerator = Accelerator("kvm" if record.accelerator == "kvm" else "tcg", "")
        clock: machine.Clock = "virtual" if record.clock == "virtual" else "wall"
        # Neither bound: a lab to look around in says nothing for hours.
        settings = machine.Settings(
            accelerator,
            clock,
            silence_s=None,
            bound_s=None,
            epoch=record.epoch or machine.VIRTUAL_EPOCH,
        )
        request = "request.json"
        job = Job(
            argv=["python3", "-m", MODULE, request],
            files={request: self._place.request.read_bytes()},
            serve=True,
        )
        guest.mkdir(mode=0o700)
        running = asyncio.create_task(
            machine.run(image.ensure(), job, settings, guest / "out", output, guest, (self._lock,))
        )
        answering = asyncio.create_task(self._answer())
        try:
            await asyncio.wait({running, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                answering.result()  # it ends only by failing
            return (await running).status
        finally:
            for task in (running, answering):
                task.cancel()
            await asyncio.gather(running, answering, return_exceptions=True)

    async def _answer(self) -> None:
        from rigs.guest.switchboard import switchboard

        async with switchboard(self._place.guest / "exec", self._place.exec_socket):
            await asyncio.Event().wait()

    async def ask_to_end(self, *, ready: bool) -> bool:
        if not ready:
            return False  # nothing in the guest outlives it
        from rigs.guest import remote

        folder = str(Path(END_FILE).parent)
        script = f"mkdir -p {folder} && touch {END_FILE}"
        try:
            await remote.execute(self._place.exec_socket, ["sh", "-c", script], timeout_s=_ASK_S)
        except MpaError:
            return False
        return True


class HostRig:
    """The lab in namespaces of this machine."""

    def __init__(self, place: Place, record: Record, lock: int) -> None:
        self._place = place
        self._record = record
        self._lock = lock
        self._end: Callable[[], None] | None = None

    async def run(self, output: Output) -> int:
        from rigs import sweep
        from rigs.local import find_program

        # However the keeper ends, the lab ends in order.
        guard = [find_program("setpriv", "this machine"), "--pdeathsig", "TERM", "--"]
        lab = await asyncio.create_subprocess_exec(
            *guard,
            *(sys.executable, "-m", MODULE, str(self._place.request)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment()},
            cwd="/",
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        self._end = lab.terminate
        assert lab.stdout is not None
        try:
            while chunk := await lab.stdout.read(65536):
                output(chunk)
            return await lab.wait()
        finally:
            self._end = None
            if lab.returncode is None:
                lab.kill()
                await lab.wait()
            sweep.sweep(self._record.lab_id)

    async def ask_to_end(self, *, ready: bool) -> bool:
        if self._end is not None:
            self._end()
        return self._end is not None


def rig_for(place: Place, record: Record, lock: int) -> Rig:
    """The rig that a record names; what runs there holds the lock, so that it outlasts it all."""
    return HostRig(place, record, lock) if record.rig == "host" else GuestRig(place, record, lock)
