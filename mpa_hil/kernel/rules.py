"""Rules of routing: which packets which table is for (ip-rule(8), linux/fib_rules.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Container, Hashable
from dataclasses import dataclass

from mpa_hil.kernel.netlink import (
    ABSENT,
    CREATE,
    DUMP,
    EXCLUSIVE,
    NetlinkError,
    RouteSocket,
    attribute,
    attributes,
    message,
    u8,
    u32,
)
from mpa_hil.kernel.objects import ROUTE_PROTOCOL, IpAddress, IpNetwork, family

_NEW, _DELETE, _GET = 32, 33, 34
_HEAD = struct.Struct("=BBBBBBBBI")
_TO_TABLE = 1
_DESTINATION, _SOURCE, _PRIORITY, _TABLE, _PROTOCOL = 1, 2, 6, 15, 21


@dataclass(frozen=True, slots=True)
class SourceRule:
    """Packets from `source` are routed by `table`."""

    source: IpAddress
    table: int
    priority: int

    @property
    def key(self) -> Hashable:
        return "rule", self.source, self.table, self.priority

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._message(_NEW, CREATE | EXCLUSIVE)

    def replace(self) -> bytes:
        return b""

    def remove(self) -> bytes:
        return self._message(_DELETE, 0)

    def _message(self, kind: int, flags: int) -> bytes:
        head = family(self.source), 0, self.source.max_prefixlen
        return _rule(kind, flags, head, attribute(_SOURCE, self.source.packed), self)


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """Packets to a network, from wherever, are routed by `table`."""

    destination: IpNetwork
    table: int
    priority: int

    @property
    def key(self) -> Hashable:
        return "rule to", self.destination, self.table, self.priority

    @property
    def replaces(self) -> bool:
        return True

    def create(self) -> bytes:
        return self._message(_NEW, CREATE | EXCLUSIVE)

    def replace(self) -> bytes:
        return b""

    def remove(self) -> bytes:
        return self._message(_DELETE, 0)

    def _message(self, kind: int, flags: int) -> bytes:
        network = self.destination
        head = family(network), network.prefixlen, 0
        return _rule(
            kind, flags, head, attribute(_DESTINATION, network.network_address.packed), self
        )


def remove_rules(route: RouteSocket, tables: Container[int]) -> None:
    """Remove this project's rules that lead to some tables, whoever has made them.

    Raises:
        NetlinkError: the kernel refused.
    """
    for version in (socket.AF_INET, socket.AF_INET6):
        request = message(_GET, DUMP, _HEAD.pack(version, *[0] * 8))
        for entry in route.dump(request, "rules"):
            said = attributes(entry[_HEAD.size :])
            ours = said.get(_PROTOCOL) == bytes((ROUTE_PROTOCOL,))
            table = struct.unpack("=I", said.get(_TABLE, bytes(4)))[0]
            if not ours or table not in tables:
                continue
            try:
                route.request(message(_DELETE, 0, entry), "remove a rule")
            except NetlinkError as error:
                if error.errno not in ABSENT:
                    raise


def _rule(
    kind: int,
    flags: int,
    head: tuple[int, int, int],
    packets: bytes,
    rule: SourceRule | DestinationRule,
) -> bytes:
    """A message about a rule.

    Args:
        head: family, and the lengths of the destination's and the source's prefix.
        packets: the attribute that says which packets.
    """
    table = rule.table if rule.table < 256 else 0  # a larger one only fits into its attribute
    body = _HEAD.pack(*head, 0, table, 0, 0, _TO_TABLE, 0) + packets
    body += u32(_PRIORITY, rule.priority) + u32(_TABLE, rule.table)
    return message(kind, flags, body + u8(_PROTOCOL, ROUTE_PROTOCOL))
