"""Holding both directions of a node's packets while its link is switched: the node's own part.

    begin()   HOLD to the access router; its acknowledgement: uplink held, on_held()
    end()     uplink released, RELEASE to the access router

The acknowledgement follows the last packets that the router let through, on the same path, so when
it is here nothing of the downlink is on its way any more.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from mpa_hil.agents.hold_protocol import HoldClient, HoldMessage, Outcome, Prepared
from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.hold import HoldQueue, Match
from mpa_hil.kernel.netlink import RouteSocket

UPLINK_LIMIT_OCTETS = 1 << 20
_RETRY_S = 0.02
"""The router is one hop away and answers within two milliseconds."""
_ATTEMPTS = 3


class SwitchHold:
    """Hold and release for one address, prepared before each switch.

    Args:
        address: the node's, whose packets are held.
        router: address and port of the access router's hold agent.
        key: shared with it.
        interface: the uplink's.
        on_held: called once both directions are held; with False when the router did not answer.
    """

    def __init__(
        self,
        address: IPv4Address,
        router: tuple[str, int],
        key: bytes,
        interface: str,
        console: Console,
        on_held: Callable[[bool], None],
    ) -> None:
        self._address = address
        self._console = console
        self._on_held = on_held
        self._client = HoldClient(address, key, time.monotonic_ns())
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind((str(address), 0))
        self._socket.connect(router)
        self._loop.add_reader(self._socket, self._receive)
        self._route = RouteSocket()
        self._uplink = HoldQueue(self._route, interface)
        self._uplink.add(address, UPLINK_LIMIT_OCTETS, Match.SOURCE)
        self._prepared: Prepared | None = None
        self._awaited = b""
        self._attempts = 0
        self._timer: asyncio.TimerHandle | None = None
        self._since_ns = 0

    def prepare(self) -> None:
        """Make the datagrams of the next switch."""
        self._prepared = self._client.prepare()

    def begin(self) -> None:
        """Ask the router to hold; `on_held` comes when it does."""
        assert self._prepared is not None
        self._attempts = 0
        self._ask(self._prepared.hold)

    def end(self) -> None:
        """Let the uplink go, and have the router release the downlink."""
        assert self._prepared is not None
        self._uplink.release(self._address)
        released_ns = time.monotonic_ns()
        self._attempts = 0
        self._ask(self._prepared.release)
        self._loop.call_later(2 * _RETRY_S, self._report, released_ns)

    def close(self) -> None:
        """Release, remove the queue, close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._uplink.close()
        self._route.close()

    def _report(self, released_ns: int) -> None:
        backlog = self._uplink.backlog(self._address)
        self._console.emit(
            "hold.released",
            released_ns,
            address=self._address,
            cause="connected",
            dropped_packets=backlog.dropped,
            held_ns=released_ns - self._since_ns,
        )

    def _ask(self, datagram: bytes) -> None:
        self._awaited = datagram
        try:
            self._socket.send(datagram)
        except OSError as error:
            self._console.emit("hold.discarded", reason=f"not sent: {error.strerror}")
        self._attempts += 1
        self._timer = self._loop.call_later(_RETRY_S, self._unanswered)

    def _unanswered(self) -> None:
        if not self._awaited:
            return
        if self._attempts < _ATTEMPTS:
            self._ask(self._awaited)
            return
        holding = self._prepared is not None and self._awaited == self._prepared.hold
        self._awaited = b""
        self._console.emit("hold.failed", address=self._address, error="the router does not answer")
        if holding:
            self._on_held(False)

    def _receive(self) -> None:
        try:
            datagram = self._socket.recv(512)
        except OSError:
            return  # an ICMP error about a request: it is repeated
        sent = self._awaited
        answer = self._client.acknowledgement(datagram, sent) if sent else None
        if answer is None:
            return
        self._awaited = b""
        if self._timer is not None:
            self._timer.cancel()
        if self._prepared is not None and sent == self._prepared.hold:
            self._held(answer)

    def _held(self, answer: HoldMessage) -> None:
        if answer.code == Outcome.DONE:
            self._since_ns = time.monotonic_ns()
            self._uplink.hold(self._address)
        self._on_held(answer.code == Outcome.DONE)
