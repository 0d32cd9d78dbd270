"""Replies of wpa_supplicant and hostapd as typed records. Pure: text in, records out.

Parsers pass over lines that they do not understand, so that a newer daemon's additions harm nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from radios.signal import SignalSample, known_noise, sample
from radios.wpa_text import find_mac, integer, pairs, table, unescape

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class Status:
    """wpa_supplicant's STATUS; `fields` has every line of it."""

    state: str
    bssid: str | None
    frequency_mhz: int | None
    ssid: bytes
    network_id: int | None
    key_management: str
    address: str | None
    fields: Mapping[str, str] = field(repr=False, hash=False)

    @property
    def completed(self) -> bool:
        """Associated and all keys in place."""
        return self.state == "COMPLETED"


@dataclass(frozen=True, slots=True)
class ScanEntry:
    """One line of SCAN_RESULTS."""

    bssid: str
    frequency_mhz: int
    signal_dbm: int
    flags: tuple[str, ...]
    ssid: bytes


@dataclass(frozen=True, slots=True)
class Bss:
    """What wpa_supplicant knows of one access point; ages in whole seconds."""

    bssid: str
    frequency_mhz: int
    signal_dbm: int
    noise_dbm: int | None
    age_s: int | None
    beacon_interval_tu: int | None
    flags: tuple[str, ...]
    ssid: bytes
    elements: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListedNetwork:
    """One line of LIST_NETWORKS."""

    network_id: int
    ssid: bytes
    bssid: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PmksaEntry:
    """One cached PMK: the peer (a BSSID or a station) and its name, never the key."""

    peer: str
    pmkid: bytes
    expires_s: int
    opportunistic: bool


@dataclass(frozen=True, slots=True)
class ApStatus:
    """hostapd's STATUS; `fields` has every line of it."""

    state: str
    frequency_mhz: int | None
    bssid: str | None
    ssid: bytes
    stations: int | None
    fields: Mapping[str, str] = field(repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class Station:
    """A station of an access point; `fields` has every line about it."""

    address: str
    flags: tuple[str, ...]
    signal_dbm: int | None
    fields: Mapping[str, str] = field(repr=False, hash=False)

    @property
    def authorized(self) -> bool:
        """Its port is open."""
        return "AUTHORIZED" in self.flags


def parse_status(reply: str) -> Status:
    """STATUS of wpa_supplicant."""
    found = pairs(reply)
    return Status(
        state=found.get("wpa_state", ""),
        bssid=find_mac(found.get("bssid", "")),
        frequency_mhz=integer(found.get("freq")),
        ssid=unescape(found.get("ssid", "")),
        network_id=integer(found.get("id")),
        key_management=found.get("key_mgmt", ""),
        address=find_mac(found.get("address", "")),
        fields=MappingProxyType(found),
    )


def parse_scan_results(reply: str) -> tuple[ScanEntry, ...]:
    """SCAN_RESULTS: BSSID, frequency, level, flags, SSID, separated by tabs."""
    entries = []
    for row in table(reply):
        if len(row) < 4:
            continue
        bssid, frequency, level = find_mac(row[0]), integer(row[1]), integer(row[2])
        if bssid is None or frequency is None or level is None:
            continue
        ssid = unescape(row[4]) if len(row) > 4 else b""
        entries.append(ScanEntry(bssid, frequency, level, _flags(row[3]), ssid))
    return tuple(entries)


def parse_bss(reply: str) -> Bss | None:
    """BSS: one access point, None for the empty reply that means "unknown"."""
    found = pairs(reply)
    bssid, frequency = find_mac(found.get("bssid", "")), integer(found.get("freq"))
    level = integer(found.get("level"))
    if bssid is None or frequency is None or level is None:
        return None
    elements = found.get("ie", "")
    return Bss(
        bssid=bssid,
        frequency_mhz=frequency,
        signal_dbm=level,
        # The kernel gives noise here only after a survey; wpa_supplicant else fills in a default,
        # which cannot be told from a measured value.
        noise_dbm=known_noise(integer(found.get("noise"))),
        age_s=integer(found.get("age")),
        beacon_interval_tu=integer(found.get("beacon_int")),
        flags=_flags(found.get("flags", "")),
        ssid=unescape(found.get("ssid", "")),
        elements=bytes.fromhex(elements) if _HEX.fullmatch(elements) else b"",
    )


def parse_networks(reply: str) -> tuple[ListedNetwork, ...]:
    """LIST_NETWORKS: id, SSID, BSSID, flags, separated by tabs."""
    networks = []
    for row in table(reply):
        number = integer(row[0])
        if number is not None and len(row) >= 3:
            flags = _flags(row[3]) if len(row) > 3 else ()
            networks.append(ListedNetwork(number, unescape(row[1]), row[2], flags))
    return tuple(networks)


def parse_pmksa(reply: str) -> tuple[PmksaEntry, ...]:
    """PMKSA of either daemon: index, peer, PMKID, expiration, opportunistic, after a heading."""
    entries = []
    for line in reply.split("\n"):
        words = line.split()
        if len(words) < 5 or integer(words[0]) is None or not _HEX.fullmatch(words[2]):
            continue
        peer, expires = find_mac(words[1]), integer(words[3])
        if peer is not None and expires is not None:
            entries.append(PmksaEntry(peer, bytes.fromhex(words[2]), expires, words[4] == "1"))
    return tuple(entries)


def parse_pmks(reply: str) -> tuple[bytes, ...]:
    """PMKSA_GET of wpa_supplicant: peer, PMKID, PMK, and what `pmksa_add` takes after them."""
    words = (line.split() for line in reply.split("\n"))
    return tuple(
        bytes.fromhex(found[2])
        for found in words
        if len(found) >= 6 and find_mac(found[0]) and _HEX.fullmatch(found[2])
    )


def parse_signal_poll(reply: str, t_ns: int, bssid: str) -> SignalSample:
    """SIGNAL_POLL of wpa_supplicant."""
    found = pairs(reply)
    return sample(
        t_ns,
        bssid,
        integer(found.get("FREQUENCY")),
        integer(found.get("RSSI")),
        source="signal_poll",
        average_dbm=integer(found.get("AVG_RSSI")),
        beacon_average_dbm=integer(found.get("AVG_BEACON_RSSI")),
        noise_dbm=integer(found.get("NOISE")),
    )


def parse_ap_status(reply: str) -> ApStatus:
    """STATUS of hostapd, first BSS."""
    found = pairs(reply)
    return ApStatus(
        state=found.get("state", ""),
        frequency_mhz=integer(found.get("freq")),
        bssid=find_mac(found.get("bssid[0]", "")),
        ssid=unescape(found.get("ssid[0]", "")),
        stations=integer(found.get("num_sta[0]")),
        fields=MappingProxyType(found),
    )


def parse_station(reply: str) -> Station | None:
    """STA, STA-FIRST or STA-NEXT of hostapd; None for the empty reply that ends the list."""
    address = find_mac(reply.partition("\n")[0])
    if address is None:
        return None
    found = pairs(reply)
    return Station(
        address=address,
        flags=_flags(found.get("flags", "")),
        signal_dbm=integer(found.get("signal")),
        fields=MappingProxyType(found),
    )


def _flags(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\[([^\]]*)\]", text))
