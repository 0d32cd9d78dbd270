"""What a lab asks of a FreeRADIUS instance, typed and checked.

Names, addresses, realms and secrets go into a configuration language that quotes and expands, so
whatever could mean something there is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Literal

from radios.errors import LocalError
from rigs.services.certificates import Credentials

AUTHENTICATION_PORT = 1812
"""RFC 2865 s3."""

_REALM = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_USER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9@._-]{0,251}[A-Za-z0-9])?")
_PASSWORD = re.compile(r"[!#&-\[\]-~]{1,64}")
_SECRET = re.compile(r"[!#&-\[\]-~]{16,128}")
_CALLED = re.compile(r"[ !#&(-\[\]-~]{1,253}")
"""Printable, and nothing that its configuration language quotes or expands: space " $ % \\."""


@dataclass(frozen=True, slots=True)
class Client:
    """A RADIUS client that may ask: an access point, or a proxy on its behalf."""

    name: str
    address: str
    """Address or prefix (``10.1.0.0/24``), IPv4 or IPv6."""
    secret: str = field(repr=False)
    called_station_ids: tuple[str, ...] = ()
    """The networks that it may speak for (RFC 3580 s3.20): a request that names another is refused,
    so that nobody lies to the MN about where it is (RFC 6677 s4). Empty: any."""


@dataclass(frozen=True, slots=True)
class HomeServer:
    """A RADIUS server that requests are proxied to."""

    name: str
    address: str
    secret: str = field(repr=False)
    port: int = AUTHENTICATION_PORT
    response_window_s: int = 10
    """After this long without a reply the server counts as failing."""


@dataclass(frozen=True, slots=True)
class Route:
    """A realm and the servers for it, tried in order."""

    realm: str
    servers: tuple[HomeServer, ...]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a password, for EAP-TTLS."""

    name: str
    """As said inside the tunnel."""
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EapTls:
    """EAP-TLS as a server speaks it (RFC 5216, RFC 9190), and EAP-TTLS on the same footing."""

    ca: bytes
    """PEM: authority of the clients' certificates."""
    credentials: Credentials
    realms: tuple[str, ...]
    """Realms that it answers for; other identities are rejected."""
    crl: bytes | None = None
    """PEM revocation list; None does not check revocation."""
    max_version: Literal["1.2", "1.3"] = "1.2"
    fragment_bytes: int = 1024
    """Largest EAP-TLS fragment sent, octets; one RADIUS packet holds 4096 in all."""
    check_identity: bool = False
    """Whether the EAP identity must equal the certificate's common name."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    session_cache: bool = False
    """Whether a peer may go on with an earlier session; off, so that each run is the first."""
    ttls_users: tuple[User, ...] = ()
    """Who may come by EAP-TTLS (RFC 5281) with PAP or MS-CHAP-V2; none switches it off."""
    first_method: Literal["tls", "ttls"] = "tls"
    """What is proposed; a peer that wants the other says so, at a round trip more."""


@dataclass(frozen=True, slots=True)
class RadiusConfig:
    """One server: `eap_tls` makes it a home AAA, `routes` a proxy; it may be both."""

    clients: tuple[Client, ...]
    eap_tls: EapTls | None = None
    routes: tuple[Route, ...] = ()
    address: str = "0.0.0.0"
    port: int = AUTHENTICATION_PORT
    name: str = "freeradius"
    """Names the daemon and its folder in the host's work directory."""
    max_proxies: int = 4
    """A request that this many proxies have passed on already is taken for a loop."""
    debug: bool = False
    """Print every packet. It slows the server down, so not while measuring."""


def can_be_called(text: str) -> bool:
    """Whether a Called-Station-Id can stand in the server's configuration."""
    return _CALLED.fullmatch(text) is not None


def check(config: RadiusConfig) -> None:
    """Raise LocalError for a configuration that cannot be."""
    where = f"RADIUS server {config.name}"
    if config.eap_tls is None and not config.routes:
        raise LocalError("it neither serves nor proxies", where=where, remedy="give it a realm")
    if not config.clients:
        raise LocalError("it has no clients", where=where, remedy="name who may ask it")
    if not 0 < config.port < 65536:
        raise LocalError(f"{config.port} is no UDP port", where=where, remedy="use 1 to 65535")
    if config.max_proxies < 1:
        raise LocalError("max_proxies is below 1", where=where, remedy="use 1 or more")
    servers = [server for route in config.routes for server in route.servers]
    _check_names(where, "client", [client.name for client in config.clients])
    _check_names(where, "server", sorted({server.name for server in servers}))
    if len({server.name for server in servers}) != len(set(servers)):
        raise LocalError("two home servers share a name", where=where, remedy="rename one")
    for called in (name for client in config.clients for name in client.called_station_ids):
        if not can_be_called(called):
            raise LocalError(
                f"{called!r} cannot be a Called-Station-Id here",
                where=where,
                remedy="1 to 253 printable ASCII characters without quotes, $, % or \\",
            )
    for secret in (*(c.secret for c in config.clients), *(s.secret for s in servers)):
        if not _SECRET.fullmatch(secret):
            raise LocalError(
                "a RADIUS secret is too short or has characters that cannot be configured",
                where=where,
                remedy="16 to 128 printable ASCII characters without space, quote, $, % or \\",
            )
    try:
        ip_address(config.address)
        for client in config.clients:
            ip_network(client.address, strict=False)
        for server in servers:
            ip_address(server.address)
    except ValueError as error:
        raise LocalError(str(error), where=where, remedy="give an IP address") from None
    if config.eap_tls is not None:
        _check_methods(where, config.eap_tls)
    realms = [route.realm for route in config.routes]
    realms += config.eap_tls.realms if config.eap_tls else ()
    for realm in realms:
        if not _REALM.fullmatch(realm):
            raise LocalError(f"{realm!r} is not a realm", where=where, remedy="use a domain name")
    if len({realm.lower() for realm in realms}) != len(realms):
        raise LocalError("a realm is named twice", where=where, remedy="keep one of the two")
    if any(not route.servers for route in config.routes):
        raise LocalError("a realm has no home server", where=where, remedy="name at least one")


def _check_methods(where: str, tls: EapTls) -> None:
    if tls.min_version > tls.max_version:
        raise LocalError(
            f"TLS {tls.min_version} at least and {tls.max_version} at most",
            where=where,
            remedy="make max_version the larger",
        )
    if tls.first_method == "ttls" and not tls.ttls_users:
        raise LocalError("EAP-TTLS without users", where=where, remedy="name ttls_users")
    for user in tls.ttls_users:
        if not _USER.fullmatch(user.name):
            raise LocalError(
                f"{user.name!r} is not a user name", where=where, remedy="letters, digits, @ . _ -"
            )
        if not _PASSWORD.fullmatch(user.password):
            raise LocalError(
                f"the password of {user.name} cannot be configured",
                where=where,
                remedy="1 to 64 printable ASCII characters without space, quote, $, % or \\",
            )
    if len({user.name for user in tls.ttls_users}) != len(tls.ttls_users):
        raise LocalError("two users share a name", where=where, remedy="rename one")


def _check_names(where: str, kind: str, names: Sequence[str]) -> None:
    for name in names:
        if not _WORD.fullmatch(name):
            raise LocalError(
                f"{name!r} cannot name a {kind}", where=where, remedy="letters, digits, . - _"
            )
    if len(set(names)) != len(names):
        raise LocalError(f"two {kind}s share a name", where=where, remedy="rename one")
