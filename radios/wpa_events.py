"""Unsolicited messages of wpa_supplicant and hostapd as typed events. Pure, no I/O.

An event datagram is `<LEVEL>TEXT`, on a global socket preceded by `IFNAME=wlan0 `
(hostap, src/common/wpa_ctrl.h). Some texts start with a name in capitals, some are sentences; a
sentence that matters for a handover gets a name here too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from radios.wpa_text import find_mac, integer

CONNECTED = "CTRL-EVENT-CONNECTED"
DISCONNECTED = "CTRL-EVENT-DISCONNECTED"
SIGNAL_CHANGE = "CTRL-EVENT-SIGNAL-CHANGE"
BEACON_LOSS = "CTRL-EVENT-BEACON-LOSS"
SCAN_STARTED = "CTRL-EVENT-SCAN-STARTED"
SCAN_RESULTS = "CTRL-EVENT-SCAN-RESULTS"
SCAN_FAILED = "CTRL-EVENT-SCAN-FAILED"
ASSOC_REJECT = "CTRL-EVENT-ASSOC-REJECT"
AUTH_REJECT = "CTRL-EVENT-AUTH-REJECT"
NETWORK_NOT_FOUND = "CTRL-EVENT-NETWORK-NOT-FOUND"
SSID_TEMP_DISABLED = "CTRL-EVENT-SSID-TEMP-DISABLED"
TERMINATING = "CTRL-EVENT-TERMINATING"
EAP_STARTED = "CTRL-EVENT-EAP-STARTED"
EAP_METHOD = "CTRL-EVENT-EAP-METHOD"
EAP_SUCCESS = "CTRL-EVENT-EAP-SUCCESS"
EAP_FAILURE = "CTRL-EVENT-EAP-FAILURE"
EAP_PEER_CERT = "CTRL-EVENT-EAP-PEER-CERT"
STATION_CONNECTED = "AP-STA-CONNECTED"
STATION_DISCONNECTED = "AP-STA-DISCONNECTED"
AP_ENABLED = "AP-ENABLED"

AUTHENTICATING = "AUTHENTICATING"
"""Named here: `SME: Trying to authenticate with BSSID (SSID='..' freq=2412 MHz)`."""
ASSOCIATING = "ASSOCIATING"
"""Named here: `Trying to associate with BSSID (SSID='..' freq=2412 MHz)`."""
ASSOCIATED = "ASSOCIATED"
"""Named here: `Associated with BSSID`."""
KEYS_NEGOTIATED = "KEYS-NEGOTIATED"
"""Named here: `WPA: Key negotiation completed with BSSID [PTK=CCMP GTK=CCMP]`."""
PREAUTHENTICATED = "PREAUTHENTICATED"
"""Named here: `RSN: pre-authentication with BSSID completed successfully`, or `failed`."""
MESSAGE = "MESSAGE"
"""Named here: any other sentence."""

_ENVELOPE = re.compile(r"(?:IFNAME=(\S+) )?<(\d{1,2})>(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)+")
_FIELD = re.compile(r"""([A-Za-z_][A-Za-z0-9_]*)=('(?:[^']*)'|"(?:[^"]*)"|[^\s\])]*)""")
_SENTENCES = (
    (re.compile(r"(?:SME: )?Trying to authenticate with "), AUTHENTICATING),
    (re.compile(r"Trying to associate with "), ASSOCIATING),
    (re.compile(r"Associated with "), ASSOCIATED),
    (re.compile(r"WPA: Key negotiation completed with "), KEYS_NEGOTIATED),
    (re.compile(r"RSN: pre-authentication with "), PREAUTHENTICATED),
)
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Event:
    """One message of a daemon.

    Attributes:
        t_ns: CLOCK_MONOTONIC when its datagram was read, in ns.
        level: hostap message level (2 debug, 3 info, 4 warning, 5 error).
        name: the daemon's name of it, or one of this module's for a sentence.
        text: the whole message without the envelope.
        fields: every `key=value` in the text, quotes removed; escapes are left as they are.
        interface: the interface it concerns, on a global socket only.
    """

    t_ns: int
    level: int
    name: str
    text: str
    fields: Mapping[str, str] = field(default_factory=lambda: _NOTHING, hash=False)
    interface: str = ""

    @property
    def address(self) -> str | None:
        """The MAC address it is about: a BSSID from wpa_supplicant, a station from hostapd."""
        return find_mac(self.fields.get("bssid", "")) or find_mac(self.text)

    def integer(self, key: str) -> int | None:
        """A field as an integer, None when absent or not one."""
        return integer(self.fields.get(key))


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The daemon is gone (or silent); its events are missed until `Reconnected`."""

    t_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The daemon answers again and events flow. A restarted daemon forgot what it was told."""

    t_ns: int
    away_ns: int


@dataclass(frozen=True, slots=True)
class Overflow:
    """Events were lost here: `dropped` of this subscription, or an unknown number (None).

    Whoever keeps state from events must ask the daemon anew (`STATUS`).
    """

    t_ns: int
    dropped: int | None


Notice = Event | Disconnected | Reconnected | Overflow


def is_event(datagram: bytes) -> bool:
    """Whether a datagram is unsolicited (an event) rather than a reply."""
    return datagram.startswith(b"<") or (datagram.startswith(b"IFNAME=") and b" <" in datagram)


def parse_event(datagram: bytes, t_ns: int) -> Event:
    """The event in a datagram; never raises, whatever the octets."""
    text = datagram.decode(errors="backslashreplace").rstrip("\n\0")
    envelope = _ENVELOPE.fullmatch(text)
    interface, level = "", 0
    if envelope:
        interface, level = envelope[1] or "", int(envelope[2])
        text = envelope[3]
    found = {key: value.strip("'\"") for key, value in _FIELD.findall(text)}
    return Event(
        t_ns=t_ns,
        level=level,
        name=_name(text),
        text=text,
        fields=MappingProxyType(found) if found else _NOTHING,
        interface=interface,
    )


def _name(text: str) -> str:
    if match := _NAME.match(text):
        return match.group()
    for sentence, name in _SENTENCES:
        if sentence.match(text):
            return name
    return MESSAGE
