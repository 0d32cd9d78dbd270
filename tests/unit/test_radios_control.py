"""The control client against scripted channels and a scripted daemon; no root, no real daemon."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from radios.control import ControlClient, Disconnected, NoAnswer, Overflow, Reconnected, Refused
from radios.errors import LocalError, MachineError, RemoteError
from radios.local_channel import LocalChannel
from radios.prompt import Receiver, Undelivered
from radios.subscription import Subscription
from radios.wpa_events import Event, parse_event

Script = Callable[["ScriptedChannel", bytes], None]


def obliging(channel: ScriptedChannel, datagram: bytes) -> None:
    """A daemon that answers what every daemon answers, and echoes the rest."""
    fixed = {b"PING": b"PONG\n", b"ATTACH": b"OK\n", b"DETACH": b"OK\n"}
    channel.answer(fixed.get(datagram, b"echo " + datagram))


class ScriptedChannel:
    """A `DatagramChannel` (through the adapter) whose far end is a function."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.sent: list[bytes] = []
        self.closed = False
        self._incoming: asyncio.Queue[bytes | RemoteError] = asyncio.Queue()

    def answer(self, datagram: bytes) -> None:
        self._incoming.put_nowait(datagram)

    def die(self) -> None:
        self._incoming.put_nowait(RemoteError("gone"))

    async def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)
        self.script(self, datagram)

    async def receive(self) -> bytes:
        got = await self._incoming.get()
        if isinstance(got, RemoteError):
            raise got
        return got

    async def close(self) -> None:
        self.closed = True


class Daemon:
    """Hands out scripted channels, or refuses while `down`."""

    def __init__(self, script: Script = obliging) -> None:
        self.script = script
        self.down = False
        self.channels: list[ScriptedChannel] = []

    async def connect(self, path: str) -> ScriptedChannel:
        if self.down:
            raise RemoteError("no daemon", where=path)
        self.channels.append(ScriptedChannel(self.script))
        return self.channels[-1]

    def client(self, **options: float | bool) -> ControlClient:
        settings = {"timeout_s": 0.05, "reconnect_s": 0.2, "keepalive_s": 0.02, **options}
        return ControlClient("/sock", self.connect, **settings)  # type: ignore[arg-type]


def test_replies_are_paired_under_concurrency() -> None:
    async def run() -> None:
        async with Daemon().client() as client:
            replies = await asyncio.gather(*(client.request("GET", n) for n in range(50)))
        assert replies == [f"echo GET {n}" for n in range(50)]

    asyncio.run(run())


def test_events_on_the_request_channel_are_skipped() -> None:
    def noisy(channel: ScriptedChannel, datagram: bytes) -> None:
        channel.answer(b"<3>CTRL-EVENT-SCAN-STARTED ")
        obliging(channel, datagram)

    async def run() -> None:
        async with Daemon(noisy).client() as client:
            assert await client.request("GET", "x") == "echo GET x"

    asyncio.run(run())


def test_it_closes_whatever_it_is_at() -> None:
    """Also in the very turn of the loop in which a PING is answered: closing is not lost on it."""

    async def close_after(turns: int) -> None:
        client = Daemon().client(keepalive_s=0.0)
        async with client:
            for _ in range(turns):
                await asyncio.sleep(0)

    async def run() -> None:
        for turns in range(40):
            async with asyncio.timeout(5):
                await close_after(turns)

    asyncio.run(run())


def test_late_reply_is_never_taken_for_the_next() -> None:
    late: list[ScriptedChannel] = []

    def slow(channel: ScriptedChannel, datagram: bytes) -> None:
        if datagram == b"SLOW":
            late.append(channel)
        else:
            obliging(channel, datagram)

    async def run() -> None:
        daemon = Daemon(slow)
        async with daemon.client() as client:
            with pytest.raises(NoAnswer, match="SLOW"):
                await client.request("SLOW")
            late[0].answer(b"late")
            assert await client.request("GET", "x") == "echo GET x"
            assert late[0].closed

    asyncio.run(run())


def test_cancelled_request_does_not_shift_replies() -> None:
    async def run() -> None:
        async with Daemon().client() as client:
            task = asyncio.create_task(client.request("GET", "first"))
            await asyncio.sleep(0)
            task.cancel()
            assert await client.request("GET", "second") == "echo GET second"

    asyncio.run(run())


@pytest.mark.parametrize("reply", [b"FAIL\n", b"FAIL-BUSY\n", b"UNKNOWN COMMAND\n"])
def test_refusals(reply: bytes) -> None:
    def refusing(channel: ScriptedChannel, datagram: bytes) -> None:
        if datagram.startswith(b"SET_NETWORK"):
            channel.answer(reply)
        else:
            obliging(channel, datagram)

    async def run() -> None:
        async with Daemon(refusing).client() as client:
            with pytest.raises(Refused) as refusal:
                await client.command("SET_NETWORK", 0, "psk", '"hunter22hunter22"')
        assert refusal.value.reply == reply.decode().strip()
        assert "SET_NETWORK" in str(refusal.value)
        assert "hunter22" not in str(refusal.value)

    asyncio.run(run())


def test_lost_daemon_is_announced_and_attached_again() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with daemon.client(reconnect_s=5) as client:
            with client.subscribe() as events:
                daemon.down = True
                daemon.channels[1].die()
                assert isinstance(await events.next(), Disconnected)
                daemon.down = False
                assert isinstance(await events.next(), Reconnected)
                daemon.channels[-1].answer(b"<3>CTRL-EVENT-SCAN-RESULTS ")
                event = await events.next()
                assert isinstance(event, Event)
                assert event.name == "CTRL-EVENT-SCAN-RESULTS"

    asyncio.run(run())


def test_daemon_that_stays_away_ends_the_subscription() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with daemon.client() as client:
            with client.subscribe() as events:
                daemon.down = True
                daemon.channels[1].die()
                assert isinstance(await events.next(), Disconnected)
                with pytest.raises(RemoteError, match="did not come back"):
                    await events.next()
            with pytest.raises(RemoteError):
                await client.wait_for(lambda event: True, 1)

    asyncio.run(run())


def test_silent_daemon_is_noticed_by_ping() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with daemon.client() as client:
            with client.subscribe() as events:
                daemon.channels[1].script = lambda channel, datagram: None
                lost = await events.next()
                assert isinstance(lost, Disconnected)
                assert "PING" in lost.reason

    asyncio.run(run())


def test_raw_callbacks_come_first_and_survive_each_other() -> None:
    async def run() -> None:
        daemon = Daemon()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with daemon.client() as client:
            got: list[bytes] = []

            def broken(t_ns: int, datagram: bytes) -> None:
                raise ZeroDivisionError

            client.on_event(broken)
            end = client.on_event(lambda t_ns, datagram: got.append(datagram))
            waiting = asyncio.create_task(client.wait_for(lambda event: True, 1))
            await asyncio.sleep(0)
            daemon.channels[1].answer(b"<3>A-B c=1")
            assert (await waiting).fields["c"] == "1"
            end()
            assert got == [b"<3>A-B c=1"]

    asyncio.run(run())


def test_awaited_event_that_does_not_come_names_the_last_seen() -> None:
    async def run() -> None:
        daemon = Daemon()
        async with daemon.client() as client:
            waiting = asyncio.create_task(client.wait_for(lambda event: False, 0.05))
            await asyncio.sleep(0)
            daemon.channels[1].answer(b"<3>SOME-EVENT x")
            with pytest.raises(RemoteError, match="SOME-EVENT"):
                await waiting

    asyncio.run(run())


def test_closed_client_refuses_and_ends_subscriptions() -> None:
    async def run() -> None:
        client = Daemon().client()
        await client.open()
        events = client.subscribe()
        await client.close()
        await client.close()
        assert [notice async for notice in events] == []
        with pytest.raises(RemoteError, match="closed"):
            await client.request("PING")

    asyncio.run(run())


def test_client_without_events_says_so() -> None:
    async def run() -> None:
        client = Daemon().client(events=False)
        await client.open()
        with pytest.raises(LocalError):
            client.subscribe()
        await client.close()

    asyncio.run(run())


def test_full_subscription_reports_how_many_it_dropped() -> None:
    async def run() -> None:
        events = Subscription("x", 2, lambda subscription: None)
        made = [parse_event(f"<3>E-{n}".encode(), n) for n in range(5)]
        for event in made:
            events.put(event)
        assert await events.next() is made[0]
        events.put(made[0])
        assert await events.next() is made[1]
        lost = await events.next()
        assert isinstance(lost, Overflow)
        assert lost.dropped == 3
        assert await events.next() is made[0]

    asyncio.run(run())


def test_subscription_limit_counts_the_place_of_the_loss() -> None:
    async def run() -> None:
        events = Subscription("x", 1, lambda subscription: None)
        events.put(parse_event(b"<3>E-1", 1))
        events.put(parse_event(b"<3>E-2", 2))
        assert isinstance(await events.next(), Event)
        assert isinstance(await events.next(), Overflow)

    asyncio.run(run())


def bound_socket(path: Path) -> socket.socket:
    far = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.bind(str(path))
    far.setblocking(False)
    return far


def test_local_channel_reports_a_full_kernel_queue(tmp_path: Path) -> None:
    async def run() -> None:
        with bound_socket(tmp_path / "d") as far:
            channel = LocalChannel(str(tmp_path / "d"))
            got: list[bytes] = []
            overruns: list[bool] = []
            channel.start(
                Receiver(
                    datagram=lambda t_ns, datagram: got.append(datagram),
                    lost=lambda error: None,
                    overrun=lambda: overruns.append(True),
                )
            )
            channel.send_now(b"hello")
            hello, address = far.recvfrom(100)
            assert hello == b"hello"
            with contextlib.suppress(BlockingIOError):
                while True:  # until the kernel's queue is full
                    far.sendto(b"<3>E-1", address)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert got
            assert overruns == [True]
            await channel.close()

    asyncio.run(run())


def test_a_closed_channel_gives_its_memory_back_at_once(tmp_path: Path) -> None:
    """A callback that holds the channel makes a circle, and the collector comes late."""

    async def run() -> int:
        with bound_socket(tmp_path / "d"):
            for _ in range(20):
                channel = LocalChannel(str(tmp_path / "d"))
                lost = functools.partial(lambda _channel, _error: None, channel)
                channel.start(Receiver(datagram=lambda t_ns, datagram: None, lost=lost))
                await channel.close()
            return tracemalloc.get_traced_memory()[0]

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        assert asyncio.run(run()) < 10 * 65536
    finally:
        tracemalloc.stop()
        gc.enable()


def test_local_channel_to_a_closed_socket(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "d"
        far = bound_socket(path)
        channel = LocalChannel(str(path))
        far.close()
        with pytest.raises(Undelivered):
            await channel.send(b"x")
        with pytest.raises(RemoteError):
            await channel.receive()
        await channel.close()
        await channel.close()
        with pytest.raises(Undelivered):
            LocalChannel(str(path))
        with pytest.raises(Undelivered):
            LocalChannel(str(tmp_path / "absent"))

    asyncio.run(run())


def test_unwritable_temporary_folder_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))

    async def run() -> None:
        with pytest.raises(MachineError, match="TMPDIR"):
            LocalChannel(str(tmp_path / "d"))

    asyncio.run(run())


def test_local_channel_takes_64_kib_and_long_paths_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        with bound_socket(tmp_path / "d") as far:
            channel = LocalChannel(str(tmp_path / "d"))
            await channel.send(b"x")
            _, address = far.recvfrom(10)
            far.sendto(b"y" * 65536, address)
            assert len(await channel.receive()) == 65536
            await channel.close()
        with pytest.raises(LocalError, match="107"):
            LocalChannel("/" + "x" * 200)

    asyncio.run(run())


def test_command_can_leave_from_within_an_event_callback(tmp_path: Path) -> None:
    """The path of the switch: event read, prepared command sent, in one event-loop round."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        with bound_socket(tmp_path / "d") as far:
            listeners: list[str] = []
            fired: list[bytes] = []

            def serve() -> None:
                datagram, address = far.recvfrom(4096)
                if datagram == b"ATTACH":
                    listeners.append(address)
                if datagram == b"FIRE":
                    fired.append(datagram)
                far.sendto(b"PONG" if datagram == b"PING" else b"OK\n", address)

            loop.add_reader(far, serve)
            client = ControlClient(str(tmp_path / "d"))
            await client.open()
            replies: list[asyncio.Future[str]] = []
            client.on_event(lambda t_ns, datagram: replies.append(client.request_now(b"FIRE")))
            far.sendto(b"<3>A-B", listeners[0])
            await client.wait_for(lambda event: event.name == "A-B", 1)
            assert await replies[0] == "OK"
            assert fired == [b"FIRE"]
            await client.close()
            loop.remove_reader(far)

    asyncio.run(run())
