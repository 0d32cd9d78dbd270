"""Key delivery over TCP and TLS: the asyncio shells around `Distributor` and `Holder`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from mpa_hil.clock import instant
from mpa_hil.errors import MachineError
from mpa_hil.key_delivery import holder as held
from mpa_hil.key_delivery.tls import peer_names
from mpa_hil.mobility.interface import NS_PER_S, Instant

FIRST_PAUSE_S = 0.05
"""Before another attempt to connect; it doubles up to LAST_PAUSE_S. An access point that comes back
must not wait long for its keys, and these are few connections."""
LAST_PAUSE_S = 2.0
HANDSHAKE_S = 10.0
"""Bound of connecting, TLS included."""
_CHUNK_OCTETS = 16384
_BACKLOG_OCTETS = 1 << 20
"""Unsent octets at which a connection is given up: the recipient has stopped reading."""


class LinkUser(Protocol):
    """What an `AuthorityLink` tells its owner."""

    def recipient_connected(self, name: str) -> None:
        """A connection stands and the recipient proved its name."""

    def recipient_received(self, name: str, octets: bytes) -> None:
        """Octets came from it."""

    def recipient_lost(self, name: str, reason: str) -> None:
        """The connection is gone, or could not be made. It is tried again."""


class AuthorityLink:
    """The authentication agent's connection to one recipient, made anew whenever it breaks.

    Args:
        name: that the recipient's certificate must have.
    """

    def __init__(
        self,
        name: str,
        address: IPv4Address | IPv6Address,
        port: int,
        context: ssl.SSLContext,
        user: LinkUser,
    ) -> None:
        self.name = name
        self._address = str(address)
        self._port = port
        self._context = context
        self._user = user
        self._line: _Line | None = None

    async def run(self) -> None:
        """Connect and stay connected, until cancelled."""
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with asyncio.timeout(HANDSHAKE_S):
                    _, line = await loop.create_connection(
                        lambda: _Line(self.name, self._user),
                        self._address,
                        self._port,
                        ssl=self._context,
                        server_hostname="",
                    )
            except (OSError, ssl.SSLError, TimeoutError) as error:
                self._user.recipient_lost(self.name, _text(error))
            else:
                try:
                    self._line = line
                    if await line.serve():
                        pause_s = FIRST_PAUSE_S
                finally:
                    self._line = None
                    line.close()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    def write(self, octets: bytes) -> None:
        """Send, if there is a connection."""
        if self._line is not None:
            self._line.write(octets)

    def close(self) -> None:
        """Break the connection; `run` makes another."""
        if self._line is not None:
            self._line.close()


class _Line(asyncio.Protocol):
    """One connection of an `AuthorityLink`. What is written within one round of the event loop
    leaves in one TLS record."""

    def __init__(self, name: str, user: LinkUser) -> None:
        self._name = name
        self._user = user
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._serving = False
        self._early = b""
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._pending: list[bytes] = []

    async def serve(self) -> bool:
        """Pass octets on until the end; whether the recipient was the right one."""
        transport = self._transport
        if transport is None:
            self._user.recipient_lost(self._name, await self._over)
            return False
        if self._name not in peer_names(transport.get_extra_info("ssl_object")):
            self._user.recipient_lost(self._name, "its certificate is another's")
            return False
        self._serving = True
        self._user.recipient_connected(self._name)
        if self._early:
            self._user.recipient_received(self._name, self._early)
        self._user.recipient_lost(self._name, await self._over)
        return True

    def write(self, octets: bytes) -> None:
        """Send at the end of this round."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(octets)

    def close(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._serving:
            self._user.recipient_received(self._name, data)
        elif len(self._early) < _CHUNK_OCTETS:  # nothing is due before our Hello
            self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._transport = None
        if not self._over.done():
            self._over.set_result(_text(exc) if exc else "the connection was closed")

    def _flush(self) -> None:
        octets, self._pending = b"".join(self._pending), []
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(octets)
            if transport.get_write_buffer_size() > _BACKLOG_OCTETS:
                transport.abort()


class Keeper(Protocol):
    """What a recipient does with its keys. Both return why it failed, or an empty text."""

    async def apply(self, key: held.HeldKey) -> str:
        """Put a key to use."""

    async def release(self, key: held.HeldKey, end: held.End) -> str:
        """Take a key out of use."""

    def refused(self, refusal: held.Refused) -> None:
        """A key was declined; for the log."""

    def seen(self, key: held.HeldKey, present: bool) -> None:
        """The MN of a key came to the network, or left it."""

    def connection(self, up: bool, reason: str) -> None:
        """The authentication agent came or went, or somebody else was sent away."""


class _Connection:
    """What is written within one round of the event loop leaves in one TLS record, which spares
    the authentication agent work for each key."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._pending: list[bytes] = []

    def write(self, octets: bytes) -> None:
        """Send at the end of this round."""
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append(octets)

    def _flush(self) -> None:
        octets, self._pending = b"".join(self._pending), []
        if not self.writer.is_closing():
            self.writer.write(octets)


class RecipientServer:
    """Listens for the authentication agent, and carries out what the `Holder` says.

    Steps are carried out one after the other, whoever caused them (a message, an expiry).
    """

    def __init__(
        self, terms: held.Terms, keeper: Keeper, clock: Callable[[], Instant] = instant
    ) -> None:
        self.holder = held.Holder(terms)
        self._authority = terms.authority
        self._keeper = keeper
        self._clock = clock
        self._current: _Connection | None = None
        self._server: asyncio.Server | None = None
        self._turn = asyncio.Lock()
        self._sooner = asyncio.Event()

    async def start(
        self, addresses: Sequence[IPv4Address | IPv6Address], port: int, context: ssl.SSLContext
    ) -> None:
        """Listen.

        Raises:
            MachineError: the port cannot be had.
        """
        hosts = [str(address) for address in addresses]
        try:
            self._server = await asyncio.start_server(
                self._serve, hosts, port, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError as error:
            raise MachineError(
                f"key delivery cannot listen on TCP port {port}: {error.strerror}",
                where=", ".join(hosts),
                remedy="is another agent running?",
            ) from error

    async def run(self) -> None:
        """End keys when their time is over, until cancelled."""
        while True:
            deadline_ns = self.holder.next_deadline()
            timeout_s = None
            if deadline_ns is not None:
                timeout_s = max(deadline_ns - self._clock().monotonic_ns, 0) / NS_PER_S
            self._sooner.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._sooner.wait()
            await self._digest(self.holder.expire)

    async def close(self) -> None:
        """Stop listening; keys are left to the caller."""
        if self._server is not None:
            self._server.close()
        if self._current is not None:
            self._current.writer.transport.abort()

    async def undisturbed(self, work: Awaitable[None]) -> None:
        """Do something while no key is put in or taken out."""
        async with self._turn:
            await work

    async def presence(self, key: held.HeldKey, present: bool) -> None:
        """Tell the authentication agent that the MN of a key came or left."""
        await self._digest(lambda now: self.holder.presence(key, present))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names = peer_names(writer.get_extra_info("ssl_object"))
        if self._authority not in names:
            self._keeper.connection(False, f"{', '.join(sorted(names)) or 'nobody'} was sent away")
            writer.transport.abort()
            return
        connection = _Connection(writer)
        if self._current is not None:  # the agent restarted before the old connection died
            self._current.writer.transport.abort()
        self._current = connection
        self._keeper.connection(True, "")
        reason = "it closed the connection"
        try:
            await self._digest(partial(self._connected, connection))
            while octets := await reader.read(_CHUNK_OCTETS):
                await self._digest(partial(self._received, connection, octets))
                if self._current is not connection:
                    break
                await writer.drain()
        except (OSError, ssl.SSLError) as error:
            reason = _text(error)
        finally:
            writer.transport.abort()
            if self._current is connection:
                self._current = None
                self.holder.disconnected()
                self._keeper.connection(False, reason)

    def _connected(self, connection: _Connection, now: Instant) -> Sequence[held.Output]:
        return self.holder.connected(now) if self._current is connection else ()

    def _received(
        self, connection: _Connection, octets: bytes, now: Instant
    ) -> Sequence[held.Output]:
        """What came over a connection counts only while no newer one has taken its place."""
        return self.holder.receive(octets, now) if self._current is connection else ()

    async def _digest(self, verb: Callable[[Instant], Sequence[held.Output]]) -> None:
        """Call a verb of the holder and carry out all that comes of it, undisturbed."""
        async with self._turn:
            outputs = list(verb(self._clock()))
            while outputs:
                output = outputs.pop(0)
                if isinstance(output, held.Transmit):
                    if self._current is not None:
                        self._current.write(output.octets)
                elif isinstance(output, held.Close):
                    self._keeper.connection(False, output.reason)
                    if self._current is not None:
                        self._current.writer.transport.abort()
                elif isinstance(output, held.Refused):
                    self._keeper.refused(output)
                elif isinstance(output, held.Seen):
                    self._keeper.seen(output.key, output.present)
                else:
                    failure = await self._carry_out(output)
                    outputs += self.holder.done(failure, self._clock())
            self._sooner.set()

    def _carry_out(self, output: held.Apply | held.Release) -> Awaitable[str]:
        if isinstance(output, held.Apply):
            return self._keeper.apply(output.key)
        return self._keeper.release(output.key, output.end)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
