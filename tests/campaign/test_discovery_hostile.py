"""A18: hostile SSIDs, BSSIDs and names, on their way into control sockets, files and commands.

The daemons' own reading is modelled here: one datagram is one command, its words end at spaces, and
a configuration file is lines of `key=value`. Whatever is sent must be read as what was meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace

import campaign
import pytest
from discovery_samples import A1, B

from mpa_hil.discovery import names, nearby, wire
from mpa_hil.discovery.description import is_bssid, is_realm
from mpa_hil.errors import DecodeError, LocalError, RemoteError
from radios.anqp import parse_bss
from radios.control import Event
from radios.hostapd import Hostapd
from radios.neighbor_report import NeighborReport, decode, from_event
from radios.neighborhood import Neighborhood
from radios.profile import NetworkProfile, RawPsk
from radios.replies import parse_scan_results
from radios.wpa_events import parse_event
from radios.wpa_text import command
from rigs.services.dhcp_server import DhcpServerConfig
from rigs.services.dhcp_server import text as dhcp_text
from rigs.services.interworking import Interworking

WHOLE = 10_000
PIECES = [
    b"\n", b"\r", b"\0", b" ", b"\t", b'"', b"'", b"\\", b"\\n", b"\\x0a", b";", b"|", b"&", b"`",
    b"$(reboot)", b"${IFS}", b"../", b"-", b"--", b"#", b"=", b",", b"[", b"]", b"%n%s", b"\x7f",
    b"\x1b[2J", b"\xff", b"\xc3\xa9", b"\xe2\x80\xae", b"\nTERMINATE", b" nr=00", b" ssid=00",
    b"ssid=", b"IFNAME=wlan0 ", b"<3>CTRL-EVENT-TERMINATING ", b"bssid=02:00:00:00:66:66",
    b"\nanqp[65280]=4d5041", b"\nbssid=02:00:00:00:66:66\n", b"P\"x\\n\"", b"6f70", b"operator-b",
]  # fmt: skip
HEX = frozenset(b"0123456789abcdef")


def hostile(dice: random.Random, longest: int) -> bytes:
    """Octets that some parser reads as more than octets."""
    parts = dice.choices(PIECES, k=dice.randrange(1, 6))
    if dice.random() < 0.3:
        parts.insert(dice.randrange(len(parts)), dice.randbytes(dice.randrange(1, 8)))
    return b"".join(parts)[:longest]


def inputs(row: str, longest: int = 32) -> Iterator[bytes]:
    """This campaign's share of the row."""
    dice = campaign.dice(row)
    return (hostile(dice, longest) for _ in range(campaign.runs(WHOLE)))


class Line:
    """A control socket that only listens: what was sent is in `sent`, as octets."""

    path = "nowhere"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def request(self, *words: str | int, timeout_s: float | None = None) -> str:
        self.sent.append(command(*words))
        return ""

    async def command(self, *words: str | int, timeout_s: float | None = None) -> None:
        self.sent.append(command(*words))

    async def ping(self) -> None:
        """Never away."""

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[Line]:
        yield self

    async def wait_for(self, predicate: object, timeout_s: float) -> Event:
        raise RemoteError("silent")


def words_of(datagram: bytes) -> list[bytes]:
    """A command as hostapd and wpa_supplicant split it; none of it may be anything but words."""
    assert all(0x20 < octet < 0x7F or octet == 0x20 for octet in datagram), datagram
    return datagram.split(b" ")


def ssid_of(word: bytes) -> bytes:
    """hostap's `ssid_parse`: quoted, or hexadecimal digits."""
    key, _, value = word.partition(b"=")
    assert key == b"ssid"
    assert value
    assert set(value) <= HEX
    return bytes.fromhex(value.decode())


def test_ssids_in_requests() -> None:
    async def scenario() -> None:
        line = Line()
        asks = Neighborhood(line)  # type: ignore[arg-type]
        access = Hostapd(line)  # type: ignore[arg-type]
        for ssid in inputs("A18 requests"):
            line.sent.clear()
            await asks.neighbor_report(ssid)
            (asked,) = map(words_of, line.sent)
            assert asked[0] == b"NEIGHBOR_REP_REQUEST"
            assert [ssid_of(word) for word in asked[1:]] == [ssid]

            line.sent.clear()
            report = NeighborReport(A1.bssid, 1, 81, 1, 7, ssid)
            await access.set_neighbor(A1.bssid, ssid, report.encode())
            (verb, bssid, named, octets) = words_of(line.sent[0])
            assert (verb, bssid) == (b"SET_NEIGHBOR", A1.bssid.encode())
            assert ssid_of(named) == ssid
            assert octets.startswith(b"nr=")
            assert decode(bytes.fromhex(octets[3:].decode())).ssid == ssid

            line.sent.clear()
            await access.set_anqp_element(nearby.DESCRIPTION, ssid)
            assert words_of(line.sent[0]) == [
                b"SET",
                b"anqp_elem",
                b"65280:" + ssid.hex().encode(),
            ]

    asyncio.run(scenario())


def test_ssids_in_network_blocks() -> None:
    for ssid in inputs("A18 networks"):
        fields = dict(NetworkProfile(ssid=ssid, security=RawPsk(bytes(32))).fields())
        datagram = command("SET_NETWORK", 0, "ssid", fields["ssid"])
        value = words_of(datagram)[3:]
        assert len(value) == 1
        assert bytes.fromhex(value[0].decode()) == ssid


def test_addresses_in_requests() -> None:
    """What is not six octets in hexadecimal digits never leaves."""

    async def scenario() -> None:
        line = Line()
        asks = Neighborhood(line)  # type: ignore[arg-type]
        dice = campaign.dice("A18 where")
        for octets in inputs("A18 addresses", longest=24):
            text = octets.decode("latin-1")
            cut = dice.randrange(18)
            for address in (text, A1.bssid + text, text + A1.bssid, A1.bssid[:cut] + text):
                assert not is_bssid(address)
                with pytest.raises(LocalError):
                    await asks.known(address)
                with pytest.raises(LocalError):
                    await asks.anqp(address, (268,))
                with pytest.raises(LocalError):
                    replace(A1, bssid=address)
        assert line.sent == []

    asyncio.run(scenario())


def test_descriptions_with_hostile_words() -> None:
    """Names and realms of a description are plain words, or there is no description."""
    genuine = wire.encode((B,))
    fields = (b"b.example", b"aa.b.example", b"b1")
    dice = campaign.dice("A18 which")
    for octets in inputs("A18 descriptions", longest=9):
        old = dice.choice(fields)
        new = (octets * len(old))[: len(old)]
        try:
            (network,) = wire.decode(genuine.replace(old, new))
        except DecodeError:
            continue
        told = [network.realm, network.aa_identity, network.name]
        told += [point.name for point in network.points]
        for word in told:
            assert set(word) <= set(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
            )
            assert not word.startswith(("-", "."))


def test_what_is_heard_is_told_as_octets() -> None:
    """An SSID in a scan result or an event cannot forge a second line, field or access point."""
    for ssid in inputs("A18 heard"):
        escaped = "".join(_escaped(octet) for octet in ssid)
        reply = f"bssid / frequency / ...\n{A1.bssid}\t2412\t-40\t[ESS]\t{escaped}\n"
        (entry,) = parse_scan_results(reply)
        assert (entry.bssid, entry.ssid) == (A1.bssid, ssid)
        event = (
            f"<3>RRM-NEIGHBOR-REP-RECEIVED bssid={A1.bssid} info=0x1 op_class=81 chan=1 "
            f"phy_type=7 lci={escaped}"
        )
        found = from_event(parse_event(event.encode("latin-1"), 0), ssid)
        # A later `bssid=` may make the event unreadable; it cannot make hostapd's octets ours.
        assert found is None or is_bssid(found.bssid)
        assert set(parse_bss(f"bssid={A1.bssid}\nssid={escaped}\n")) == set()


def _escaped(octet: int) -> str:
    """hostap's printf_encode."""
    simple = {0x22: '\\"', 0x5C: "\\\\", 0x1B: "\\e", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
    if octet in simple:
        return simple[octet]
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}"


def test_words_in_configuration_files() -> None:
    """A hostile name is refused, or it is a harmless word in its one line."""
    for octets in inputs("A18 files"):
        text = octets.decode("latin-1")
        with contextlib.suppress(LocalError):
            lines = Interworking(domain_names=(text,), realms=(text,)).lines()
            assert len(lines) == 5
            assert lines[3] == f"domain_name={text}"
            assert text.replace(".", "").replace("-", "").isalnum()
        with contextlib.suppress(LocalError):
            written = dhcp_text(
                DhcpServerConfig(
                    *("lan", "10.1.0.0/24", "10.1.0.2", "10.1.0.9"),
                    names=((text, ("10.1.0.1",)),),
                ),
                "/work",
            )
            assert f"\nhost-record={text},10.1.0.1\n" in written
            assert text.replace(".", "").replace("-", "").isalnum()


def test_names_in_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name reaches the resolver's command line that is not one."""
    ran: list[str] = []

    async def run(*argv: str, **_: object) -> None:
        ran.append(argv[-1])
        raise OSError("not here")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", run)

    async def scenario() -> None:
        for octets in inputs("A18 commands"):
            with contextlib.suppress(Exception):
                await names.resolve(octets.decode("latin-1"))

    asyncio.run(scenario())
    assert all(is_realm(name.removesuffix(".")) for name in ran)
