"""Wireshark agrees: every message of a session is whole, and a broken one is seen to be."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from pana_pair import QUICK, Pair, endpoint
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

import mpa_hil.pana
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.message import decode
from mpa_hil.pana.numbers import AvpCode, TerminationCause
from mpa_hil.pana.settings import PaaSettings, PacSettings

SCRIPT = Path(mpa_hil.pana.__file__).with_name("pana_preauth.lua")
RELAY = endpoint("203.0.113.9")
_RAW_IP = 101
"""LINKTYPE_RAW."""
_ERROR = str(0x00800000)
"""Wireshark's number for an error among expert information."""

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark (apt: tshark)")


def packet(source: Endpoint, destination: Endpoint, octets: bytes) -> bytes:
    layer = (
        IPv6(src=str(source.address), dst=str(destination.address))
        if source.address.version == 6
        else IP(src=str(source.address), dst=str(destination.address))
    )
    return bytes(layer / UDP(sport=source.port, dport=destination.port) / octets)


def capture(path: Path, packets: list[bytes]) -> Path:
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _RAW_IP)]
    records += [
        struct.pack("<IIII", number, 0, len(octets), len(octets)) + octets
        for number, octets in enumerate(packets)
    ]
    path.write_bytes(b"".join(records))
    return path


def tshark(path: Path, *fields: str, script: bool = True) -> list[list[str]]:
    """One row per packet."""
    command = ["tshark", "-r", str(path), "-T", "fields"]
    command += ["-X", f"lua_script:{SCRIPT}"] if script else []
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "lua" not in done.stderr.lower().replace("running as user", ""), done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def sessions() -> list[Pair]:
    """All message types, over both families, direct and relayed, encrypted and not."""
    pairs = [
        Pair(),
        Pair(
            PacSettings(timing=QUICK, conceal=True, piggyback=False),
            PaaSettings(timing=QUICK, conceal=True, ip_reconfiguration=True),
            pac_at=endpoint("2001:db8:1::7", 50000),
            paa_at=endpoint("2001:db8:2::1"),
        ),
        Pair(
            paa_settings=PaaSettings(timing=QUICK, relays=frozenset({RELAY.address})),
            relay_at=RELAY,
        ),
        Pair(PacSettings(timing=QUICK, preauthentication=False), verdict="refuse service"),
    ]
    for number, pair in enumerate(pairs):
        pair.authenticate()
        for verb in ("ping", "reauthenticate", "became_serving"):
            pair.run(2)
            pair.pac_does(getattr(pair.pac, verb)(pair.now))
        pair.run(2)
        if number % 2:
            for session_id in pair.paa_sessions():
                cause = TerminationCause.ADMINISTRATIVE
                pair.paa_does(pair.paa.terminate(session_id, cause, pair.now))
        else:
            pair.pac_does(pair.pac.terminate(pair.now))
        pair.run(2)
    return pairs


def test_every_message_of_every_session_is_dissected_without_complaint(tmp_path: Path) -> None:
    wire = [
        (source, destination, octets)
        for pair in sessions()
        for _, source, destination, octets in pair.wire
    ]
    path = capture(tmp_path / "good.pcap", [packet(*one) for one in wire])
    rows = tshark(
        path,
        "_ws.col.Protocol",
        "pana_mpa.name",
        "_ws.malformed",
        "_ws.expert.severity",
        "eap.code",
        "pana_mpa.avp.code",
        "pana_mpa.flags.e",
    )
    assert len(rows) == len(wire)
    names = set()
    for row, (_, _, octets) in zip(rows, wire, strict=True):
        protocol, name, malformed, expert, eap, codes, _ = row + [""] * (7 - len(row))
        message = decode(octets)
        assert protocol == "PANA"
        assert name.split(",")[0] == message.name
        assert not malformed
        assert not expert, (name, expert)
        assert bool(eap) == (message.value(AvpCode.EAP_PAYLOAD) is not None) or name[:3] == "PRY"
        own = ",".join(str(int(avp.code)) for avp in message.avps)
        assert codes == own or name.startswith("PRY"), name
        names.update(name.split(","))
    heads = {name.partition("[")[0] for name in names}
    assert heads == {"PCI", "PAR", "PAN", "PTR", "PTA", "PNR", "PNA", "PRY"}


def test_wiresharks_own_dissector_knows_what_carries_no_e_bit(tmp_path: Path) -> None:
    """An implementation that is not ours agrees; the E bit is all that it does not know."""
    settings = PaaSettings(timing=QUICK, relays=frozenset({RELAY.address}))
    pair = Pair(PacSettings(timing=QUICK, preauthentication=False), settings)
    pair.authenticate()
    for verb in ("ping", "reauthenticate", "terminate"):
        pair.run(2)
        pair.pac_does(getattr(pair.pac, verb)(pair.now))
    pair.run(2)
    packets = [packet(source, where, octets) for _, source, where, octets in pair.wire]
    path = capture(tmp_path / "plain.pcap", packets)
    rows = tshark(path, "pana.type", "pana.seq", "_ws.expert.severity", script=False)
    messages = [decode(octets) for *_, octets in pair.wire]
    assert rows == [[str(int(m.type)), f"0x{m.sequence:08x}", ""] for m in messages]


def test_broken_messages_are_errors_and_whole_ones_say_what_their_octets_say(
    tmp_path: Path,
) -> None:
    pair = Pair()
    pair.authenticate()
    pair.pac_does(pair.pac.ping(pair.now))
    ping = pair.wire[-1][3]
    broken = [
        ping[:at] + octets + ping[at + len(octets) :]
        for at, octets in (
            (2, b"\x7f\xff"),  # length
            (6, b"\x00\x09"),  # type
            (4, b"\x9a\x00"),  # both A and P
            (20, b"\x7f\xff"),  # length of the AVP
        )
    ]
    packets = [packet(source, where, octets) for _, source, where, octets in pair.wire]
    packets += [packet(pair.pac_at, pair.paa_at, octets) for octets in broken]
    rows = tshark(
        capture(tmp_path / "mixed.pcap", packets),
        "_ws.expert.severity",
        "pana_mpa.prf",
        "pana_mpa.integrity",
        "pana_mpa.encryption",
        "pana_mpa.result",
        "pana_mpa.lifetime",
        "pana_mpa.key_id",
        "pana_mpa.session",
    )
    whole = len(pair.wire)
    assert [bool(row[0]) for row in rows] == [False] * whole + [True] * len(broken)
    assert all(_ERROR in row[0].split(",") for row in rows[whole:])
    assert rows[1][1:4] == ["5,2", "12,7", "1"]
    assert rows[2][1:4] == ["5", "12", "1"]
    last = rows[9]
    assert last[4:7] == ["0", "3600", "1"]
    assert int(last[7], 16) == decode(ping).session_id
