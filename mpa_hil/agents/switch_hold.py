"""Holding both directions of a node's packets while its link is switched: the node's own part.

    begin()   HOLD to the access router; its acknowledgement: uplink held, on_held()
    end()     RELEASE to the access router, repeated until acknowledged; then uplink released

The acknowledgement of HOLD follows the last packets that the router let through, on the same path:
when it is here nothing of the downlink is on its way any more. That of RELEASE proves the new path:
the node's own port opens before the access point's does, and what is sent in between is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface

from mpa_hil.agents.hold_protocol import HoldClient, HoldMessage, Outcome, Prepared
from mpa_hil.agents.layer3_plan import Plan
from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.uplink_hold import UplinkHold
from radios.errors import LocalError

UPLINK_LIMIT_OCTETS = 1 << 20
_HOLD_RETRY_S = 0.02
"""The router is one hop away and answers within two milliseconds."""
_HOLD_ATTEMPTS = 3
_RELEASE_RETRY_S = 0.001
"""How late the opening of the access point's port may be noticed."""
_RELEASE_BOUND_S = 1.0
"""Then the uplink is released unheard; the router releases by its own limit."""
_REPORT_S = 0.02
"""How long the counters wait to be read, so that it happens in no packet's way."""


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
        # The request for release leaves while everything else is held.
        self._uplink = UplinkHold(self._route, interface, address, router[1], UPLINK_LIMIT_OCTETS)
        self._prepared: Prepared | None = None
        self._awaited = b""
        self._attempts = 0
        self._retry_s = _HOLD_RETRY_S
        self._most = _HOLD_ATTEMPTS
        self._timer: asyncio.TimerHandle | None = None
        self._since_ns = 0

    def prepare(self) -> None:
        """Make the datagrams of the next switch, after one pair for practice.

        The first authenticator that a process computes costs it 1.5 ms in the guest, so node and
        router both do it here: they hold and release once while nothing depends on it.
        """
        self._prepared = self._client.prepare()
        for datagram in (self._prepared.hold, self._prepared.release):
            with contextlib.suppress(OSError):
                self._socket.send(datagram)
        self._uplink.hold()
        self._uplink.release()
        self._prepared = self._client.prepare()

    def begin(self) -> None:
        """Ask the router to hold; `on_held` comes when it does."""
        assert self._prepared is not None
        self._retry_s, self._most = _HOLD_RETRY_S, _HOLD_ATTEMPTS
        self._attempts = 0
        self._ask(self._prepared.hold)

    def end(self) -> None:
        """The node's port is open: have both directions released."""
        assert self._prepared is not None
        self._retry_s = _RELEASE_RETRY_S
        self._most = round(_RELEASE_BOUND_S / _RELEASE_RETRY_S)
        self._attempts = 0
        self._ask(self._prepared.release)

    def close(self) -> None:
        """Release, remove the queue, close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._uplink.close()
        self._route.close()

    def _ask(self, datagram: bytes) -> None:
        self._awaited = datagram
        self._attempts += 1
        # Refused for the moment, as with no route yet, is as good as lost: it is repeated.
        with contextlib.suppress(OSError):
            self._socket.send(datagram)
        self._timer = self._loop.call_later(self._retry_s, self._unanswered)

    def _unanswered(self) -> None:
        if not self._awaited:
            return
        if self._attempts < self._most:
            self._ask(self._awaited)
            return
        releasing = self._prepared is not None and self._awaited == self._prepared.release
        self._awaited = b""
        if releasing:
            self._release("limit")
        else:
            self._on_held(False)
        self._console.emit("hold.failed", address=self._address, error="the router does not answer")

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
        else:
            self._release("request")

    def _held(self, answer: HoldMessage) -> None:
        if answer.code == Outcome.DONE:
            self._since_ns = time.monotonic_ns()
            self._uplink.hold()
        self._on_held(answer.code == Outcome.DONE)

    def _release(self, cause: str) -> None:
        self._uplink.release()
        released_ns = time.monotonic_ns()
        attempts = self._attempts
        self._loop.call_later(_REPORT_S, self._report, released_ns, cause, attempts)

    def _report(self, released_ns: int, cause: str, attempts: int) -> None:
        backlog = self._uplink.backlog()
        self._console.emit(
            "hold.released",
            released_ns,
            address=self._address,
            cause=cause,
            attempts=attempts,
            dropped_packets=backlog.dropped,
            held_ns=released_ns - self._since_ns if self._since_ns else 0,
        )
        self._since_ns = 0


def switch_hold(
    plan: Plan, key: bytes, interface: str, console: Console, on_held: Callable[[bool], None]
) -> SwitchHold:
    """For the address that a plan has the node keep.

    Raises:
        LocalError: it keeps none, or there is no key.
    """
    if not isinstance(plan.static, IPv4Interface) or not key:
        raise LocalError("holding needs a static IPv4 address and a hold_key", where="mobile_node")
    router = str(plan.router), plan.hold_port
    return SwitchHold(plan.static.ip, router, key, interface, console, on_held)
