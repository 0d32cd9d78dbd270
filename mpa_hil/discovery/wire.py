"""Descriptions of candidate networks as octets: compact, versioned, bounded. Sans-IO.

    octet 0             version, 1
    then each network   its length (2 octets), lifetime in s (4 octets), fields
    each field          type (1 octet), length (1 octet), value

Fields of an unknown type are skipped, so later versions may add some; repeated ones keep their
order. Numbers are in network byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NoReturn

from mpa_hil import errors
from mpa_hil.mobility.interface import Endpoint

from .description import MAX_POINTS, Akm, CandidateNetwork, Pmf, PointOfAttachment

VERSION = 1
MAX_NETWORKS = 16
"""In one message: more neighbours than an MN could pre-authenticate with (32 PMKs in all)."""
MAX_OCTETS = 8192
"""Of one message, so that a decoder's work is bounded; 16 networks of 4 PoAs take 3,000."""

_NETWORK = struct.Struct("!HI")
_POINT = struct.Struct("!6sHBBB")


class Field(IntEnum):
    """What a field holds."""

    REALM = 1
    NAME = 2
    AA_IDENTITY = 3
    AA = 4
    """Port (2 octets), then the address, 4 or 16 octets; so are CA and AR."""
    CA = 5
    AR = 6
    POINT = 7
    """BSSID (6), MHz (2), AKMs as bits (1), PMF (1), length of the SSID (1), SSID, name."""


class DecodeError(errors.DecodeError):
    """The octets describe no candidate networks."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="description of candidate networks")


def encode(networks: Sequence[CandidateNetwork]) -> bytes:
    """The octets of some descriptions, in this order.

    Raises:
        errors.LocalError: more than MAX_NETWORKS, or more than MAX_OCTETS.
    """
    encoded = bytes((VERSION,)) + b"".join(map(_encode_network, networks))
    if len(networks) > MAX_NETWORKS or len(encoded) > MAX_OCTETS:
        raise errors.LocalError(
            f"{len(networks)} descriptions of {len(encoded)} octets in one message",
            remedy=f"send at most {MAX_NETWORKS} networks in {MAX_OCTETS} octets",
        )
    return encoded


def fitting(networks: Sequence[CandidateNetwork], octets: int) -> tuple[CandidateNetwork, ...]:
    """As many of the first networks as `encode` can put into so many octets.

    The first one alone loses its last points of attachment, where that makes it fit.
    """
    kept: list[CandidateNetwork] = []
    room = min(octets, MAX_OCTETS) - 1
    for network in networks[:MAX_NETWORKS]:
        room -= len(_encode_network(network))
        if room < 0:
            break
        kept.append(network)
    if networks and not kept:
        network = networks[0]
        while network.points and room < 0:
            room += 2 + len(_encode_point(network.points[-1]))
            network = replace(network, points=network.points[:-1])
        kept += [network] if room >= 0 else []
    return tuple(kept)


def decode(octets: bytes) -> tuple[CandidateNetwork, ...]:
    """The descriptions in a message.

    Raises:
        DecodeError: another version, too long, cut off, or a value that cannot be.
    """
    if not octets or octets[0] != VERSION:
        _refuse(f"version {octets[0] if octets else 'nothing'}, not {VERSION}")
    if len(octets) > MAX_OCTETS:
        _refuse(f"{len(octets)} octets, at most {MAX_OCTETS} are read")
    networks: list[CandidateNetwork] = []
    at = 1
    while at < len(octets):
        if len(networks) == MAX_NETWORKS:
            _refuse(f"more than {MAX_NETWORKS} networks")
        if len(octets) - at < _NETWORK.size:
            _refuse("the head of a network is cut off")
        length, lifetime_s = _NETWORK.unpack_from(octets, at)
        end = at + 2 + length
        if length < 4 or end > len(octets):
            _refuse(f"a network of {length} octets runs past the end")
        try:
            networks.append(_decode_network(octets[at + _NETWORK.size : end], lifetime_s))
        except errors.LocalError as error:
            raise DecodeError(error.what) from None
        at = end
    return tuple(networks)


def _encode_network(network: CandidateNetwork) -> bytes:
    fields = [_field(Field.REALM, network.realm.encode())]
    if network.name:
        fields.append(_field(Field.NAME, network.name.encode()))
    if network.aa_identity:
        fields.append(_field(Field.AA_IDENTITY, network.aa_identity.encode()))
    for kind, endpoints in ((Field.AA, network.aa), (Field.CA, network.ca), (Field.AR, network.ar)):
        fields += [_field(kind, _encode_endpoint(endpoint)) for endpoint in endpoints]
    fields += [_field(Field.POINT, _encode_point(point)) for point in network.points]
    body = b"".join(fields)
    return _NETWORK.pack(len(body) + 4, network.lifetime_s) + body


def _field(kind: Field, value: bytes) -> bytes:
    return bytes((kind, len(value))) + value


def _encode_endpoint(endpoint: Endpoint) -> bytes:
    return endpoint.port.to_bytes(2, "big") + endpoint.address.packed


def _encode_point(point: PointOfAttachment) -> bytes:
    fixed = _POINT.pack(
        bytes.fromhex(point.bssid.replace(":", "")),
        point.frequency_mhz,
        sum(1 << akm for akm in point.akms),
        point.pmf,
        len(point.ssid),
    )
    return fixed + point.ssid + point.name.encode()


def _decode_network(body: bytes, lifetime_s: int) -> CandidateNetwork:
    words: dict[int, str] = {}
    endpoints: dict[int, list[Endpoint]] = {Field.AA: [], Field.CA: [], Field.AR: []}
    points: list[PointOfAttachment] = []
    for kind, value in _fields(body):
        if kind in (Field.REALM, Field.NAME, Field.AA_IDENTITY):
            if kind in words or not value:
                _refuse(f"field {kind} twice or empty")
            words[kind] = _ascii(value)
        elif kind in endpoints:
            endpoints[kind].append(_decode_endpoint(value))
        elif kind == Field.POINT:
            if len(points) == MAX_POINTS:
                _refuse(f"more than {MAX_POINTS} points of attachment")
            points.append(_decode_point(value))
    return CandidateNetwork(
        realm=words.get(Field.REALM, ""),
        points=tuple(points),
        aa=tuple(endpoints[Field.AA]),
        ca=tuple(endpoints[Field.CA]),
        ar=tuple(endpoints[Field.AR]),
        aa_identity=words.get(Field.AA_IDENTITY, ""),
        name=words.get(Field.NAME, ""),
        lifetime_s=lifetime_s,
    )


def _fields(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
            _refuse(f"field {body[at]} runs past the end of its network")
        end = at + 2 + body[at + 1]
        yield body[at], body[at + 2 : end]
        at = end


def _decode_endpoint(value: bytes) -> Endpoint:
    if len(value) not in (6, 18):
        _refuse(f"an endpoint of {len(value)} octets")
    address = IPv4Address(value[2:]) if len(value) == 6 else IPv6Address(value[2:])
    return Endpoint(address, int.from_bytes(value[:2], "big"))


def _decode_point(value: bytes) -> PointOfAttachment:
    if len(value) < _POINT.size:
        _refuse(f"a point of attachment of {len(value)} octets")
    bssid, frequency_mhz, akms, pmf, ssid_length = _POINT.unpack_from(value)
    name_at = _POINT.size + ssid_length
    if name_at > len(value):
        _refuse("an SSID runs past the end of its point of attachment")
    if pmf not in Pmf.__members__.values():
        _refuse(f"PMF {pmf}")
    if akms & ~_KNOWN_AKMS:
        _refuse(f"AKM bits {akms:#04x}")
    return PointOfAttachment(
        name=_ascii(value[name_at:]),
        ssid=value[_POINT.size : name_at],
        bssid=bssid.hex(":"),
        frequency_mhz=frequency_mhz,
        akms=tuple(akm for akm in Akm if akms >> akm & 1),
        pmf=Pmf(pmf),
    )


_KNOWN_AKMS = sum(1 << akm for akm in Akm)


def _ascii(value: bytes) -> str:
    if not value.isascii():
        _refuse("a name that is not ASCII")
    return value.decode("ascii")


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
