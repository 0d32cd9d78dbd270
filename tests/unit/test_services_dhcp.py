"""DHCP server and client: their text, their words; and tcpdump's."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from services_fakes import FakeHost

from radios.errors import LocalError, RemoteError
from rigs.services import capture, dhcp_client, dhcp_server
from rigs.services.dhcp_client import DhcpClientConfig, LeaseEvent, parse_event
from rigs.services.dhcp_server import Advertised, DhcpServerConfig, ServerMessage, parse_message

SERVER = DhcpServerConfig("lan", "10.1.0.0/24", "10.1.0.100", "10.1.0.199", router="10.1.0.1")
SIX = Advertised("2001:db8::/64", "2001:db8::10", "2001:db8::20")


def test_the_server_checks_for_conflicts_unless_told_not_to() -> None:
    text = dhcp_server.text(SERVER, "/work").splitlines()
    assert "no-ping" not in text
    assert "dhcp-range=10.1.0.100,10.1.0.199,255.255.255.0,600" in text
    assert "dhcp-option=3,10.1.0.1" in text
    assert "dhcp-option=6" in text
    assert "port=0" in text
    changed = replace(
        SERVER, conflict_check=False, rapid_commit=True, router=None, dns=("1.1.1.1",)
    )
    text = dhcp_server.text(changed, "/work").splitlines()
    assert {"no-ping", "dhcp-rapid-commit", "dhcp-option=3", "dhcp-option=6,1.1.1.1"} <= set(text)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (replace(SERVER, interface="a b"), "interface"),
        (replace(SERVER, subnet="10.1.0.1/24"), "host bits"),
        (replace(SERVER, first="10.2.0.1"), "ends before|outside"),
        (replace(SERVER, last="10.1.1.1"), "outside"),
        (replace(SERVER, first="10.1.0.200"), "ends before"),
        (replace(SERVER, router="10.9.0.1"), "outside"),
        (replace(SERVER, dns=("x",)), "x"),
        (replace(SERVER, lease_s=60), "too short"),
        (replace(SERVER, advertised=Advertised("2001:db8::1/64")), "host bits"),
        (replace(SERVER, advertised=replace(SIX, last=None)), "half a range"),
        (replace(SERVER, advertised=replace(SIX, first="2001:db8:9::1")), "no range in"),
        (replace(SERVER, advertised=replace(SIX, first="2001:db8::99")), "no range in"),
        (replace(SERVER, advertised=replace(SIX, lease_s=60)), "too short"),
        (replace(SERVER, advertised=replace(SIX, interval_s=3)), "too short"),
    ],
)
def test_a_server_that_cannot_be_is_refused(config: DhcpServerConfig, complaint: str) -> None:
    with pytest.raises(LocalError, match=complaint):
        dhcp_server.text(config, "/work")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "dnsmasq-dhcp[1]: DHCPDISCOVER(dv1) 86:bd:ef:68:41:aa ",
            ServerMessage("DHCPDISCOVER", "dv1", "", "86:bd:ef:68:41:aa", ""),
        ),
        (
            "dnsmasq-dhcp[1]: 3733263227 DHCPACK(lan) 10.77.0.109 86:bd:ef:68:41:aa mn",
            ServerMessage("DHCPACK", "lan", "10.77.0.109", "86:bd:ef:68:41:aa", "mn"),
        ),
        (
            "dnsmasq-dhcp[1]: DHCPDISCOVER(lan) 86:bd:ef:68:41:aa no address available",
            ServerMessage("DHCPDISCOVER", "lan", "", "86:bd:ef:68:41:aa", "no address available"),
        ),
        ("dnsmasq[1]: started, version 2.90 DNS disabled", None),
    ],
)
def test_the_servers_log_is_understood(line: str, message: ServerMessage | None) -> None:
    assert parse_message(line) == message


def test_the_clients_configuration() -> None:
    def text(config: DhcpClientConfig) -> set[str]:
        return set(dhcp_client.files(config, "/work")["/work/dhcpcd.conf"][0].decode().splitlines())

    usual = text(DhcpClientConfig("wlan0"))
    assert not {"noarp", "option rapid_commit", "noconfigure", "nogateway"} & usual
    assert {"ipv4only", "noipv4ll", "nodelay", "clientid", "script /work/dhcpcd.hook"} <= usual
    other = text(
        DhcpClientConfig(
            "wlan0",
            conflict_check=False,
            rapid_commit=True,
            initial_delay=True,
            configure=False,
            default_route=False,
            metric=7,
        )
    )
    assert {"noarp", "option rapid_commit", "noconfigure", "nogateway", "metric 7"} <= other
    assert "nodelay" not in other
    with pytest.raises(LocalError):
        text(DhcpClientConfig("-x y"))


def hook(tmp_path: Path, **environment: str) -> str:
    """What the hook script prints, run as dhcpcd runs it."""
    data, mode = dhcp_client.files(DhcpClientConfig("wlan0"), "/work")["/work/dhcpcd.hook"]
    assert mode == 0o700
    script = tmp_path / "hook"
    script.write_bytes(data)
    return subprocess.run(
        ["sh", str(script)], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_what_the_hook_prints_is_what_is_parsed(tmp_path: Path) -> None:
    line = hook(
        tmp_path,
        reason="BOUND",
        interface="wlan0",
        new_ip_address="10.1.0.100",
        new_subnet_cidr="24",
        new_routers="10.1.0.1 10.1.0.2",
        new_dhcp_server_identifier="10.1.0.1",
        new_dhcp_lease_time="600",
        old_ip_address="10.2.0.7",
    )
    event = parse_event(line)
    assert event == LeaseEvent(
        reason="BOUND",
        interface="wlan0",
        address="10.1.0.100",
        prefix_length=24,
        routers=("10.1.0.1", "10.1.0.2"),
        server="10.1.0.1",
        lease_s=600,
        old_address="10.2.0.7",
    )
    assert event.bound
    assert parse_event(line.encode()) == event


def test_an_event_without_a_lease(tmp_path: Path) -> None:
    event = parse_event(hook(tmp_path, reason="CARRIER", interface="wlan0"))
    assert event == LeaseEvent("CARRIER", "wlan0")
    assert not event.bound


def test_other_lines_are_no_event_and_broken_ones_are_an_error() -> None:
    assert parse_event("eth0: soliciting a DHCP lease") is None
    for line in ('{"dhcp":"BOUND"', '{"dhcp":"BOUND"}', '{"dhcp":"X","prefix":"a"}'):
        with pytest.raises(RemoteError, match="no event"):
            parse_event(line)


def test_events_and_lease_of_a_running_client() -> None:
    blank = '"routers":"","server":"","lease_s":"","dns":"","old_address":""}'
    said = [
        "dhcpcd-9.4.1 starting",
        '{"dhcp":"PREINIT","interface":"wlan0","address":"","prefix":"",' + blank,
        '{"dhcp":"BOUND","interface":"wlan0","address":"10.1.0.9","prefix":"24",' + blank,
    ]

    async def scenario() -> None:
        host = FakeHost(*said)
        client = await dhcp_client.start(host, DhcpClientConfig("wlan0"))
        assert (await dhcp_client.wait_bound(client, 1)).address == "10.1.0.9"
        host.started[0].end(0)
        reasons = [event.reason async for event in dhcp_client.events(client)]
        assert reasons == ["PREINIT", "BOUND"]
        assert host.files["/work/dhcpcd.hook"][1] == 0o700

    asyncio.run(scenario())


def test_tcpdumps_command() -> None:
    config = capture.CaptureConfig("lan", "x.pcap", snaplen_bytes=128, filter="udp or icmp")
    argv = capture.command(config, "/work/x.pcap")
    assert "--time-stamp-precision=nano" in argv
    assert argv[argv.index("-s") + 1] == "128"
    assert argv[-2:] == ["--", "udp or icmp"]
    for bad in (replace(config, interface="-x y"), replace(config, snaplen_bytes=0)):
        with pytest.raises(LocalError):
            capture.command(bad, "/work/x.pcap")


def test_tcpdumps_counts() -> None:
    said = "40 packets captured\n41 packets received by filter\n1 packet dropped by kernel\n"
    assert capture.parse_counts("listening\n" + said) == capture.Counts(40, 41, 1)
    assert capture.parse_counts("40 packets captured") is None
