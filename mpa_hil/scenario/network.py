"""The lab file's tables of boxes, subnets and links, as frozen, typed objects.

Beside `mpa_hil.scenario.model`, which has the rest and the whole.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal

from msgspec import Meta, Struct

Security = Literal["wpa2-enterprise", "wpa2-psk"]
Pmf = Literal["off", "optional", "required"]
Addressing = Literal["stateless", "stateful"]


class Table(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Common ground of all tables: frozen, named fields only, nothing unknown accepted."""


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
    subnet6: Annotated[
        IPv6Network | None,
        Meta(description="home subnet of IPv6, a /64; given here, then everywhere"),
    ] = None
    agent: Annotated[HomeAgent, Meta(description="the home agent")] = HomeAgent()
    aaa: Annotated[HomeAaa, Meta(description="the home AAA server")] = HomeAaa()

    @property
    def agent_address(self) -> IPv4Address:
        """The home agent, which also routes the home subnet."""
        return self.subnet[1]

    @property
    def agent_address6(self) -> IPv6Address | None:
        """The home agent; None without IPv6."""
        return host6(self.subnet6, 1)

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
    x_m: Annotated[
        Annotated[float, Meta(ge=-100_000, le=100_000)] | None,
        Meta(description="where it stands: east, m; needed where the MN has waypoints"),
    ] = None
    y_m: Annotated[
        float, Meta(description="where it stands: north, m", ge=-100_000, le=100_000)
    ] = 0.0
    transmit_dbm: Annotated[
        float, Meta(description="transmit power of the propagation model", ge=-20, le=36)
    ] = 20.0

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


class Dhcp6(Table, frozen=True, kw_only=True):
    """How nodes of the domain get IPv6 addresses; router advertisements tell them."""

    addresses: Annotated[
        Addressing,
        Meta(
            description="made by each node from the advertised prefix, which DHCPv6 tells the rest;"
            " or leased by DHCPv6"
        ),
    ] = "stateless"
    first: Annotated[
        IPv6Address | None, Meta(description="for stateful: lowest address leased")
    ] = None
    last: Annotated[
        IPv6Address | None, Meta(description="for stateful: highest address leased")
    ] = None
    lease_s: Annotated[
        int, Meta(description="lease, and lifetime of the prefix", ge=120, le=31_536_000)
    ] = 600
    advertisement_s: Annotated[
        int, Meta(description="between unsolicited router advertisements", ge=4, le=1800)
    ] = 600


class Domain(Table, frozen=True, kw_only=True, rename={"aps": "ap"}):
    """A visited domain: access router, AAA proxy, DHCP server and access points."""

    name: Annotated[str, Meta(description="site name; its boxes are NAME-router and NAME-aaa")]
    realm: Annotated[str, Meta(description="the operator's own realm")]
    subnet: Annotated[IPv4Network, Meta(description="access subnet, /8 to /28")]
    dhcp: Annotated[Dhcp, Meta(description="the DHCP server")]
    subnet6: Annotated[
        IPv6Network | None, Meta(description="access subnet of IPv6, a /64; in all or none")
    ] = None
    dhcp6: Annotated[Dhcp6, Meta(description="IPv6 addresses of nodes")] = Dhcp6()
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

    @property
    def router_address6(self) -> IPv6Address | None:
        """The access router; None without IPv6."""
        return host6(self.subnet6, 1)

    @property
    def static_address6(self) -> IPv6Address | None:
        """As `static_address`; None without IPv6."""
        return host6(self.subnet6, 3)


class Correspondent(Table, frozen=True, kw_only=True):
    """The correspondent node (CN)."""

    subnet: Annotated[IPv4Network, Meta(description="the CN's subnet, /8 to /28")]
    subnet6: Annotated[
        IPv6Network | None, Meta(description="the CN's subnet of IPv6, a /64; in all or none")
    ] = None

    @property
    def address(self) -> IPv4Address:
        """The CN itself."""
        return self.subnet[2]

    @property
    def address6(self) -> IPv6Address | None:
        """The CN itself; None without IPv6."""
        return host6(self.subnet6, 2)


class Core(Table, frozen=True, kw_only=True):
    """The network between the sites."""

    subnet: Annotated[
        IPv4Network, Meta(description="cut into one /30 a site link; the default is RFC 2544's")
    ] = IPv4Network("198.18.0.0/24")
    subnet6: Annotated[
        IPv6Network, Meta(description="cut into one /64 a site link; the default is RFC 5180's")
    ] = IPv6Network("2001:2::/48")


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


def host6(subnet: IPv6Network | None, number: int) -> IPv6Address | None:
    """An address of a subnet that may not be there."""
    return None if subnet is None else subnet[number]
