"""The near end of `rigs.far_supervisor`: requests, answers and processes over one byte stream."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any, Protocol

from radios.errors import MachineError, MpaError, RemoteError
from rigs.far_supervisor import LENGTHS, READY
from rigs.process import LINE_LIMIT_BYTES, missing_program

START_S = 30.0
"""Bound for the far Python to start, which a slow access point takes some seconds for."""
ANSWER_S = 60.0
"""Bound for an answer; a far disk may be slow, and keepalives find a dead link much sooner."""
PING_EVERY_S = 5.0
"""Far below the silence after which the far end gives us up (`far_supervisor.SILENCE_S`)."""
_BANNER_OCTETS = 65536
_FAR_MODULES = ("far_child", "far_supervisor")

# One line, and no single quote: whatever shell the account has passes it on unchanged.
_LOADER = (
    'import os;s=b"";'
    'exec("while len(s)<{size}:\\n d=os.read(0,{size}-len(s));s+=d or exit(1)");'
    'exec(compile(s,"mpa-hil","exec"))'
)


def far_program() -> tuple[str, bytes]:
    """The far end as (Python one-liner, what to send it first)."""
    sources = [
        (f"rigs.{name}", resources.files("rigs").joinpath(f"{name}.py").read_text("utf-8"))
        for name in _FAR_MODULES
    ]
    program = (
        "import sys, types\n"
        "if sys.version_info < (3, 9):\n"
        "    sys.exit('mpa-hil: Python 3.9 or newer is needed, this is ' + sys.version)\n"
        "sys.modules['rigs'] = types.ModuleType('rigs')\n"
        f"for name, text in {sources!r}:\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        "sys.exit(module.main())\n"
    ).encode()
    return _LOADER.format(size=len(program)), program


class Reader(Protocol):
    """The reading half of the stream (asyncssh's or asyncio's)."""

    async def readexactly(self, count: int, /) -> bytes:
        """`count` octets; raises asyncio.IncompleteReadError at the end."""

    async def readline(self) -> bytes:
        """A line, or what is left at the end."""


class FarProcess:
    """A process on the far machine (`rigs.process.Process`)."""

    def __init__(self, session: Session, number: int, piped: tuple[bool, bool, bool]) -> None:
        self.number = number
        self.has_stdin, *outputs = piped
        self.on_end: Callable[[], None] | None = None
        self.pid = 0
        self.returncode: int | None = None
        self._session = session
        self._ended = asyncio.Event()
        self._open_outputs = {fd for fd, wanted in zip((1, 2), outputs, strict=True) if wanted}
        self.stdout, self.stderr = (
            self._stream(descriptor) if wanted else None
            for descriptor, wanted in zip((1, 2), outputs, strict=True)
        )

    def _stream(self, descriptor: int) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
        reader.set_transport(_Valve(self._session, self.number, descriptor))
        return reader

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.returncode is not None and not self._open_outputs

    async def wait(self) -> int:
        """Wait for the end; the exit status."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def signal(self, number: int) -> None:
        """Send `number` to the process; nothing happens once it ended."""
        self._send_signal(number, group=False)

    def kill_group(self) -> None:
        """SIGKILL the process and what is left of its process group."""
        self._send_signal(signal.SIGKILL, group=True)

    def _send_signal(self, number: int, group: bool) -> None:
        if self.returncode is None:
            self._session.tell("signal", of=self.number, number=int(number), group=group)

    async def write(self, data: bytes) -> None:
        """Write all of `data` to its standard input; raises BrokenPipeError once nobody reads."""
        await self._session.request("write", data, of=self.number)

    def write_soon(self, data: bytes) -> None:
        """Queue `data` for its standard input within this call."""
        self._session.tell("write", data, of=self.number)

    def close_stdin(self) -> None:
        """End of its standard input; safe to repeat."""
        self._session.tell("end", of=self.number)

    def close_pipes(self) -> None:
        """Nothing to let go of here: the far end closes its pipes when they end."""

    def take_output(self, descriptor: int, data: bytes) -> None:
        """Output from the far end; empty at its end (called by the session)."""
        reader = self.stdout if descriptor == 1 else self.stderr
        if reader is None:
            return
        if data:
            reader.feed_data(data)
        else:
            reader.feed_eof()
            self._open_outputs.discard(descriptor)

    def take_end(self, returncode: int) -> None:
        """It was reaped (called by the session)."""
        if self.returncode is None:
            self.returncode = returncode
            self._ended.set()
            if self.on_end is not None:
                self.on_end()


class _Valve(asyncio.ReadTransport):
    """What a StreamReader turns off when it holds enough, so that a far flood stays far."""

    def __init__(self, session: Session, number: int, descriptor: int) -> None:
        super().__init__()
        self._session = session
        self._fields = {"of": number, "fd": descriptor}

    def pause_reading(self) -> None:
        self._session.tell("pause", **self._fields)

    def resume_reading(self) -> None:
        self._session.tell("resume", **self._fields)


class Session:
    """One far supervisor.

    Args:
        reader: octets from it.
        write: queues octets for it, at once and without waiting.
        drain: waits until what was queued is mostly gone.
        where: the host's name, for errors.
    """

    def __init__(
        self,
        reader: Reader,
        write: Callable[[bytes], None],
        drain: Callable[[], Awaitable[None]],
        where: str,
    ) -> None:
        self.where = where
        self.lost: MpaError | None = None
        self._reader = reader
        self._write = write
        self._drain = drain
        self._numbers = 0
        self._answers: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._processes: dict[int, FarProcess] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Wait for the far end's first word.

        Raises:
            EOFError: it ended before it said it.
            TimeoutError: it said nothing.
        """
        async with asyncio.timeout(START_S):
            seen = 0
            while (line := await self._reader.readline()) != READY:
                seen += len(line)
                if not line or seen > _BANNER_OCTETS:
                    raise EOFError
        self._tasks = [
            asyncio.create_task(self._receive()),
            asyncio.create_task(self._ping()),
        ]

    async def end(self) -> None:
        """Stop listening; whoever still waits gets an error."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.fail("the host is closed")

    def tell(self, op: str, payload: bytes = b"", /, **fields: object) -> None:
        """Send a request that wants no answer; lost with a lost connection."""
        if self.lost is None:
            text = json.dumps({"op": op, **fields}).encode()
            try:
                self._write(LENGTHS.pack(len(text), len(payload)) + text + payload)
            except OSError as error:
                self.fail(f"the connection was lost: {error}")

    async def request(
        self, op: str, payload: bytes = b"", /, **fields: object
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request and wait for its answer.

        Raises:
            BrokenPipeError: a write that nobody reads any more.
            MachineError: a program that is not installed there.
            RemoteError: it could not be done there, or the connection is lost.
        """
        if self.lost is not None:
            raise self.lost
        self._numbers += 1
        number = self._numbers
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self.tell(op, payload, id=number, **fields)
            await self._drain_or_fail()
            # A write waits for its reader, however long that takes.
            async with asyncio.timeout(None if op == "write" else ANSWER_S):
                header, body = await answer
        except TimeoutError:
            raise RemoteError(
                f"no answer to {op} within {ANSWER_S:g} s", where=self.where
            ) from None
        finally:
            del self._answers[number]
        if "error" in header:
            raise self._refusal(header)
        return header, body

    async def _drain_or_fail(self) -> None:
        try:
            await self._drain()
        except OSError as error:
            self.fail(f"the connection was lost: {error}")

    def _refusal(self, header: dict[str, Any]) -> Exception:
        text, kind = str(header["error"]), header["kind"]
        if kind == "missing":
            return missing_program(text, self.where)
        if kind == "broken pipe":
            return BrokenPipeError(text)
        if kind == "taken":
            return MachineError(
                text, where=self.where, remedy="end the other run, or give this lab another id"
            )
        return RemoteError(text, where=self.where)

    async def start(
        self,
        argv: tuple[str, ...],
        *,
        env: Mapping[str, str],
        stdin: bool,
        stdout: bool,
        log: str,
    ) -> FarProcess:
        """Start a process; without `log` (a file name) its error output is piped as well."""
        self._numbers += 1
        process = FarProcess(self, self._numbers, (stdin, stdout, not log))
        self._processes[process.number] = process
        fields = {"argv": list(argv), "env": dict(env), "stdin": stdin, "stdout": stdout}
        try:
            header, _ = await self.request("start", number=process.number, log=log, **fields)
        except BaseException:
            # Cancelled, it may run there already.
            process.kill_group()
            self._processes.pop(process.number, None)
            raise
        process.pid = int(header["pid"])
        return process

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            self.tell("ping")

    async def _receive(self) -> None:
        try:
            while True:
                sizes = LENGTHS.unpack(await self._reader.readexactly(LENGTHS.size))
                header = json.loads(await self._reader.readexactly(sizes[0]))
                payload = await self._reader.readexactly(sizes[1]) if sizes[1] else b""
                self._dispatch(header, payload)
        except EOFError:
            self.fail("the connection was lost")
        except OSError as error:
            self.fail(f"the connection was lost: {error}")
        except (ValueError, KeyError, TypeError) as error:
            self.fail(f"the far end spoke nonsense: {error}")

    def _dispatch(self, header: dict[str, Any], payload: bytes) -> None:
        if "re" in header:
            answer = self._answers.get(header["re"])
            if answer is not None and not answer.done():
                answer.set_result((header, payload))
            return
        process = self._processes.get(header["of"])
        if process is None:
            return
        if header["event"] == "output":
            process.take_output(header["fd"], payload)
        elif header["event"] == "ended":
            process.take_end(header["returncode"])
        if process.finished:
            del self._processes[process.number]

    def fail(self, reason: str) -> None:
        """The connection is gone: answers fail, and processes count as killed, as they are."""
        if self.lost is not None:
            return
        self.lost = RemoteError(
            reason, where=self.where, remedy="check the host and the network to it"
        )
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self.lost)
                answer.exception()  # whoever asked may have gone
        for process in list(self._processes.values()):
            process.take_output(1, b"")
            process.take_output(2, b"")
            process.take_end(-signal.SIGKILL)
        self._processes.clear()
