"""Router advertisements (RFC 4861 s4.2), and the addresses that follow from them. Sans-IO.

The agent passes the advertisement on as it was on the link (RFC 6252 s7.3.1); what it means is read
at both ends by the same code.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Interface, IPv6Network

from mpa_hil import errors

ROUTER_ADVERTISEMENT = 134
"""ICMPv6 type."""
MAXIMUM_OCTETS = 700
"""Of an advertisement that can be passed on: it must fit into one signalling datagram."""
_HEAD = struct.Struct("!BBHBBHII")
_SOURCE_LINK_LAYER, _PREFIX, _MTU, _RDNSS = 1, 3, 5, 25
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_MANAGED, _OTHER = 0x80, 0x40
_INFINITE = 0xFFFFFFFF
_INTERFACE_BITS = 64
"""RFC 4291 s2.5.1: prefixes of another length make no address with an EUI-64."""


class DecodeError(errors.DecodeError):
    """The octets are no router advertisement."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="router advertisement")


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix information option (RFC 4861 s4.6.2)."""

    network: IPv6Network
    on_link: bool
    autonomous: bool
    valid_s: float
    preferred_s: float


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a router says of its link."""

    managed: bool
    """Addresses come by DHCPv6."""
    other: bool
    """Other parameters do."""
    lifetime_s: int
    """As a default router; 0: it is none."""
    prefixes: tuple[Prefix, ...] = ()
    router_mac: bytes = b""
    mtu: int = 0
    """0: it does not say."""
    dns: tuple[IPv6Address, ...] = ()
    """Recursive servers (RFC 8106 s5.1) whose lifetime is not 0."""
    octets: bytes = field(default=b"", repr=False, compare=False)
    """As received."""

    def address_for(self, mac: bytes) -> IPv6Interface | None:
        """The address that a node with this MAC address makes of the first prefix meant for it."""
        for prefix in self.prefixes:
            usable = prefix.autonomous and prefix.valid_s > 0
            if usable and prefix.network.prefixlen == _INTERFACE_BITS:
                return eui64(prefix.network, mac)
        return None

    @property
    def on_link(self) -> tuple[IPv6Network, ...]:
        """Prefixes of the link."""
        return tuple(each.network for each in self.prefixes if each.on_link)

    def valid_s(self, address: IPv6Address) -> float:
        """How long the prefix of an address is good for; 0: it is not of this link."""
        return max((p.valid_s for p in self.prefixes if address in p.network), default=0)


def eui64(network: IPv6Network, mac: bytes) -> IPv6Interface:
    """Prefix and modified EUI-64 (RFC 4291 appendix A)."""
    identifier = bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Interface((network.network_address.packed[:8] + identifier, network.prefixlen))


def decode(octets: bytes) -> Advertisement:
    """What an ICMPv6 message, from its type on, advertises. The checksum is the kernel's, or the
    caller's, business.

    Raises:
        DecodeError: it is no router advertisement, or not as RFC 4861 s6.1.2 has it.
    """
    if not _HEAD.size <= len(octets) <= MAXIMUM_OCTETS:
        raise DecodeError(f"{len(octets)} octets")
    kind, code, _, _, flags, lifetime_s, _, _ = _HEAD.unpack_from(octets)
    if kind != ROUTER_ADVERTISEMENT or code:
        raise DecodeError(f"ICMPv6 type {kind}, code {code}")
    prefixes: list[Prefix] = []
    dns: list[IPv6Address] = []
    mac, mtu = b"", 0
    at = _HEAD.size
    while at < len(octets):
        length = octets[at + 1] * 8 if at + 1 < len(octets) else 0
        option = octets[at : at + length]
        if not length or len(option) < length:
            raise DecodeError("an option is cut off, or has no length")
        at += length
        if option[0] == _SOURCE_LINK_LAYER and length == 8:
            mac = option[2:8]
        elif option[0] == _PREFIX and length == 32:
            prefixes.append(_prefix(option))
        elif option[0] == _MTU and length == 8:
            mtu = int.from_bytes(option[4:8], "big")
        elif option[0] == _RDNSS and length >= 24 and any(option[4:8]):
            found = range(8, length - 15, 16)
            dns += [IPv6Address(option[start : start + 16]) for start in found]
    managed, other = bool(flags & _MANAGED), bool(flags & _OTHER)
    return Advertisement(managed, other, lifetime_s, tuple(prefixes), mac, mtu, tuple(dns), octets)


def _prefix(option: bytes) -> Prefix:
    bits, flags, valid, preferred = struct.unpack_from("!BBII", option, 2)
    if bits > 128:
        raise DecodeError(f"a prefix of {bits} bits")
    # Bits beyond the length are reserved, and to be ignored (RFC 4861 s4.6.2).
    network = IPv6Network((option[16:32], bits), strict=False)
    on_link, autonomous = bool(flags & _ON_LINK), bool(flags & _AUTONOMOUS)
    return Prefix(network, on_link, autonomous, _time(valid), _time(preferred))


def _time(seconds: int) -> float:
    return math.inf if seconds == _INFINITE else float(seconds)
