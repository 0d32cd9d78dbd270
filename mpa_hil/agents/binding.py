"""The mobile node's end of Mobile IPv4 as a process has it: machine, socket, timer, kernel.

Make before break, when the next care-of address can be had while the present one still works:

    stage(next)      a tunnel from it, which receives from now on
    register(next)   the home agent is told; with its answer the node sends through that tunnel
    retire(present)  once nothing is on its way to the care-of address left

    doubt(True)      what is registered from now on stands beside what was: packets come by both,
                     and each passes once; `doubt(False)` ends it

`register` alone, for an address that replaces one that is dead, does all of it: the node sends
through the new tunnel at once, because the first packets may arrive right behind the request.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console
from mpa_hil.clock import instant
from mpa_hil.kernel.mobile_ip import MobileNodePath
from mpa_hil.kernel.state import KernelState
from mpa_hil.mobility.interface import (
    NS_PER_S,
    Deregistered,
    Discarded,
    Endpoint,
    Expired,
    MobileOutput,
    Registered,
    Rejected,
    Send,
    TimedOut,
)
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.codes import meaning
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.mobility.mip4.tuning import Tuning
from radios.errors import LocalError

_RECEIVE_OCTETS = 2048
_SETTLE_S = 0.2
"""Another care-of address may be registered at once when the node is in doubt no more."""


class Binding:
    """Keeps the home agent told where the node is, and the tunnel where the home agent knows it.

    Args:
        fields: home_address, home_agent, spi, key, lifetime_s, correspondents.
        state: ledger of the node's kernel objects.
        on_bound: called with the care-of address once packets flow both ways.
        on_failure: called with what went wrong for good.
    """

    def __init__(
        self,
        fields: Fields,
        state: KernelState,
        console: Console,
        on_bound: Callable[[IPv4Address], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.home_address = fields.address("home_address")
        home_agent = fields.address("home_agent")
        lifetime_s = fields.integer("lifetime_s", 300, 1, 65535)
        self._machine = MobileNode(
            home_address=self.home_address,
            home_agent=home_agent,
            association=SecurityAssociation(
                fields.integer("spi", None, 256, 0xFFFFFFFF), fields.key("key", 16)
            ),
            tuning=Tuning(lifetime_s=lifetime_s, maximum_lifetime_s=lifetime_s),
        )
        self._lifetime_s = lifetime_s
        correspondents = fields.networks("correspondents")
        fields.done()
        self._path = MobileNodePath(
            state, self.home_address, home_agent, correspondents=correspondents
        )
        self._console = console
        self._on_bound = on_bound
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[IPv4Address, socket.socket] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._attempt = 0
        self._gone: asyncio.Future[None] | None = None
        self._asked = False
        """`register` was called, and is not answered yet."""
        self._closed = False
        self._alone = False
        """The registration under way replaces a care-of address that is dead."""

    @property
    def care_of(self) -> IPv4Address | None:
        """The care-of address that the home agent has confirmed, or None."""
        return self._machine.care_of

    @property
    def staged(self) -> frozenset[IPv4Address]:
        """The care-of addresses at which the node receives."""
        return self._path.tunnels

    def optimise(self, wanted: bool) -> None:
        """Mobile IPv4 has no route optimisation.

        Raises:
            LocalError: it is wanted.
        """
        if wanted:
            raise LocalError("Mobile IPv4 has no route optimisation", where="mobile_node")

    def doubt(self, doubtful: bool) -> None:
        """Have the home agent keep what is bound beside what will be (R35, R109), or not any more;
        its own limit ends it too.

        Raises:
            MachineError: the kernel cannot tell copies apart; nothing is changed.
        """
        if doubtful:
            self._path.once()
        self._machine.doubtful = doubtful
        if not doubtful:
            self._loop.call_later(_SETTLE_S, self._settle)

    def _settle(self) -> None:
        """Have only the latest binding kept, if whatever was asked for since did not see to it."""
        machine = self._machine
        care_of = machine.care_of
        due = machine.simultaneous and not machine.doubtful and not machine.busy
        if due and care_of is not None and not self._closed:
            self._carry_out(machine.register(care_of, instant()))

    def stage(self, care_of: IPv4Address) -> None:
        """Receive at a care-of address too, which must be on an interface by now.

        Raises:
            MachineError: the kernel refused.
        """
        self._path.stage(care_of)

    def register(self, care_of: IPv4Address, *, at_once: bool = False) -> None:
        """Tell the home agent of a care-of address, which must be on an interface by now.

        Args:
            at_once: send from it now already, not first when the home agent has answered.

        Raises:
            MachineError: the kernel refused.
        """
        self._attempt = 0
        self._asked = True
        self._alone = care_of not in self._path.tunnels
        if self._alone:
            self._path.stage(care_of)
        if self._alone or at_once:
            self._path.turn(care_of)
        self._carry_out(self._machine.register(care_of, instant()))

    def retire(self, care_of: IPv4Address) -> None:
        """Receive no more at a care-of address that was left; none there is fine."""
        self._path.retire(care_of)
        self._close_socket(care_of)

    async def deregister(self, timeout_s: float = 5.0) -> None:
        """Have the home agent forget the node, and take tunnel and home address away."""
        care_of = self._machine.care_of
        if care_of is not None:
            self._gone = self._loop.create_future()
            self._carry_out(self._machine.deregister(instant()))
            await asyncio.wait({self._gone}, timeout=timeout_s)
            self._gone = None
        self._machine.abandon()
        self._arm()
        self._path.detach()
        self._close_sockets()

    def close(self) -> None:
        """Close sockets and timer (kernel objects are the ledger's)."""
        self._closed = True
        self._path.close()
        if self._timer is not None:
            self._timer.cancel()
        self._close_sockets()

    def _carry_out(self, outputs: tuple[MobileOutput, ...]) -> None:
        for output in outputs:
            match output:
                case Send():
                    assert isinstance(output.source, IPv4Address)
                    self._send(output, output.source)
                case Registered():
                    assert isinstance(output.care_of, IPv4Address)
                    self._registered(output, output.care_of)
                case Deregistered():
                    self._reply(output.code, 0)
                    if self._gone is not None and not self._gone.done():
                        self._gone.set_result(None)
                case Rejected():
                    self._reply(output.code, 0)
                    self._on_failure(f"the home agent denied the registration: {output.meaning}")
                case TimedOut():
                    self._on_failure(f"no answer of the home agent to {output.attempts} requests")
                case Expired():
                    self._on_failure("the binding ran out before it could be renewed")
                case Discarded():
                    self._console.emit(
                        "mip4.discarded",
                        reason=output.reason,
                        source=output.source.address,
                        security=output.security,
                    )
        self._arm()

    def _registered(self, output: Registered, care_of: IPv4Address) -> None:
        bound_ns = time.monotonic_ns()
        if self._asked or not output.renewal:
            self._asked = False
            if care_of in self._path.tunnels:  # else it was retired while the answer was coming
                self._path.turn(care_of)
            self._on_bound(care_of)
        lifetime = 65535 if output.lifetime_s is None else int(output.lifetime_s)
        self._reply(output.code, lifetime, bound_ns)
        if self._alone:
            self._alone = False
            for left in self._path.tunnels - {care_of}:
                self.retire(left)
        self._settle()

    def _reply(self, code: int, lifetime_s: int, t_ns: int | None = None) -> None:
        said = {"code": code, "lifetime_s": lifetime_s, "text": meaning(code)}
        self._console.emit("mip4.reply", t_ns, **said)

    def _send(self, send: Send, source: IPv4Address) -> None:
        try:
            if source not in self._sockets:
                self._sockets[source] = self._open(source)
            destination = (str(send.destination.address), send.destination.port)
            self._sockets[source].sendto(send.datagram, destination)
        except OSError as error:
            # As good as lost on the way: the machine sends again.
            self._console.emit("mip4.discarded", reason=f"not sent: {error.strerror}")
        self._attempt += 1
        self._console.emit(
            "mip4.request",
            home_address=self.home_address,
            care_of=source,
            lifetime_s=0 if self._gone else self._lifetime_s,
            attempt=self._attempt,
        )

    def _open(self, source: IPv4Address) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        opened.bind((str(source), 0))
        self._loop.add_reader(opened, self._receive, opened)
        return opened

    def _receive(self, opened: socket.socket) -> None:
        try:
            datagram, (address, port) = opened.recvfrom(_RECEIVE_OCTETS)
        except OSError:
            return  # an ICMP error about a request: the machine sends again
        source = Endpoint(IPv4Address(address), port)
        self._carry_out(self._machine.receive(datagram, source, instant()))

    def _close_sockets(self) -> None:
        for source in tuple(self._sockets):
            self._close_socket(source)

    def _close_socket(self, source: IPv4Address) -> None:
        opened = self._sockets.pop(source, None)
        if opened is not None:
            self._loop.remove_reader(opened)
            opened.close()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._machine.next_deadline()
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S)
            self._timer = self._loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._carry_out(self._machine.expire(instant()))
