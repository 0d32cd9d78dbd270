"""From a topology to what each host's kernel is told: pure text, so that it can be tested as such.

One `ip -batch` makes all links, then each host gets its settings, one `ip -batch` and, where a path
is impaired, one `tc -batch`: two to four processes a host, whatever the number of its links.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass

from rigs.links import End, Impairment, Topology, validate

UNPACED_LIMIT_PACKETS = 100_000
"""netem's queue where no rate is set, which holds what is on its way: the default of 1000 packets
would lose most of 10,000 packets/s over 150 ms unasked. Memory is taken only by packets there."""

BOTTLENECK_BUFFER_MS = 100.0
"""Depth of the queue before a rate limit, counted in full-sized packets: one wide-area round trip,
the usual rule for router buffers."""

REACHABLE_MS = 600_000
"""How long a neighbour entry is trusted. The default of 30 s would put ARP probes into measured
minutes; the lab's neighbours do not change behind its back."""


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What one host is told, in this order.

    Attributes:
        settings: (path below /proc/sys, value); a path under net/ipv6 may be absent.
        ip_batch: input of ``ip -batch -``.
        tc_batch: input of ``tc -batch -``.
        interfaces: all that must be there, bridges aside.
        made: those of them that the lab makes, and turns the offloads of off.
    """

    settings: tuple[tuple[str, str], ...]
    ip_batch: str
    tc_batch: str
    interfaces: tuple[str, ...]
    made: tuple[str, ...]


def mac_of(host: str, interface: str) -> str:
    """A locally administered unicast MAC address, the same for the same names in every run."""
    digest = hashlib.sha256(f"{host}/{interface}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))


def link_batch(topology: Topology, namespaces: Mapping[str, str]) -> str:
    """``ip -batch`` input that lays every link, each end made right inside its namespace.

    Args:
        topology: the lab's wiring.
        namespaces: network namespace by host name.
    """
    lines = []
    for link in topology.links:
        near, far = (
            f"name {end.interface} address {mac_of(end.host, end.interface)} mtu {end.mtu}"
            f" netns {namespaces[end.host]}"
            for end in (link.a_end, link.b_end)
        )
        lines.append(f"link add {near} type veth peer {far}\n")
    return "".join(lines)


def plan(
    topology: Topology, owned: Container[str], seedable: Container[str] = frozenset()
) -> dict[str, HostPlan]:
    """What every host is told.

    Args:
        topology: the lab's wiring.
        owned: hosts that are the lab's alone (namespaces). On others only the named interfaces are
            set, and no interface beside them notices.
        seedable: hosts whose netem takes a seed.

    Raises:
        LocalError: the topology breaks a rule (`rigs.links.validate`).
    """
    validate(topology)
    return {
        host: HostPlan(
            settings=_settings(topology, host, host in owned),
            ip_batch=_ip_batch(topology, host),
            tc_batch=_tc_batch(topology, host, host in seedable),
            interfaces=tuple(end.interface for end in topology.ends() if end.host == host),
            made=tuple(end.interface for end in topology.ends() if end.host == host and end.made),
        )
        for host in topology.hosts()
    }


def netem(impairment: Impairment, mtu: int | None = None, seed: int | None = None) -> str:
    """The words after ``tc qdisc add dev X root`` for an impairment."""
    bits_per_packet = 8 * (mtu or 1500)
    if impairment.rate_mbit is None:
        limit = UNPACED_LIMIT_PACKETS
    else:
        held_ms = impairment.delay_ms + impairment.jitter_ms + BOTTLENECK_BUFFER_MS
        limit = max(10, math.ceil(impairment.rate_mbit * 1000 * held_ms / bits_per_packet))
    words = [f"netem limit {limit}"]
    if impairment.delay_ms:
        words.append(f"delay {_microseconds(impairment.delay_ms)}")
    if impairment.jitter_ms:
        words.append(f"{_microseconds(impairment.jitter_ms)} distribution normal")
    if impairment.loss_percent:
        words.append(f"loss random {impairment.loss_percent:.6g}%")
    if impairment.rate_mbit is not None:
        words.append(f"rate {round(impairment.rate_mbit * 1e6)}bit")
    elif impairment.jitter_ms:
        # netem sends by due time and so reorders under jitter, except behind a rate, where a packet
        # is due after the one before it (net/sched/sch_netem.c). This rate is no limit to anyone.
        words.append("rate 100gbit")
    if seed is not None and (impairment.jitter_ms or impairment.loss_percent):
        words.append(f"seed {seed}")
    return " ".join(words)


def _microseconds(milliseconds: float) -> str:
    return f"{round(milliseconds * 1000)}us"


def _tc_batch(topology: Topology, host: str, seedable: bool) -> str:
    lines = []
    for end in topology.ends():
        if end.host == host and end.impairment:
            seed = _seed(topology.seed, end) if seedable and topology.seed is not None else None
            words = netem(end.impairment, end.mtu, seed)
            lines.append(f"qdisc replace dev {end.interface} root {words}\n")
    return "".join(lines)


def _seed(seed: int, end: End) -> int:
    """One seed an interface: with the same one everywhere, paths would lose the same packets."""
    digest = hashlib.sha256(f"{seed}/{end.host}/{end.interface}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _ip_batch(topology: Topology, host: str) -> str:
    lines = []
    masters: dict[str, str] = {}
    for bridge in topology.bridges:
        if bridge.host == host:
            masters.update(dict.fromkeys(bridge.ports, bridge.name))
            # No spanning tree, no learning delay: a port forwards at once. No snooping: with no
            # querier in the lab it would drop multicast after some minutes.
            lines.append(
                f"link add name {bridge.name} address {mac_of(host, bridge.name)}"
                " type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
            )
    for end in topology.ends():
        if end.host == host:
            mtu = f" mtu {end.mtu}" if end.mtu is not None else ""
            master = f" master {masters[end.interface]}" if end.interface in masters else ""
            lines.append(f"link set dev {end.interface}{mtu}{master} up")
            lines += [_address_line(address, end.interface) for address in end.addresses]
    for bridge in topology.bridges:
        if bridge.host == host:
            lines.append(f"link set dev {bridge.name} mtu {bridge.mtu} up")
            lines += [_address_line(address, bridge.name) for address in bridge.addresses]
    for route in topology.routes:
        if route.host == host:
            via = f" via {route.via}" if route.via else ""
            device = f" dev {route.interface}" if route.interface else ""
            lines.append(f"route replace {route.prefix}{via}{device}")
    return "".join(line + "\n" for line in lines)


def _address_line(text: str, interface: str) -> str:
    address = ipaddress.ip_interface(text)
    if address.version == 6:
        return f"address replace {address} dev {interface} nodad"
    broadcast = " broadcast +" if address.network.prefixlen < 31 else ""
    return f"address replace {address}{broadcast} dev {interface}"


def _settings(topology: Topology, host: str, owned: bool) -> tuple[tuple[str, str], ...]:
    named = [end.interface for end in topology.ends() if end.host == host]
    scopes = ["all", "default", *named] if owned else named
    # First, because the kernel resets others when it changes (Documentation/networking/ip-sysctl).
    settings: dict[str, str] = {}
    if owned or host in topology.forwarding:
        settings["net/ipv4/ip_forward"] = "1" if host in topology.forwarding else "0"
    if not owned and named:
        # The stricter of `all` and the interface's own counts.
        settings["net/ipv4/conf/all/rp_filter"] = "0"
    for scope in scopes:
        conf = f"net/ipv4/conf/{scope}"
        # Mobile IP's triangle brings packets in where no reply would go out.
        settings[f"{conf}/rp_filter"] = "0"
        # A redirect would quietly change the path that is being measured.
        settings[f"{conf}/send_redirects"] = "0"
        settings[f"{conf}/accept_redirects"] = "0"
        # An address answers ARP on its own interface only, and is announced from there.
        settings[f"{conf}/arp_ignore"] = "1"
        settings[f"{conf}/arp_announce"] = "2"
    for scope in named:  # a namespace has no `default` of these: interfaces take the machine's
        settings[f"net/ipv4/neigh/{scope}/base_reachable_time_ms"] = str(REACHABLE_MS)
    with_ipv6 = host in topology.ipv6
    for scope in scopes:
        conf = f"net/ipv6/conf/{scope}"
        settings[f"{conf}/disable_ipv6"] = "0" if with_ipv6 else "1"
        if with_ipv6:
            # The lab sets every address: no duplicate detection, nothing from advertisements.
            settings[f"{conf}/accept_dad"] = "0"
            settings[f"{conf}/accept_ra"] = "0"
            settings[f"{conf}/autoconf"] = "0"
    if with_ipv6 and (owned or host in topology.forwarding):
        settings["net/ipv6/conf/all/forwarding"] = "1" if host in topology.forwarding else "0"
    for sysctl in topology.sysctls:
        if sysctl.host == host:
            settings[sysctl.path] = sysctl.value
    return tuple(settings.items())
