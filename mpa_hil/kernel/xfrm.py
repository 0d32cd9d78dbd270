"""ESP in transport mode round encapsulated packets: associations and policies (linux/xfrm.h).

A policy for each pair of outer addresses and each inner family: outbound packets are protected, and
inbound ones that did not come by the association of exactly this tunnel are dropped. Where the
kernel asks no policy (IPv6 in IPv4), the mark that the association gives is what the tunnel's
ingress filter asks for.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

from mpa_hil.kernel.netlink import (
    ABSENT,
    DUMP,
    NetlinkError,
    NetlinkSocket,
    attribute,
    message,
    u32,
)
from mpa_hil.kernel.objects import IpAddress, family
from mpa_hil.kernel.tunnel_plan import Esp

REQUEST_ID = 0x006D7061
"""Marks our associations and policies (`ip xfrm state list reqid 7172193`): "mpa"."""
_ESP = 50
_NEW_SA, _DEL_SA, _GET_SA = 0x10, 0x11, 0x12
_NEW_POLICY, _DEL_POLICY, _GET_POLICY = 0x13, 0x14, 0x15
_MIGRATE = 0x21
_IN, _OUT = 0, 1
_ALGORITHM = b"rfc4106(gcm(aes))"
_CHECK_VALUE_BITS = 128
_ESN_FLAG = 128
_WINDOW_BITS = 256
_SELECTOR = struct.Struct("=16s16sHHHHHBBBxxxiI")
_ID = struct.Struct("=16s4sBxxx")
_UNLIMITED = struct.pack("=QQQQQQQQ", *(2**64 - 1,) * 4, 0, 0, 0, 0)
_NOTHING_YET = bytes(32)
_SA_TAIL = struct.Struct("=12xIIHBBB7x")
_SA_ID = struct.Struct("=16s4sHBx")
_POLICY_TAIL = struct.Struct("=IIBBBBxxxx")
_POLICY_ID = struct.Struct("=56sIBxxx")
_TEMPLATE = struct.Struct("=24sHxx16sIBBBxIII")
_MIGRATION = struct.Struct("=16s16s16s16sBBxxIHH")
_AEAD = struct.Struct("=64sII")
_ESN = struct.Struct("=IIIIII")
_ANY_ALGORITHM = 0xFFFFFFFF
_SA_OCTETS, _POLICY_OCTETS = 224, 168


@dataclass(frozen=True, slots=True)
class EspPair:
    """The two associations and the policies of one tunnel.

    Attributes:
        local: this end's outer address.
        remote: the other's.
        protocols: what is protected: 4 (IPv4 inside), 41 (IPv6 inside).
        mark: what packets have once they came by the inbound association.
    """

    local: IpAddress
    remote: IpAddress
    protocols: tuple[int, ...]
    esp: Esp
    mark: int

    def create(self) -> tuple[bytes, int]:
        """The messages, and how many they are; refusing policies first, so nothing slips in."""
        parts = [self._policy(direction, protocol) for direction, protocol in self._each()]
        parts.append(self._association(_IN))
        parts.append(self._association(_OUT))
        return b"".join(parts), len(parts)

    def remove(self) -> tuple[bytes, ...]:
        """The messages, one to a request, since any of the objects may be gone."""
        associations = (
            message(_DEL_SA, 0, self._sa_id(destination, spi))
            for destination, spi in (
                (self.local, self.esp.spi_in),
                (self.remote, self.esp.spi_out),
            )
        )
        return (*self.policy_removals(), *associations)

    def move(self, after: EspPair) -> tuple[bytes, int]:
        """The messages that take the associations, counters and all, to other outer addresses.

        Args:
            after: the same keys and another pair of addresses, of either family.
        """
        parts = [after._policy(direction, protocol) for direction, protocol in after._each()]
        for direction in (_IN, _OUT):
            old_source, old_destination = self._ends(direction)
            new_source, new_destination = after._ends(direction)
            ends = old_destination, old_source, new_destination, new_source
            families = family(old_source), family(new_source)
            step = _MIGRATION.pack(*map(_packed, ends), _ESP, 0, REQUEST_ID, *families)
            found = _POLICY_ID.pack(self._selector(direction, self.protocols[0]), 0, direction)
            parts.append(message(_MIGRATE, 0, found + attribute(17, step)))
        return b"".join(parts), len(parts)

    def policy_removals(self) -> tuple[bytes, ...]:
        """The messages that remove the policies, one to a request."""
        return tuple(
            message(_DEL_POLICY, 0, _POLICY_ID.pack(self._selector(*each), 0, each[0]))
            for each in self._each()
        )

    def _each(self) -> list[tuple[int, int]]:
        return [(direction, proto) for direction in (_IN, _OUT) for proto in self.protocols]

    def _ends(self, direction: int) -> tuple[IpAddress, IpAddress]:
        return (self.remote, self.local) if direction == _IN else (self.local, self.remote)

    def _selector(self, direction: int, protocol: int) -> bytes:
        source, destination = self._ends(direction)
        length = source.max_prefixlen
        ends = _packed(destination), _packed(source)
        kin = family(source)
        return _SELECTOR.pack(*ends, 0, 0, 0, 0, kin, length, length, protocol, 0, 0)

    def _policy(self, direction: int, protocol: int) -> bytes:
        source, destination = self._ends(direction)
        spi = self.esp.spi_in if direction == _IN else self.esp.spi_out
        body = self._selector(direction, protocol) + _UNLIMITED + _NOTHING_YET
        body += _POLICY_TAIL.pack(0, 0, direction, 0, 0, 0)
        template = _TEMPLATE.pack(
            _ID.pack(_packed(destination), struct.pack("!I", spi), _ESP),
            family(source),
            _packed(source),
            REQUEST_ID,
            *(0, 0, 0),  # transport mode, shared by all, required
            *(_ANY_ALGORITHM,) * 3,
        )
        return message(_NEW_POLICY, 0, body + attribute(5, template))

    def _association(self, direction: int) -> bytes:
        source, destination = self._ends(direction)
        inbound = direction == _IN
        spi = self.esp.spi_in if inbound else self.esp.spi_out
        key = self.esp.key_in if inbound else self.esp.key_out
        body = bytes(_SELECTOR.size) + _ID.pack(_packed(destination), struct.pack("!I", spi), _ESP)
        body += _packed(source) + _UNLIMITED + _NOTHING_YET
        body += _SA_TAIL.pack(0, REQUEST_ID, family(source), 0, 0, _ESN_FLAG)
        aead = _AEAD.pack(_ALGORITHM, len(key) * 8, _CHECK_VALUE_BITS) + key
        window = _ESN.pack(_WINDOW_BITS // 32, 0, 0, 0, 0, _WINDOW_BITS) + bytes(_WINDOW_BITS // 8)
        body += attribute(18, aead) + attribute(23, window)
        if inbound:
            body += u32(29, self.mark)
        return message(_NEW_SA, 0, body)

    def _sa_id(self, destination: IpAddress, spi: int) -> bytes:
        octets = struct.pack("!I", spi)
        return _SA_ID.pack(_packed(destination), octets, family(destination), _ESP)


class XfrmSocket(NetlinkSocket):
    """NETLINK_XFRM of the namespace in which it was made.

    Raises:
        MachineError: the kernel has no xfrm_user.
    """

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_XFRM)

    def add(self, pair: EspPair) -> None:
        """Install all of it, or nothing.

        Raises:
            NetlinkError: the kernel refused; EEXIST when these addresses have policies already.
        """
        messages, count = pair.create()
        try:
            self.request(messages, f"ESP between {pair.local} and {pair.remote}", count)
        except NetlinkError as error:
            orders = pair.remove()
            # Policies that were there already are somebody's; associations have SPIs of their own.
            for order in orders[-2:] if error.errno == errno.EEXIST else orders:
                self._quietly(order)
            raise

    def move(self, before: EspPair, after: EspPair) -> None:
        """Take a tunnel's associations to other outer addresses.

        Raises:
            NetlinkError: the kernel refused (it may lack XFRM_MIGRATE).
        """
        messages, count = before.move(after)
        self.request(messages, f"move ESP to {after.local} and {after.remote}", count)
        for order in before.policy_removals():
            self._quietly(order)

    def remove(self, pair: EspPair) -> None:
        """Take away what is there of it."""
        for order in pair.remove():
            self._quietly(order)

    def sweep(self) -> int:
        """Remove every association and policy that this project has made here.

        Returns:
            how many there were.
        """
        found = 0
        for entry in self.dump(message(_GET_SA, DUMP, b""), "associations"):
            (request_id,) = struct.unpack_from("=I", entry, 208)
            if request_id == REQUEST_ID:
                destination, spi, proto = _ID.unpack_from(entry, 56)
                (kin,) = struct.unpack_from("=H", entry, 212)
                self._quietly(message(_DEL_SA, 0, _SA_ID.pack(destination, spi, kin, proto)))
                found += 1
        for entry in self.dump(message(_GET_POLICY, DUMP, b""), "policies"):
            at = entry.find(struct.pack("=I", REQUEST_ID), _POLICY_OCTETS)
            if at >= 0:
                direction = entry[_POLICY_OCTETS - 8]
                body = _POLICY_ID.pack(entry[: _SELECTOR.size], 0, direction)
                self._quietly(message(_DEL_POLICY, 0, body))
                found += 1
        return found

    def _quietly(self, order: bytes) -> None:
        try:
            self.request(order, "remove ESP")
        except NetlinkError as error:
            if error.errno not in ABSENT:
                raise


def _packed(address: IpAddress) -> bytes:
    return address.packed.ljust(16, b"\0")
