"""What the kernel does of Mobile IPv6 itself: Home Address options and type 2 routing headers.

Its transformations (linux/xfrm.h) put the one into a node's packets and the other into a
correspondent's, and let packets with them in only where a state vouches for their addresses. A
state has a care-of address; `ANY` there takes any. States and policies are kernel objects for a
`state.KernelState` on an `xfrm.XfrmSocket`.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from socket import AF_INET6

from mpa_hil.kernel.netlink import attribute, attributes, message

ANY = IPv6Address(0)
REQUEST_ID = 0x006D6970
"""Marks our states and policies: "mip"."""
REPORTS = 6
"""The multicast group in which the kernel tells of packets that it refused."""
MOBILITY_HEADER = 135

_NEW_SA, _DEL_SA, _UPDATE_SA = 0x10, 0x11, 0x1A
_NEW_POLICY, _DEL_POLICY, _UPDATE_POLICY = 0x13, 0x14, 0x19
_REPORT = 0x20
_TEMPLATE_ATTRIBUTE, _SOURCE_ATTRIBUTE, _CARE_OF_ATTRIBUTE = 5, 13, 14
_ROUTE_OPTIMIZATION = 2
_WILD_RECEIVE = 8
_OPTIONAL = 1
_UNLIMITED = struct.pack("=QQQQQQQQ", *(2**64 - 1,) * 4, 0, 0, 0, 0)
_NOTHING_YET = bytes(32)
_SELECTOR = struct.Struct("=16s16sHHHHHBBBxxxiI")
_ID = struct.Struct("=16sIBxxx")
_SA_TAIL = struct.Struct("=12xIIHBBB7x")
_SA_ID = struct.Struct("=16sIHBx")
_POLICY_TAIL = struct.Struct("=IIBBBBxxxx")
_POLICY_ID = struct.Struct("=56sIBxxx")
_TEMPLATE = struct.Struct("=24sHxx16sIBBBxIII")
_ANY_ALGORITHM = 0xFFFFFFFF
_REPORT_HEAD = 4
"""Octets before the selector in a report."""


class Extension(IntEnum):
    """The extension headers that the kernel handles, by their protocol numbers."""

    ROUTING = 43
    HOME_ADDRESS = 60


class Direction(IntEnum):
    """Of a policy."""

    IN = 0
    OUT = 1


@dataclass(frozen=True, slots=True)
class MobilityState:
    """Packets between two addresses have this extension header, with this care-of address.

    Attributes:
        source: before the kernel's exchange of addresses; ANY with `any_source`.
        destination: likewise.
        care_of: what is outside instead; ANY takes any from whoever sends.
        any_source: for packets that no other state is about.
    """

    extension: Extension
    source: IPv6Address
    destination: IPv6Address
    care_of: IPv6Address
    any_source: bool = False

    @property
    def key(self) -> Hashable:
        return "mip6 state", self.extension, self.source, self.destination

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._set(_NEW_SA)

    def replace(self) -> bytes:
        return self._set(_UPDATE_SA)

    def remove(self) -> bytes:
        name = _SA_ID.pack(self.destination.packed, 0, AF_INET6, self.extension)
        return message(_DEL_SA, 0, name + attribute(_SOURCE_ATTRIBUTE, self.source.packed))

    def _set(self, kind: int) -> bytes:
        length = 0 if self.any_source else 128
        body = selector(self.source, length, self.destination, 128)
        body += _ID.pack(self.destination.packed, 0, self.extension) + self.source.packed
        flags = _WILD_RECEIVE if self.any_source else 0
        body += _UNLIMITED + _NOTHING_YET
        body += _SA_TAIL.pack(0, REQUEST_ID, AF_INET6, _ROUTE_OPTIMIZATION, 0, flags)
        return message(kind, 0, body + attribute(_CARE_OF_ATTRIBUTE, self.care_of.packed))


@dataclass(frozen=True, slots=True)
class MobilityPolicy:
    """Packets between these get an extension header, may have one, or (None) get none.

    Attributes:
        source: ANY matches all.
        destination: likewise.
        protocol: of the packet; 0: each.
        priority: the lower one is asked first.
    """

    direction: Direction
    source: IPv6Address
    destination: IPv6Address
    extension: Extension | None
    protocol: int = 0
    priority: int = 20

    @property
    def key(self) -> Hashable:
        return "mip6 policy", self.direction, self.source, self.destination, self.protocol

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._set(_NEW_POLICY)

    def replace(self) -> bytes:
        return self._set(_UPDATE_POLICY)

    def remove(self) -> bytes:
        return message(_DEL_POLICY, 0, _POLICY_ID.pack(self._selector(), 0, self.direction))

    def _selector(self) -> bytes:
        lengths = (0 if self.source == ANY else 128), (0 if self.destination == ANY else 128)
        return selector(self.source, lengths[0], self.destination, lengths[1], self.protocol)

    def _set(self, kind: int) -> bytes:
        body = self._selector() + _UNLIMITED + _NOTHING_YET
        body += _POLICY_TAIL.pack(self.priority, 0, self.direction, 0, 0, 0)
        if self.extension is not None:
            template = _TEMPLATE.pack(
                _ID.pack(self.destination.packed, 0, self.extension),
                AF_INET6,
                self.source.packed,
                REQUEST_ID if self.direction is Direction.OUT else 0,
                *(_ROUTE_OPTIMIZATION, 0, _OPTIONAL),
                *(_ANY_ALGORITHM,) * 3,
            )
            body += attribute(_TEMPLATE_ATTRIBUTE, template)
        return message(kind, 0, body)


def selector(
    source: IPv6Address,
    source_length: int,
    destination: IPv6Address,
    length: int,
    protocol: int = 0,
) -> bytes:
    """struct xfrm_selector."""
    ends = destination.packed, source.packed
    return _SELECTOR.pack(*ends, 0, 0, 0, 0, AF_INET6, length, source_length, protocol, 0, 0)


def parse_report(octets: bytes) -> tuple[IPv6Address, IPv6Address, IPv6Address] | None:
    """Home address, destination and care-of address of a packet that the kernel refused because no
    state vouches for its Home Address option; None if the report is about something else."""
    (kind,) = struct.unpack_from("=H", octets, 4)
    body = octets[16:]
    if kind != _REPORT or len(body) < _REPORT_HEAD + _SELECTOR.size:
        return None
    if body[0] != Extension.HOME_ADDRESS:
        return None
    fields = _SELECTOR.unpack_from(body, _REPORT_HEAD)
    care_of = attributes(body[_REPORT_HEAD + _SELECTOR.size :]).get(_CARE_OF_ATTRIBUTE)
    if care_of is None or len(care_of) != 16:
        return None
    return IPv6Address(fields[1]), IPv6Address(fields[0]), IPv6Address(care_of)
