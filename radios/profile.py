"""A network to join, typed, and the wpa_supplicant fields that it becomes. Pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from radios.errors import LocalError
from radios.wpa_text import hex_value, mac_address, passphrase_value, ssid_value, string_value

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Pmf(IntEnum):
    """Protected management frames (IEEE 802.11w), as `ieee80211w` numbers them."""

    OFF = 0
    OPTIONAL = 1
    REQUIRED = 2


@dataclass(frozen=True, slots=True)
class Open:
    """No encryption."""


@dataclass(frozen=True, slots=True)
class Passphrase:
    """WPA2-PSK from a passphrase of 8 to 63 printable ASCII characters."""

    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawPsk:
    """WPA2-PSK from a 32-octet key."""

    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EapTls:
    """WPA2-Enterprise with EAP-TLS (RFC 5216).

    Attributes:
        identity: outer identity, whose realm routes the AAA exchange (`anonymous@home.example`).
        ca_cert: path of the CA certificate on the supplicant's host. Not optional: without it the
            station would authenticate to anybody.
        client_cert, private_key: paths on the supplicant's host.
        server_domain: what the server certificate's name must end in (`domain_suffix_match`), or
            the exact name with `exact_domain`.
        private_key_password: of an encrypted key file.
    """

    identity: str
    ca_cert: str
    client_cert: str
    private_key: str
    server_domain: str
    exact_domain: bool = False
    private_key_password: str = field(default="", repr=False)


Security = Open | Passphrase | RawPsk | EapTls


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One network block.

    Attributes:
        ssid: 1 to 32 octets; None only when `wired`.
        security: how to get in.
        pmf: protected management frames.
        bssid: stay with this access point only.
        scan_frequencies_mhz: scan only these (`scan_freq`): a scan of one channel takes a tenth.
        frequencies_mhz: use only these (`freq_list`).
        proactive_key_caching: opportunistic key caching (OKC), for keys known elsewhere.
        fast_transition: offer 802.11r (FT-PSK, FT-EAP) too.
        scan_ssid: probe for the SSID by name, for hidden networks.
        priority: higher is preferred.
        wired: 802.1X on a wire (`-Dwired`), with EAP-TLS security only.
        extra: further fields as (name, literal value), put last.
    """

    ssid: bytes | None
    security: Security
    pmf: Pmf = Pmf.OPTIONAL
    bssid: str | None = None
    scan_frequencies_mhz: Sequence[int] = ()
    frequencies_mhz: Sequence[int] = ()
    proactive_key_caching: bool = False
    fast_transition: bool = False
    scan_ssid: bool = False
    priority: int = 0
    wired: bool = False
    extra: Sequence[tuple[str, str]] = ()

    def fields(self) -> tuple[tuple[str, str], ...]:
        """(name, value) for SET_NETWORK, in order.

        Raises:
            LocalError: a value that no network can have.
        """
        return tuple(self._fields())

    def _fields(self) -> Iterator[tuple[str, str]]:
        if self.ssid is not None:
            yield "ssid", ssid_value(self.ssid)
        elif not self.wired:
            raise LocalError("a wireless network without an SSID")
        yield from self._security_fields()
        if self.wired:
            yield "eapol_flags", "0"  # no keys are wanted from the authenticator on a wire
        else:
            yield "ieee80211w", str(int(self.pmf))
        if self.bssid is not None:
            yield "bssid", mac_address(self.bssid)
        for name, frequencies in (
            ("scan_freq", self.scan_frequencies_mhz),
            ("freq_list", self.frequencies_mhz),
        ):
            if frequencies:
                yield name, " ".join(str(frequency_mhz(value)) for value in frequencies)
        if self.proactive_key_caching:
            yield "proactive_key_caching", "1"
        if self.scan_ssid:
            yield "scan_ssid", "1"
        if self.priority:
            yield "priority", str(self.priority)
        for name, value in self.extra:
            if not _FIELD_NAME.fullmatch(name):
                raise LocalError(f"{name!r} is not a network field's name")
            yield name, value

    def _security_fields(self) -> Iterator[tuple[str, str]]:
        security = self.security
        if self.wired and not isinstance(security, EapTls):
            raise LocalError("a wired network needs EapTls security")
        match security:
            case Open():
                yield "key_mgmt", "NONE"
            case Passphrase():
                yield "key_mgmt", self._key_management("WPA-PSK", "FT-PSK")
                yield "psk", passphrase_value(security.passphrase)
            case RawPsk():
                yield "key_mgmt", self._key_management("WPA-PSK", "FT-PSK")
                yield "psk", hex_value(security.key, "a PSK", 32)
            case EapTls():
                plain = "IEEE8021X" if self.wired else "WPA-EAP"
                yield "key_mgmt", self._key_management(plain, "FT-EAP")
                yield from _eap_tls_fields(security)

    def _key_management(self, plain: str, fast: str) -> str:
        names = [plain]
        if not self.wired and self.pmf is not Pmf.OFF:
            # With PMF required an access point may offer the SHA-256 suite alone.
            names.append(f"{plain}-SHA256")
        if self.fast_transition and not self.wired:
            names.append(fast)
        return " ".join(names)


def _eap_tls_fields(security: EapTls) -> Iterator[tuple[str, str]]:
    if not security.ca_cert or not security.server_domain:
        raise LocalError(
            "EAP-TLS without a CA certificate and the server's domain",
            remedy="give ca_cert and server_domain; else the station would trust any server",
        )
    yield "eap", "TLS"
    yield "identity", string_value(security.identity)
    yield "ca_cert", string_value(security.ca_cert)
    yield "client_cert", string_value(security.client_cert)
    yield "private_key", string_value(security.private_key)
    if security.private_key_password:
        yield "private_key_passwd", string_value(security.private_key_password)
    match = "domain_match" if security.exact_domain else "domain_suffix_match"
    yield match, string_value(security.server_domain)


def frequency_mhz(value: int) -> int:
    """A channel's centre frequency, checked to be one that Wi-Fi uses (2.4 to 7.125 GHz)."""
    if not 2400 <= value <= 7125:
        raise LocalError(f"{value} MHz is no Wi-Fi channel", remedy="channel 1 is 2412 MHz")
    return value
