"""A datagram channel: what a control-socket client needs from the place where the socket is.

wpa control sockets are AF_UNIX datagram sockets. On this machine a channel is such a socket; on a
machine reached over SSH it is a relay process there, because SSH forwards streams only. The client
in `radios.control` sees this protocol alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class DatagramChannel(Protocol):
    """One bidirectional datagram conversation with a socket path on some host."""

    async def send(self, datagram: bytes) -> None:
        """Send one datagram; raises `radios.errors.RemoteError` when nobody listens there."""

    async def receive(self) -> bytes:
        """The next datagram; raises `radios.errors.RemoteError` once the far end is gone."""

    async def close(self) -> None:
        """Release the socket and its file; safe to call twice."""


Connector = Callable[[str], Awaitable[DatagramChannel]]
"""Opens a channel to the socket path given, on the host that the connector belongs to."""
