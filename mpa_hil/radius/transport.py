"""Carries a RADIUS client's packets: UDP sockets, and TLS connections (RFC 6614), with asyncio.

Each lane of the machine is one socket, connected to its server, so the kernel drops whatever comes
from elsewhere. An ICMP error on it is ignored: anybody on the way can send one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpa_hil.clock import instant
from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.mobility.interface import NS_PER_S
from mpa_hil.radius.client import RadiusClient
from mpa_hil.radius.interface import (
    Ask,
    ClientSettings,
    Endpoint,
    Lane,
    Output,
    Transmit,
    Transport,
)
from mpa_hil.radius.stream import PacketStream

if TYPE_CHECKING:
    import ssl

_BURST = 64
"""Datagrams taken from one socket before others have their turn."""
_BUFFER_OCTETS = 1 << 20
"""Receive buffer asked for: 256 answers of 4 KB."""
_CONNECT_TIMEOUT_S = 10.0
"""For a TLS connection to stand."""
_LONGEST_PACKET = 65536

Deliver = Callable[[tuple[Output, ...]], None]


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Mutual TLS towards one server: files in PEM."""

    ca_file: str
    """Who signed the server's certificate."""
    certificate_file: str
    key_file: str
    server_name: str
    """A DNS name that the server's certificate must have."""

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 at least; 1.3 where the server can.

        Raises:
            LocalError: a file is missing or no PEM.
        """
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise LocalError(
                f"cannot use the certificates for RADIUS over TLS ({error})",
                where=self.certificate_file,
                remedy="name readable PEM files: authority, certificate, and its key",
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class RadiusPorts:
    """A `RadiusClient` with sockets and a clock; lives on the running event loop.

    Args:
        deliver: gets every output that is not a `Transmit` and comes later than `request` returns.
        tls: for each server with `Transport.TLS`, by its name.
        local: address to send from, as the servers know this client; None: the route's.

    Raises:
        LocalError: settings that cannot be.
    """

    def __init__(
        self,
        settings: ClientSettings,
        deliver: Deliver,
        *,
        tls: Mapping[str, TlsIdentity] | None = None,
        local: str | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.client = RadiusClient(settings, random)
        self._settings = settings
        self._deliver = deliver
        self._local = local
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._lanes: dict[Lane, _UdpLane | _TlsLane] = {}
        self._tls = {
            server.name: _identity(tls or {}, server.name)
            for server in settings.servers
            if server.transport is Transport.TLS
        }

    def request(self, token: Hashable, ask: Ask) -> tuple[Output, ...]:
        """Ask; returns what is certain at once (`Unreachable`, `Refused`), mostly nothing."""
        return self._carry_out(self.client.request(token, ask, instant()))

    def forget(self, token: Hashable) -> None:
        """Nobody waits for this answer any more."""
        self.client.forget(token)

    async def close(self) -> None:
        """Close every socket; requests that wait are forgotten without an outcome."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            lane.close()
        await asyncio.gather(*(lane.closed() for lane in lanes.values()))

    def _carry_out(self, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
        said = []
        for output in outputs:
            if isinstance(output, Transmit):
                self._lane(output.lane).send(output.packet)
            else:
                said.append(output)
        self._arm()
        return tuple(said)

    def _take(self, outputs: tuple[Output, ...]) -> None:
        said = self._carry_out(outputs)
        if said:
            self._deliver(said)

    def _arm(self) -> None:
        due = self.client.next_deadline()
        if due is None or (self._timer is not None and self._timer_ns <= due):
            return  # a timer that fires too early arms itself again: cheaper than to move it
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = due
        delay_s = max(0.0, (due - time.monotonic_ns()) / NS_PER_S)
        self._timer = self._loop.call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._take(self.client.expire(instant()))

    def _lane(self, lane: Lane) -> _UdpLane | _TlsLane:
        found = self._lanes.get(lane)
        if found is None:
            server = self._settings.servers[lane.server]
            found = self._lanes[lane] = (
                _TlsLane(self, lane, server.endpoint, self._tls[server.name])
                if server.transport is Transport.TLS
                else _UdpLane(self, lane, server.endpoint, self._local)
            )
        return found

    def received(self, packet: bytes, lane: Lane) -> None:
        """A lane has something."""
        self._take(self.client.receive(packet, lane, instant()))

    def lost(self, lane: Lane, reason: str) -> None:
        """A lane's connection is gone."""
        if self._lanes.pop(lane, None) is not None:
            self._take(self.client.lane_lost(lane, reason, instant()))


def _identity(known: Mapping[str, TlsIdentity], name: str) -> tuple[ssl.SSLContext, str]:
    identity = known.get(name)
    if identity is None:
        raise LocalError(
            "no certificates for RADIUS over TLS",
            where=f"RADIUS server {name}",
            remedy="give it a TlsIdentity, or UDP",
        )
    return identity.context(), identity.server_name


class _UdpLane:
    """One source port. A plain socket: half the work of asyncio's datagram transport."""

    def __init__(self, ports: RadiusPorts, lane: Lane, server: Endpoint, local: str | None) -> None:
        self._ports = ports
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET if server.address.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        try:
            if local is not None:
                self._socket.bind((local, 0))
            self._socket.connect((str(server.address), server.port))
        except OSError as error:
            self._socket.close()
            raise LocalError(
                f"cannot send to {server.address} from {local or 'here'} ({error.strerror})",
                where="RADIUS client",
                remedy="the address must be this machine's, and there must be a route",
            ) from None
        self._loop.add_reader(self._socket, self._readable)

    def send(self, packet: bytes) -> None:
        try:
            self._socket.send(packet)
        except OSError:
            # A full queue, no route, an ICMP error from before: as good as lost on the way, and
            # retransmission is what the machine has for that.
            return

    def _readable(self) -> None:
        for _ in range(_BURST):
            try:
                packet = self._socket.recv(_LONGEST_PACKET)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error, reported once
            self._ports.received(packet, self._lane)
            if self._socket.fileno() < 0:
                return

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    async def closed(self) -> None:
        """It is, at once."""


class _TlsLane:
    """One connection (RFC 6614). Packets wait while it is being made."""

    def __init__(
        self, ports: RadiusPorts, lane: Lane, server: Endpoint, tls: tuple[ssl.SSLContext, str]
    ) -> None:
        self._ports = ports
        self._lane = lane
        self._backlog: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None
        self._task = asyncio.create_task(self._run(server, *tls), name=f"RADIUS over TLS {lane}")

    def send(self, packet: bytes) -> None:
        if self._writer is None:
            self._backlog.append(packet)
        else:
            self._writer.write(packet)

    async def _run(self, server: Endpoint, context: ssl.SSLContext, name: str) -> None:
        reason = "the server closed the connection"
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(
                    str(server.address), server.port, ssl=context, server_hostname=name
                )
            self._writer = writer
            writer.writelines(self._backlog)
            self._backlog.clear()
            stream = PacketStream()
            while octets := await reader.read(_LONGEST_PACKET):
                for packet in stream.feed(octets):
                    self._ports.received(packet, self._lane)
        except TimeoutError:
            reason = f"no connection within {_CONNECT_TIMEOUT_S:g} s"
        except DecodeError as error:
            reason = error.what
        except OSError as error:  # ssl.SSLError is one
            reason = str(error) or type(error).__name__
        finally:
            if self._writer is not None:
                self._writer.close()
        self._ports.lost(self._lane, reason)

    def close(self) -> None:
        self._task.cancel()

    async def closed(self) -> None:
        await asyncio.wait([self._task])
