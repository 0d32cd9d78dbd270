"""A scenario's boxes and wires: a star of sites round a core, nothing that needs a kernel.

    home-aaa -- home-agent --+               +-- X-router == lan == { X-aaa, access points }
                             +---- core -----+
            cn -- cn-router --+              +-- Y-router == ...

Delay, jitter and loss of a site's link act between its gateway and the core, in each direction.
A domain's access points bridge the air to the access router's LAN; what they say to the domain's
AAA server comes from link-local addresses (RFC 3927's block, here the management network), which
no lab file can collide with.

In a lab with agents an access router has one more port on its own LAN: the configuration agent asks
the DHCP server as a client on the link would, so it needs an interface that is not the server's.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

from mpa_hil.scenario import Scenario
from mpa_hil.scenario.model import CORRESPONDENT, HOME, AccessPoint, Domain
from rigs.links import Bridge, Link, Port, Route, Sysctl, Topology

RADIO = "wlan0"
"""The wireless interface of the MN and of each access point."""
LAN = "lan"
"""An access router's bridge: the subnet that the MN joins."""
CLIENT, CLIENT_PORT = "ca0", "ca-port"
"""On an access router: the configuration agent's interface on the LAN, and the bridge's end."""
PORTS = "br0"
"""An access point's bridge between air and wire."""
EVERYWHERE6 = "::/0"
AIR = "air"
"""The box that the monitor of all virtual radios is put into."""
_QUEUED_DATAGRAMS = "512"
"""Of a control socket: the default of 10 is full while its reader waits for the one processor."""


def needs_home(scenario: Scenario, *, floor: bool) -> bool:
    """Whether any AAA server or the home agent takes part."""
    return not floor or any(ap.security == "wpa2-enterprise" for ap in scenario.aps)


def boxes(scenario: Scenario, *, floor: bool) -> tuple[str, ...]:
    """The lab's boxes in a fixed order; `floor` leaves out what a bare switch has no use for."""
    if needs_home(scenario, floor=floor):
        return scenario.boxes
    unused = {"home-agent", "home-aaa", *(f"{domain.name}-aaa" for domain in scenario.domains)}
    return tuple(box for box in scenario.boxes if box not in unused)


def gateway(site: str) -> str:
    """The box that connects a site to the core."""
    return {HOME: "home-agent", CORRESPONDENT: "cn-router"}.get(site, f"{site}-router")


def management_address(scenario: Scenario, ap: AccessPoint) -> str:
    """An access point's own address, for its RADIUS requests."""
    domain = scenario.domain_of(ap.name)
    return f"169.254.{scenario.domains.index(domain) + 1}.{domain.aps.index(ap) + 1}"


def management_subnet(scenario: Scenario, domain: Domain) -> str:
    """Where the access points of a domain have their own addresses."""
    return f"169.254.{scenario.domains.index(domain) + 1}.0/24"


def topology(scenario: Scenario, *, floor: bool, agents: bool = False) -> Topology:
    """The wiring of the lab; it is built once each radio is in its box, called `RADIO`.

    Args:
        agents: with what the agents of RFC 6252 need.
    """
    home = needs_home(scenario, floor=floor)
    sites = [site for site in scenario.sites if home or site != HOME]
    links = [_site_link(scenario, site) for site in sites]
    routes = [route for site in sites for route in _core_routes(scenario, site)]
    bridges: list[Bridge] = []
    links.append(_correspondent_link(scenario))
    routes += _correspondent_routes(scenario)
    if home:
        links.append(_home_link(scenario))
        routes.append(Route("home-aaa", "default", via=str(scenario.home.agent_address)))
    for domain in scenario.domains:
        links += _domain_links(domain, home, agents)
        bridges += _domain_bridges(scenario, domain, home, agents)
        if home:
            routes += _domain_routes(scenario, domain)
    names = boxes(scenario, floor=floor)
    sysctls = [Sysctl(box, "net.unix.max_dgram_qlen", _QUEUED_DATAGRAMS) for box in names]
    gateways = frozenset({"core", *(gateway(site) for site in sites)})
    if scenario.has_ipv6:
        sysctls += _node_sysctls()
    if any(flow.kind == "tcp" for flow in scenario.flows):
        # Segment by segment, as a network paces them: the default sends them in twos.
        sysctls.append(Sysctl("cn", "net.ipv4.tcp_min_tso_segs", "1"))
    if agents:
        sysctls += [sysctl for domain in scenario.domains for sysctl in _client_sysctls(domain)]
    return Topology(
        links=links,
        ports=[Port("mn", RADIO)],
        bridges=bridges,
        routes=routes,
        forwarding=gateways,
        ipv6=gateways | {"mn", "cn"} if scenario.has_ipv6 else frozenset(),
        sysctls=sysctls,
        seed=scenario.lab.seed,
    )


def captured(scenario: Scenario, *, floor: bool) -> Iterator[tuple[str, str]]:
    """Box and interface of every capture: each wire once, at the end nearer to a server or AP."""
    home = needs_home(scenario, floor=floor)
    yield "mn", RADIO
    yield "cn", "cn-router"
    for site in scenario.sites:
        if home or site != HOME:
            yield "core", gateway(site)
    if home:
        yield "home-aaa", "home-agent"
    for domain in scenario.domains:
        if home:
            yield f"{domain.name}-aaa", f"{domain.name}-router"
        for ap in domain.aps:
            yield ap.name, f"{domain.name}-router"


def _site_link(scenario: Scenario, site: str) -> Link:
    link, subnet, subnet6 = scenario.link(site), scenario.link_subnet(site), None
    if scenario.has_ipv6:
        subnet6 = scenario.link_subnet6(site)
    return Link(
        "core",
        gateway(site),
        _numbered(subnet, subnet6, 1),
        _numbered(subnet, subnet6, 2),
        delay_ms=link.delay_ms,
        jitter_ms=link.jitter_ms,
        loss_percent=link.loss_percent,
        rate_mbit=link.rate_mbit,
    )


def _core_routes(scenario: Scenario, site: str) -> Iterator[Route]:
    """To what lies behind a site's gateway, and from there to everywhere else."""
    if site == HOME:
        prefix, prefix6 = scenario.home.subnet, scenario.home.subnet6
    elif site == CORRESPONDENT:
        prefix, prefix6 = scenario.correspondent.subnet, scenario.correspondent.subnet6
    else:
        domain = next(domain for domain in scenario.domains if domain.name == site)
        prefix, prefix6 = domain.subnet, domain.subnet6
    link = scenario.link_subnet(site)
    yield Route("core", str(prefix), via=str(link[2]))
    yield Route(gateway(site), "default", via=str(link[1]))
    if prefix6 is not None:
        link6 = scenario.link_subnet6(site)
        yield Route("core", str(prefix6), via=str(link6[2]))
        yield Route(gateway(site), EVERYWHERE6, via=str(link6[1]))


def _correspondent_link(scenario: Scenario) -> Link:
    subnet, subnet6 = scenario.correspondent.subnet, scenario.correspondent.subnet6
    return Link("cn-router", "cn", _numbered(subnet, subnet6, 1), _numbered(subnet, subnet6, 2))


def _correspondent_routes(scenario: Scenario) -> Iterator[Route]:
    yield Route("cn", "default", via=str(scenario.correspondent.subnet[1]))
    if scenario.correspondent.subnet6 is not None:
        yield Route("cn", EVERYWHERE6, via=str(scenario.correspondent.subnet6[1]))


def _home_link(scenario: Scenario) -> Link:
    """AAA is reached over IPv4; the home agent's IPv6 address is on the same link."""
    home = scenario.home
    near = _numbered(home.subnet, home.subnet6, 1)
    return Link("home-agent", "home-aaa", near, f"{home.aaa_address}/{home.subnet.prefixlen}")


def _numbered(subnet: IPv4Network, subnet6: IPv6Network | None, number: int) -> str:
    """A host's addresses on a link, each with its prefix length."""
    found = [f"{subnet[number]}/{subnet.prefixlen}"]
    if subnet6 is not None:
        found.append(f"{subnet6[number]}/{subnet6.prefixlen}")
    return " ".join(found)


def _node_sysctls() -> Iterator[Sysctl]:
    """The MN is a host: it makes addresses of what routers advertise, and looks for duplicates."""
    wanted = {"accept_ra": 1, "autoconf": 1, "accept_dad": 1, "dad_transmits": 1, "use_tempaddr": 0}
    for key, value in wanted.items():
        yield Sysctl("mn", f"net/ipv6/conf/{RADIO}/{key}", str(value))


def _client_sysctls(domain: Domain) -> Iterator[Sysctl]:
    """Nothing but the agent speaks on its port: no address is ever made there."""
    for interface in (CLIENT, CLIENT_PORT):
        key = f"net/ipv6/conf/{interface}/disable_ipv6"
        yield Sysctl(f"{domain.name}-router", key, "1")


def _domain_links(domain: Domain, home: bool, agents: bool) -> Iterator[Link]:
    router = f"{domain.name}-router"
    if home:
        address = f"{domain.aaa_address}/{domain.subnet.prefixlen}"
        yield Link(router, f"{domain.name}-aaa", "", address)
    for ap in domain.aps:
        yield Link(router, ap.name)
    if agents:
        yield Link(router, router, a_interface=CLIENT, b_interface=CLIENT_PORT)


def _domain_bridges(
    scenario: Scenario, domain: Domain, home: bool, agents: bool
) -> Iterator[Bridge]:
    router = f"{domain.name}-router"
    ports = [ap.name for ap in domain.aps]
    if home:
        ports.insert(0, f"{domain.name}-aaa")
    if agents:
        ports.append(CLIENT_PORT)
    yield Bridge(router, LAN, ports, _numbered(domain.subnet, domain.subnet6, 1).split())
    for ap in domain.aps:
        yield Bridge(ap.name, PORTS, [router], [f"{management_address(scenario, ap)}/24"])


def _domain_routes(scenario: Scenario, domain: Domain) -> Iterator[Route]:
    router, aaa = f"{domain.name}-router", f"{domain.name}-aaa"
    yield Route(aaa, "default", via=str(domain.router_address))
    yield Route(aaa, management_subnet(scenario, domain), interface=router)
    yield Route(router, management_subnet(scenario, domain), interface=LAN)
    for ap in domain.aps:
        for server in (domain.aaa_address, domain.router_address):
            yield Route(ap.name, f"{server}/32", interface=PORTS)
