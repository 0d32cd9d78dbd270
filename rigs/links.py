"""A lab's wiring as data: links, ports, bridges, routes; and the rules that it must keep.

Nothing here touches a kernel: `rigs.network_plan` turns a `Topology` into `ip` and `tc` batches and
`rigs.network` applies them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radios.errors import LocalError
from rigs.paths import checked_name

# 15 octets: IFNAMSIZ less the terminator (linux/if.h).
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_SYSCTL = re.compile(r"net(/[A-Za-z0-9_.-]+)+")

MTU_RANGE = (68, 65535)
"""Octets: the least that IPv4 must carry (RFC 791 s3.2), the most that veth takes."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a path does to the packets that leave by an interface.

    Attributes:
        delay_ms: one-way delay.
        jitter_ms: standard deviation of the delay, at most `delay_ms`; order is kept, as by the
            queue that real jitter comes from.
        loss_percent: share of packets lost, each on its own.
        rate_mbit: bottleneck rate in Mbit/s, or None for none.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    rate_mbit: float | None = None

    def __bool__(self) -> bool:
        return bool(self.delay_ms or self.jitter_ms or self.loss_percent or self.rate_mbit)


@dataclass(frozen=True, slots=True)
class Link:
    """A cable that the lab lays itself: a veth pair between two namespaces.

    Each end's interface is called after the far host unless named. Addresses are CIDR strings, ""
    for none (a bridge's port), several with spaces between. The impairment holds for each
    direction; `back` replaces it for the direction from `b` to `a`.
    """

    a: str
    b: str
    a_address: str = ""
    b_address: str = ""
    a_interface: str = ""
    b_interface: str = ""
    mtu: int = 1500
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    rate_mbit: float | None = None
    back: Impairment | None = None

    @property
    def a_end(self) -> End:
        """The interface on `a`, with what happens from `a` to `b`."""
        name = self.a_interface or self.b
        return End(self.a, name, _addresses(self.a_address), self.mtu, self._forth, made=True)

    @property
    def b_end(self) -> End:
        """The interface on `b`, with what happens from `b` to `a`."""
        name = self.b_interface or self.a
        back = self._forth if self.back is None else self.back
        return End(self.b, name, _addresses(self.b_address), self.mtu, back, made=True)

    @property
    def _forth(self) -> Impairment:
        return Impairment(self.delay_ms, self.jitter_ms, self.loss_percent, self.rate_mbit)


@dataclass(frozen=True, slots=True)
class Port:
    """An interface that is there already: a cabled port of a machine, a radio in a namespace.

    `mtu` None leaves it as it is. `impairment` is for what leaves by it.
    """

    host: str
    interface: str
    addresses: Sequence[str] = ()
    mtu: int | None = None
    impairment: Impairment = Impairment()


@dataclass(frozen=True, slots=True)
class Bridge:
    """An Ethernet bridge inside a host; `ports` are interfaces of that host.

    A radio's interface need not be named: hostapd adds its own (``bridge=`` in its configuration).
    """

    host: str
    name: str
    ports: Sequence[str] = ()
    addresses: Sequence[str] = ()
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Route:
    """A static route: `prefix` is a CIDR string or "default"; `via`, `interface` or both."""

    host: str
    prefix: str
    via: str = ""
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Sysctl:
    """One more kernel setting of a host: `key` as ``net.ipv4.tcp_sack`` or with slashes."""

    host: str
    key: str
    value: str

    @property
    def path(self) -> str:
        """The key with slashes, relative to /proc/sys."""
        return self.key if "/" in self.key else self.key.replace(".", "/")


@dataclass(frozen=True, slots=True)
class End:
    """One interface of one host, whoever makes it."""

    host: str
    interface: str
    addresses: tuple[str, ...]
    mtu: int | None
    impairment: Impairment
    made: bool


@dataclass(frozen=True, slots=True)
class Topology:
    """The wiring of a whole lab.

    Attributes:
        forwarding: hosts that forward packets.
        ipv6: hosts with IPv6 on; the others are silent in captures.
        seed: makes random loss and jitter repeatable where kernel and tc are 6.6 or newer.
    """

    links: Sequence[Link] = ()
    ports: Sequence[Port] = ()
    bridges: Sequence[Bridge] = ()
    routes: Sequence[Route] = ()
    forwarding: frozenset[str] = frozenset()
    ipv6: frozenset[str] = frozenset()
    sysctls: Sequence[Sysctl] = ()
    seed: int | None = None

    def ends(self) -> Iterator[End]:
        """Every interface but the bridges, links first, in the order given."""
        for link in self.links:
            yield link.a_end
            yield link.b_end
        for port in self.ports:
            addresses = tuple(port.addresses)
            yield End(port.host, port.interface, addresses, port.mtu, port.impairment, made=False)

    def hosts(self) -> list[str]:
        """Every host mentioned, once, in order of appearance."""
        names = [end.host for end in self.ends()]
        names += [bridge.host for bridge in self.bridges]
        names += [route.host for route in self.routes]
        names += [sysctl.host for sysctl in self.sysctls]
        names += sorted(self.forwarding | self.ipv6)
        return list(dict.fromkeys(names))


def validate(topology: Topology) -> None:
    """Check what needs no kernel.

    Raises:
        LocalError: naming the host and what is wrong there.
    """
    interfaces: set[tuple[str, str]] = set()
    owners: dict[str, str] = {}
    for host in topology.hosts():
        checked_name(host)
    for end in topology.ends():
        where = f"{end.host}: {end.interface}"
        _check_interface(end.host, end.interface, interfaces)
        _check_mtu(end.mtu, where)
        _check_addresses(end.addresses, where, owners)
        _check_impairment(end.impairment, where)
    for bridge in topology.bridges:
        where = f"{bridge.host}: {bridge.name}"
        _check_interface(bridge.host, bridge.name, interfaces)
        _check_mtu(bridge.mtu, where)
        _check_addresses(bridge.addresses, where, owners)
    for bridge in topology.bridges:
        for port in bridge.ports:
            if (bridge.host, port) not in interfaces:
                raise LocalError(
                    f"the bridge's port {port} is no link or port of {bridge.host}",
                    where=f"{bridge.host}: {bridge.name}",
                )
    for route in topology.routes:
        _check_route(route)
    for sysctl in topology.sysctls:
        if not _SYSCTL.fullmatch(sysctl.path) or ".." in sysctl.path.split("/"):
            raise LocalError(f"{sysctl.key!r} is no net.* sysctl", where=sysctl.host)
        if not re.fullmatch(r"[A-Za-z0-9_. -]+", sysctl.value):
            raise LocalError(f"{sysctl.key} cannot be {sysctl.value!r}", where=sysctl.host)


def _addresses(address: str) -> tuple[str, ...]:
    return tuple(address.split())


def _check_interface(host: str, interface: str, seen: set[tuple[str, str]]) -> None:
    if not _INTERFACE.fullmatch(interface) or interface in ("all", "default", "lo"):
        raise LocalError(
            f"{interface!r} cannot name an interface",
            where=host,
            remedy="name it (a_interface, b_interface) with 1 to 15 letters, digits, '_', '.', '-'",
        )
    if (host, interface) in seen:
        raise LocalError(
            f"two interfaces are called {interface}",
            where=host,
            remedy="name the ends of parallel links (a_interface, b_interface)",
        )
    seen.add((host, interface))


def _check_mtu(mtu: int | None, where: str) -> None:
    if mtu is not None and not MTU_RANGE[0] <= mtu <= MTU_RANGE[1]:
        raise LocalError(f"the MTU {mtu} is outside {MTU_RANGE[0]} to {MTU_RANGE[1]}", where=where)


def _check_addresses(addresses: Sequence[str], where: str, owners: dict[str, str]) -> None:
    for text in addresses:
        try:
            if "/" not in text:
                raise ValueError
            address = str(ipaddress.ip_interface(text).ip)
        except ValueError:
            raise LocalError(f"{text!r} is no address with prefix length", where=where) from None
        if address in owners:
            raise LocalError(f"the address {address} is taken by {owners[address]}", where=where)
        owners[address] = where


def _check_impairment(impairment: Impairment, where: str) -> None:
    if not 0 <= impairment.jitter_ms <= impairment.delay_ms <= 60_000:
        raise LocalError(
            f"delay_ms = {impairment.delay_ms:g}, jitter_ms = {impairment.jitter_ms:g} cannot be",
            where=where,
            remedy="0 <= jitter_ms <= delay_ms <= 60000",
        )
    if not 0 <= impairment.loss_percent <= 100:
        raise LocalError(
            f"loss_percent = {impairment.loss_percent:g} is outside 0 to 100", where=where
        )
    if impairment.rate_mbit is not None and not 0.001 <= impairment.rate_mbit <= 100_000:
        raise LocalError(
            f"rate_mbit = {impairment.rate_mbit:g} is outside 0.001 to 100000", where=where
        )


def _check_route(route: Route) -> None:
    where = f"{route.host}: route {route.prefix}"
    try:
        if route.prefix != "default":
            ipaddress.ip_network(route.prefix)
        if route.via:
            ipaddress.ip_address(route.via)
    except ValueError as error:
        raise LocalError(str(error), where=where) from None
    if not route.via and not route.interface:
        raise LocalError("it needs a gateway (via) or an interface", where=where)
    if route.interface and not _INTERFACE.fullmatch(route.interface):
        raise LocalError(f"{route.interface!r} cannot name an interface", where=where)
