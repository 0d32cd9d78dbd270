"""The devices of a handover tunnel: encapsulation in every mix of families, WireGuard, and the veth
pair in which packets are held. Kernel objects for `state.KernelState`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from mpa_hil.kernel.netlink import (
    CREATE,
    EXCLUSIVE,
    attribute,
    message,
    nested,
    text,
    u8,
    u32,
)
from mpa_hil.kernel.objects import LINK_HEAD, IpAddress
from mpa_hil.kernel.scheduling import as_others
from mpa_hil.kernel.state import KernelState

_NEW_LINK, _DEL_LINK = 16, 17
_UP = 1
_AF_INET6 = 10
_HOP_LIMIT = 64
_INHERIT = 1
_PROTOCOL = {frozenset({4}): 4, frozenset({6}): 41, frozenset({4, 6}): 0}
"""What is inside: IPv4, IPv6, either."""
_NO_ENCAPSULATION_LIMIT, _TRAFFIC_CLASS_FROM_INNER = 0x01, 0x02
_CONF6 = Path("/proc/sys/net/ipv6/conf")


def link_message(flags: int, name: str, *body: bytes, up: bool = False) -> bytes:
    """RTM_NEWLINK for a device by name."""
    head = LINK_HEAD.pack(0, 0, 0, _UP if up else 0, _UP if up else 0)
    return message(_NEW_LINK, flags, head + text(3, name) + b"".join(body))


def link_removal(name: str) -> bytes:
    """RTM_DELLINK for a device by name."""
    return message(_DEL_LINK, 0, LINK_HEAD.pack(0, 0, 0, 0, 0) + text(3, name))


def set_up(name: str) -> bytes:
    """The message that takes a device up."""
    return link_message(0, name, up=True)


def without_addresses(name: str) -> bytes:
    """The message after which the kernel gives the device no IPv6 address of its own accord."""
    return link_message(0, name, nested(26, nested(_AF_INET6, u8(8, 1))))


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """ipip, sit or ip6tnl, as the families want (RFC 2003, RFC 4213, RFC 2473). Made down.

    Don't Fragment outside is what it is inside (RFC 2003 s3.1), so that a packet that may be cut
    is never thrown away for its length; path MTU discovery of those that may not works through it.
    """

    name: str
    local: IpAddress
    remote: IpAddress
    versions: frozenset[int]
    mtu: int

    @property
    def kind(self) -> str:
        """The kernel's name for it."""
        if self.local.version == 6:
            return "ip6tnl"
        return "ipip" if self.versions == {4} else "sit"

    @property
    def key(self) -> Hashable:
        return "link", self.name

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._set(CREATE | EXCLUSIVE)

    def replace(self) -> bytes:
        return self._set(0)

    def remove(self) -> bytes:
        return link_removal(self.name)

    def _set(self, flags: int) -> bytes:
        data = attribute(2, self.local.packed) + attribute(3, self.remote.packed)
        data += u8(4, _HOP_LIMIT) + u8(9, _PROTOCOL[self.versions])
        if self.local.version == 6:
            data += u32(8, _NO_ENCAPSULATION_LIMIT | _TRAFFIC_CLASS_FROM_INNER)
        else:
            data += u8(5, _INHERIT) + u8(10, 0)
        info = nested(18, text(1, self.kind), attribute(2, data))
        return link_message(flags, self.name, u32(4, self.mtu), info)


@dataclass(frozen=True, slots=True)
class WireGuardDevice:
    """A WireGuard device, made down; `wireguard.configure` gives it keys and a peer."""

    name: str
    mtu: int

    @property
    def key(self) -> Hashable:
        return "link", self.name

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        info = nested(18, text(1, "wireguard"))
        return link_message(CREATE | EXCLUSIVE, self.name, u32(4, self.mtu), info)

    def replace(self) -> bytes:
        return link_message(0, self.name, u32(4, self.mtu))

    def remove(self) -> bytes:
        return link_removal(self.name)


@dataclass(frozen=True, slots=True)
class HoldPair:
    """A veth pair: what is sent into `name` comes out at `exit`. Made down.

    Attributes:
        link_layer: of `name`: what the frames that leave shall have as their source.
        mtu: of `name`; the exit takes whatever that lets through.
    """

    name: str
    exit: str
    link_layer: bytes
    mtu: int

    @property
    def key(self) -> Hashable:
        return "link", self.name

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        queues = u32(31, 1) + u32(32, 1)
        peer = attribute(1, LINK_HEAD.pack(0, 0, 0, 0, 0) + text(3, self.exit) + queues)
        info = nested(18, text(1, "veth"), nested(2, peer))
        own = attribute(1, self.link_layer), u32(4, self.mtu), queues, info
        return link_message(CREATE | EXCLUSIVE, self.name, *own)

    def replace(self) -> bytes:
        return b""

    def remove(self) -> bytes:
        return link_removal(self.name)


def raise_quietly(state: KernelState, *names: str, ipv6: bool) -> None:
    """Take devices up so that the kernel itself sends nothing there: no router solicitation, no
    multicast listener report, no duplicate address detection.

    Args:
        ipv6: IPv6 packets are to leave there; else the device does not know that protocol.
    """
    for name in names:
        folder = _CONF6 / name
        if not folder.is_dir():
            continue  # a kernel without IPv6
        if ipv6:
            state.route.request(without_addresses(name), f"no addresses of its own on {name}")
        with as_others():
            if ipv6:
                # A router's device has joined the all-routers group. Version 1 of MLD leaves a
                # group that nobody heard of without a word; version 2 reports that, twice.
                (folder / "force_mld_version").write_text("1")
                (folder / "forwarding").write_text("0")
                (folder / "accept_ra").write_text("0")
            else:
                (folder / "disable_ipv6").write_text("1")
    state.route.request(b"".join(set_up(name) for name in names), f"up: {names}", len(names))
