"""dnsmasq as a DHCP server and advertising router, and as a DNS server for names it is told.

Its conflict check is on unless told otherwise: before an offer it asks for the address by ICMP echo
and waits up to 3 s for an answer (RFC 2131 s3.1 point 2). It counts that wait in whole seconds of
the wall clock, so it lasts 2 to 3 s depending on where in a second it began.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    NetmaskValueError,
    ip_address,
)

from radios.errors import LocalError, MachineError
from rigs.host import Host
from rigs.services.service import MERGE_OUTPUT, Service, launch, port_taken

SERVER_PORT = 67
"""RFC 2131 s4.1."""

DNS_PORT = 53
PANA_AGENT = 136
"""RFC 5192 s4."""
PANA_AGENT_6 = 40
"""RFC 5192 s5."""
SHORTEST_LEASE_S = 120
SHORTEST_INTERVAL_S = 4
"""dnsmasq quietly raises anything shorter."""
ROUTER_LIFETIME_S = 1800
"""RFC 4861 s6.2.1: three times the longest interval, here for any."""

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Advertised:
    """How the interface's nodes get IPv6 addresses, as its router advertisements say.

    Without a range they make their own from the prefix (RFC 4862) and ask DHCPv6 for the rest (O
    flag); with one they lease an address there (M flag), and the prefix says where the link is.
    """

    prefix: str
    """A /64 that the interface has an address in: ``2001:db8:1::/64``."""
    first: str | None = None
    last: str | None = None
    """Lowest and highest address leased, both or none."""
    lease_s: int = 600
    """Also the prefix's lifetime."""
    interval_s: int = 600
    """Between advertisements that nobody asked for, 4 up; who asks is answered at once."""


@dataclass(frozen=True, slots=True)
class DhcpServerConfig:
    """One server on one interface, which must have an address in `subnet`."""

    interface: str
    subnet: str
    """The prefix that is served: ``10.1.0.0/24``."""
    first: str
    last: str
    """Lowest and highest address leased."""
    router: str | None = None
    """Default router given to clients; None gives none."""
    dns: tuple[str, ...] = ()
    lease_s: int = 600
    conflict_check: bool = True
    rapid_commit: bool = False
    """Answer in one message when the client asks for it (RFC 4039)."""
    authoritative: bool = True
    """Refuse at once (DHCPNAK) what a client remembers from elsewhere."""
    paa: tuple[str, ...] = ()
    """PANA authentication agents, the preferred one first: IPv4 addresses go into option 136, IPv6
    ones into DHCPv6 option 40 (RFC 5192)."""
    prefix6: str | None = None
    """An IPv6 prefix of the interface whose nodes get DHCPv6 options, and no addresses."""
    advertised: Advertised | None = None
    """Routed IPv6 on the interface; without it no router is advertised."""
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """DNS names and their IPv4 and IPv6 addresses; without any there is no DNS server."""
    log_options: bool = False
    """Log every option of every message."""
    name: str = "dnsmasq"


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """One DHCP message as the server logged it."""

    kind: str
    """``DHCPDISCOVER``, ``DHCPOFFER``, ``DHCPREQUEST``, ``DHCPACK``, ``DHCPNAK``, ..."""
    interface: str
    address: str
    """Empty when the message names none."""
    mac: str
    note: str
    """What the server remarks, e.g. ``no address available``."""


_MESSAGE = re.compile(
    r"(?P<kind>DHCP[A-Z]+)\((?P<interface>[^)]+)\)(?: (?P<address>\d+\.\d+\.\d+\.\d+))?"
    r" (?P<mac>[0-9a-f]{2}(?::[0-9a-f]{2})+)(?: (?P<note>.*))?$"
)


def parse_message(line: str) -> ServerMessage | None:
    """The DHCP message that a log line is about; None for other lines."""
    match = _MESSAGE.search(line.rstrip())
    if match is None:
        return None
    return ServerMessage(
        kind=match["kind"],
        interface=match["interface"],
        address=match["address"] or "",
        mac=match["mac"],
        note=(match["note"] or "").strip(),
    )


def text(config: DhcpServerConfig, workdir: str) -> str:
    """The configuration file; leases are kept below `workdir`.

    Raises:
        LocalError: addresses that do not fit together, or a lease that is too short.
    """
    subnet = _check(config)
    lines = [
        f"port={DNS_PORT if config.names else 0}",
        f"interface={config.interface}",
        "bind-interfaces",
        "no-hosts",
        "no-resolv",
        "no-poll",
        "user=root",
        "group=root",
        "pid-file",
        "log-facility=-",
        f"dhcp-range={config.first},{config.last},{subnet.netmask},{config.lease_s}",
        f"dhcp-leasefile={workdir}/{config.name}.leases",
        f"dhcp-option=3{',' + config.router if config.router else ''}",
        f"dhcp-option=6{''.join(',' + server for server in config.dns)}",
    ]
    four = [agent for agent in config.paa if ip_address(agent).version == 4]
    six = [f"[{agent}]" for agent in config.paa if ip_address(agent).version == 6]
    if four:
        lines.append(f"dhcp-option={PANA_AGENT},{','.join(four)}")
    if six:
        lines.append(f"dhcp-option=option6:{PANA_AGENT_6},{','.join(six)}")
    if config.prefix6:
        network, length = config.prefix6.split("/")
        lines.append(f"dhcp-range={network},static,{length}")
    if config.advertised:
        lines += _advertising(config.interface, config.advertised)
    lines += [f"host-record={name},{','.join(addresses)}" for name, addresses in config.names]
    flags = {
        "dhcp-authoritative": config.authoritative,
        "dhcp-rapid-commit": config.rapid_commit,
        "no-ping": not config.conflict_check,
        "log-dhcp": config.log_options,
    }
    lines += [flag for flag, wanted in flags.items() if wanted]
    return "\n".join(lines) + "\n"


def _advertising(interface: str, wanted: Advertised) -> list[str]:
    network, length = wanted.prefix.split("/")
    # With `ra-stateless` nodes make their addresses; a plain range has them lease one.
    leased = f"{wanted.first},{wanted.last}" if wanted.first else f"{network},ra-stateless"
    return [
        "enable-ra",
        f"ra-param={interface},{wanted.interval_s},{ROUTER_LIFETIME_S}",
        f"dhcp-range={leased},{length},{wanted.lease_s}",
    ]


def _check_advertised(wanted: Advertised, where: str) -> None:
    prefix = IPv6Network(wanted.prefix)
    if (wanted.first is None) != (wanted.last is None):
        raise LocalError("half a range of IPv6 addresses", where=where, remedy="give both ends")
    ends = [IPv6Address(end) for end in (wanted.first, wanted.last) if end is not None]
    if any(end not in prefix for end in ends) or ends != sorted(ends):
        raise LocalError(
            f"{wanted.first} to {wanted.last} is no range in {prefix}",
            where=where,
            remedy="choose addresses inside, the lower one first",
        )
    if wanted.interval_s < SHORTEST_INTERVAL_S or wanted.lease_s < SHORTEST_LEASE_S:
        raise LocalError(
            f"advertisements every {wanted.interval_s} s, leases of {wanted.lease_s} s: too short"
            " for dnsmasq",
            where=where,
            remedy=f"use {SHORTEST_INTERVAL_S} s and {SHORTEST_LEASE_S} s or more",
        )


def _check(config: DhcpServerConfig) -> IPv4Network:
    where = f"DHCP server on {config.interface}"
    if not _INTERFACE.fullmatch(config.interface):
        raise LocalError(
            f"{config.interface!r} is not an interface name",
            where=where,
            remedy="1 to 15 letters, digits, . - _",
        )
    try:
        subnet = IPv4Network(config.subnet)
        inside = [IPv4Address(config.first), IPv4Address(config.last)]
        if config.router:
            inside.append(IPv4Address(config.router))
        for server in config.dns:
            IPv4Address(server)
        for agent in (*config.paa, *(each for _, found in config.names for each in found)):
            ip_address(agent)
        if config.prefix6:
            IPv6Network(config.prefix6)
        if config.advertised:
            _check_advertised(config.advertised, where)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise LocalError(str(error), where=where, remedy="give IP addresses") from None
    for name, addresses in config.names:
        if not _NAME.fullmatch(name) or not addresses:
            raise LocalError(
                f"{name!r} with {len(addresses)} addresses is no DNS name", where=where
            )
    if inside[0] > inside[1]:
        raise LocalError("its range ends before it begins", where=where, remedy="swap the two")
    for address in inside:
        if address not in subnet:
            raise LocalError(
                f"{address} is outside {subnet}", where=where, remedy="choose one inside"
            )
    if config.lease_s < SHORTEST_LEASE_S:
        raise LocalError(
            f"a lease of {config.lease_s} s is too short for dnsmasq",
            where=where,
            remedy=f"use {SHORTEST_LEASE_S} s or more",
        )
    return subnet


async def start(host: Host, config: DhcpServerConfig) -> Service:
    """Start the server on `host`; returns when it serves.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: dnsmasq is not installed there, port 67 is taken, or there is no such
            interface.
        RemoteError: it refused its configuration or died; carries its last lines.
    """
    path = f"{host.workdir}/{config.name}.conf"
    await host.put(path, text(config, host.workdir).encode())

    def explain(line: str) -> MachineError | None:
        if "Address already in use" in line:
            return port_taken(host, config.name, SERVER_PORT)
        if "unknown interface" in line:
            return MachineError(
                f"host {host.name} has no interface {config.interface}",
                where=f"{host.name}/{config.name}",
                remedy="`ip link` there lists them",
            )
        return None

    return await launch(
        host,
        *(*MERGE_OUTPUT, "dnsmasq", "--keep-in-foreground", f"--conf-file={path}"),
        name=config.name,
        # Its last line before it serves; "started" comes earlier.
        ready=lambda line: "sockets bound exclusively to interface" in line,
        ready_text="sockets bound",
        explain=explain,
    )
