"""What daemons and captures tell us, fuzzed: control sockets, DHCP hook, pcap, flow records."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

import pytest
from fuzzing import fuzz

from mpa_hil.errors import RemoteError
from mpa_hil.traffic import pcap, transfers
from mpa_hil.traffic.figures import Window
from mpa_hil.traffic.transfer import FORMAT
from radios import replies
from radios.wpa_events import parse_event
from rigs.services import dhcp_client

BSSID = "02:00:00:00:0a:01"
EVENTS = [
    b"<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:0a:01 completed [id=0 id_str=]",
    b"<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:0a:01 reason=3 locally_generated=1",
    b"<3>CTRL-EVENT-SIGNAL-CHANGE above=0 signal=-75 noise=-92 txrate=54000",
    b"<3>CTRL-EVENT-EAP-STATUS status='remote certificate verification' parameter='success'",
    b"<3>Trying to associate with SSID 'a \"b\\x00'",
]
REPLIES: dict[str, tuple[Callable[[str], object], str]] = {
    "status": (
        replies.parse_status,
        f"bssid={BSSID}\nfreq=2412\nssid=caf\\xc3\\xa9\nid=0\nwpa_state=COMPLETED\n",
    ),
    "scan": (
        replies.parse_scan_results,
        f"bssid / frequency\n{BSSID}\t2412\t-40\t[WPA2-EAP-CCMP][ESS]\tA\n",
    ),
    "bss": (replies.parse_bss, f"bssid={BSSID}\nfreq=2412\nlevel=-40\nie=000141\nssid=A\n"),
    "networks": (replies.parse_networks, "network id / ssid\n0\tA\tany\t[CURRENT]\n"),
    "pmksa": (replies.parse_pmksa, f"Index / SPA\n1 {BSSID} {'ab' * 16} 43200 0\n"),
    "pmks": (replies.parse_pmks, f"{BSSID} {'ab' * 16} {'cd' * 32} 30240 43200 1 0\n"),
    "ap": (replies.parse_ap_status, f"state=ENABLED\nfreq=2412\nbssid[0]={BSSID}\nnum_sta[0]=1\n"),
    "station": (replies.parse_station, f"{BSSID}\nflags=[AUTH][ASSOC]\nsignal=-40\n"),
}


def test_events() -> None:
    fuzz("wpa-events", lambda octets: parse_event(octets, 0), EVENTS, total=True)


@pytest.mark.parametrize("name", REPLIES)
def test_replies(name: str) -> None:
    parse, genuine = REPLIES[name]

    def read(octets: bytes) -> object:
        return parse(octets.decode("utf-8", "replace"))

    fuzz(f"reply-{name}", read, [genuine.encode()], total=True)


def test_the_dhcp_hook() -> None:
    fields = {
        "dhcp": "BOUND",
        "interface": "wlan0",
        "address": "10.1.0.50",
        "prefix": "24",
        "routers": "10.1.0.1",
        "server": "10.1.0.1",
        "lease_s": "600",
        "dns": "",
        "old_address": "",
    }
    line = json.dumps(fields).encode()
    fuzz("dhcp-hook", dhcp_client.parse_event, [line], refusal=RemoteError)


def test_captures() -> None:
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    frame = bytes(12) + b"\x08\x00" + bytes.fromhex("4500001d000040004011") + bytes(19)
    packet = struct.pack("<IIII", 1, 2, len(frame), len(frame)) + frame

    def read(octets: bytes) -> object:
        found = pcap.read_pcap(octets)
        for captured in found.packets:
            inner = pcap.ip_packet(found.linktype, captured.data)
            if inner is not None:
                pcap.datagram(inner)
                pcap.sealed_octets(inner)
        return found

    six = bytes(12) + b"\x86\xdd" + bytes.fromhex("6000000000402b40") + bytes(32)
    six += bytes.fromhex("3c020201") + bytes(20) + bytes.fromhex("1102c910") + bytes(28)
    other = struct.pack("<IIII", 1, 3, len(six), len(six)) + six
    fuzz("pcap", read, [head + packet + other, head + other], refusal=RemoteError)


def test_downloads() -> None:
    clock = {"realtime_ns": 10**18, "offset_ns": 10**17, "width_ns": 100}
    end = {"flow": "download", "role": "receive", "rate_octets_s": 9, "connected_ns": None}
    end |= {"octets": 20, "retransmissions": 1, "error": "", "rows": 2}
    header = {"format": FORMAT, "byteorder": "little", "clock": [clock, clock], "quiet_ns": 10**17}
    header["transfers"] = [end]
    record = json.dumps(header).encode() + b"\n" + struct.pack("<4q", 10**18, 10, 10**18 + 9, 10)

    def read(octets: bytes) -> object:
        found = transfers.decode(octets)
        return [transfers.figures(one, None, Window(5, 10**17)) for one in found]

    fuzz("transfers", read, [record], refusal=RemoteError)
