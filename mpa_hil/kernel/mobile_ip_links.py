"""What the data paths of Mobile IPv4 and IPv6 have in common: devices that come and go by name.

A change of care-of address makes a device for the new one, moves the routes over in one message and
lets the old device go on receiving for a while, so that nothing on its way is lost.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from zlib import crc32

from mpa_hil.kernel.devices import link_message, link_removal
from mpa_hil.kernel.netlink import (
    ABSENT,
    CREATE,
    DUMP,
    EXCLUSIVE,
    NetlinkError,
    RouteSocket,
    attributes,
    message,
    nested,
    text,
)
from mpa_hil.kernel.objects import (
    LINK_HEAD,
    PREFIX,
    Address,
    IpAddress,
)
from mpa_hil.kernel.state import KernelState

TUNNEL_PREFIX = f"{PREFIX}h"
"""Every device of a home tunnel starts with it, at both ends; hexadecimal digits follow."""
HOME_DEVICE = f"{PREFIX}home"
"""The device that has the mobile node's home address: always there, whatever its tunnels do."""
HOME_TABLE = 434
"""Routing table and rule priority at the mobile node: the protocol's port, easy to recognise."""

CARE_OF_RULE = 436
"""Priority of the rules that keep what is sent from a care-of address out of the tunnels. After
435, the rule of a handover tunnel's inner address."""
CORRESPONDENT_RULE = 437
"""Priority of the rules that lead unbound sockets into the tunnels."""

_GET_LINK = 18
_IFLA_IFNAME = 3
_TUNNEL_NAMES = {
    4: re.compile(TUNNEL_PREFIX + "[0-9a-f]{8,9}"),
    6: re.compile(TUNNEL_PREFIX + "x[0-9a-f]{8,9}"),
}
"""By IP version: the agents of both may share a box."""
_LOOSE = "2"
_STRICT = "1"
_CONF = Path("/proc/sys/net/ipv4/conf")


@dataclass(frozen=True, slots=True)
class HomeDevice:
    """A `dummy` device that holds the home address."""

    name: str = HOME_DEVICE

    @property
    def key(self) -> Hashable:
        return "link", self.name

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return link_message(CREATE | EXCLUSIVE, self.name, nested(18, text(1, "dummy")), up=True)

    def replace(self) -> bytes:
        return b""

    def remove(self) -> bytes:
        return link_removal(self.name)


def sweep(route: RouteSocket, version: int) -> tuple[str, ...]:
    """Remove the tunnels that a killed predecessor left, and their routes with them.

    Args:
        version: of the IP whose mobility it served.

    Returns:
        their names.
    """
    gone: list[str] = []
    listing = message(_GET_LINK, DUMP, LINK_HEAD.pack(0, 0, 0, 0, 0))
    for entry in route.dump(listing, "interfaces"):
        name = attributes(entry[LINK_HEAD.size :]).get(_IFLA_IFNAME, b"").rstrip(b"\0").decode()
        if not _TUNNEL_NAMES[version].fullmatch(name):
            continue
        try:
            route.request(link_removal(name), f"remove {name}")
        except NetlinkError as error:
            if error.errno not in ABSENT:
                raise
        gone.append(name)
    return tuple(gone)


class Receivers:
    """IPv4 devices that go on receiving when their routes lead elsewhere.

    A reverse path filter would drop what they receive: the strict one always, the loose one where
    the device has no address. So where this namespace filters they get both: an address, and
    looseness. (IPv6 has no such filter.)

    Args:
        address: what they shall have.
    """

    def __init__(self, state: KernelState, address: IPv4Address) -> None:
        self._state = state
        self._address = address
        self._filtered = any(_filter(scope) != "0" for scope in ("all", "default"))

    def add(self, name: str) -> None:
        """Prepare a device that was just made.

        Raises:
            MachineError: the kernel refused.
        """
        if not self._filtered:
            return
        self._state.apply(Address(name, self._address))
        if _filter(name) == _STRICT or _filter("all") == _STRICT:
            (_CONF / name / "rp_filter").write_text(_LOOSE)

    def remove(self, name: str) -> None:
        """Before the device goes."""
        if self._filtered:
            self._state.remove(Address(name, self._address).key)


def _filter(scope: str) -> str:
    try:
        return (_CONF / scope / "rp_filter").read_text().strip()
    except OSError:
        return "0"  # there is none


def tunnel_name(address: IpAddress) -> str:
    """A name for the tunnel device of an address."""
    if address.version == 4:
        return f"{TUNNEL_PREFIX}{int(address):08x}"
    return f"{TUNNEL_PREFIX}x{crc32(address.packed):08x}"
