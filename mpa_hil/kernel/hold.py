"""Hold and release: keep one node's packets in the kernel while its link is switched.

The kernel's own `plug` queueing discipline (linux/pkt_sched.h, TCA_KIND "plug") does it. A `prio`
root gives each held address a band with a plug of its own, fed by a u32 filter on the address;
everything else passes through the first band. Hold and release are messages encoded beforehand:
the moment itself costs one `send` on a socket that is open already.

Two traits of plug that shape this file: a new plug *holds* until it is first released, and only a
change (no CREATE flag) reaches a plug that exists.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from socket import htons

from mpa_hil.kernel.netlink import (
    ABSENT,
    CREATE,
    DUMP,
    ECHO,
    EXCLUSIVE,
    NetlinkError,
    RouteSocket,
    attribute,
    attributes,
    interface_index,
    message,
    nested,
    text,
    u32,
)
from mpa_hil.kernel.size_table import at_least
from radios.errors import LocalError

MAXIMUM_HELD = 15
"""prio has 16 bands (TCQ_PRIO_BANDS), and the first is everybody else's."""

_TC = struct.Struct("=BxxxiIII")
_PLUG = struct.Struct("=iI")
_PRIO = struct.Struct("=i16s")
_U32_SELECTOR = struct.Struct("=BBBxHHhhI")
_U32_KEY = struct.Struct("=4s4sii")
_BASIC = struct.Struct("=QI")
_QUEUE = struct.Struct("=IIIII")
_NEW_QDISC, _DEL_QDISC, _GET_QDISC = 36, 37, 38
_NEW_FILTER, _DEL_FILTER = 44, 45
_ROOT = 0xFFFFFFFF
_HANDLE = 0x4D00
"""Major number of our root ("M"); the plug of band n has 0x4D00 + n."""
_ETH_IP = 0x0800
_TERMINAL = 1
_BANDS = 16


PASSING_PRIORITY = _HANDLE << 16 | 1
"""As SO_PRIORITY of a socket: its packets go into the first band, past all filters. prio takes a
priority whose major number is its own handle for the band itself. So the acknowledgement of a hold
reaches the node whose packets are held. (Needs CAP_NET_ADMIN; no help against `RootHold`, nor on a
wireless interface: mac80211 replaces the priority by the access category.)"""


class Match(IntEnum):
    """Which address of a packet the filter compares: its offset in the IPv4 header."""

    SOURCE = 12
    DESTINATION = 16


class _Plug(IntEnum):
    BUFFER = 0
    RELEASE_INDEFINITE = 2
    LIMIT = 3


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a plug has now, and has counted since it was made."""

    packets: int
    octets: int
    dropped: int
    passed_packets: int
    passed_octets: int


@dataclass(frozen=True, slots=True)
class Messages:
    """Everything that one plug needs, encoded."""

    handle: int
    install: bytes
    """`install_count` messages; afterwards packets pass."""
    install_count: int
    hold: bytes
    release: bytes
    read: bytes
    remove: bytes


def band_messages(
    index: int, band: int, address: IPv4Address, limit_octets: int, match: Match
) -> Messages:
    """A plug under band `band` (2 to 16) of our prio root, and the filter that feeds it."""
    parent, handle = _HANDLE << 16 | band, (_HANDLE + band) << 16
    info = band << 16 | htons(_ETH_IP)  # the filter's priority is its band, so it can be removed
    key = _U32_KEY.pack(b"\xff\xff\xff\xff", address.packed, match, 0)
    selector = _U32_SELECTOR.pack(_TERMINAL, 0, 1, 0, 0, 0, 0, 0) + key
    where = _TC.pack(0, index, 0, _HANDLE << 16, info)
    options = nested(2, u32(1, parent), attribute(5, selector))
    feed = message(_NEW_FILTER, CREATE | EXCLUSIVE, where + text(1, "u32") + options)
    starve = message(_DEL_FILTER, 0, where + text(1, "u32"))
    plug = _plug_messages(index, parent, handle, limit_octets)
    return Messages(
        handle,
        plug.install + feed,
        plug.install_count + 1,
        plug.hold,
        plug.release,
        plug.read,
        starve + plug.remove,
    )


def root_messages(
    index: int, limit_octets: int, *, limit_packets: int = 0, blocked: bool = False
) -> Messages:
    """A plug as the root of an interface, which holds all that leaves there.

    Args:
        limit_packets: 0 for none; with one, the octets in statistics are what packets counted for.
        blocked: it holds from the start.
    """
    limit, sizes = at_least(limit_octets, limit_packets)
    return _plug_messages(index, _ROOT, _HANDLE << 16, limit, sizes, blocked=blocked)


def prio_messages(index: int) -> tuple[bytes, bytes]:
    """Install and remove the prio root: 16 bands, all traffic that no filter takes in the first."""
    where = _TC.pack(0, index, _HANDLE << 16, _ROOT, 0)
    options = attribute(2, _PRIO.pack(_BANDS, bytes(16)))
    install = message(_NEW_QDISC, CREATE | EXCLUSIVE, where + text(1, "prio") + options)
    return install, message(_DEL_QDISC, 0, where)


def _plug_messages(
    index: int,
    parent: int,
    handle: int,
    limit_octets: int,
    sizes: bytes = b"",
    *,
    blocked: bool = False,
) -> Messages:
    where = _TC.pack(0, index, handle, parent, 0) + text(1, "plug")

    def order(action: _Plug, flags: int = 0, more: bytes = b"") -> bytes:
        options = attribute(2, _PLUG.pack(action, limit_octets))
        return message(_NEW_QDISC, flags, where + options + more)

    release = order(_Plug.RELEASE_INDEFINITE)
    install = order(_Plug.LIMIT, CREATE | EXCLUSIVE, sizes)
    return Messages(
        handle,
        install if blocked else install + release,
        1 if blocked else 2,
        order(_Plug.BUFFER, 0, sizes),  # any change without the size table takes it away
        release,
        message(_GET_QDISC, ECHO, where),  # without the echo older kernels tell listeners only
        message(_DEL_QDISC, 0, where),
    )


class HoldQueue:
    """Plugs on one interface, one for each address, driven over one netlink socket.

    Args:
        route: of the namespace in which the interface is.
        interface: through which the held packets would leave.

    Raises:
        MachineError: the kernel has no prio, or refuses.
        LocalError: the interface has a root queueing discipline that somebody else set.
    """

    def __init__(self, route: RouteSocket, interface: str) -> None:
        self._route = route
        self._interface = interface
        self._index = interface_index(interface)
        self._plugs: dict[IPv4Address, tuple[int, Messages]] = {}
        install, self._remove_root = prio_messages(self._index)
        _install_root(route, interface, install, 1, self._remove_root)

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """The addresses that can be held."""
        return tuple(self._plugs)

    def add(
        self, address: IPv4Address, limit_octets: int, match: Match = Match.DESTINATION
    ) -> None:
        """Stage a plug for `address`; its packets pass until `hold`.

        Raises:
            LocalError: it has one, or all bands are taken.
            MachineError: the kernel refused.
        """
        if address in self._plugs:
            raise LocalError(f"{address} has a plug already", where=f"interface {self._interface}")
        taken = {band for band, _ in self._plugs.values()}
        band = next((band for band in range(2, _BANDS + 1) if band not in taken), None)
        if band is None:
            raise LocalError(
                f"all {MAXIMUM_HELD} plugs are taken",
                where=f"interface {self._interface}",
                remedy="remove an address that left",
            )
        plug = band_messages(self._index, band, address, limit_octets, match)
        what = f"plug for {address} on {self._interface}"
        try:
            self._route.request(plug.install, what, plug.install_count)
        except NetlinkError:
            _quietly(self._route, plug.remove, 2)
            raise
        self._plugs[address] = band, plug

    def remove(self, address: IPv4Address) -> None:
        """Release what is held for `address` and take its plug away; none there is fine."""
        if address in self._plugs:
            self.release(address)
            _, plug = self._plugs.pop(address)
            self._route.request(plug.remove, f"remove the plug for {address}", 2)

    def hold(self, address: IPv4Address) -> None:
        """From now on packets wait: one send of bytes that were ready."""
        self._route.request(self._plugs[address][1].hold, "hold")

    def release(self, address: IPv4Address) -> None:
        """Packets that waited leave in order, later ones pass."""
        self._route.request(self._plugs[address][1].release, "release")

    def backlog(self, address: IPv4Address) -> Backlog:
        """What waits now, and the counters."""
        return parse_backlog(self.snapshot(address))

    def snapshot(self, address: IPv4Address) -> bytes:
        """What `parse_backlog` takes, so that the parsing can wait for a quiet moment."""
        return _snapshot(self._route, self._plugs[address][1])

    def close(self) -> None:
        """Release everything and restore the interface's own queueing; safe to repeat."""
        for _, plug in self._plugs.values():
            _quietly(self._route, plug.release)
        self._plugs.clear()
        _quietly(self._route, self._remove_root)


class RootHold:
    """One plug for all that leaves an interface: the smallest set-up, for a node's own uplink."""

    def __init__(self, route: RouteSocket, interface: str, limit_octets: int) -> None:
        self._route = route
        self._plug = root_messages(interface_index(interface), limit_octets)
        install, count = self._plug.install, self._plug.install_count
        _install_root(route, interface, install, count, self._plug.remove)

    def hold(self) -> None:
        """From now on packets wait."""
        self._route.request(self._plug.hold, "hold")

    def release(self) -> None:
        """Packets that waited leave in order, later ones pass."""
        self._route.request(self._plug.release, "release")

    def backlog(self) -> Backlog:
        """What waits now, and the counters."""
        return parse_backlog(_snapshot(self._route, self._plug))

    def close(self) -> None:
        """Release everything and restore the interface's own queueing; safe to repeat."""
        _quietly(self._route, self._plug.release)
        _quietly(self._route, self._plug.remove)


def release_all(route: RouteSocket, interface: str) -> int:
    """Release and remove whatever plugs of ours are on the interface, whoever left them there.

    For a guardian that outlives a killed agent: it asks the kernel what there is.

    Returns:
        how many plugs there were.
    """
    index = interface_index(interface)
    plugs = 0
    for entry in route.dump(message(_GET_QDISC, DUMP, _TC.pack(0, index, 0, 0, 0)), "qdiscs"):
        _, found, handle, parent, _ = _TC.unpack_from(entry)
        kind = attributes(entry[_TC.size :]).get(1, b"")
        if found == index and handle >> 24 == _HANDLE >> 8 and kind.rstrip(b"\0") == b"plug":
            plugs += 1
            _quietly(route, _plug_messages(index, parent, handle, 0).release)
    if plugs:
        _quietly(route, prio_messages(index)[1])
    return plugs


def _snapshot(route: RouteSocket, plug: Messages) -> bytes:
    return route.get(plug.read, "statistics of the plug") or bytes(_TC.size)


def parse_backlog(entry: bytes) -> Backlog:
    """The counters in an RTM_NEWQDISC payload (TCA_STATS2)."""
    statistics = attributes(attributes(entry[_TC.size :]).get(7, b""))
    octets, packets = _BASIC.unpack_from(statistics.get(1, bytes(_BASIC.size)))
    waiting, backlog, dropped, _, _ = _QUEUE.unpack_from(statistics.get(3, bytes(_QUEUE.size)))
    return Backlog(waiting, backlog, dropped, packets, octets)


def _install_root(
    route: RouteSocket, interface: str, install: bytes, count: int, remove: bytes
) -> None:
    what = f"hold queue on {interface}"
    try:
        route.request(install, what, count)
        return
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise
    # Either a crashed predecessor's, which has our handle and goes, or somebody else's.
    release_all(route, interface)
    _quietly(route, remove)
    try:
        route.request(install, what, count)
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise
        raise LocalError(
            "it has a root queueing discipline already",
            where=f"interface {interface}",
            remedy=f"tc qdisc del dev {interface} root, or hold on another interface",
        ) from error


def _quietly(route: RouteSocket, order: bytes, count: int = 1) -> None:
    """Send an order whose object may be gone."""
    try:
        route.request(order, "tidy up", count)
    except NetlinkError as error:
        if error.errno not in ABSENT | {errno.EINVAL}:
            raise
