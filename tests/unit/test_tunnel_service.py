"""The access router's tunnels as a service: sockets on loopback, the file, a kernel of paper."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import stat
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from tunnel_world import KernelModel

from mpa_hil.agents import tunnel_service
from mpa_hil.agents.access_router_config import AccessRouterSettings, TunnelAgentSettings
from mpa_hil.agents.stdio import Console
from mpa_hil.agents.tunnel_service import TunnelService
from mpa_hil.clock import instant
from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.keys import Key, Usage
from mpa_hil.mobility.interface import Endpoint, Send
from mpa_hil.tunnel.flows import UDP, FlowChoice, Treat
from mpa_hil.tunnel.interface import Code, Created, NodeOutput, Protect, Refused, TunnelWish
from mpa_hil.tunnel.node import TunnelClient
from mpa_hil.tunnel.outputs import Act
from mpa_hil.tunnel.record import record, restored
from mpa_hil.tunnel.router import RouterTunnels
from mpa_hil.tunnel.sessions import Session
from mpa_hil.tunnel.settings import Limits
from mpa_hil.tunnel.states import Order, State

HERE = ip_address("127.0.0.1")
INNER = ip_address("10.2.0.7")
MAC = b"\2\0\0\0\0\7"
KEY = Key(Usage.MN_AR, b"n" * 20, b"s" * 64, 1, 1, b"")


class Said(Console):
    """A console that is a list."""

    def __init__(self) -> None:
        super().__init__("access_router", "b")
        self.events: list[tuple[str, dict[str, object]]] = []

    def emit(self, kind: str, t_ns: int | None = None, **fields: object) -> None:
        self.events.append((kind, fields))

    def of(self, kind: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.events if name == kind]


class PaperKernel(KernelModel):
    """As the service wants one."""

    fault: Code | None = None
    urgent = False
    link = 1

    def check(self, session: Session, checked: Callable[[Code | None], None]) -> None:
        asyncio.get_running_loop().call_soon(checked, self.fault)

    release_s = 0.0
    """As long as what waited takes to leave."""

    def act(self, act: Act) -> str:
        if act.order is Order.DIRECT:
            time.sleep(self.release_s)  # the kernel's own doing, not a wait of the test's
        return super().act(act)

    def counts(self, number: int) -> tuple[int, int]:
        return 10, 3

    def next_deadline(self) -> int | None:
        return None

    def expire(self, now_ns: int) -> None:
        """Nothing was due."""

    def close(self, keep: bool) -> None:
        raise AssertionError("it is its owner's")


class Lab:
    def __init__(self, folder: Path) -> None:
        free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        free.bind((str(HERE), 0))
        self.ar = Endpoint(HERE, free.getsockname()[1])
        free.close()
        self.settings = TunnelAgentSettings(
            "lan",
            self.ar.port,
            (ip_network("10.2.0.0/24"),),
            frozenset(),
            frozenset((Protect.PLAIN, Protect.ESP)),
            Limits(),
            100,
            5.0,
            1500,
            folder / "ar.store",
        )
        self.client = TunnelClient(KEY, self.ar, os.urandom)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((str(HERE), 0))
        self.socket.setblocking(False)

    def start(self) -> TunnelService:
        """A new agent; its kernel knows nothing."""
        self.console, self.kernel = Said(), PaperKernel()
        settings = replace(self.settings.router((HERE,), b"\2\0\0\0\0\1"), drain_s=0.05)
        machine = RouterTunnels(settings, os.urandom)
        service = TunnelService(self.settings, (HERE,), machine, self.kernel, self.console)
        service.start(0)
        return service

    async def get(self, outputs: tuple[NodeOutput, ...]) -> NodeOutput:
        """Carry out what a verb returned, until the client has something to say."""
        pending = list(outputs)
        async with asyncio.timeout(5):
            while True:
                while pending:
                    output = pending.pop(0)
                    if not isinstance(output, Send):
                        return output
                    self.socket.sendto(output.datagram, (str(HERE), self.ar.port))
                await asyncio.sleep(0.001)
                with suppress(BlockingIOError):
                    pending += self.client.receive(self.socket.recv(2048), instant())
                pending += self.client.expire(instant())

    async def create(self, protect: Protect = Protect.PLAIN) -> NodeOutput:
        wish = TunnelWish(HERE, (INNER,), MAC, protect)
        return await self.get(self.client.create(wish, instant()))

    async def fire(self, datagram: bytes) -> list[bool]:
        """Send a prepared datagram: whether each acknowledgement says drained."""
        self.socket.sendto(datagram, (str(HERE), self.ar.port))
        found: list[bool] = []
        for _ in range(200):
            await asyncio.sleep(0.001)
            with suppress(BlockingIOError):
                ack = self.client.acknowledged(self.socket.recv(2048), datagram)
                assert ack is not None
                assert ack.done
                found.append(ack.drained)
        return found


def in_lab(folder: Path, scenario: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        lab = Lab(folder)
        try:
            await scenario(lab)
        finally:
            lab.socket.close()

    asyncio.run(run())


def test_a_switch_and_what_is_told_of_it(tmp_path: Path) -> None:
    """What waits is held until the order to release is given, however long it takes to leave."""

    async def scenario(lab: Lab) -> None:
        service = lab.start()
        lab.kernel.release_s = 0.3
        service.key_added(KEY, "mn@home.example")
        assert isinstance(await lab.create(), Created)
        switch = lab.client.prepare_switch(instant())
        began_ns = time.monotonic_ns()
        assert await lab.fire(switch.disable) == [False]
        assert await lab.fire(switch.arrived) == [False, True]  # the end mark is not waited for
        elapsed_ns = time.monotonic_ns() - began_ns
        await lab.fire(switch.delete)
        changed = lab.console.of("tunnel.changed")
        assert [event["state"] for event in changed] == ["tunnelled", "holding", "direct", "gone"]
        assert (changed[2]["held_packets"], changed[2]["dropped_packets"]) == (10, 3)
        assert int(str(changed[1]["answer_ns"])) > 0
        held_ns, act_ns = (int(str(changed[2][key])) for key in ("held_ns", "act_ns"))
        assert act_ns >= 300_000_000
        assert 0 < held_ns <= elapsed_ns - act_ns
        assert service.sessions() == []
        service.close(keep=False)
        assert not lab.kernel.way

    in_lab(tmp_path, scenario)


def test_what_a_session_leaves_in_memory_goes_when_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ring:
        """Something in a cycle."""

    monkeypatch.setattr(tunnel_service, "_TIDY_S", 0.01)

    async def scenario(lab: Lab) -> None:
        service = lab.start()
        service.key_added(KEY, "mn@home.example")
        assert isinstance(await lab.create(), Created)
        lab.kernel.urgent = True
        ring = Ring()
        ring.self = ring  # type: ignore[attr-defined]
        gone = asyncio.Event()
        weakref.finalize(ring, gone.set)
        gc.disable()
        try:
            service.key_withdrawn(KEY.name)
            del ring
            await asyncio.sleep(0.05)
            assert not gone.is_set(), "an MN is between two links"
            lab.kernel.urgent = False
            async with asyncio.timeout(30):
                await gone.wait()
        finally:
            gc.enable()
        service.close(keep=False)

    in_lab(tmp_path, scenario)


@pytest.mark.parametrize("protect", [Protect.PLAIN, Protect.ESP])
def test_a_restart(tmp_path: Path, protect: Protect) -> None:
    """A plain tunnel is made again; a protected one is not, and nobody's secret is in the file."""

    async def scenario(lab: Lab) -> None:
        first = lab.start()
        first.key_added(KEY, "mn@home.example")
        assert isinstance(await lab.create(protect), Created)
        text = (tmp_path / "ar.store").read_text()
        assert KEY.secret.hex() not in text
        assert stat.S_IMODE((tmp_path / "ar.store").stat().st_mode) == 0o600
        first.close(keep=True)
        again = lab.start()
        (ready,) = lab.console.of("tunnel.ready")
        plain = protect is Protect.PLAIN
        assert (ready["restored"], ready["dropped"]) == (int(plain), 0)
        assert lab.kernel.way == ({1: "tunnel"} if plain else {})
        again.key_added(KEY, "mn@home.example")
        said = await lab.get(lab.client.refresh(HERE, instant()))
        assert type(said).__name__ == ("Refreshed" if plain else "Created")
        again.close(keep=False)
        assert lab.start().sessions() == []

    in_lab(tmp_path, scenario)


def test_nothing_is_made_while_an_mn_is_between_two_links(tmp_path: Path) -> None:
    """The kernel takes its time to make a device, and could release nothing meanwhile."""

    async def scenario(lab: Lab) -> None:
        service = lab.start()
        service.key_added(KEY, "mn@home.example")
        lab.kernel.urgent = True
        asyncio.get_running_loop().call_later(0.1, setattr, lab.kernel, "urgent", False)
        began = asyncio.get_running_loop().time()
        assert isinstance(await lab.create(), Created)
        assert asyncio.get_running_loop().time() - began > 0.09
        service.close(keep=False)

    in_lab(tmp_path, scenario)


def test_what_is_held_is_not_taken_up_again(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        service = lab.start()
        service.key_added(KEY, "mn@home.example")
        await lab.create()
        await lab.fire(lab.client.prepare_switch(instant()).disable)
        service.close(keep=True)
        lab.start().close(keep=True)
        assert lab.kernel.way == {}

    in_lab(tmp_path, scenario)


def test_a_damaged_file_and_a_kernel_that_refuses(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        service = lab.start()
        service.key_added(KEY, "mn@home.example")
        lab.kernel.fault = Code.ADDRESS_IN_USE
        assert isinstance(await lab.create(), Refused)
        assert lab.console.of("tunnel.checked")[0]["free"] is False
        assert lab.console.of("tunnel.refused")[0]["code"] == "address_in_use"
        lab.kernel.fault = None
        assert isinstance(await lab.create(), Created)
        service.close(keep=True)
        store = tmp_path / "ar.store"
        store.write_bytes(store.read_bytes().replace(b"10.2.0.7", b"10.2.0.8"))
        lab.start().close(keep=True)
        assert lab.console.of("tunnel.store")
        assert lab.kernel.way == {}

    in_lab(tmp_path, scenario)


def test_records() -> None:
    """What is written can be read; anything else is no record."""
    now = instant()
    flows = (FlowChoice(Treat.PASS, UDP, own_port=5004), FlowChoice(Treat.DROP))
    wish = TunnelWish(HERE, (INNER, ip_address("2001:db8::7")), MAC, bicast=True, flows=flows)
    session = Session(3, "mn@home.example", b"k" * 20, wish, HERE, 1480, State.TUNNELLED)
    session.expires_ns = now.monotonic_ns + 60 * 10**9
    kept = record(session, now)
    assert kept is not None
    values = json.loads(json.dumps(kept.values()))
    again = restored(values, now)
    assert again is not None
    assert (again.number, again.owner, again.key, again.wish) == (3, session.owner, b"k" * 20, wish)
    assert abs(again.expires_ns - session.expires_ns) < 10**7
    later = now._replace(unix_ns=now.unix_ns + 61 * 10**9)
    assert restored(values, later) is None
    for name in values:
        for wrong in (None, [], "x", {}):
            try:
                restored({**values, name: wrong}, now)
            except DecodeError:
                continue
            assert name in ("bicast", "advertise", "owner", "flows"), (name, wrong)
    for state in set(State) - {State.TUNNELLED}:
        session.state = state
        assert record(session, now) is None


def test_configuration() -> None:
    """Each wrong key is named."""
    recipient = {
        "name": "ar.b.example",
        "authority": "aa@b.example",
        "listen": ["10.2.0.1"],
        "ca": "ca.pem",
        "certificate": "c.pem",
        "key": "k.pem",
        "addresses": ["10.2.0.1"],
    }
    assert AccessRouterSettings.read(recipient).tunnels is None
    tunnels = {"interface": "lan", "networks": ["10.2.0.0/24", "2001:db8:2::/64"]}
    read = AccessRouterSettings.read({**recipient, "tunnels": tunnels}).tunnels
    assert read is not None
    router = read.router((ip_address("10.2.0.1"),), MAC)
    assert router.mtu(Protect.PLAIN, 4) == 1480
    assert router.mtu(Protect.WIREGUARD, 6) == 1420
    for more in (
        {"networks": ["10.2.0.1/24"]},
        {"networks": []},
        {"reserved": ["lan"]},
        {"protections": ["rot13"]},
        {"protections": []},
        {"sessions": 0},
        {"mtu": 100},
        {"color": "red"},
    ):
        with pytest.raises(LocalError, match=next(iter(more))):
            AccessRouterSettings.read({**recipient, "tunnels": {**tunnels, **more}})
