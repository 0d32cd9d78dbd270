"""The mobile node's binding at its home agent, of either version of Mobile IP, in one shape."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, Protocol, TypeVar

from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.state import KernelState
from mpa_hil.mobility.interface import Address
from radios.errors import LocalError

A = TypeVar("A", bound=IPv4Address | IPv6Address)
Taken = TypeVar("Taken", bound=IPv4Address | IPv6Address, contravariant=True)


class Registrar(Protocol[Taken]):
    """What `binding.Binding` and `binding6.Binding6` have in common; they say what it means."""

    def optimise(self, wanted: bool) -> None:
        """Tell correspondents too, or not."""

    def doubt(self, doubtful: bool) -> None:
        """Keep what is bound beside what will be, or not any more."""

    def stage(self, care_of: Taken) -> None:
        """Receive at a care-of address too."""

    def register(self, care_of: Taken, *, at_once: bool = False) -> None:
        """Tell the home agent of a care-of address."""

    def retire(self, care_of: Taken) -> None:
        """Receive no more at a care-of address that was left."""

    async def deregister(self) -> None:
        """Have the home agent forget the node."""

    def close(self) -> None:
        """Close sockets and timers."""


class HomeBinding(Generic[A]):
    """Takes care-of addresses of any version, and refuses those of the wrong one.

    Args:
        kind: of address that the registrar takes.
    """

    def __init__(self, registrar: Registrar[A], kind: type[A]) -> None:
        self._registrar = registrar
        self._kind = kind

    def optimise(self, wanted: bool) -> None:
        """Tell correspondents of care-of addresses too, or not; for a node that is bound nowhere.

        Raises:
            LocalError: it is wanted, and this version of Mobile IP has no such thing.
        """
        self._registrar.optimise(wanted)

    def doubt(self, doubtful: bool) -> None:
        """Have packets come to the care-of address before too, once another one is registered, and
        each passed once; or not any more.

        Raises:
            MachineError: the kernel cannot tell copies apart; nothing is changed.
        """
        self._registrar.doubt(doubtful)

    def stage(self, care_of: Address) -> None:
        """Receive at a care-of address too, which must be on an interface by now.

        Raises:
            LocalError: it is of the wrong version.
            MachineError: the kernel refused.
        """
        self._registrar.stage(self._own(care_of))

    def register(self, care_of: Address, *, at_once: bool = False) -> None:
        """Tell the home agent of a care-of address, which must be on an interface by now.

        Args:
            at_once: send from it now already, not first when the home agent has answered.

        Raises:
            LocalError: it is of the wrong version.
            MachineError: the kernel refused.
        """
        self._registrar.register(self._own(care_of), at_once=at_once)

    def retire(self, care_of: Address) -> None:
        """Receive no more at a care-of address that was left; none there is fine."""
        self._registrar.retire(self._own(care_of))

    async def deregister(self) -> None:
        """Have the home agent forget the node, and take tunnels and home address away."""
        await self._registrar.deregister()

    def close(self) -> None:
        """Close sockets and timers."""
        self._registrar.close()

    def _own(self, care_of: Address) -> A:
        if not isinstance(care_of, self._kind):
            what = f"the home agent knows no care-of address like {care_of}"
            raise LocalError(what, where="mobile_node")
        return care_of


AnyBinding = HomeBinding[IPv4Address] | HomeBinding[IPv6Address]


def read(
    fields: Fields,
    state: KernelState,
    console: Console,
    on_bound: Callable[[Address], None],
    on_failure: Callable[[str], None],
) -> AnyBinding | None:
    """The binding that a mobile node's configuration asks for: `mobility`, `mobility6` or none.

    Raises:
        LocalError: names the key that is wrong.
        MachineError: the kernel lacks what it needs.
    """
    # Either is imported only where it is used: a node starts that much faster.
    if fields.has("mobility6"):
        from mpa_hil.agents.binding6 import Binding6

        inner = fields.inner("mobility6")
        return HomeBinding(Binding6(inner, state, console, on_bound, on_failure), IPv6Address)
    if fields.has("mobility"):
        from mpa_hil.agents.binding import Binding

        inner = fields.inner("mobility")
        return HomeBinding(Binding(inner, state, console, on_bound, on_failure), IPv4Address)
    return None
