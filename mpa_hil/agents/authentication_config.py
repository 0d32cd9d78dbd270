"""The authentication agent's configuration, checked.

JSON object; what has no default must be there:

    host                  its name in the events
    name                  its own, a mailbox in its certificate's subjectAltName: `aa@b.example`
    realm                 of the network that it serves
    addresses             its own, IPv4 or IPv6: PANA and the service are bound on each
    port, service_port    716, 7160 (UDP)
    nas_identifier        as the AAA server knows it
    called_station_id     what it tells the AAA server that the MN wants to; default: the realm
    servers               list of {name, address, port 1812, secret, status_server false, tls?}, in
                          order of preference; tls: {ca, certificate, key, server_name}
    aaa_patience_s        10: how long all servers together may take over one answer
    radius_source         address to ask them from; default: the route's
    recipients            list of {name, role "ca"|"ar"|"ep", address, port 7161, peers}; peers are
                          the addresses, or for an ep the BSSIDs, that its keys are bound to
    ca, certificate, key, revocation false      PEM files for key delivery
    descriptions          octets of `mpa_hil.discovery.wire` in hexadecimal digits: this network
                          and its neighbours
    neighbours            {BSSID: [realm, ...]}, nearest first
    own_networks          prefixes that MNs have addresses of when they are here
    known_networks        prefixes that pre-authentication is accepted from; default: all
    relays                addresses of PANA relays that are heard
    store                 file that keeps the MPA-SAs across restarts; default: none
    device_keys           {address, port 1812, access_points: list of {name, address, secret},
                          bssids}: access points that ask for a station's key by RADIUS
    limits                any of early_lifetime_s, lifetime_s, sessions_per_identity, associations,
                          prepare_s, leave_grace_s, initiations_per_s, initiations_burst,
                          half_open, half_open_per_source, failures, failures_s
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from mpa_hil.agents.config import Fields
from mpa_hil.agents.key_recipient import addresses, tls_files
from mpa_hil.agents.stdio import Json
from mpa_hil.authentication.admission import AdmissionSettings
from mpa_hil.authentication.service import SERVICE_PORT
from mpa_hil.authentication.settings import AgentSettings, Limits, Recipient
from mpa_hil.discovery import wire
from mpa_hil.discovery.description import CandidateNetwork, is_bssid, is_realm
from mpa_hil.errors import DecodeError
from mpa_hil.key_delivery.tls import DELIVERY_PORT, TlsFiles
from mpa_hil.keys import Usage, address_identifier, bssid_identifier
from mpa_hil.mobility.interface import Address, Endpoint
from mpa_hil.pana.numbers import PANA_PORT
from mpa_hil.pana.settings import PaaSettings, Retransmission, Timing
from mpa_hil.radius import device_keys
from mpa_hil.radius.interface import ClientSettings, Server, Transport, Tuning
from mpa_hil.radius.transport import TlsIdentity

_RADIUS_PORT = 1812
_REQUESTS = Retransmission(initial_s=1, maximum_s=4, attempts=10, duration_s=0)
"""As RFC 5191 s9.1, but for the longest wait: an MN that prepares has seconds, not half a minute
(s5.2 leaves timers to the deployment)."""
_ROLES = {"ca": Usage.MN_CA, "ar": Usage.MN_AR, "ep": Usage.PMK}


@dataclass(frozen=True, slots=True)
class DeviceKeySettings:
    """Where access points ask for keys."""

    endpoint: Endpoint
    access_points: tuple[device_keys.AccessPoint, ...]


@dataclass(frozen=True, slots=True)
class AuthenticationAgentSettings:
    """Everything."""

    agent: AgentSettings
    addresses: tuple[IPv4Address | IPv6Address, ...]
    port: int
    service_port: int
    radius: ClientSettings
    radius_tls: dict[str, TlsIdentity]
    radius_source: str | None
    recipients: dict[str, Endpoint]
    """Where each is."""
    tls: TlsFiles
    store: Path | None
    device_keys: DeviceKeySettings | None

    @classmethod
    def read(cls, config: Json) -> AuthenticationAgentSettings:
        """Check a configuration.

        Raises:
            LocalError: with the key that is wrong.
        """
        fields = Fields(config, "authentication agent configuration")
        fields.text("host", "?")
        own = addresses(fields, "addresses")
        servers, radius_tls = _servers(fields)
        recipients, places = _recipients(fields)
        answering, asking = _device_keys(fields)
        limits, admission = _limits(fields)
        known = _prefixes(fields, "known_networks")
        realm = fields.text("realm")
        if not is_realm(realm):
            raise fields.fault("realm", f"{realm!r} is no realm")
        agent = AgentSettings(
            name=fields.text("name"),
            realm=realm,
            recipients=recipients,
            asking_points=asking,
            called_station_id=fields.text("called_station_id", realm),
            networks=_descriptions(fields),
            neighbours=_neighbours(fields),
            own_networks=_prefixes(fields, "own_networks"),
            admission=replace(admission, networks=known),
            limits=limits,
            pana=PaaSettings(
                timing=Timing(request=_REQUESTS),
                relays=frozenset(_optional_addresses(fields, "relays")),
            ),
        )
        settings = cls(
            agent,
            own,
            fields.integer("port", PANA_PORT, 1, 65535),
            fields.integer("service_port", SERVICE_PORT, 1, 65535),
            ClientSettings(
                servers,
                fields.text("nas_identifier"),
                _one_of_each(own),
                tuning=Tuning(duration_s=fields.seconds("aaa_patience_s", 10.0)),
            ),
            radius_tls,
            str(_address(fields, "radius_source")) if fields.has("radius_source") else None,
            places,
            tls_files(fields),
            Path(fields.text("store")) if fields.has("store") else None,
            answering,
        )
        fields.done()
        return settings


def _servers(fields: Fields) -> tuple[tuple[Server, ...], dict[str, TlsIdentity]]:
    servers, identities = [], {}
    for entry in fields.each("servers"):
        name = entry.text("name")
        endpoint = Endpoint(
            _address(entry, "address"), entry.integer("port", _RADIUS_PORT, 1, 65535)
        )
        probe = entry.truth("status_server", False)
        if entry.has("tls"):
            tls = entry.inner("tls")
            identities[name] = TlsIdentity(
                *(tls.text(key) for key in ("ca", "certificate", "key", "server_name"))
            )
            tls.done()
            servers.append(Server(name, endpoint, b"radsec", Transport.TLS, probe))
        else:
            secret = entry.text("secret").encode()
            servers.append(Server(name, endpoint, secret, status_server=probe))
        entry.done()
    if not servers:
        raise fields.fault("servers", "at least one is needed")
    return tuple(servers), identities


def _recipients(fields: Fields) -> tuple[tuple[Recipient, ...], dict[str, Endpoint]]:
    recipients, places = [], {}
    for entry in fields.each("recipients"):
        name = entry.text("name")
        role = entry.choice("role", tuple(_ROLES))
        port = entry.integer("port", DELIVERY_PORT, 1, 65535)
        places[name] = Endpoint(_address(entry, "address"), port)
        if role == "ep":
            peers = tuple(map(bssid_identifier, _bssids(entry, "peers")))
        else:
            peers = tuple(map(address_identifier, addresses(entry, "peers")))
        recipients.append(Recipient(name, _ROLES[role], peers))
        entry.done()
    return tuple(recipients), places


def _device_keys(fields: Fields) -> tuple[DeviceKeySettings | None, frozenset[str]]:
    if not fields.has("device_keys"):
        return None, frozenset()
    inner = fields.inner("device_keys")
    endpoint = Endpoint(_address(inner, "address"), inner.integer("port", _RADIUS_PORT, 1, 65535))
    points = []
    for entry in inner.each("access_points"):
        name, secret = entry.text("name"), entry.text("secret").encode()
        points.append(device_keys.AccessPoint(name, _address(entry, "address"), secret))
        entry.done()
    bssids = frozenset(_bssids(inner, "bssids"))
    inner.done()
    return DeviceKeySettings(endpoint, tuple(points)), bssids


def _limits(fields: Fields) -> tuple[Limits, AdmissionSettings]:
    limits, gate = Limits(), AdmissionSettings()
    if not fields.has("limits"):
        return limits, gate
    inner = fields.inner("limits")

    def count(key: str, default: int) -> int:
        return inner.integer(key, default, 1, 10_000_000)

    limits = Limits(
        early_lifetime_s=count("early_lifetime_s", limits.early_lifetime_s),
        lifetime_s=count("lifetime_s", limits.lifetime_s),
        sessions_per_identity=count("sessions_per_identity", limits.sessions_per_identity),
        associations=count("associations", limits.associations),
        prepare_s=inner.seconds("prepare_s", limits.prepare_s),
        leave_grace_s=inner.seconds("leave_grace_s", limits.leave_grace_s),
    )
    gate = AdmissionSettings(
        initiations_per_s=inner.seconds("initiations_per_s", gate.initiations_per_s),
        initiations_burst=inner.seconds("initiations_burst", gate.initiations_burst),
        half_open=count("half_open", gate.half_open),
        half_open_per_source=count("half_open_per_source", gate.half_open_per_source),
        failures=count("failures", gate.failures),
        failures_s=inner.seconds("failures_s", gate.failures_s),
    )
    inner.done()
    return limits, gate


def _descriptions(fields: Fields) -> tuple[CandidateNetwork, ...]:
    if not fields.has("descriptions"):
        return ()
    try:
        return wire.decode(fields.key("descriptions", 1))
    except DecodeError as error:
        raise fields.fault("descriptions", error.what) from None


def _neighbours(fields: Fields) -> dict[str, tuple[str, ...]]:
    if not fields.has("neighbours"):
        return {}
    inner = fields.inner("neighbours")
    return {bssid: inner.texts(bssid) for bssid in inner.names()}


def _address(fields: Fields, key: str) -> Address:
    text = fields.text(key)
    try:
        return ip_address(text)
    except ValueError:
        raise fields.fault(key, f"{text!r} is no IP address") from None


def _optional_addresses(fields: Fields, key: str) -> tuple[Address, ...]:
    return addresses(fields, key) if fields.has(key) else ()


def _one_of_each(own: tuple[Address, ...]) -> tuple[Address, ...]:
    return tuple({address.version: address for address in reversed(own)}.values())


def _bssids(fields: Fields, key: str) -> tuple[str, ...]:
    found = tuple(text.lower() for text in fields.texts(key))
    for bssid in found:
        if not is_bssid(bssid):
            raise fields.fault(key, f"{bssid!r} is no BSSID")
    return found


def _prefixes(fields: Fields, key: str) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for text in fields.texts(key):
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise fields.fault(key, str(error)) from None
    return tuple(found)
