"""A limit in packets for a queue whose kernel counts octets alone (linux/pkt_sched.h, TCA_STAB).

A size table says how many octets a packet is taken for. Here a packet counts for at least the
octets' limit divided by the packets' limit, so neither is ever exceeded: small packets meet the
limit in packets, large ones that in octets. Nothing is in a packet's way but a look-up, and what
does not fit is dropped and counted by the queue as always.
"""

from __future__ import annotations

import struct

from mpa_hil.kernel.netlink import attribute, nested

_SPECIFICATION = struct.Struct("=BBhiIIII")
_TABLE, _BASE, _DATA = 8, 1, 2
_CELL_LOG = 3
_SLOTS = 256
"""Of 8 octets each: 2048. The kernel takes a longer packet for several."""
_MOST = 0xFFFF


def at_least(limit_octets: int, limit_packets: int) -> tuple[int, bytes]:
    """The limit to give the queue, and the attribute that makes packets count.

    Args:
        limit_packets: 0 for none.
    """
    if not limit_packets:
        return limit_octets, b""
    least = min(max(limit_octets // limit_packets, 1), _MOST)
    sizes = [max(least, slot + 1 << _CELL_LOG) for slot in range(_SLOTS)]
    # Alignment -1: a slot ends with the length that it is named for.
    base = _SPECIFICATION.pack(_CELL_LOG, 0, -1, 0, 0, 0, 0, _SLOTS)
    data = struct.pack(f"={_SLOTS}H", *sizes)
    limit = min(least * limit_packets, limit_octets)
    return limit, nested(_TABLE, attribute(_BASE, base), attribute(_DATA, data))
