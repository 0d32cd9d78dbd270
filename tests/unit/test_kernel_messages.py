"""Our rtnetlink octets, read back by pyroute2 (an encoder that somebody else wrote)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from mpa_hil.kernel import netlink
from mpa_hil.kernel.arp import gratuitous
from mpa_hil.kernel.objects import Address, ProxyNeighbour, Route, Tunnel
from mpa_hil.kernel.rules import SourceRule
from radios.errors import MachineError

HOME = IPv4Address("10.0.0.100")
AGENT = IPv4Address("10.0.0.1")
CARE_OF = IPv4Address("192.0.2.7")
LO = 1
"""Every namespace has `lo`, with index 1."""


def parse(kind: type[Any], octets: bytes) -> Any:
    parsed = kind(octets)
    parsed.decode()
    return parsed


def flags(octets: bytes) -> int:
    (value,) = struct.unpack_from("=H", octets, 6)
    return int(value)


def test_tunnel() -> None:
    tunnel = Tunnel("mpa0a000064", AGENT, CARE_OF)
    create = parse(ifinfmsg, tunnel.create())
    assert create["header"]["type"] == 16
    assert create["header"]["length"] == len(tunnel.create())
    assert (create["flags"], create["change"]) == (1, 1), "it comes up with the same message"
    assert create.get("IFLA_IFNAME") == "mpa0a000064"
    assert create.get("IFLA_MTU") == 1480
    assert create.get(("IFLA_LINKINFO", "IFLA_INFO_KIND")) == "ipip"
    data = dict(create.get(("IFLA_LINKINFO", "IFLA_INFO_DATA"))["attrs"])
    assert data == {
        "IFLA_IPIP_LOCAL": "10.0.0.1",
        "IFLA_IPIP_REMOTE": "192.0.2.7",
        "IFLA_IPIP_TTL": 64,
        "IFLA_IPIP_TOS": 1,
        "IFLA_IPIP_PMTUDISC": 1,
    }
    assert flags(tunnel.create()) == 0x605
    assert flags(tunnel.replace()) == 0x005, "a link is changed by neither CREATE nor REPLACE"
    assert tunnel.replace()[16:] == tunnel.create()[16:]
    remove = parse(ifinfmsg, tunnel.remove())
    assert (remove["header"]["type"], remove.get("IFLA_IFNAME")) == (17, "mpa0a000064")


@pytest.mark.parametrize("name", ["tun0", "mpa0123456789abc"])
def test_tunnel_names(name: str) -> None:
    with pytest.raises(ValueError, match="tunnel name"):
        Tunnel(name, AGENT, CARE_OF)


def test_address() -> None:
    octets = Address("lo", HOME).create()
    parsed = parse(ifaddrmsg, octets)
    assert (parsed["header"]["type"], flags(octets)) == (20, 0x605)
    assert (parsed["prefixlen"], parsed["index"], parsed["scope"]) == (32, LO, 0)
    assert parsed.get("IFA_LOCAL") == parsed.get("IFA_ADDRESS") == "10.0.0.100"
    assert parse(ifaddrmsg, Address("lo", HOME).remove())["header"]["type"] == 21


def test_host_route() -> None:
    octets = Route(IPv4Network(HOME), "lo").create()
    parsed = parse(rtmsg, octets)
    assert (parsed["header"]["type"], flags(octets)) == (24, 0x605)
    assert (parsed["dst_len"], parsed["table"], parsed["scope"], parsed["type"]) == (
        32,
        254,
        253,
        1,
    )
    assert (parsed.get("RTA_DST"), parsed.get("RTA_OIF")) == ("10.0.0.100", LO)
    assert flags(Route(IPv4Network(HOME), "lo").replace()) == 0x505


def test_default_route_in_its_own_table() -> None:
    route = Route(IPv4Network("0.0.0.0/0"), "lo", AGENT, HOME, table=434, metric=5)
    parsed = parse(rtmsg, route.create())
    assert (parsed["dst_len"], parsed["table"], parsed["scope"]) == (0, 0, 0)
    assert parsed.get("RTA_TABLE") == 434
    assert parsed.get("RTA_GATEWAY") == "10.0.0.1"
    assert parsed.get("RTA_PREFSRC") == "10.0.0.100"
    assert parsed.get("RTA_PRIORITY") == 5
    assert parsed.get("RTA_DST") is None


def test_source_rule() -> None:
    octets = SourceRule(HOME, 434, 434).create()
    parsed = parse(fibmsg, octets)
    assert (parsed["header"]["type"], parsed["src_len"], parsed["action"]) == (32, 32, 1)
    assert parsed.get("FRA_SRC") == "10.0.0.100"
    assert (parsed.get("FRA_TABLE"), parsed.get("FRA_PRIORITY")) == (434, 434)


def test_proxy_neighbour() -> None:
    parsed = parse(ndmsg, ProxyNeighbour("lo", HOME).create())
    assert (parsed["header"]["type"], parsed["flags"], parsed["ifindex"]) == (28, 8, LO)
    assert parsed.get("NDA_DST") == "10.0.0.100"


def test_no_such_interface() -> None:
    with pytest.raises(MachineError, match="no such interface"):
        Route(IPv4Network(HOME), "mpa-not-there").create()


def test_gratuitous_arp_is_rfc5944s() -> None:
    mac = bytes.fromhex("020000000001")
    frame = gratuitous(HOME, mac)
    assert frame[:14].hex() == "ffffffffffff" + mac.hex() + "0806"
    assert frame[14:22].hex() == "0001080006040001"
    assert frame[22:28] == mac
    assert frame[28:32] == frame[38:42] == HOME.packed, "sender and target are the same address"
    assert len(frame) == 42


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=60), max_size=6))
def test_attributes_round_trip(members: Mapping[int, bytes]) -> None:
    octets = b"".join(netlink.attribute(kind, payload) for kind, payload in members.items())
    assert len(octets) % 4 == 0
    assert netlink.attributes(octets) == members
    outer = netlink.nested(7, octets)
    assert netlink.attributes(netlink.attributes(outer)[7]) == members


@given(st.binary(max_size=200))
def test_attribute_parser_survives_anything(octets: bytes) -> None:
    netlink.attributes(octets)


def test_socket_answers() -> None:
    """A get, a dump and a refusal, from the kernel of this machine, without privilege."""
    with netlink.RouteSocket() as route:
        head = struct.Struct("=BxHiII")
        request = netlink.message(18, 0, head.pack(0, 0, LO, 0, 0))
        entry = route.get(request, "lo")
        assert entry is not None
        assert netlink.attributes(entry[head.size :])[3] == b"lo\0"
        absent = netlink.message(18, 0, head.pack(0, 0, 2**30, 0, 0))
        assert route.get(absent, "nothing") is None
        everything = route.dump(netlink.message(18, netlink.DUMP, head.pack(0, 0, 0, 0, 0)), "all")
        assert b"lo\0" in [netlink.attributes(entry[head.size :])[3] for entry in everything]
        with pytest.raises(netlink.NetlinkError, match="the test") as caught:
            route.request(absent, "the test")
        assert caught.value.errno in netlink.ABSENT
        assert route.get(request, "lo") is not None, "a refusal leaves nothing unread"
