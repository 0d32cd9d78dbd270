"""hostapd: an access point on an nl80211 radio, or an 802.1X port on a wire.

The text is hostapd 2.10's. Verbs and events of a running one are `radios.hostapd`'s business; its
control socket is at `control_path`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import ip_address
from typing import Literal

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Host
from rigs.services.interworking import Interworking
from rigs.services.service import Service, launch

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.IGNORECASE)
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
_ONE_LINE = re.compile(r"[!-~]{1,128}")


class Pmf(IntEnum):
    """Protected management frames, as hostapd and wpa_supplicant number them (802.11w)."""

    OFF = 0
    OPTIONAL = 1
    REQUIRED = 2


@dataclass(frozen=True, slots=True)
class Psk:
    """WPA2-Personal with the key itself."""

    key_hex: str = field(repr=False)
    """The PMK: 64 hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Radius:
    """The authentication server of an enterprise network."""

    address: str
    secret: str = field(repr=False)
    port: int = 1812
    own_address: str = "127.0.0.1"
    """NAS-IP-Address of the requests."""
    nas_identifier: str = "ap"


@dataclass(frozen=True, slots=True)
class FastTransition:
    """802.11r; with `local_psk` every AP derives the keys from the PSK and no AP asks another."""

    mobility_domain: str
    """Two octets, four hexadecimal digits, the same on all APs of the domain."""
    local_psk: bool = True
    key_holders: tuple[tuple[str, str, str], ...] = ()
    """Other APs when not `local_psk`: BSSID, NAS identifier, 256-bit key of the pair in hex."""


@dataclass(frozen=True, slots=True)
class Radio:
    """Where in the air the network is."""

    ssid: str
    bssid: str
    channel: int
    hw_mode: Literal["a", "g"] = "g"
    """g: 2.4 GHz, a: 5 GHz."""
    country: str | None = None
    beacon_interval_tu: int = 100
    """Between beacons, time units of 1.024 ms."""


@dataclass(frozen=True, slots=True)
class HostapdConfig:
    """One access point (`radio`), or one wired 802.1X port (no `radio`)."""

    interface: str
    security: Psk | Radius | None
    """None is an open network."""
    radio: Radio | None = None
    bridge: str | None = None
    pmf: Pmf = Pmf.OPTIONAL
    pmksa_caching: bool = True
    opportunistic_key_caching: bool = False
    fast_transition: FastTransition | None = None
    preauthentication_interfaces: tuple[str, ...] = ()
    """Interfaces to take RSN pre-authentication from (802.11i); empty switches it off."""
    neighbor_report: bool = False
    """Answer 802.11k neighbour report requests; neighbours come by `Hostapd.set_neighbor`."""
    interworking: Interworking | None = None
    """What stations may ask by ANQP (802.11u); None: nothing."""
    reauthentication_s: int = 0
    """EAP again after so many seconds; 0 never, so that no run has one in its middle."""
    name: str = "hostapd"

    @property
    def control_folder(self) -> str:
        """Folder of its control sockets below the host's work directory."""
        return f"{self.name}.control"

    def control_path(self, host: Host) -> str:
        """Its control socket on `host`."""
        return f"{host.workdir}/{self.control_folder}/{self.interface}"


def text(config: HostapdConfig, folder: str) -> str:
    """The configuration file; `folder` is where its control sockets go.

    Raises:
        LocalError: a value that hostapd would refuse or misread.
    """
    _check(config)
    lines = [f"interface={config.interface}", f"ctrl_interface={folder}", "logger_stdout=-1"]
    lines.append("logger_stdout_level=2")
    if config.bridge:
        lines.append(f"bridge={config.bridge}")
    if config.radio is None:
        lines += ["driver=wired", "ieee8021x=1", "use_pae_group_addr=1"]
    else:
        lines += _radio(config.radio)
        if config.neighbor_report:
            lines.append("rrm_neighbor_report=1")
        if config.interworking:
            lines += config.interworking.lines()
    if isinstance(config.security, Radius):
        lines += _radius(config.security, config.reauthentication_s)
    if config.radio is not None and config.security is not None:
        lines += _rsn(config)
    return "\n".join(lines) + "\n"


def _radio(radio: Radio) -> list[str]:
    lines = [
        "driver=nl80211",
        f"ssid2={radio.ssid.encode().hex()}",
        "utf8_ssid=1",
        f"bssid={radio.bssid}",
        f"hw_mode={radio.hw_mode}",
        f"channel={radio.channel}",
        f"beacon_int={radio.beacon_interval_tu}",
        "auth_algs=1",
        "wmm_enabled=1",
    ]
    if radio.country:
        lines += [f"country_code={radio.country}", "ieee80211d=1"]
    return lines


def _radius(radius: Radius, reauthentication_s: int) -> list[str]:
    return [
        "ieee8021x=1",
        "eapol_version=2",
        f"own_ip_addr={radius.own_address}",
        f"nas_identifier={radius.nas_identifier}",
        f"auth_server_addr={radius.address}",
        f"auth_server_port={radius.port}",
        f"auth_server_shared_secret={radius.secret}",
        f"eap_reauth_period={reauthentication_s}",
    ]


def _rsn(config: HostapdConfig) -> list[str]:
    personal = isinstance(config.security, Psk)
    methods = ["WPA-PSK" if personal else "WPA-EAP"]
    if config.pmf:
        methods.append(f"{methods[0]}-SHA256")
    if config.fast_transition:
        methods.append("FT-PSK" if personal else "FT-EAP")
    lines = ["wpa=2", f"wpa_key_mgmt={' '.join(methods)}", "rsn_pairwise=CCMP"]
    lines += [f"ieee80211w={int(config.pmf)}"]
    lines += [f"disable_pmksa_caching={int(not config.pmksa_caching)}"]
    lines += [f"okc={int(config.opportunistic_key_caching)}"]
    if isinstance(config.security, Psk):
        lines.append(f"wpa_psk={config.security.key_hex}")
    if config.fast_transition:
        lines += _fast_transition(config.fast_transition, config)
    if config.preauthentication_interfaces:
        lines += ["rsn_preauth=1"]
        lines += [f"rsn_preauth_interfaces={' '.join(config.preauthentication_interfaces)}"]
    return lines


def _fast_transition(fast: FastTransition, config: HostapdConfig) -> list[str]:
    assert config.radio is not None
    own = config.radio.bssid.replace(":", "")
    lines = [f"mobility_domain={fast.mobility_domain}", "ft_over_ds=0", f"r1_key_holder={own}"]
    if not isinstance(config.security, Radius):
        lines.append(f"nas_identifier={own}")
    if fast.local_psk:
        return [*lines, "ft_psk_generate_local=1"]
    for bssid, identifier, key in fast.key_holders:
        lines += [f"r0kh={bssid} {identifier} {key}", f"r1kh={bssid} {bssid} {key}"]
    return [*lines, "pmk_r1_push=1"]


def _check(config: HostapdConfig) -> None:
    where = f"access point {config.name}"

    def refuse(what: str, remedy: str) -> None:
        raise LocalError(what, where=where, remedy=remedy)

    bridge = (config.bridge,) if config.bridge else ()
    for interface in (config.interface, *bridge, *config.preauthentication_interfaces):
        if not _INTERFACE.fullmatch(interface):
            refuse(f"{interface!r} is not an interface name", "1 to 15 letters, digits, . - _")
    if config.radio is not None:
        if not 1 <= len(config.radio.ssid.encode()) <= 32:
            refuse(f"the SSID {config.radio.ssid!r} has not 1 to 32 octets", "shorten it")
        if not _MAC.fullmatch(config.radio.bssid):
            refuse(f"{config.radio.bssid!r} is not a MAC address", "write 02:00:00:00:0a:01")
        if config.radio.country and not re.fullmatch("[A-Z]{2}", config.radio.country):
            refuse(f"{config.radio.country!r} is not a country code", "two capital letters")
        if not 15 <= config.radio.beacon_interval_tu <= 65535:
            refuse("the beacon interval is out of range", "15 to 65535 time units")
    security = config.security
    if isinstance(security, Psk) and not _HEX_KEY.fullmatch(security.key_hex):
        refuse("the pre-shared key is not 64 hexadecimal digits", "openssl rand -hex 32")
    if isinstance(security, Radius):
        for value in (security.secret, security.nas_identifier):
            if not _ONE_LINE.fullmatch(value):
                refuse("secret and NAS identifier are printable ASCII without spaces", "change it")
        for address in (security.address, security.own_address):
            try:
                ip_address(address)
            except ValueError:
                refuse(f"{address!r} is not an IP address", "give the server's address")
    elif config.radio is None:
        refuse("a wired port needs an authentication server", "give it a Radius")
    fast = config.fast_transition
    if fast and not re.fullmatch("[0-9a-fA-F]{4}", fast.mobility_domain):
        refuse("a mobility domain has four hexadecimal digits", "write a1b2")
    if fast and fast.local_psk and not isinstance(security, Psk):
        refuse("keys can be derived locally from a PSK only", "name the other key holders")


async def start(host: Host, config: HostapdConfig) -> Service:
    """Start hostapd on `host`; returns when the port or network is up.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: hostapd is not installed there, or there is no such interface or radio.
        RemoteError: it refused its configuration or died; carries its last lines.
    """
    folder = f"{host.workdir}/{config.control_folder}"
    path = f"{host.workdir}/{config.name}.conf"
    await host.put(path, text(config, folder).encode())

    def explain(line: str) -> MachineError | RemoteError | None:
        if "Could not read interface" in line or "No such device" in line:
            return MachineError(
                f"host {host.name} has no interface {config.interface}",
                where=f"{host.name}/{config.name}",
                remedy="`ip link` there lists them; give the radio to the host first",
            )
        return None

    return await launch(
        host,
        "hostapd",
        path,
        name=config.name,
        ready=lambda line: line.startswith(f"{config.interface}: AP-ENABLED"),
        ready_text="AP-ENABLED",
        explain=explain,
    )
