"""The relay's framing and its near side, without a process."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radios import relay
from radios.errors import MachineError, RemoteError
from radios.prompt import Undelivered
from radios.relay_channel import RelayClient

FRAMES = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1), st.sampled_from([b"O", b"D", b"C"]), st.binary(max_size=99)
    )
)


@given(FRAMES, st.integers(1, 40))
def test_frames_survive_any_cut(frames: list[tuple[int, bytes, bytes]], step: int) -> None:
    stream = b"".join(relay.frame(*each) for each in frames)
    reader = relay.FrameReader()
    got = []
    for position in range(0, len(stream), step):
        got += reader.feed(stream[position : position + step])
    assert got == frames


@given(st.binary())
def test_garbage_is_frames_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        for _, kind, payload in relay.FrameReader().feed(data):
            assert len(kind) == 1
            assert len(payload) <= len(data)


class Far:
    """The far end of the stream, scripted."""

    def __init__(self) -> None:
        self.written: list[tuple[int, bytes, bytes]] = []
        self._reader = relay.FrameReader()
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self.on_open = relay.frame(1, b"K")

    def write(self, data: bytes) -> None:
        for each in self._reader.feed(data):
            self.written.append(each)
            if each[1] == b"O":
                self.say(self.on_open)

    async def read(self) -> bytes:
        return await self._out.get()

    def say(self, data: bytes) -> None:
        self._out.put_nowait(data)


def test_open_send_receive_close() -> None:
    async def run() -> None:
        far = Far()
        client = RelayClient(far.write, far.read, "far")
        far.say(relay.frame(0, b"R", b"\x01"))
        channel = await client.connect("/run/x")
        await channel.send(b"PING")
        far.say(relay.frame(1, b"D", b"PONG"))
        assert await channel.receive() == b"PONG"
        await channel.close()
        await client.close()
        assert far.written == [(1, b"O", b"/run/x"), (1, b"D", b"PING"), (1, b"C", b"")]

    asyncio.run(run())


@pytest.mark.parametrize(("number", "kind"), [(13, MachineError), (111, Undelivered)])
def test_far_failures_keep_their_kind(number: int, kind: type[Exception]) -> None:
    async def run() -> None:
        far = Far()
        far.on_open = relay.frame(1, b"E", relay.FAILURE.pack(number) + b"text")
        client = RelayClient(far.write, far.read, "far")
        far.say(relay.frame(0, b"R", b"\x01"))
        with pytest.raises(kind, match="far:/run/x"):
            await client.connect("/run/x")
        await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("ending", [b"", b"\xff" * 16, relay.frame(0, b"R", b"\x63")])
def test_end_garbage_and_other_version_end_every_channel(ending: bytes) -> None:
    async def run() -> None:
        far = Far()
        client = RelayClient(far.write, far.read, "far")
        far.say(relay.frame(0, b"R", b"\x01"))
        channel = await client.connect("/run/x")
        far.say(ending)
        with pytest.raises(RemoteError):
            await channel.receive()
        with pytest.raises(RemoteError):
            await client.connect("/run/x")
        await client.close()

    asyncio.run(run())
