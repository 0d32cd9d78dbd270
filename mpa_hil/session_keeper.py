"""The process that keeps a standing lab: `python -m mpa_hil.session_keeper FOLDER LOCK`.

`mpa-hil lab up` starts it in a session of its own and hands it the place's lock (the number of an
inherited descriptor), which it holds as long as it lives. Until the lab is up it tells `lab up`
what happens, one JSON object a line, and ends if that goes away; afterwards it is on its own.
SIGTERM ends the lab in order.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from radios.errors import LocalError, MachineError, MpaError, RemoteError

from . import exits
from .session_place import Place, Record
from .session_rigs import Rig, rig_for

SILENCE_S = 300.0
"""Without a word from a lab that is not up yet, before it counts as hung; TCG on a busy machine
takes 20 s to boot and at most that long for any step of the lab."""
END_BOUND_S = 60.0
"""For an orderly end; a dozen boxes take 5 s on a guest that runs without KVM."""
LOOK_S = 5.0
"""Between two looks whether the place still exists: a logout may take /run/user/UID away."""
_TAIL_LINES = 12

Tell = Callable[[dict[str, Any]], None]
Event = dict[str, Any]


class Keeper:
    """Sees one lab from its start to its end.

    Args:
        tell: given what `lab up` should hear; raises BrokenPipeError when that is gone.
        silence_s, end_bound_s: see the module's constants of these names.
    """

    def __init__(
        self,
        place: Place,
        record: Record,
        rig: Rig,
        tell: Tell,
        *,
        silence_s: float = SILENCE_S,
        end_bound_s: float = END_BOUND_S,
    ) -> None:
        self._place = place
        self._record = record
        self._rig = rig
        self._tell = tell
        self._silence_s = silence_s
        self._end_bound_s = end_bound_s
        self._stopping = asyncio.Event()
        self._heard = asyncio.Event()
        self._pending = b""
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        self._failure: MpaError | None = None

    @property
    def ready(self) -> bool:
        """The lab is up."""
        return self._record.ready

    def stop(self) -> None:
        """End the lab in order."""
        self._stopping.set()

    async def keep(self) -> MpaError | None:
        """Put the lab up, stay until its end; why it ended, unless it was stopped."""
        running = asyncio.create_task(self._rig.run(self._output))
        watching = [
            asyncio.create_task(self._stopping.wait()),
            asyncio.create_task(self._hung()),
        ]
        try:
            await asyncio.wait({running, *watching}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and await self._rig.ask_to_end(ready=self.ready):
                await asyncio.wait({running}, timeout=self._end_bound_s)
        finally:
            for task in (running, *watching):
                task.cancel()
            [ended, *_] = await asyncio.gather(running, *watching, return_exceptions=True)
        if self._stopping.is_set():
            return None
        return self._reason(ended)

    def _reason(self, ended: object) -> MpaError:
        if self._failure is not None:
            return self._failure
        if isinstance(ended, MpaError):
            return ended
        if isinstance(ended, BaseException):
            traceback.print_exception(ended)
            return RemoteError(f"unexpected {type(ended).__name__}: {ended}", where="keeper")
        said = "".join(f"\n    {line}" for line in self._tail)
        return RemoteError(f"the lab ended by itself with status {ended}{said}")

    async def _hung(self) -> None:
        """Return when a lab that is not up yet has been silent for too long."""
        while True:
            self._heard.clear()
            try:
                async with asyncio.timeout(None if self.ready else self._silence_s):
                    await self._heard.wait()
            except TimeoutError:
                self._failure = RemoteError(
                    f"the lab said nothing for {self._silence_s:g} s while coming up",
                    remedy="try again; if it repeats, try the other --clock",
                )
                return

    def _output(self, chunk: bytes) -> None:
        self._heard.set()
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace").rstrip())

    def _line(self, line: str) -> None:
        event = _event(line)
        if event is None:
            if line:
                print(line, file=sys.stderr, flush=True)
                self._tail.append(line)
            return
        match event["type"]:
            case "lab.progress":
                self._pass_on({"type": "progress", "text": event["text"]})
            case "lab.ready":
                self._note(ready=True, hosts=tuple(event["hosts"]))
                self._pass_on({"type": "ready"})
            case "lab.trouble":
                self._note(trouble=event["text"])
            case "lab.failed":
                self._failure = failure(event)

    def _note(self, **changes: Any) -> None:
        self._record = msgspec.structs.replace(self._record, **changes)
        self._place.write(self._record)

    def _pass_on(self, message: Event) -> None:
        try:
            self._tell(message)
        except OSError:
            if not self.ready:
                self.stop()  # nobody waits for this lab any more


def failure(event: Event) -> MpaError:
    """The error that an event's fields describe."""
    kinds = {kind.exit_code: kind for kind in (LocalError, RemoteError, MachineError)}
    kind = kinds.get(event.get("exit_code", 1), RemoteError)
    return kind(event["what"], where=event.get("where", ""), remedy=event.get("remedy", ""))


def described(error: MpaError) -> Event:
    """The fields from which `failure` makes the error again."""
    return {
        "type": "failed",
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "exit_code": error.exit_code,
    }


def _event(line: str) -> Event | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    kind = event.get("type") if isinstance(event, dict) else None
    return event if isinstance(kind, str) and kind.startswith("lab.") else None


def _tell_parent(message: Event) -> None:
    os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


async def _watch_place(place: Place, lock: int, keeper: Keeper) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        if not place.holds(lock):
            keeper.stop()
            return


async def _run(place: Place, lock: int) -> int:
    record = place.read()
    if record is None:
        return 1  # `lab up` was interrupted, and took it away
    record = msgspec.structs.replace(record, pid=os.getpid())
    place.write(record)
    keeper = Keeper(place, record, rig_for(place, record, lock), _tell_parent)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, keeper.stop)

    def parent_spoke() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            if not keeper.ready:
                keeper.stop()

    loop.add_reader(sys.stdin.fileno(), parent_spoke)
    watching = asyncio.create_task(_watch_place(place, lock, keeper))
    error = await keeper.keep()
    watching.cancel()
    if error is None:
        place.remove()
        return 0
    if keeper.ready:
        place.clear()
        place.leave_last_words(str(error))
    else:
        _tell_parent(described(error))
        place.remove()
    return error.exit_code


def main() -> int:
    """Keep the lab of the place on the command line; an exit status."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    # Inherited on purpose, but what the keeper starts must not hold it.
    os.set_inheritable(lock, False)
    try:
        return asyncio.run(_run(Place(folder), lock))
    except Exception as error:
        return exits.report(error)


if __name__ == "__main__":
    sys.exit(main())
