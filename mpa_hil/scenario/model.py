"""The lab file's tables as frozen, typed objects.

Each field's description is its documentation: `docs/lab_file.md` is made from it and error
messages quote it. What one field alone cannot say (subnets that overlap, an SSID used twice) is
checked in `checks`. List tables are plural here and singular in the file: ``[[domain]]``.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from msgspec import Meta, Struct

from .comparison import Compare
from .schemes import USUAL, Schemes

Security = Literal["wpa2-enterprise", "wpa2-psk"]
Pmf = Literal["off", "optional", "required"]
Direction = Literal["both", "downlink", "uplink"]
FlowKind = Literal["udp", "tcp"]

HOME = "home"
CORRESPONDENT = "correspondent"


class Table(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Common ground of all tables: frozen, named fields only, nothing unknown accepted."""


class Lab(Table, frozen=True, kw_only=True):
    """What this lab is."""

    name: Annotated[str, Meta(description="letters, digits, - and _; names the run's folder")]
    description: Annotated[str, Meta(description="one line for people")] = ""
    seed: Annotated[int, Meta(description="start of every random choice", ge=0, le=2**32 - 1)] = 1
    schemes: Annotated[
        tuple[str, ...],
        Meta(description="schemes that a run takes unless --scheme names others"),
    ] = USUAL


class HomeAgent(Table, frozen=True, kw_only=True):
    """The home agent (RFC 5944)."""

    lifetime_s: Annotated[
        int,
        Meta(description="longest registration granted; 65535 would mean for ever", ge=1, le=65534),
    ] = 300
    spi: Annotated[
        int,
        Meta(
            description="index of the MN-HA security association; to 255 reserved", ge=256, lt=2**32
        ),
    ] = 256
    key: Annotated[
        str | None,
        Meta(description="MN-HA key, 32 or more hexadecimal digits; left out: drawn for each run"),
    ] = None


class HomeAaa(Table, frozen=True, kw_only=True):
    """The home AAA server (FreeRADIUS, EAP-TLS). Without certificates the run makes its own."""

    radius_secret: Annotated[
        str | None,
        Meta(description="shared by all AAA hops, 16 characters up; left out: drawn for each run"),
    ] = None
    ca: Annotated[str | None, Meta(description="PEM file: the CA of both certificates")] = None
    cert: Annotated[str | None, Meta(description="PEM file: the server's certificate")] = None
    key: Annotated[str | None, Meta(description="PEM file: the server's private key")] = None


class Home(Table, frozen=True, kw_only=True):
    """The MN's home domain: its AAA server and its home agent."""

    realm: Annotated[str, Meta(description="realm that the visited AAA servers proxy by")]
    subnet: Annotated[IPv4Network, Meta(description="home subnet, /8 to /28")]
    agent: Annotated[HomeAgent, Meta(description="the home agent")] = HomeAgent()
    aaa: Annotated[HomeAaa, Meta(description="the home AAA server")] = HomeAaa()

    @property
    def agent_address(self) -> IPv4Address:
        """The home agent, which also routes the home subnet."""
        return self.subnet[1]

    @property
    def aaa_address(self) -> IPv4Address:
        """The home AAA server."""
        return self.subnet[2]


class AccessPoint(Table, frozen=True, kw_only=True):
    """One access point (PoA) of a domain."""

    name: Annotated[str, Meta(description="also the name of its box")]
    ssid: Annotated[str, Meta(description="1 to 32 octets of UTF-8; one network to the MN")]
    bssid: Annotated[str, Meta(description="the radio's MAC address, unicast")]
    channel: Annotated[int, Meta(description="1 to 13, or 36, 40, 44, 48, 149, 153, 157, 161, 165")]
    security: Annotated[
        Security, Meta(description="802.1X through the domain's AAA, or a pre-shared key")
    ] = "wpa2-enterprise"
    pmf: Annotated[Pmf, Meta(description="protected management frames (802.11w)")] = "optional"
    psk: Annotated[
        str | None,
        Meta(description="64 hexadecimal digits, for wpa2-psk; left out: drawn for each run"),
    ] = None

    @property
    def frequency_mhz(self) -> int:
        """Centre frequency of the channel (IEEE 802.11 s15.4.4.3, s17.3.8.4.2)."""
        return (2407 if self.channel <= 13 else 5000) + 5 * self.channel


class Dhcp(Table, frozen=True, kw_only=True):
    """The domain's DHCP server, on its access router."""

    first: Annotated[IPv4Address, Meta(description="lowest address leased")]
    last: Annotated[IPv4Address, Meta(description="highest address leased")]
    lease_s: Annotated[
        int, Meta(description="lease time; the server grants no less", ge=120, le=31_536_000)
    ] = 600
    conflict_check: Annotated[
        bool, Meta(description="probe an address before offering it (RFC 2131 s2.2)")
    ] = True
    rapid_commit: Annotated[bool, Meta(description="two-message exchange (RFC 4039)")] = False


class Domain(Table, frozen=True, kw_only=True, rename={"aps": "ap"}):
    """A visited domain: access router, AAA proxy, DHCP server and access points."""

    name: Annotated[str, Meta(description="site name; its boxes are NAME-router and NAME-aaa")]
    realm: Annotated[str, Meta(description="the operator's own realm")]
    subnet: Annotated[IPv4Network, Meta(description="access subnet, /8 to /28")]
    dhcp: Annotated[Dhcp, Meta(description="the DHCP server")]
    aps: Annotated[tuple[AccessPoint, ...], Meta(description="access points, at least one")]

    @property
    def router_address(self) -> IPv4Address:
        """The access router (AR) and DHCP server."""
        return self.subnet[1]

    @property
    def aaa_address(self) -> IPv4Address:
        """The visited AAA server."""
        return self.subnet[2]

    @property
    def static_address(self) -> IPv4Address:
        """An MN's address without DHCP, as the l2-floor uses it."""
        return self.subnet[3]


class Correspondent(Table, frozen=True, kw_only=True):
    """The correspondent node (CN)."""

    subnet: Annotated[IPv4Network, Meta(description="the CN's subnet, /8 to /28")]

    @property
    def address(self) -> IPv4Address:
        """The CN itself."""
        return self.subnet[2]


class Core(Table, frozen=True, kw_only=True):
    """The network between the sites."""

    subnet: Annotated[
        IPv4Network, Meta(description="cut into one /30 a site link; the default is RFC 2544's")
    ] = IPv4Network("198.18.0.0/24")


class Link(Table, frozen=True, kw_only=True):
    """The link between a site and the core; the same in each direction."""

    name: Annotated[str, Meta(description="site: `home`, `correspondent` or a domain's name")]
    delay_ms: Annotated[
        float, Meta(description="one-way delay, put on each direction", ge=0, le=10_000)
    ] = 0.0
    jitter_ms: Annotated[
        float, Meta(description="spread of the delay, at most the delay", ge=0, le=10_000)
    ] = 0.0
    loss_percent: Annotated[
        float, Meta(description="random loss in each direction", ge=0, le=100)
    ] = 0.0
    rate_mbit: Annotated[
        Annotated[float, Meta(gt=0, le=100_000)] | None,
        Meta(description="rate of each direction; left out: unlimited"),
    ] = None


class MobileNode(Table, frozen=True, kw_only=True):
    """The mobile node (MN)."""

    identity: Annotated[str, Meta(description="NAI, user@realm of the home domain (RFC 7542)")]
    home_address: Annotated[IPv4Address, Meta(description="its address in the home subnet")]
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
    rate_mbit: Annotated[
        Annotated[float, Meta(gt=0, le=1000)] | None,
        Meta(description="for tcp: rate that the CN's kernel paces itself to; left out: 4"),
    ] = None


class Point(Table, frozen=True, kw_only=True):
    """One point of a signal trace."""

    t_s: Annotated[float, Meta(description="time since the warm-up ended", ge=0, le=86_400)]
    ap: Annotated[str, Meta(description="access point that is heard")]
    signal_dbm: Annotated[float, Meta(description="its signal as the MN sees it", ge=-110, le=0)]


class Movement(Table, frozen=True, kw_only=True, rename={"points": "point"}):
    """How the MN moves, as the signal that it sees of each AP over time."""

    start: Annotated[str, Meta(description="access point that the MN begins on")]
    leave_dbm: Annotated[
        float, Meta(description="signal below which the MN wants to leave an AP", ge=-110, le=0)
    ] = -75.0
    lost_dbm: Annotated[
        float,
        Meta(
            description="signal at and below which AP and MN do not hear each other", ge=-110, le=0
        ),
    ] = -90.0
    points: Annotated[
        tuple[Point, ...],
        Meta(description="signal trace; straight lines between points, level before and after"),
    ]


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
    rename={"domains": "domain", "links": "link", "flows": "flow", "placements": "host"},
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

    def link_subnet(self, site: str) -> IPv4Network:
        """The /30 of the site's link: the core has its first address, the site its second."""
        base = int(self.core.subnet.network_address) + 4 * self.sites.index(site)
        return IPv4Network((base, 30))
