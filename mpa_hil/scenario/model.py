"""The lab file's tables as frozen, typed objects.

Each field's description is its documentation: `docs/lab_file.md` is made from it and error
messages quote it. What one field alone cannot say (subnets that overlap, an SSID used twice) is
checked in `checks`. List tables are plural here and singular in the file: ``[[domain]]``.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal

from msgspec import Meta

from .comparison import Compare
from .faults import Fault
from .motion import Movement, Point, Propagation, Waypoint
from .network import (
    AccessPoint,
    Core,
    Correspondent,
    Dhcp,
    Dhcp6,
    Domain,
    Home,
    HomeAaa,
    HomeAgent,
    Link,
    Table,
)
from .policy import PolicyChoice
from .schemes import USUAL, Schemes

__all__ = [
    "CORRESPONDENT",
    "HOME",
    "AccessPoint",
    "Capture",
    "Core",
    "Correspondent",
    "Dhcp",
    "Dhcp6",
    "Direction",
    "Domain",
    "Family",
    "Fault",
    "Flow",
    "FlowKind",
    "Home",
    "HomeAaa",
    "HomeAgent",
    "Lab",
    "Link",
    "Measure",
    "MobileNode",
    "Movement",
    "Placement",
    "Point",
    "PolicyChoice",
    "Propagation",
    "Scenario",
    "Table",
    "Waypoint",
]

Family = Literal["ipv4", "ipv6"]
Direction = Literal["both", "downlink", "uplink"]
FlowKind = Literal["udp", "tcp"]

HOME = "home"
CORRESPONDENT = "correspondent"


class Lab(Table, frozen=True, kw_only=True):
    """What this lab is."""

    name: Annotated[str, Meta(description="letters, digits, - and _; names the run's folder")]
    description: Annotated[str, Meta(description="one line for people")] = ""
    seed: Annotated[int, Meta(description="start of every random choice", ge=0, le=2**32 - 1)] = 1
    family: Annotated[
        Family,
        Meta(
            description="IP version of the MN's sessions: of its flows, and so of its mobility"
            " protocol; ipv6 takes the subnet6 keys and mn.home_address6"
        ),
    ] = "ipv4"
    schemes: Annotated[
        tuple[str, ...],
        Meta(description="schemes that a run takes unless --scheme names others"),
    ] = USUAL


class MobileNode(Table, frozen=True, kw_only=True):
    """The mobile node (MN)."""

    identity: Annotated[str, Meta(description="NAI, user@realm of the home domain (RFC 7542)")]
    home_address: Annotated[IPv4Address, Meta(description="its address in the home subnet")]
    home_address6: Annotated[
        IPv6Address | None, Meta(description="its address in the home subnet of IPv6")
    ] = None
    mac: Annotated[str, Meta(description="the radio's MAC address, unicast")]
    cert: Annotated[str | None, Meta(description="PEM file: the MN's certificate")] = None
    key: Annotated[str | None, Meta(description="PEM file: the MN's private key")] = None


class Flow(Table, frozen=True, kw_only=True):
    """A stream of equally spaced packets between CN and MN, or a download over TCP."""

    name: Annotated[str, Meta(description="names the flow in the results")]
    kind: Annotated[
        FlowKind, Meta(description="equally spaced packets, or octets over TCP from the CN")
    ] = "udp"
    codec: Annotated[
        str | None, Meta(description="codec by name; or give spacing_ms and payload_bytes")
    ] = None
    spacing_ms: Annotated[
        Annotated[float, Meta(ge=0.1, le=10_000)] | None,
        Meta(description="time between packets"),
    ] = None
    payload_bytes: Annotated[
        Annotated[int, Meta(ge=12, le=1400)] | None,
        Meta(description="octets after the RTP header; send stamp and number take 12"),
    ] = None
    direction: Annotated[Direction, Meta(description="downlink is from the CN to the MN")] = "both"
    count: Annotated[int, Meta(description="how many such streams at once", ge=1, le=100)] = 1
    hold: Annotated[
        Literal["next", "old", "bicast", "off"] | None,
        Meta(
            description="where its packets towards the MN wait in `mpa`, if not where the scheme"
            " says; off: they are lost rather than late"
        ),
    ] = None
    rate_mbit: Annotated[
        Annotated[float, Meta(gt=0, le=1000)] | None,
        Meta(description="for tcp: rate that the CN's kernel paces itself to; left out: 4"),
    ] = None


class Capture(Table, frozen=True, kw_only=True):
    """What is captured into pcapng files."""

    enabled: Annotated[bool, Meta(description="capture every box's links")] = True
    air: Annotated[bool, Meta(description="capture the 802.11 frames in the air")] = True
    keys: Annotated[
        bool,
        Meta(description="write session keys beside the captures and keep secrets in lab.toml"),
    ] = False


class Measure(Table, frozen=True, kw_only=True):
    """How a run is measured."""

    warmup_s: Annotated[
        float, Meta(description="traffic before the movement begins", ge=0, le=600)
    ] = 1.0
    cooldown_s: Annotated[
        float, Meta(description="traffic after the handover is done", ge=0, le=600)
    ] = 1.0
    waiting_s: Annotated[
        float, Meta(description="a packet later than this counts as lost", gt=0, le=60)
    ] = 3.0
    null_run: Annotated[
        bool, Meta(description="also run once without a switch: it must lose nothing")
    ] = True


class Placement(Table, frozen=True, kw_only=True):
    """A box that is a machine reached over SSH; every other box is a namespace."""

    name: Annotated[str, Meta(description="box: `mn`, `home-aaa`, an AP's name, ...")]
    address: Annotated[str, Meta(description="the machine's name or IP address")]
    user: Annotated[str, Meta(description="user to log in as; root, or one with the same powers")]
    key: Annotated[str, Meta(description="private key file for logging in")]
    port: Annotated[int, Meta(description="SSH port", ge=1, le=65535)] = 22
    known_hosts: Annotated[
        str | None, Meta(description="file of host keys; left out: the user's own known_hosts")
    ] = None
    interface: Annotated[
        str | None, Meta(description="wireless interface; needed for `mn` and access points")
    ] = None


class Scenario(
    Table,
    frozen=True,
    kw_only=True,
    rename={
        "domains": "domain",
        "links": "link",
        "flows": "flow",
        "faults": "fault",
        "placements": "host",
    },
):
    """A whole lab file, checked."""

    lab: Annotated[Lab, Meta(description="what this lab is")]
    home: Annotated[Home, Meta(description="the MN's home domain")]
    domains: Annotated[tuple[Domain, ...], Meta(description="visited domains, at least one")]
    correspondent: Annotated[Correspondent, Meta(description="the correspondent node (CN)")]
    core: Annotated[Core, Meta(description="the network between the sites")] = Core()
    links: Annotated[
        tuple[Link, ...], Meta(description="site links; one not named is perfect")
    ] = ()
    mn: Annotated[MobileNode, Meta(description="the mobile node (MN)")]
    flows: Annotated[tuple[Flow, ...], Meta(description="traffic, at least one flow")]
    movement: Annotated[Movement, Meta(description="how the MN moves")]
    schemes: Annotated[Schemes, Meta(description="options of each scheme")] = Schemes()
    capture: Annotated[Capture, Meta(description="what is captured")] = Capture()
    measure: Annotated[Measure, Meta(description="how a run is measured")] = Measure()
    compare: Annotated[
        Compare | None, Meta(description="what `mpa-hil compare` puts side by side")
    ] = None
    policy: Annotated[
        PolicyChoice | None,
        Meta(
            description="who decides when the MN moves and where to; left out: the fall of the"
            " signal below `movement.leave_dbm` does"
        ),
    ] = None
    faults: Annotated[
        tuple[Fault, ...], Meta(description="runs that something goes wrong in, beside the others")
    ] = ()
    placements: Annotated[
        tuple[Placement, ...], Meta(description="boxes that are machines reached over SSH")
    ] = ()

    @property
    def sites(self) -> tuple[str, ...]:
        """What hangs off the core, in a fixed order."""
        return (HOME, *(domain.name for domain in self.domains), CORRESPONDENT)

    @property
    def boxes(self) -> tuple[str, ...]:
        """Every box of the lab by name, in a fixed order."""
        visited = (
            box
            for domain in self.domains
            for box in (
                f"{domain.name}-router",
                f"{domain.name}-aaa",
                *(ap.name for ap in domain.aps),
            )
        )
        return ("mn", "core", "home-agent", "home-aaa", "cn-router", "cn", *visited)

    @property
    def aps(self) -> tuple[AccessPoint, ...]:
        """Every access point, domain by domain."""
        return tuple(ap for domain in self.domains for ap in domain.aps)

    def ap(self, name: str) -> AccessPoint:
        """The access point of that name; raises KeyError."""
        return {ap.name: ap for ap in self.aps}[name]

    def domain_of(self, ap: str) -> Domain:
        """The domain that the access point belongs to; raises KeyError."""
        return {a.name: domain for domain in self.domains for a in domain.aps}[ap]

    def link(self, site: str) -> Link:
        """The site's link to the core, perfect where the lab file names none."""
        return next((link for link in self.links if link.name == site), Link(name=site))

    @property
    def has_ipv6(self) -> bool:
        """Whether the lab's networks speak IPv6 besides IPv4."""
        return self.home.subnet6 is not None

    def agents_address(self, domain: Domain) -> IPv4Address | IPv6Address:
        """Where the MN asks a domain's AA, CA and AR: at its access router, over its own family."""
        address6 = domain.router_address6
        if self.lab.family == "ipv6" and address6 is not None:
            return address6
        return domain.router_address

    def link_subnet6(self, site: str) -> IPv6Network:
        """The /64 of the site's link: the core has its first address, the site its second."""
        base = int(self.core.subnet6.network_address) + (self.sites.index(site) << 64)
        return IPv6Network((base, 64))

    def link_subnet(self, site: str) -> IPv4Network:
        """The /30 of the site's link: the core has its first address, the site its second."""
        base = int(self.core.subnet.network_address) + 4 * self.sites.index(site)
        return IPv4Network((base, 30))
