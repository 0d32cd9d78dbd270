"""A topology becomes exactly these words."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigs.links import Bridge, Impairment, Link, Port, Route, Sysctl, Topology
from rigs.network_plan import link_batch, mac_of, netem, plan

TOPOLOGY = Topology(
    links=[
        Link("ar", "core", "10.1.0.1/24", "10.1.0.2/24", delay_ms=10, back=Impairment()),
        Link("ap", "ar", a_interface="up", b_interface="lan0", mtu=1400),
    ],
    ports=[Port("ap", "wlan0", ["10.2.0.3/24"])],
    bridges=[Bridge("ar", "br0", ["lan0"], ["10.2.0.1/24", "2001:db8::1/64"])],
    routes=[Route("core", "10.2.0.0/24", "10.1.0.1"), Route("ap", "default", interface="wlan0")],
    forwarding=frozenset({"ar"}),
    sysctls=[Sysctl("core", "net.ipv4.tcp_sack", "0")],
    seed=1,
)
OWNED = frozenset({"ar", "core", "ap"})


def test_all_links_in_one_batch() -> None:
    batch = link_batch(TOPOLOGY, {"ar": "ns-ar", "core": "ns-core", "ap": "ns-ap"})
    assert batch == (
        f"link add name core address {mac_of('ar', 'core')} mtu 1500 netns ns-ar"
        f" type veth peer name ar address {mac_of('core', 'ar')} mtu 1500 netns ns-core\n"
        f"link add name up address {mac_of('ap', 'up')} mtu 1400 netns ns-ap"
        f" type veth peer name lan0 address {mac_of('ar', 'lan0')} mtu 1400 netns ns-ar\n"
    )


def test_one_ip_batch_a_host() -> None:
    plans = plan(TOPOLOGY, OWNED)
    assert plans["ar"].ip_batch.splitlines() == [
        f"link add name br0 address {mac_of('ar', 'br0')} type bridge stp_state 0"
        " forward_delay 0 mcast_snooping 0",
        "link set dev core mtu 1500 up",
        "address replace 10.1.0.1/24 broadcast + dev core",
        "link set dev lan0 mtu 1400 master br0 up",
        "link set dev br0 mtu 1500 up",
        "address replace 10.2.0.1/24 broadcast + dev br0",
        "address replace 2001:db8::1/64 dev br0 nodad",
    ]
    assert plans["core"].ip_batch.splitlines()[-1] == "route replace 10.2.0.0/24 via 10.1.0.1"
    assert plans["ap"].ip_batch.splitlines() == [
        "link set dev up mtu 1400 up",
        "link set dev wlan0 up",
        "address replace 10.2.0.3/24 broadcast + dev wlan0",
        "route replace default dev wlan0",
    ]
    assert plans["ap"].made == ("up",)


def test_impairment_is_on_the_end_that_sends() -> None:
    plans = plan(TOPOLOGY, OWNED)
    assert plans["ar"].tc_batch == (
        "qdisc replace dev core root netem limit 100000 delay 10000us\n"
    )
    assert plans["core"].tc_batch == ""


def test_a_point_to_point_address_has_no_broadcast() -> None:
    batch = plan(Topology(ports=[Port("a", "x", ["10.0.0.0/31"])]), OWNED)["a"].ip_batch
    assert "address replace 10.0.0.0/31 dev x" in batch


@pytest.mark.parametrize(
    ("impairment", "words"),
    [
        (Impairment(delay_ms=0.5), "netem limit 100000 delay 500us"),
        (
            Impairment(delay_ms=20, jitter_ms=2),
            "netem limit 100000 delay 20000us 2000us distribution normal rate 100gbit",
        ),
        (Impairment(loss_percent=0.1), "netem limit 100000 loss random 0.1%"),
        # 50 ms on the way and 100 ms queued, of 12,000-bit packets at 12 Mbit/s.
        (Impairment(delay_ms=50, rate_mbit=12), "netem limit 150 delay 50000us rate 12000000bit"),
        (Impairment(rate_mbit=0.1), "netem limit 10 rate 100000bit"),
    ],
)
def test_netem_words(impairment: Impairment, words: str) -> None:
    assert netem(impairment) == words


def test_a_seed_differs_by_interface_and_needs_chance() -> None:
    topology = Topology(links=[Link("a", "b", delay_ms=1, loss_percent=1)], seed=7)
    batches = [one.tc_batch for one in plan(topology, OWNED, {"a", "b"}).values()]
    seeds = [batch.split(" seed ")[1] for batch in batches]
    assert seeds[0] != seeds[1]
    assert batches == [one.tc_batch for one in plan(topology, OWNED, {"a", "b"}).values()]
    assert "seed" not in plan(topology, OWNED)["a"].tc_batch
    assert "seed" not in plan(TOPOLOGY, OWNED, OWNED)["ar"].tc_batch


def test_settings_of_a_box_of_our_own() -> None:
    plans = plan(TOPOLOGY, OWNED)
    router, end = dict(plans["ar"].settings), dict(plans["core"].settings)
    assert plans["ar"].settings[0] == ("net/ipv4/ip_forward", "1")
    assert end["net/ipv4/ip_forward"] == "0"
    for scope in ("all", "default", "core", "lan0"):
        assert router[f"net/ipv4/conf/{scope}/rp_filter"] == "0"
        assert router[f"net/ipv6/conf/{scope}/disable_ipv6"] == "1"
    assert end["net/ipv4/tcp_sack"] == "0"


def test_ipv6_where_it_is_wanted() -> None:
    topology = Topology(links=[Link("a", "b")], ipv6=frozenset({"a"}), forwarding=frozenset({"a"}))
    settings = dict(plan(topology, {"a", "b"})["a"].settings)
    assert settings["net/ipv6/conf/b/disable_ipv6"] == "0"
    assert settings["net/ipv6/conf/b/accept_dad"] == "0"
    assert settings["net/ipv6/conf/all/forwarding"] == "1"
    assert dict(plan(topology, {"a", "b"})["b"].settings)["net/ipv6/conf/all/disable_ipv6"] == "1"


def test_another_machine_is_touched_at_its_ports_only() -> None:
    topology = Topology(ports=[Port("bench", "eth7", ["10.0.0.1/24"], mtu=1400)])
    paths = [path for path, _ in plan(topology, frozenset())["bench"].settings]
    assert all("/eth7/" in path for path in paths if path != "net/ipv4/conf/all/rp_filter")
    assert "net/ipv4/ip_forward" not in paths


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_mac_is_local_unicast_and_steady(host: str, interface: str) -> None:
    octets = bytes.fromhex(mac_of(host, interface).replace(":", ""))
    assert len(octets) == 6
    assert octets[0] == 0x02
    assert mac_of(host, interface) == mac_of(host, interface)


@given(
    st.lists(st.ip_addresses(v=4), min_size=2, max_size=2, unique=True),
    st.integers(0, 32),
    st.floats(0, 60_000),
    st.floats(0, 100),
)
def test_every_line_is_one_command(
    addresses: list[ipaddress.IPv4Address], length: int, delay_ms: float, loss: float
) -> None:
    near, far = (f"{address}/{length}" for address in addresses)
    topology = Topology(links=[Link("a", "b", near, far, delay_ms=delay_ms, loss_percent=loss)])
    for steps in plan(topology, {"a", "b"}).values():
        for line in (steps.ip_batch + steps.tc_batch).splitlines():
            assert line.split(" ")[0] in ("link", "address", "qdisc")
            assert "e-" not in line.split("delay")[-1].split("loss")[0]
