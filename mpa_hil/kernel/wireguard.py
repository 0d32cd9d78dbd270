"""WireGuard's configuration through generic netlink (linux/wireguard.h, linux/genetlink.h)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from mpa_hil.kernel.netlink import (
    NetlinkSocket,
    attribute,
    attributes,
    message,
    nested,
    text,
    u8,
    u32,
)
from mpa_hil.kernel.objects import IpAddress, family
from mpa_hil.kernel.tunnel_plan import WireGuard
from radios.errors import MachineError

Network: TypeAlias = IPv4Network | IPv6Network

_GENERIC = 16
_CONTROL, _GET_FAMILY = 0x10, 3
_FAMILY_ID, _FAMILY_NAME = 1, 2
_HEAD = struct.Struct("=BBxx")
_NESTED = 0x8000
_SET_DEVICE = 1
_REPLACE_PEERS, _REPLACE_ALLOWED, _UPDATE_ONLY = 1, 2, 4
_PORT4 = struct.Struct("=H2s4s8x")
_PORT6 = struct.Struct("=H2sI16sI")


def configure(
    device: str,
    keys: WireGuard,
    remote: IpAddress,
    allowed: Sequence[Network],
    *,
    update: bool = False,
) -> None:
    """Give the device its key, port and one peer, in place of those it had.

    Args:
        update: the peer is there and keeps its session; only its address has changed.
        remote: the peer's outer address.
        allowed: what the peer may send from, and what is sent to it.

    Raises:
        MachineError: the kernel has no WireGuard, or refuses.
    """
    with NetlinkSocket(_GENERIC) as generic:
        body = device_update(device, keys, remote) if update else None
        body = body or device_request(device, keys, remote, allowed)
        generic.request(message(family_id(generic), 0, body), f"WireGuard device {device}")


def family_id(generic: NetlinkSocket) -> int:
    """The number under which this kernel has WireGuard.

    Raises:
        MachineError: it has none.
    """
    body = _HEAD.pack(_GET_FAMILY, 1) + text(_FAMILY_NAME, "wireguard")
    entry = generic.get(message(_CONTROL, 0, body), "generic netlink family wireguard")
    if entry is None:
        raise MachineError(
            "the kernel has no WireGuard", where="netlink", remedy="modprobe wireguard"
        )
    (number,) = struct.unpack("=H", attributes(entry[_HEAD.size :])[_FAMILY_ID])
    return int(number)


def device_request(
    device: str, keys: WireGuard, remote: IpAddress, allowed: Sequence[Network]
) -> bytes:
    """The body of WG_CMD_SET_DEVICE."""
    networks = (
        _nest(
            number,
            _u16(1, family(network)),
            attribute(2, network.network_address.packed),
            u8(3, network.prefixlen),
        )
        for number, network in enumerate(allowed)
    )
    peer = _nest(
        0,
        attribute(1, keys.peer_public),
        attribute(2, keys.preshared),
        u32(3, _REPLACE_ALLOWED),
        attribute(4, _endpoint(remote, keys.remote_port)),
        _u16(5, keys.keepalive_s),
        _nest(9, *networks),
    )
    parts = (
        text(2, device),
        attribute(3, keys.private),
        u32(5, _REPLACE_PEERS),
        _u16(6, keys.local_port),
        _nest(8, peer),
    )
    return _HEAD.pack(_SET_DEVICE, 1) + b"".join(parts)


def device_update(device: str, keys: WireGuard, remote: IpAddress) -> bytes:
    """The body of WG_CMD_SET_DEVICE that moves the peer."""
    end = attribute(4, _endpoint(remote, keys.remote_port))
    peer = _nest(0, attribute(1, keys.peer_public), u32(3, _UPDATE_ONLY), end)
    return _HEAD.pack(_SET_DEVICE, 1) + text(2, device) + _nest(8, peer)


def _nest(kind: int, *members: bytes) -> bytes:
    """WireGuard, unlike links and qdiscs, wants its nests marked."""
    return nested(kind | _NESTED, *members)


def _u16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=H", value))


def _endpoint(address: IpAddress, port: int) -> bytes:
    octets = struct.pack("!H", port)
    if address.version == 4:
        return _PORT4.pack(family(address), octets, address.packed)
    return _PORT6.pack(family(address), octets, 0, address.packed, 0)
