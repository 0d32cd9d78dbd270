"""The configuration protocol: kinds of requests and answers, and the values in them. Sans-IO.

Carried by `mpa_hil.signalling` under the MN-CA key.

    request       values                                            answer
    CONFIGURE     METHOD MAC CLIENT_ID [IAID HOSTNAME WANTED        OK or REFUSED
                  DECLINE]
    RENEW         ADDRESS                                           OK or REFUSED
    RELEASE       [ADDRESS], without it: whatever there is          OK
    TAKE_OVER     [ADDRESS]                                         OK

    OK to CONFIGURE and RENEW    ADDRESS PREFIX_LENGTH ROUTER ROUTER_MAC DNS* LEASE KEEP
                                 LINK_PREFIX* [SERVER RA]
    OK with stateless addresses  the same without ADDRESS: the MN makes it from RA
    REFUSED                      CODE TEXT
"""

from __future__ import annotations

import math
from enum import IntEnum
from ipaddress import ip_interface, ip_network

from mpa_hil import errors
from mpa_hil.configuration import advertisement
from mpa_hil.configuration.interface import (
    Code,
    Configuration,
    Interface,
    Method,
    Network,
    Refused,
    Wish,
)
from mpa_hil.mobility.interface import Address
from mpa_hil.signalling.values import Pair, Values

INFINITE = 0xFFFFFFFF
"""Of seconds: without end, as in DHCP."""


class DecodeError(errors.DecodeError):
    """Authentic, and yet nothing of this protocol."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="configuration protocol")


class Ask(IntEnum):
    """Kinds of requests."""

    CONFIGURE = 1
    RENEW = 2
    RELEASE = 3
    TAKE_OVER = 4


class Tell(IntEnum):
    """Kinds of answers."""

    OK = 1
    REFUSED = 2


class Value(IntEnum):
    """Types of values."""

    METHOD = 1
    MAC = 2
    CLIENT_ID = 3
    IAID = 4
    HOSTNAME = 5
    WANTED = 6
    DECLINE = 7
    ADDRESS = 8
    PREFIX_LENGTH = 9
    ROUTER = 10
    ROUTER_MAC = 11
    DNS = 12
    LEASE = 13
    """Seconds left, 4 octets."""
    KEEP = 14
    LINK_PREFIX = 15
    """An address, then one octet of length."""
    SERVER = 16
    RA = 17
    CODE = 18
    TEXT = 19


def wish_values(wish: Wish) -> list[Pair]:
    """CONFIGURE."""
    values: list[Pair] = [
        (Value.METHOD, bytes((wish.method,))),
        (Value.MAC, wish.mac),
        (Value.CLIENT_ID, wish.client_id),
        (Value.IAID, wish.association.to_bytes(4, "big")),
    ]
    if wish.hostname:
        values.append((Value.HOSTNAME, wish.hostname.encode()))
    if wish.wanted is not None:
        values.append((Value.WANTED, wish.wanted.packed))
    if wish.decline is not None:
        values.append((Value.DECLINE, wish.decline.packed))
    return values


def wish_of(values: Values) -> Wish:
    """Raises errors.DecodeError for what is no CONFIGURE."""
    try:
        method = Method(values.number(Value.METHOD, 1))
        wish = Wish(
            method,
            values.one(Value.MAC, 6),
            values.one(Value.CLIENT_ID),
            values.number(Value.IAID, 4),
            values.text(Value.HOSTNAME, ""),
            _optional_address(values, Value.WANTED),
            _optional_address(values, Value.DECLINE),
        )
    except (ValueError, errors.LocalError) as error:
        raise DecodeError(str(error)) from None
    values.done()
    family = 4 if method is Method.DHCPV4 else 6
    if any(each is not None and each.version != family for each in (wish.wanted, wish.decline)):
        raise DecodeError("an address of the other family")
    if not _is_name(wish.hostname):
        raise DecodeError("its host name is none")
    return wish


def address_values(address: Address) -> list[Pair]:
    """RENEW, RELEASE, TAKE_OVER."""
    return [(Value.ADDRESS, address.packed)]


def address_of(values: Values) -> Address | None:
    """Which address is meant, None: all that there are. Raises errors.DecodeError."""
    address = _optional_address(values, Value.ADDRESS)
    values.done()
    return address


def configuration_values(configuration: Configuration, *, stateless: bool) -> list[Pair]:
    """OK to CONFIGURE and RENEW.

    Args:
        stateless: the address is left out; what there is of it in `configuration` is not sent.
    """
    values: list[Pair] = []
    if not stateless:
        length = configuration.address.network.prefixlen
        values.append((Value.ADDRESS, configuration.address.ip.packed))
        values.append((Value.PREFIX_LENGTH, bytes((length,))))
    values.append((Value.ROUTER, configuration.router.packed))
    if configuration.router_mac:
        values.append((Value.ROUTER_MAC, configuration.router_mac))
    values += [(Value.DNS, each.packed) for each in configuration.dns]
    values.append((Value.LEASE, _seconds(configuration.lease_s)))
    values.append((Value.KEEP, _seconds(configuration.keep_s)))
    for prefix in configuration.link_prefixes:
        octets = prefix.network_address.packed + bytes((prefix.prefixlen,))
        values.append((Value.LINK_PREFIX, octets))
    if configuration.server is not None:
        values.append((Value.SERVER, configuration.server.packed))
    if configuration.ra:
        values.append((Value.RA, configuration.ra))
    return values


def configuration_of(values: Values, mac: bytes) -> Configuration:
    """What an OK says.

    Args:
        mac: of the MN's interface: a stateless address is made from it.

    Raises:
        errors.DecodeError: it says nothing that the MN could use.
    """
    router = values.address(Value.ROUTER)
    router_mac = values.optional(Value.ROUTER_MAC, 6) or b""
    dns = values.addresses(Value.DNS)
    lease_s, keep_s = (_of_seconds(values.number(kind, 4)) for kind in (Value.LEASE, Value.KEEP))
    prefixes = tuple(map(_prefix, values.all(Value.LINK_PREFIX)))
    server = _optional_address(values, Value.SERVER)
    ra = values.optional(Value.RA) or b""
    address = _optional_address(values, Value.ADDRESS)
    length = values.number(Value.PREFIX_LENGTH, 1, 0)
    values.done()
    if address is None:
        advertised = advertisement.decode(ra)
        made = advertised.address_for(mac)
        if made is None:
            raise DecodeError("the advertisement has no prefix to make an address from")
        interface: Interface = made
    else:
        try:
            interface = ip_interface((address.packed, length))
        except ValueError:
            raise DecodeError(f"a prefix of {length} bits") from None
    if router.version != interface.version or not lease_s > 0:
        raise DecodeError("a router of the other family, or a lease that is over")
    return Configuration(interface, router, router_mac, dns, lease_s, keep_s, prefixes, server, ra)


def refusal_values(code: Code, text: str) -> list[Pair]:
    """REFUSED."""
    return [(Value.CODE, bytes((code,))), (Value.TEXT, text.encode()[:200])]


def refusal_of(values: Values) -> Refused:
    """Raises errors.DecodeError for what is no REFUSED."""
    number = values.number(Value.CODE, 1)
    text = values.one(Value.TEXT).decode(errors="replace")
    values.done()
    try:
        return Refused(Code(number), text)
    except ValueError:
        raise DecodeError(f"code {number}") from None


def _optional_address(values: Values, kind: Value) -> Address | None:
    found = values.addresses(kind)
    if len(found) > 1:
        raise DecodeError(f"several values {kind.name}")
    return found[0] if found else None


def _prefix(octets: bytes) -> Network:
    if len(octets) not in (5, 17):
        raise DecodeError("a prefix has an address and a length")
    try:
        return ip_network((octets[:-1], octets[-1]))
    except ValueError:
        raise DecodeError("a prefix with bits set beyond its length") from None


def _seconds(value: float) -> bytes:
    return (INFINITE if math.isinf(value) else min(int(value), INFINITE - 1)).to_bytes(4, "big")


def _of_seconds(number: int) -> float:
    return math.inf if number == INFINITE else float(number)


def _is_name(text: str) -> bool:
    """A host name in the lab's and the server's logs: letters, digits, hyphens (RFC 1123 s2.1)."""
    return all(each.isascii() and (each.isalnum() or each == "-") for each in text)
