"""What a hostapd answers to stations that ask before they join: 802.11u interworking, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from radios.anqp import configured
from radios.errors import LocalError

_REALM = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_URL = re.compile(r"https?://[!-~]{1,240}")

EAP_TLS = 13
"""Of the EAP methods' numbers (IANA); EAP-TTLS is 21."""


@dataclass(frozen=True, slots=True)
class Interworking:
    """The interworking element and what ANQP tells."""

    access_network_type: int = 0
    """0 private, 2 chargeable public, 3 free public (IEEE 802.11 table 9-236)."""
    internet: bool = True
    domain_names: tuple[str, ...] = ()
    """The operator's own."""
    realms: tuple[str, ...] = ()
    """Users of these realms may come in."""
    eap_methods: tuple[int, ...] = (EAP_TLS,)
    """By which they authenticate."""
    venue_url: str | None = None
    elements: tuple[tuple[int, bytes], ...] = ()
    """More elements, as Info ID and octets."""

    def lines(self) -> list[str]:
        """Lines of hostapd's configuration file.

        Raises:
            LocalError: a value that hostapd would refuse or misread.
        """
        if not 0 <= self.access_network_type <= 15:
            raise LocalError(f"access network type {self.access_network_type}", remedy="0 to 15")
        for realm in (*self.domain_names, *self.realms):
            if not _REALM.fullmatch(realm):
                raise LocalError(f"{realm!r} is not a realm", remedy="write it like home.example")
        for method in self.eap_methods:
            if not 4 <= method <= 254:
                raise LocalError(f"{method} is no EAP method", remedy=f"EAP-TLS is {EAP_TLS}")
        if self.venue_url is not None and not _URL.fullmatch(self.venue_url):
            raise LocalError(f"{self.venue_url!r} is not a URL", remedy="http:// or https://")
        lines = [
            "interworking=1",
            f"access_network_type={self.access_network_type}",
            f"internet={int(self.internet)}",
        ]
        if self.domain_names:
            lines.append(f"domain_name={','.join(self.domain_names)}")
        if self.realms:
            words = ("0", ";".join(self.realms), *map(str, self.eap_methods))
            lines.append(f"nai_realm={','.join(words)}")
        if self.venue_url:
            lines.append(f"venue_url=1:{self.venue_url}")
        lines += [f"anqp_elem={configured(number, octets)}" for number, octets in self.elements]
        return lines
