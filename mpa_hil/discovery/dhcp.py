"""Agents that DHCP names: for PANA (RFC 5192) and IEEE 802.21 (RFC 5678). Sans-IO.

Octets of options without code and length. That an option is there, or not, says nothing about
whether a network wants PANA: nobody vouches for DHCP (RFC 5192 s7). So these functions only say
where an agent would be; who it is, EAP proves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import NoReturn

from mpa_hil import errors
from mpa_hil.mobility.interface import Address, Endpoint

from .description import MAX_ENDPOINTS, PANA_PORT, CandidateNetwork, is_reachable, is_realm

OPTION_PANA_AGENT = 136
"""DHCPv4 (RFC 5192 s4)."""
OPTION_PANA_AGENT_6 = 40
"""DHCPv6 (RFC 5192 s5)."""
OPTION_MOS_ADDRESS, OPTION_MOS_NAMES = 139, 140
"""DHCPv4: mobility servers by address and by name (RFC 5678 s2, s3)."""
OPTION_MOS_ADDRESS_6, OPTION_MOS_NAMES_6 = 54, 55
"""DHCPv6: the same (RFC 5678 s4, s5)."""


class DecodeError(errors.DecodeError):
    """The octets are no such option."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="DHCP option")


class MobilityService(IntEnum):
    """Sub-options of the RFC 5678 options, one for each kind of server (IEEE 802.21)."""

    INFORMATION = 1
    COMMAND = 2
    EVENT = 3


def decode_agents(octets: bytes) -> tuple[IPv4Address, ...]:
    """DHCPv4 option 136: authentication agents, the preferred one first.

    Raises:
        DecodeError: empty, or not a multiple of 4 octets.
    """
    return tuple(map(IPv4Address, _pieces(octets, 4)))


def decode_agents_6(octets: bytes) -> tuple[IPv6Address, ...]:
    """DHCPv6 option 40: authentication agents, the preferred one first.

    Raises:
        DecodeError: empty, or not a multiple of 16 octets.
    """
    return tuple(map(IPv6Address, _pieces(octets, 16)))


def encode_agents(agents: Sequence[Address]) -> bytes:
    """Either option, of addresses of one family."""
    return b"".join(agent.packed for agent in agents)


def described(
    realm: str, agents: Iterable[Address], *, lifetime_s: int | None = None
) -> CandidateNetwork | None:
    """The network whose DHCP server named these agents, in the same order; None if none will do.

    Args:
        realm: of that network. DHCP does not tell it; whoever asked has to know where it is.
        lifetime_s: of the lease.
    """
    endpoints = dict.fromkeys(Endpoint(agent, PANA_PORT) for agent in agents)
    usable = tuple(each for each in endpoints if is_reachable(each))[:MAX_ENDPOINTS]
    if not usable:
        return None
    if lifetime_s is None:
        return CandidateNetwork(realm, aa=usable)
    return CandidateNetwork(realm, aa=usable, lifetime_s=lifetime_s)


def decode_mobility_servers(
    octets: bytes,
) -> Mapping[MobilityService, tuple[IPv4Address, ...]]:
    """DHCPv4 option 139; sub-option: code and length of an octet each. Unknown ones are skipped.

    Raises:
        DecodeError: broken.
    """
    return MappingProxyType(
        {
            service: tuple(map(IPv4Address, _pieces(value, 4, empty=True)))
            for service, value in _services(octets, 1).items()
        }
    )


def decode_mobility_servers_6(
    octets: bytes,
) -> Mapping[MobilityService, tuple[IPv6Address, ...]]:
    """DHCPv6 option 54; sub-option: code and length of two octets each. Unknown ones are skipped.

    Raises:
        DecodeError: broken.
    """
    return MappingProxyType(
        {
            service: tuple(map(IPv6Address, _pieces(value, 16, empty=True)))
            for service, value in _services(octets, 2).items()
        }
    )


def decode_mobility_names(
    octets: bytes, *, version: int = 4
) -> Mapping[MobilityService, tuple[str, ...]]:
    """DHCPv4 option 140 or DHCPv6 option 55 (`version=6`): names, the preferred one first.

    Raises:
        DecodeError: broken, or a name that is none.
    """
    width = 1 if version == 4 else 2
    services = _services(octets, width)
    return MappingProxyType({service: _names(value) for service, value in services.items()})


def _pieces(octets: bytes, size: int, *, empty: bool = False) -> list[bytes]:
    if len(octets) % size or not (octets or empty):
        _refuse(f"{len(octets)} octets are no addresses of {size} octets")
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def _services(octets: bytes, width: int) -> dict[MobilityService, bytes]:
    found: dict[MobilityService, bytes] = {}
    at = 0
    while at < len(octets):
        head = at + 2 * width
        if head > len(octets):
            _refuse("a sub-option is cut off")
        code = int.from_bytes(octets[at : at + width], "big")
        end = head + int.from_bytes(octets[at + width : head], "big")
        if end > len(octets):
            _refuse(f"sub-option {code} runs past the end")
        if code in MobilityService.__members__.values():
            found[MobilityService(code)] = found.get(MobilityService(code), b"") + octets[head:end]
        at = end
    return found


def _names(octets: bytes) -> tuple[str, ...]:
    """Names as DNS writes them, without compression (RFC 3315 s8)."""
    names: list[str] = []
    labels: list[str] = []
    at = 0
    while at < len(octets):
        length = octets[at]
        at += 1 + length
        if length > 63 or at > len(octets):
            _refuse("a label runs past the end")
        if length:
            labels.append(octets[at - length : at].decode("latin-1").lower())
            continue
        name = ".".join(labels)
        if not is_realm(name):
            _refuse(f"{name[:80]!r} is no host's name")
        names.append(name)
        labels = []
    if labels:
        _refuse("a name does not end")
    return tuple(names)


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
