"""Filters on what enters a device: pass, drop, or send on by another device (clsact, u32, mirred).

Encoded as linux/pkt_cls.h and linux/tc_act have it. A filter with a handle of its own is replaced
by one message, and the kernel puts the new one in the old one's place at once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from socket import htons

from mpa_hil.kernel.netlink import CREATE, EXCLUSIVE, REPLACE, attribute, message, nested, text
from mpa_hil.kernel.objects import IpAddress

_TC = struct.Struct("=BxxxiIII")
_SELECTOR = struct.Struct("=BBBxHHhhI")
_KEY = struct.Struct("=4s4sii")
_MARK = struct.Struct("=III")
_GENERAL = struct.Struct("=IIiii")
_MIRRED = struct.Struct("=IIiiiiI")
_NEW_QDISC = 36
_NEW_FILTER = 44
_CLSACT, _CLSACT_HANDLE, _INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
EGRESS = 0xFFFFFFF3
"""Parent of filters on what leaves."""
_TERMINAL = 1
_FIRST = 0x80000800
"""Handle of the first filter of a device's first table, as the kernel itself would give it."""
_PASS, _DROP, _PIPE, _STOLEN = 0, 2, 3, 4
_REDIRECT, _MIRROR = 1, 2
_ALL_PROTOCOLS = 0x0003
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
"""By IP version."""
_SOURCE_AT = {4: 12, 6: 8}
_DESTINATION_AT = {4: 16, 6: 24}


@dataclass(frozen=True, slots=True)
class Match:
    """What a filter compares; nothing given matches everything.

    Attributes:
        version: of IP; 0 for every protocol.
        mark: the packet's mark, set by the ESP association that it came by.
    """

    version: int = 0
    source: IpAddress | None = None
    destination: IpAddress | None = None
    mark: int | None = None


def entrance(index: int) -> bytes:
    """Give the device the place where such filters hang (clsact); once."""
    head = _TC.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0)
    return message(_NEW_QDISC, CREATE | EXCLUSIVE, head + text(1, "clsact"))


def verdict(index: int, priority: int, match: Match, *, passes: bool) -> bytes:
    """A filter that lets what matches in, or drops it. Lower priorities are asked first."""
    return _filter(index, priority, match, [gact(passes=passes)])


def send_on(index: int, device: int, *, copy_to: int = 0) -> bytes:
    """All that enters leaves by `device`; said again with another one, that takes its place.

    Args:
        device: index of the device it leaves by; the link-layer header goes where that has none.
        copy_to: index of a device that gets a copy; 0 for none.
    """
    actions = [mirror(copy_to)] if copy_to else []
    return _filter(index, 1, Match(), [*actions, redirect(device)], _FIRST)


def egress(
    index: int,
    priority: int,
    version: int,
    keys: Sequence[tuple[int, int, int]],
    actions: Sequence[bytes],
) -> bytes:
    """A filter on what leaves a device; it hangs there when clsact does (`entrance`).

    Args:
        version: of IP; 0 for every protocol.
        keys: value and mask of 32 bits and their offset from the IP header on.
        actions: of `gact`, `redirect` and `mirror`.
    """
    packed = [
        _KEY.pack(mask.to_bytes(4, "big"), (value & mask).to_bytes(4, "big"), at, 0)
        for value, mask, at in keys
    ]
    protocol = ETHERTYPE.get(version, _ALL_PROTOCOLS)
    head = _TC.pack(0, index, 0, EGRESS, priority << 16 | htons(protocol))
    return _u32(head, packed, actions)


def gact(*, passes: bool) -> bytes:
    """Let a packet go its way, or drop it."""
    return _action("gact", _GENERAL.pack(0, 0, _PASS if passes else _DROP, 0, 0))


def redirect(device: int) -> bytes:
    """Have it leave by another device, by its index."""
    return _action("mirred", _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, device))


def mirror(device: int) -> bytes:
    """Have a copy of it leave by another device, and go on with the next action."""
    return _action("mirred", _MIRRED.pack(0, 0, _PIPE, 0, 0, _MIRROR, device))


def _filter(
    index: int, priority: int, match: Match, actions: Sequence[bytes], handle: int = 0
) -> bytes:
    protocol = ETHERTYPE.get(match.version, _ALL_PROTOCOLS)
    head = _TC.pack(0, index, handle, _INGRESS, priority << 16 | htons(protocol))
    keys = _keys(match.source, _SOURCE_AT) + _keys(match.destination, _DESTINATION_AT)
    mark = b""
    if match.mark is not None:
        mark = attribute(10, _MARK.pack(match.mark, 0xFFFFFFFF, 0))
    return _u32(head, keys, actions, mark)


def _u32(head: bytes, keys: Sequence[bytes], actions: Sequence[bytes], more: bytes = b"") -> bytes:
    keys = keys or [_KEY.pack(bytes(4), bytes(4), 0, 0)]
    selector = _SELECTOR.pack(_TERMINAL, 0, len(keys), 0, 0, 0, 0, 0) + b"".join(keys)
    numbered = (attribute(number, action) for number, action in enumerate(actions, 1))
    options = attribute(5, selector) + nested(7, *numbered) + more
    return message(_NEW_FILTER, CREATE | REPLACE, head + text(1, "u32") + attribute(2, options))


def _keys(address: IpAddress | None, offsets: dict[int, int]) -> list[bytes]:
    if address is None:
        return []
    at, octets = offsets[address.version], address.packed
    return [
        _KEY.pack(b"\xff" * 4, octets[word : word + 4], at + word, 0)
        for word in range(0, len(octets), 4)
    ]


def _action(kind: str, parameters: bytes) -> bytes:
    return text(1, kind) + nested(2, attribute(2, parameters))
