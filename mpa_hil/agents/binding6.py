"""The mobile node's end of Mobile IPv6 as a process has it: machines, socket, timer, kernel.

The same calls as `binding.Binding`: `stage`, `register`, `retire`; `register` alone replaces a
care-of address that is dead. A care-of address counts as bound once also the correspondents know it
that knew the one before, or are silent: only then nothing comes to that one any more.

With `simultaneous` each care-of address gets a binding identifier (RFC 5648): from `register` until
`retire` of the one before, packets come to both.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console
from mpa_hil.clock import instant
from mpa_hil.kernel.mobile_ip6 import MobileNodePath6
from mpa_hil.kernel.mobility_socket import MobilitySocket
from mpa_hil.kernel.state import KernelState, Ledger
from mpa_hil.kernel.xfrm import XfrmSocket
from mpa_hil.mobility.interface import (
    NS_PER_S,
    Deregistered,
    Discarded,
    Expired,
    Registered,
    Rejected,
    TimedOut,
)
from mpa_hil.mobility.mip6.authentication import KEY_OCTETS, SecurityAssociation
from mpa_hil.mobility.mip6.bindings import Optimised, SendPacket, Unoptimised
from mpa_hil.mobility.mip6.mobile_node import MobileNode, NodeOutput
from mpa_hil.mobility.mip6.numbers import LIFETIME_UNIT_S, Tuning, meaning
from mpa_hil.mobility.mip6.optimiser import Optimiser, OptimiserOutput
from mpa_hil.mobility.mip6.settling import Settling


class Binding6:
    """Keeps home agent and correspondents told where the node is, and the kernel in step.

    Args:
        fields: home_address, home_agent, spi, key, lifetime_s, correspondents, route_optimisation,
            optimise, simultaneous, mtu.
        state: ledger of the node's kernel objects.
        on_bound: called with the care-of address once packets flow both ways.
        on_failure: called with what went wrong for good.
    """

    def __init__(
        self,
        fields: Fields,
        state: KernelState,
        console: Console,
        on_bound: Callable[[IPv6Address], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.home_address = fields.address6("home_address")
        self._home_agent = fields.address6("home_agent")
        association = SecurityAssociation(
            fields.integer("spi", None, 256, 0xFFFFFFFF), fields.key("key", KEY_OCTETS)
        )
        lifetime_s = fields.integer("lifetime_s", 300, LIFETIME_UNIT_S, 65535)
        tuning = Tuning(lifetime_s=lifetime_s)
        self._optimises = fields.truth("route_optimisation", False)
        self._peers = fields.addresses6("optimise")
        self._simultaneous = fields.truth("simultaneous", False)
        networks = fields.networks6("correspondents")
        mtu = fields.integer("mtu", 1460, 1280, 65487)
        fields.done()
        self._machine = MobileNode(
            home_address=self.home_address,
            home_agent=self._home_agent,
            association=association,
            random=os.urandom,
            tuning=tuning,
        )
        self._tuning = tuning
        self._optimiser = self._make_optimiser()
        self._transforms = Ledger(XfrmSocket())
        self._path = MobileNodePath6(
            state,
            self._transforms,
            self.home_address,
            self._home_agent,
            correspondents=networks,
            mtu=mtu,
        )
        self._console = console
        self._on_bound = on_bound
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._socket = MobilitySocket()
        self._loop.add_reader(self._socket, self._receive)
        self._timer: asyncio.TimerHandle | None = None
        self._settling = Settling()
        self._attempt = 0
        self._identifier = 0
        self._gone: asyncio.Future[None] | None = None

    @property
    def care_of(self) -> IPv6Address | None:
        """The care-of address that the home agent has confirmed, or None."""
        return self._machine.care_of

    @property
    def staged(self) -> frozenset[IPv6Address]:
        """The care-of addresses at which the node receives."""
        return self._path.tunnels

    def optimise(self, wanted: bool) -> None:
        """Tell the correspondents too, or not; for a node that is bound nowhere."""
        if wanted != self._optimises:
            self._optimises = wanted
            self._optimiser = self._make_optimiser()

    def doubt(self, doubtful: bool) -> None:
        """Nothing: with Mobile IPv6, copies are a whole run's choice (`simultaneous`)."""

    def stage(self, care_of: IPv6Address) -> None:
        """Receive at a care-of address too, which must be on an interface by now.

        Raises:
            MachineError: the kernel refused.
        """
        self._path.stage(care_of)

    def register(self, care_of: IPv6Address, *, at_once: bool = False) -> None:
        """Tell the home agent, and then the correspondents, of a care-of address.

        Args:
            at_once: send from it now already, not first when the home agent has answered.

        Raises:
            MachineError: the kernel refused.
        """
        self._attempt = 0
        alone = care_of not in self._path.tunnels
        if alone:
            self._path.stage(care_of)
        if alone or at_once:
            self._path.turn(care_of)
            self._carry_out(self._optimiser.abandon())
        self._settling.begin(care_of, alone=alone)
        bid = self._next_identifier() if self._simultaneous else 0
        outputs = self._machine.register(care_of, instant(), bid=bid, overwrite=alone and bid > 0)
        self._carry_out(outputs)

    def retire(self, care_of: IPv6Address) -> None:
        """Receive no more at a care-of address that was left; none there is fine.

        Where it has a binding of its own, the home agent is told which is the only one now: that
        ends what still comes to it.
        """
        self._path.retire(care_of)
        present = self._machine.care_of
        if self._simultaneous and present is not None and present != care_of:
            bid = self._next_identifier()
            self._carry_out(self._machine.register(present, instant(), bid=bid, overwrite=True))

    async def deregister(self, timeout_s: float = 5.0) -> None:
        """Have everybody forget the node, and take tunnels and home address away."""
        self._carry_out(self._optimiser.forget(instant()))
        if self._machine.care_of is not None:
            self._gone = self._loop.create_future()
            self._carry_out(self._machine.deregister(instant()))
            await asyncio.wait({self._gone}, timeout=timeout_s)
            self._gone = None
        self._machine.abandon()
        self._arm()
        self._path.detach()

    def close(self) -> None:
        """Close socket and timer, and take what is ours out of the kernel's transformations (the
        other objects are the ledger's)."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        try:
            self._transforms.close()
        finally:
            self._transforms.netlink.close()

    def _make_optimiser(self) -> Optimiser:
        peers = self._peers if self._optimises else ()
        return Optimiser(self.home_address, peers, os.urandom, self._tuning)

    def _next_identifier(self) -> int:
        self._identifier = self._identifier % 0xFFFF + 1
        return self._identifier

    def _carry_out(self, outputs: Sequence[NodeOutput | OptimiserOutput]) -> None:
        for output in outputs:
            match output:
                case SendPacket():
                    self._send(output)
                case Registered():
                    assert isinstance(output.care_of, IPv6Address)
                    self._registered(output, output.care_of)
                case Optimised():
                    self._path.optimise(output.correspondent, output.care_of)
                    self._tell_route(output.correspondent, care_of=output.care_of)
                case Unoptimised():
                    self._path.unoptimise(output.correspondent)
                    self._tell_route(output.correspondent, reason=output.reason)
                case Deregistered():
                    self._acknowledged(output.code, 0)
                    if self._gone is not None and not self._gone.done():
                        self._gone.set_result(None)
                case Rejected():
                    self._acknowledged(output.code, 0)
                    self._fail(f"the home agent refused the binding: {output.meaning}")
                case TimedOut():
                    self._fail(f"no answer of the home agent to {output.attempts} updates")
                case Expired():
                    self._fail("the binding ran out before it could be renewed")
                case Discarded():
                    self._discarded(output)
        bound = self._settling.bound(self._optimiser.settled(instant()))
        if bound is not None:
            self._bound(bound)
        self._arm()

    def _registered(self, output: Registered, care_of: IPv6Address) -> None:
        bound_ns = time.monotonic_ns()
        if care_of in self._path.tunnels:
            self._path.turn(care_of)
        lifetime_s = 0 if output.lifetime_s is None else int(output.lifetime_s)
        self._acknowledged(output.code, lifetime_s, bound_ns)
        if self._settling.registered(care_of):
            self._carry_out(self._optimiser.move(care_of, instant()))

    def _bound(self, care_of: IPv6Address) -> None:
        if self._settling.alone:
            for left in self._path.tunnels - {care_of}:
                self._path.retire(left)
        self._on_bound(care_of)

    def _fail(self, what: str) -> None:
        self._settling.end()
        self._on_failure(what)

    def _receive(self) -> None:
        for packet in self._socket.packets():
            machine = self._machine if packet.source == self._home_agent else self._optimiser
            self._carry_out(machine.receive(packet, instant()))

    def _send(self, send: SendPacket) -> None:
        packet = send.packet
        try:
            self._socket.send(packet)
        except OSError as error:
            # As good as lost on the way: the machine sends again.
            self._console.emit("mip6.discarded", reason=f"not sent: {error.strerror}")
        if packet.destination == self._home_agent:
            self._attempt += 1
            care_of = self.home_address if self._gone else packet.source
            self._console.emit(
                "mip6.update",
                home_address=self.home_address,
                care_of=care_of,
                attempt=self._attempt,
            )

    def _acknowledged(self, status: int, lifetime_s: int, t_ns: int | None = None) -> None:
        said = {"status": status, "lifetime_s": lifetime_s, "text": meaning(status)}
        self._console.emit("mip6.acknowledgement", t_ns, **said)

    def _tell_route(
        self,
        correspondent: IPv6Address,
        care_of: IPv6Address | IPv4Address | str = "",
        reason: str = "",
    ) -> None:
        self._console.emit(
            "mip6.route",
            correspondent=correspondent,
            direct=not reason,
            care_of=care_of,
            reason=reason,
        )

    def _discarded(self, output: Discarded) -> None:
        self._console.emit(
            "mip6.discarded",
            reason=output.reason,
            source=output.source.address,
            security=output.security,
        )

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = self._machine.next_deadline(), self._optimiser.next_deadline()
        due_ns = min((due_ns for due_ns in times if due_ns is not None), default=None)
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S)
            self._timer = self._loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._carry_out(self._machine.expire(instant()))
        self._carry_out(self._optimiser.expire(instant()))
