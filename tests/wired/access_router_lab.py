"""An access router's agent at router b of the tunnel lab, its authority, and mobile nodes with the
client machine on sockets of their own."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import select
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from agent_boxes import PATIENCE_S, Agent
from tunnel_lab import NEW, OLD, ROUTER_B, Ip, TunnelLab

from mpa_hil.clock import instant
from mpa_hil.key_delivery.messages import Hello, Install, Presence, Withdraw, encode
from mpa_hil.keys import Key, Usage, address_identifier
from mpa_hil.mobility.interface import Endpoint, Send
from mpa_hil.tunnel.interface import (
    Ack,
    Created,
    NodeOutput,
    PreparedSwitch,
    TunnelTerms,
    TunnelWish,
)
from mpa_hil.tunnel.node import TunnelClient
from rigs.services.certificates import LabCa

AR = Endpoint(ROUTER_B[4], 7165)
AUTHORITY, RECIPIENT = "aa@b.example", "ar.b.example"
T = TypeVar("T")


@dataclass
class Node:
    """A mobile node as the access router knows it."""

    lab: AccessRouterLab
    name: str = "mn@home.example"
    outer: Ip = OLD[4]
    mac: bytes = b"\2\0\0\0\0\7"
    key: Key = field(
        default_factory=lambda: Key(
            Usage.MN_AR, os.urandom(20), os.urandom(64), 1, 1, address_identifier(AR.address)
        )
    )

    def __post_init__(self) -> None:
        self.socket = self.lab.tunnels.udp("mn", self.outer)
        self.restart()

    def restart(self) -> None:
        """Its process has just started."""
        self.client = TunnelClient(self.key, AR, os.urandom)

    def wish(self, *inner: Ip, **more: object) -> TunnelWish:
        return TunnelWish(self.outer, inner or (NEW[4],), self.mac, **more)  # type: ignore[arg-type]

    def get(self, kind: type[T], outputs: tuple[NodeOutput, ...]) -> T:
        """Carry out what a verb returned, until something is said; it must be of this kind."""
        limit = time.monotonic() + PATIENCE_S
        pending = list(outputs)
        while time.monotonic() < limit:
            while pending:
                output = pending.pop(0)
                if not isinstance(output, Send):
                    assert isinstance(output, kind), output
                    return output
                self.socket.sendto(output.datagram, _place(output.destination))
            due_ns = self.client.next_deadline() or 0
            wait_s = min(max(due_ns - time.monotonic_ns(), 0) / 1e9, 1.0)
            if select.select([self.socket], [], [], wait_s)[0]:
                with contextlib.suppress(ConnectionRefusedError):
                    pending += self.client.receive(self.socket.recv(2048), instant())
            pending += self.client.expire(instant())
        raise AssertionError(f"no {kind.__name__} in {PATIENCE_S} s")

    def create(self, **more: object) -> TunnelTerms:
        """A tunnel for the new address."""
        return self.get(Created, self.client.create(self.wish(**more), instant())).terms

    def prepare(self) -> PreparedSwitch:
        return self.client.prepare_switch(instant())

    def fire(self, datagram: bytes, by: socket.socket | None = None) -> Ack:
        """Send a prepared datagram every so often until it is acknowledged."""
        by = by or self.socket
        for _ in range(200):
            with contextlib.suppress(OSError):  # the link comes up
                by.sendto(datagram, _place(AR))
            if select.select([by], [], [], 0.05)[0]:
                with contextlib.suppress(ConnectionRefusedError):
                    ack = self.client.acknowledged(by.recv(2048), datagram)
                    if ack is not None:
                        return ack
        raise AssertionError("never acknowledged")

    def install(self) -> Install:
        key = self.key
        return Install(
            key.name, Usage.MN_AR, 1, 1, 600_000, RECIPIENT, self.name, key.peer, b"", key.secret
        )


class AccessRouterLab:
    """The agent's files, its processes, and the connection of its authority."""

    def __init__(self, tunnels: TunnelLab, folder: Path) -> None:
        self.tunnels = tunnels
        self._folder = folder
        self._number = 1
        papers = LabCa(dt.datetime.now(dt.UTC))
        server, client = papers.server(RECIPIENT), papers.client(AUTHORITY)
        for name, data in (
            ("ca.pem", papers.certificate),
            *(("server.pem", server.certificate), ("server.key", server.key)),
            *(("client.pem", client.certificate), ("client.key", client.key)),
        ):
            (folder / name).write_bytes(data)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.load_verify_locations(folder / "ca.pem")
        self._tls.load_cert_chain(folder / "client.pem", folder / "client.key")
        self.agent: Agent | None = None
        self.line: ssl.SSLSocket | None = None

    def start(self, **tunnels: object) -> dict[str, object]:
        """Start the agent; its `tunnel.ready`."""
        folder = self._folder
        wanted = {
            "interface": "lan",
            "networks": ["10.2.0.0/24"],
            "reserved": ["10.2.0.1"],
            "store": str(folder / "ar.store"),
            "check_ms": 100,
        }
        config = {
            "host": "b-router",
            "name": RECIPIENT,
            "authority": AUTHORITY,
            "listen": [str(AR.address)],
            "port": 7163,
            "addresses": [str(AR.address)],
            "ca": str(folder / "ca.pem"),
            "certificate": str(folder / "server.pem"),
            "key": str(folder / "server.key"),
            "tunnels": {**wanted, **tunnels},
        }
        path = folder / "ar.json"
        path.write_text(json.dumps(config))
        module = ("-m", "mpa_hil.agents.access_router", str(path))
        self.agent = Agent(self.tunnels.spawn("b", *module))
        ready = self.agent.event("tunnel.ready")
        self.agent.event("keys.ready")
        return ready

    def event(self, kind: str) -> dict[str, object]:
        assert self.agent is not None
        return self.agent.event(kind)

    def changed(self, state: str) -> dict[str, object]:
        event = self.event("tunnel.changed")
        assert event["state"] == state, event
        return event

    def kill(self) -> None:
        """As kill -9 does."""
        assert self.agent is not None
        self.agent.process.kill()
        self.agent.process.wait(PATIENCE_S)

    def end(self) -> None:
        assert self.agent is not None
        assert self.agent.end() == 0

    def deliver(self, *nodes: Node) -> None:
        """As the authentication agent: connect, and give the agent the keys of these nodes."""
        with self.tunnels.inside_of("b"):
            plain = socket.create_connection((str(AR.address), 7163), timeout=PATIENCE_S)
        self.line = self._tls.wrap_socket(plain)
        self.say(Hello(AUTHORITY, RECIPIENT))
        self.event("keys.authority")
        for node in nodes:
            self.say(node.install())
            self.event("keys.held")

    def say(self, message: Hello | Install | Presence | Withdraw) -> None:
        assert self.line is not None
        self._number += 1
        self.line.sendall(encode(self._number, message))


@contextlib.contextmanager
def access_router(tunnels: TunnelLab, folder: Path) -> Iterator[AccessRouterLab]:
    """The lab, whose agent is not yet started; it ends with it."""
    lab = AccessRouterLab(tunnels, folder)
    try:
        yield lab
    finally:
        if lab.line is not None:
            lab.line.close()
        if lab.agent is not None and lab.agent.process.poll() is None:
            assert lab.agent.end() == 0


def _place(endpoint: Endpoint) -> tuple[str, int]:
    return str(endpoint.address), endpoint.port


def second_node(lab: AccessRouterLab) -> Node:
    """Another MN, at the same box, with an address of its own."""
    other = ip_address("10.1.0.8")
    if str(other) not in lab.tunnels.ip("mn", "addr", "show", "dev", "wlan0"):
        lab.tunnels.ip("mn", "addr", "add", f"{other}/24", "dev", "wlan0")
    return Node(lab, "other@home.example", other, b"\2\0\0\0\0\x08")
