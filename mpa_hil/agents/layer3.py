"""What the mobile node does above the link: an address (leased, made or static), and the binding.

`settle` for the first network, `move` for the next; when packets flow both ways on it, the owner
is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Protocol

from mpa_hil.agents.acquisition import Acquisition
from mpa_hil.agents.config import Fields
from mpa_hil.agents.dhcp_lease import DhcpLease
from mpa_hil.agents.home_binding import AnyBinding
from mpa_hil.agents.home_binding import read as read_binding
from mpa_hil.agents.layer3_plan import Plan
from mpa_hil.agents.stays import Stays
from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.announcement import Announcer
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.node_tunnel import NextNetwork
from mpa_hil.kernel.state import KernelState
from mpa_hil.mobility.interface import Address as IpAddress
from radios.errors import LocalError, RemoteError
from rigs.services.dhcp_client import LeaseEvent, Versions

_SETTLE_BOUND_S = 30.0
"""Lease and registration: a conflict check takes 3 s, a lost message some seconds more."""


class BindingFollower(Protocol):
    """Who takes what the home agent answers, while a handover is under way."""

    def bound(self, care_of: IpAddress) -> None:
        """Packets for the home address come to that care-of address."""

    def binding_failed(self, what: str) -> None:
        """Refused, or not answered."""


class Residence(Protocol):
    """What a handover has set up at a care-of address."""

    def resume(self) -> None:
        """The node is back from a further network."""

    async def vacate(self) -> None:
        """Give it all back."""


class Owner(Protocol):
    """Who is told."""

    def settled(self, plan_began: bool) -> None:
        """Packets flow; `plan_began`: on the network that `move` was about."""

    def phase(self, name: str, t_ns: int, outcome: str | None = None, cause: str = "") -> None:
        """A phase began (no outcome) or ended."""

    def failed(self, what: str) -> None:
        """It cannot go on."""


class Layer3:
    """Address and binding of the node.

    Args:
        fields: the agent's configuration, of which it takes `mobility` or `mobility6`.
        owner: told of phases and ends.
    """

    def __init__(
        self, fields: Fields, interface: str, workdir: str, console: Console, owner: Owner
    ) -> None:
        self._interface = interface
        self._console = console
        self._owner = owner
        self._route = RouteSocket()
        self.state = KernelState(self._route)
        """The ledger of the node's kernel objects."""
        self._workdir = workdir
        self._versions: Versions = "6" if fields.has("mobility6") else "4"
        self._lease = DhcpLease(interface, workdir, self._on_lease, self._versions)
        self._binding: AnyBinding | None = read_binding(
            fields, self.state, console, self._on_bound, self._on_failure
        )
        self._moving = False
        self._expecting = False
        self._address: IpAddress | None = None
        self._settled: asyncio.Future[None] | None = None
        self._stays = Stays(self.state, interface)
        self._follower: BindingFollower | None = None
        self._residence: Residence | None = None
        self._before: tuple[IpAddress | None, Residence | None] = None, None
        self._parting = asyncio.Lock()
        self._acquisition: Acquisition | None = None
        self._acquisitions = 0
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> IpAddress | None:
        """The present care-of address, or the only one."""
        return self._address

    def optimise(self, wanted: bool) -> None:
        """Have correspondents told of the node's addresses too, or not (Mobile IPv6)."""
        self._home().optimise(wanted)

    def doubt(self, doubtful: bool) -> None:
        """See `HomeBinding.doubt`; nothing where there is no home agent."""
        if self._binding is not None:
            self._binding.doubt(doubtful)

    def stage(self, care_of: IpAddress) -> None:
        """Receive at a care-of address too, which must be on an interface by now.

        Raises:
            LocalError: the node has no home agent.
            MachineError: the kernel refused.
        """
        self._home().stage(care_of)

    def register(self, care_of: IpAddress, *, at_once: bool = False) -> None:
        """Tell the home agent of a care-of address; the follower is told the answer.

        Args:
            at_once: send from it now already, not first when the home agent has answered.
        """
        self._home().register(care_of, at_once=at_once)

    def announce(self, address: IpAddress) -> None:
        """Tell the link that the address is here: who has asked for it before may have given it up,
        or believe it elsewhere.

        Raises:
            MachineError: the kernel refused.
        """
        announcer = Announcer(self._route, self._interface, (address,))
        try:
            announcer.announce()
        finally:
            announcer.close()

    def retire(self, care_of: IpAddress) -> None:
        """Receive no more at a care-of address that was left."""
        self._home().retire(care_of)

    @property
    def bound(self) -> bool:
        """Whether there is a home agent that knows the present address."""
        return self._binding is not None and self._address is not None

    async def settle(self, plan: Plan) -> IpAddress:
        """Get an address on the network just joined, and bind it.

        Raises:
            RemoteError: nothing came of it in time; says how far it got.
        """
        self._moving = False
        self._settled = asyncio.get_running_loop().create_future()
        self._begin(plan)
        try:
            async with asyncio.timeout(_SETTLE_BOUND_S):
                await self._settled
        except TimeoutError:
            stage = "the home agent's answer" if self._address else "a DHCP lease"
            raise RemoteError(
                f"no end of waiting for {stage} after {_SETTLE_BOUND_S:g} s"
                f"{self._lease.last_words()}",
                where=self._interface,
            ) from None
        finally:
            self._settled = None
        assert self._address is not None
        return self._address

    def move(self, plan: Plan, t_ns: int) -> None:
        """The link to another network is up since `t_ns`: do the rest."""
        self._moving = True
        if plan.same_link:
            self._finish()
            return
        if plan.static is None:
            self._owner.phase("dhcp", t_ns)
        self._begin(plan)

    def follow(self, follower: BindingFollower | None) -> None:
        """Have the home agent's answers told to somebody else, or (None) not any more."""
        self._follower = follower

    def adopt(self, address: IpAddress, residence: Residence) -> None:
        """The node lives at another care-of address now, which a handover has set up.

        What it had before stays until `drop`, or comes back by `readopt`.
        """
        self._expecting = False
        self._before = self._address, self._residence
        self._address, self._residence = address, residence
        self._stays.adopt()

    def freeze(self) -> None:
        """The node goes to another link, where its DHCP client has nothing to do."""
        self._lease.freeze()
        if isinstance(self._residence, Acquisition):
            self._residence.freeze()

    def thaw(self) -> None:
        """It is here to stay."""
        self._lease.thaw()
        if isinstance(self._residence, Acquisition):
            self._residence.thaw()

    def readopt(self) -> None:
        """It lives where it did before after all."""
        left = self._residence
        self._address, self._residence = self._before
        self._stays.back()
        if self._residence is not None:
            self._residence.resume()
        if isinstance(left, Acquisition):
            self._end(left)

    async def drop(self, first: Awaitable[None] | None = None) -> None:
        """Give back what it had before: a handover's, or a DHCP lease.

        Args:
            first: what must be done before that.
        """
        _, before = self._before
        self._before = None, None
        async with self._parting:
            if first is not None:
                await first
            if before is not None:
                await before.vacate()
            else:
                await self._lease.stop()
            self._stays.drop()

    async def parted(self) -> None:
        """Wait until all of that is given back: what a network's agents hear late they would take
        for something about its next address."""
        async with self._parting:
            pass

    def set_up(self, network: NextNetwork) -> None:
        """Put an address on the interface that was got ahead of coming here.

        Raises:
            MachineError: the kernel refused.
        """
        if network.address.version == 6:  # of use at once (RFC 4429)
            for name in ("optimistic_dad", "use_optimistic"):
                self.state.set(f"net/ipv6/conf/{self._interface}/{name}", "1")
        self._stays.come(network.address, network.router, network.router_mac)

    def acquire(self, acquired: Callable[[IpAddress], None]) -> None:
        """Get an address by DHCP where the node has come to, and say so; what it has stays."""
        self.give_up()
        self._acquisitions += 1
        where = self._interface, self._workdir, self._versions, self._acquisitions
        self._acquisition = Acquisition(*where, self.state, self._console, acquired)

    def adopt_acquired(self, address: IpAddress) -> None:
        """The node lives at the address that `acquire` has got."""
        acquisition, self._acquisition = self._acquisition, None
        assert acquisition is not None
        self.adopt(address, acquisition)

    def give_up(self) -> None:
        """Wait no longer for what `acquire` was to get."""
        acquisition, self._acquisition = self._acquisition, None
        if acquisition is not None:
            self._end(acquisition)

    def _end(self, acquisition: Acquisition) -> None:
        task = asyncio.get_running_loop().create_task(acquisition.vacate())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def leave(self) -> None:
        """Give binding, lease and addresses back."""
        await self.parted()
        self.give_up()
        self._expecting = self._moving = False
        if self._binding is not None:
            await self._binding.deregister()
        if self._residence is not None:
            await self._residence.vacate()
            self._residence = None
        await self._lease.stop()
        await asyncio.gather(*self._ending)
        self._stays.clear()
        self._address = None

    def close(self) -> None:
        """Take what is left out of the kernel."""
        if self._binding is not None:
            self._binding.close()
        try:
            self.state.close()
        finally:
            self._route.close()

    def _home(self) -> AnyBinding:
        if self._binding is None:
            raise LocalError("this node has no home agent", where="mobile_node")
        return self._binding

    def _begin(self, plan: Plan) -> None:
        if plan.static is not None:
            self._set_static(plan)
            self._finish()
            return
        self._expecting = True
        if not self._lease.running:
            self._lease.start(rapid_commit=plan.rapid_commit, carrier=not plan.keep_address)
        elif self._moving:
            self._lease.ask_here(rapid_commit=plan.rapid_commit)

    def _set_static(self, plan: Plan) -> None:
        assert plan.static is not None
        assert plan.router is not None
        self._stays.settle(plan.static, plan.router, plan.router_mac)
        self._address = plan.static.ip

    def _on_lease(self, event: LeaseEvent) -> None:
        now_ns = time.monotonic_ns()
        address = ip_address(event.address)
        if not self._expecting or (self._moving and address == self._address):
            return  # a renewal, or the lease of the network just left
        self._expecting = False
        self._address = address
        if self._moving:
            self._owner.phase("dhcp", now_ns, "done", event.reason)
        if self._binding is not None:
            if self._moving:
                self._owner.phase("binding-update", now_ns)
            self._binding.register(address)
        else:
            self._finish()
        router = event.routers[0] if event.routers else ""
        self._console.emit(
            "dhcp.bound",
            now_ns,
            address=event.address,
            router=router,
            lease_s=event.lease_s,
            dns=event.dns,
            paa=event.paa,
        )

    def _on_bound(self, care_of: IpAddress) -> None:
        if self._follower is not None:
            self._follower.bound(care_of)
            return
        if self._moving:
            self._owner.phase("binding-update", time.monotonic_ns(), "done")
        self._finish()

    def _finish(self) -> None:
        began, self._moving = self._moving, False
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        self._owner.settled(began)

    def _on_failure(self, what: str) -> None:
        if self._follower is not None:
            self._follower.binding_failed(what)
            return
        self._owner.failed(what)
