"""Elements of the Access Network Query Protocol (802.11u). Pure: text and octets in, records out.

wpa_supplicant keeps what an access point answered and tells it by `BSS`: elements that it knows by
name, any other by number. Vendor-specific elements of vendors that it does not know it throws away,
so an element of one's own needs an Info ID of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from radios.errors import LocalError, RemoteError
from radios.wpa_text import pairs

QUERY_DONE = "ANQP-QUERY-DONE"
"""wpa_supplicant's event at the end of a query: `addr=BSSID result=SUCCESS`."""
MAX_ELEMENT_OCTETS = 1500
"""wpa_supplicant tells all it has in one reply of 4096 characters, two to an octet."""
BSS_MASK = 0x8002
"""Of `BSS BSSID MASK=`: BSSID and ANQP elements only (hostap, WPA_BSS_MASK_INTERNETW)."""

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_NUMBERED = re.compile(r"anqp\[([0-9]{1,5})\]")


class AnqpError(RemoteError):
    """An element that an access point sent cannot be read."""


class InfoId(IntEnum):
    """Elements of interest here (IEEE 802.11 table 9-331)."""

    VENUE_NAME = 258
    ROAMING_CONSORTIUM = 261
    NAI_REALM = 263
    DOMAIN_NAME = 268
    NEIGHBOR_REPORT = 272
    VENUE_URL = 277


_NAMED = {
    "anqp_venue_name": InfoId.VENUE_NAME,
    "anqp_roaming_consortium": InfoId.ROAMING_CONSORTIUM,
    "anqp_nai_realm": InfoId.NAI_REALM,
    "anqp_domain_name": InfoId.DOMAIN_NAME,
}


@dataclass(frozen=True, slots=True)
class NaiRealm:
    """Realms whose users may come in here, and the EAP methods that they may use."""

    names: tuple[str, ...]
    eap_methods: tuple[int, ...] = ()


def parse_bss(reply: str) -> Mapping[int, bytes]:
    """The elements in a BSS reply by Info ID; empty and garbled ones are passed over."""
    found: dict[int, bytes] = {}
    for key, value in pairs(reply).items():
        numbered = _NUMBERED.fullmatch(key)
        number = int(numbered[1]) if numbered else _NAMED.get(key)
        if number is not None and value and _HEX.fullmatch(value):
            found[number] = bytes.fromhex(value)
    return found


def configured(info_id: int, octets: bytes) -> str:
    """The value of hostapd's `anqp_elem` for one element.

    Raises:
        LocalError: no Info ID of an element, or one that would not come through.
    """
    if not 257 <= info_id <= 0xFFFF:
        raise LocalError(f"{info_id} is no ANQP element's Info ID", remedy="257 to 65535")
    if not 1 <= len(octets) <= MAX_ELEMENT_OCTETS:
        raise LocalError(
            f"an ANQP element of {len(octets)} octets", remedy=f"1 to {MAX_ELEMENT_OCTETS} octets"
        )
    return f"{info_id}:{octets.hex()}"


def domain_names(octets: bytes) -> tuple[str, ...]:
    """The operator's domain names (s9.4.5.15), lower case; what is not ASCII is left out.

    Raises:
        AnqpError: a name runs past the end.
    """
    found: list[str] = []
    at = 0
    while at < len(octets):
        end = at + 1 + octets[at]
        if end > len(octets):
            raise AnqpError("a domain name runs past the end of its element")
        name = octets[at + 1 : end]
        if name and name.isascii():
            found.append(name.decode("ascii").lower())
        at = end
    return tuple(found)


def nai_realms(octets: bytes) -> tuple[NaiRealm, ...]:
    """The NAI realm list (s9.4.5.10); realms that are not UTF-8 are left out.

    Raises:
        AnqpError: something runs past the end.
    """
    if len(octets) < 2:
        raise AnqpError(f"an NAI realm list of {len(octets)} octets")
    count, at = int.from_bytes(octets[:2], "little"), 2
    found: list[NaiRealm] = []
    for _ in range(count):
        if at + 2 > len(octets):
            raise AnqpError("the NAI realm list is shorter than it says")
        end = at + 2 + int.from_bytes(octets[at : at + 2], "little")
        if end > len(octets):
            raise AnqpError("a realm runs past the end of the NAI realm list")
        found.append(_realm(octets[at + 2 : end]))
        at = end
    return tuple(found)


def _realm(octets: bytes) -> NaiRealm:
    if len(octets) < 2 or 2 + octets[1] > len(octets):
        raise AnqpError("a realm's names run past its end")
    at = 2 + octets[1]
    try:
        names = tuple(name for name in octets[2:at].decode().lower().split(";") if name)
    except UnicodeDecodeError:
        names = ()
    if at == len(octets):
        return NaiRealm(names)
    methods: list[int] = []
    count, at = octets[at], at + 1
    for _ in range(count):
        if at + 2 > len(octets) or at + 1 + octets[at] > len(octets) or not octets[at]:
            raise AnqpError("an EAP method runs past the end of its realm")
        methods.append(octets[at + 1])
        at += 1 + octets[at]
    return NaiRealm(names, tuple(methods))


def venue_urls(octets: bytes) -> tuple[str, ...]:
    """The venue URLs (s9.4.5.20): what is not printable ASCII is left out.

    Raises:
        AnqpError: a URL runs past the end.
    """
    found: list[str] = []
    at = 0
    while at < len(octets):
        length = octets[at]  # of the venue's number and the URL
        end = at + 1 + length
        if not length or end > len(octets):
            raise AnqpError("a venue URL runs past the end of its element")
        url = octets[at + 2 : end]
        if url and all(0x21 <= octet <= 0x7E for octet in url):
            found.append(url.decode("ascii"))
        at = end
    return tuple(found)
