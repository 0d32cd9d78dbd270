"""Mobile nodes that speak to one directly: a correspondent's kernel, and what lets updates in from
nodes that it does not know yet (RFC 6275 s9.3)."""

from __future__ import annotations

from ipaddress import IPv6Address

from mpa_hil.kernel.mip6_xfrm import (
    ANY,
    MOBILITY_HEADER,
    Direction,
    Extension,
    MobilityPolicy,
    MobilityState,
)
from mpa_hil.kernel.mobile_ip import GRACE_NS
from mpa_hil.kernel.objects import KernelObject
from mpa_hil.kernel.state import Ledger

BYPASS_PRIORITY = 10
"""Of policies about Mobility Headers: before those about everything."""


def listening(address: IPv6Address) -> tuple[KernelObject, ...]:
    """What makes a kernel hand over updates with a Home Address option that it does not know, and
    send Mobility Headers as they are (s6.1, s9.3.1)."""
    return (
        MobilityState(Extension.HOME_ADDRESS, ANY, address, ANY, any_source=True),
        MobilityPolicy(
            Direction.IN, ANY, address, Extension.HOME_ADDRESS, MOBILITY_HEADER, BYPASS_PRIORITY
        ),
        MobilityPolicy(Direction.OUT, address, ANY, None, MOBILITY_HEADER, BYPASS_PRIORITY),
    )


class CorrespondentPath6:
    """The direct way to mobile nodes from a correspondent.

    Args:
        transforms: the ledger of states and policies; closing it takes everything away.
        address: the correspondent's.
    """

    def __init__(self, transforms: Ledger, address: IPv6Address) -> None:
        self._transforms = transforms
        self._address = address
        self._settle: dict[IPv6Address, tuple[int, IPv6Address]] = {}
        """When which care-of address becomes the only one that a home address may come from."""
        for wanted in listening(address):
            transforms.apply(wanted)

    def bind(self, home: IPv6Address, care_of: IPv6Address, now_ns: int) -> None:
        """Send to `home` by way of `care_of`, and take what comes from there.

        For a time of grace packets that are on their way from the care-of address before are taken
        too: the kernel has one state for a pair of addresses, so it then takes any.

        Raises:
            MachineError: the kernel refused.
        """
        known = self._policies(home)[0].key in {entry.key for entry in self._transforms.objects}
        accepted = ANY if known else care_of
        for policy in self._policies(home):
            if policy.direction is Direction.OUT:
                self._transforms.remove(policy.key)
        self._transforms.apply(self._inbound(home, accepted))
        self._transforms.apply(MobilityState(Extension.ROUTING, self._address, home, care_of))
        for policy in self._policies(home):
            self._transforms.apply(policy)
        if known:
            self._settle[home] = now_ns + GRACE_NS, care_of

    def unbind(self, home: IPv6Address) -> None:
        """Send to `home` as to anybody, and take nothing with a Home Address option from it."""
        self._settle.pop(home, None)
        for policy in self._policies(home):
            self._transforms.remove(policy.key)
        self._transforms.remove(self._inbound(home, ANY).key)
        self._transforms.remove(MobilityState(Extension.ROUTING, self._address, home, ANY).key)

    def expire(self, now_ns: int) -> None:
        """End the times of grace that are over."""
        for home in [home for home, (due_ns, _) in self._settle.items() if due_ns <= now_ns]:
            _, care_of = self._settle.pop(home)
            self._transforms.apply(self._inbound(home, care_of))

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC nanoseconds of the next thing for `expire` to do, or None."""
        return min((due_ns for due_ns, _ in self._settle.values()), default=None)

    def _inbound(self, home: IPv6Address, care_of: IPv6Address) -> MobilityState:
        return MobilityState(Extension.HOME_ADDRESS, home, self._address, care_of)

    def _policies(self, home: IPv6Address) -> tuple[MobilityPolicy, ...]:
        return (
            MobilityPolicy(Direction.IN, home, self._address, Extension.HOME_ADDRESS),
            MobilityPolicy(Direction.OUT, self._address, home, Extension.ROUTING),
        )
