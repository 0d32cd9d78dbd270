"""The pcap reader against scapy, the pcapng writer against tshark, and the capture's gap."""

from __future__ import annotations

import importlib
import io
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.traffic.endpoint import HEADER
from mpa_hil.traffic.figures import Window
from mpa_hil.traffic.observer import agree, sightings
from mpa_hil.traffic.pcap import (
    Capture,
    Packet,
    Source,
    ip_packet,
    read_pcap,
    udp_datagram,
    write_pcapng,
)
from radios.errors import RemoteError

MS = 1_000_000
START = 1_700_000_000_123_456_789


def rtp(sequence: int, ssrc: int = 7, size: int = 172) -> bytes:
    head = HEADER.pack(0x80, 0, sequence & 0xFFFF, 160 * sequence, ssrc, sequence * MS, sequence)
    return head + bytes(size - len(head))


def classic(frames: list[tuple[int, bytes]], linktype: int, order: str, nano: bool) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, linktype)
    for t_ns, frame in frames:
        seconds, rest = divmod(t_ns, 1_000_000_000)
        fraction = rest if nano else rest // 1000
        out += struct.pack(order + "IIII", seconds, fraction, len(frame), len(frame)) + frame
    return out


@pytest.fixture(scope="module")
def layers() -> dict[str, Any]:
    """The scapy layers used here; imported late, they cost most of this file's time."""
    wanted = {
        "dot11": ("Dot11", "Dot11QoS", "RadioTap"),
        "inet": ("IP", "UDP"),
        "inet6": ("IPv6",),
        "l2": ("LLC", "SNAP", "Dot1Q", "Ether"),
    }
    return {
        name: getattr(importlib.import_module(f"scapy.layers.{module}"), name)
        for module, names in wanted.items()
        for name in names
    }


def ethernet(layers: dict[str, Any]) -> Any:
    """An Ethernet header with both addresses given: scapy would ask the network for them."""
    return layers["Ether"](src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def frames(layers: dict[str, Any]) -> dict[str, tuple[int, bytes]]:
    """The same datagram in every wrapping that is to be read: link type and octets."""
    ip, ip6, udp = (layers[n] for n in ("IP", "IPv6", "UDP"))
    inner = ip(src="10.0.0.1", dst="10.0.0.2") / udp(sport=5, dport=40000) / rtp(3)
    tunnelled = ip(src="192.0.2.1", dst="192.0.2.2") / inner
    snap = layers["LLC"](dsap=0xAA, ssap=0xAA, ctrl=3) / layers["SNAP"](OUI=0, code=0x0800)
    plain = layers["Dot11"](type=2, subtype=0, FCfield=0x01) / snap / inner
    qos = layers["Dot11"](type=2, subtype=8, FCfield=0x02) / layers["Dot11QoS"]() / snap
    packets = {
        "ethernet": (1, ethernet(layers) / inner),
        "vlan": (1, ethernet(layers) / layers["Dot1Q"](vlan=5) / inner),
        "ip-in-ip": (1, ethernet(layers) / tunnelled),
        "ipv6": (
            1,
            ethernet(layers) / ip6(src="fd00::1", dst="fd00::2") / udp(dport=40000) / rtp(3),
        ),
        "4-in-6": (1, ethernet(layers) / ip6(src="fd00::1", dst="fd00::2") / inner),
        "raw": (101, tunnelled),
        "802.11": (105, plain),
        "radiotap": (127, layers["RadioTap"]() / plain),
        "qos": (127, layers["RadioTap"]() / qos / tunnelled),
    }
    return {name: (kind, bytes(packet)) for name, (kind, packet) in packets.items()}


def test_every_wrapping_yields_the_datagram(layers: dict[str, Any]) -> None:
    for name, (linktype, frame) in frames(layers).items():
        packet = ip_packet(linktype, frame)
        assert packet is not None, name
        assert udp_datagram(packet) == (40000, rtp(3)), name


def test_encrypted_and_other_frames_are_passed_over(layers: dict[str, Any]) -> None:
    hidden = layers["Dot11"](type=2, FCfield=0x41) / rtp(1)
    beacon = layers["Dot11"](type=0, subtype=8) / rtp(1)
    for frame in (hidden, beacon):
        assert ip_packet(105, bytes(frame)) is None
    assert ip_packet(1, bytes(12) + b"\x08\x06" + bytes(28)) is None
    with pytest.raises(RemoteError, match="link type 147"):
        ip_packet(147, b"")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [True, False])
def test_reader_against_scapy(
    layers: dict[str, Any], tmp_path: Path, order: str, nano: bool
) -> None:
    from scapy.utils import RawPcapReader

    frame = frames(layers)["ethernet"][1]
    data = classic([(START + i * 20 * MS, frame + bytes(i)) for i in range(5)], 1, order, nano)
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    ours = read_pcap(data)
    theirs = list(RawPcapReader(str(path)))
    assert len(ours.packets) == len(theirs) == 5
    for packet, (octets, meta) in zip(ours.packets, theirs, strict=True):
        scale = 1 if nano else 1000
        assert packet.data == octets
        assert packet.t_ns == meta.sec * 1_000_000_000 + meta.usec * scale
        assert packet.wire_bytes == meta.wirelen
    assert not ours.truncated


def test_reader_takes_a_cut_file_and_refuses_a_foreign_one() -> None:
    data = classic([(START, b"x" * 60), (START + MS, b"y" * 60)], 1, "<", True)
    cut = read_pcap(data[:-10])
    assert cut.truncated
    assert len(cut.packets) == 1
    with pytest.raises(RemoteError, match="not a classic pcap"):
        read_pcap(b"\x0a\x0d\x0d\x0a" + bytes(40))
    with pytest.raises(RemoteError, match="octets at offset 24"):
        read_pcap(data[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 60))


@given(st.binary(max_size=200), st.sampled_from([1, 101, 105, 113, 127, 228, 229, 276]))
def test_hostile_frames_raise_nothing(frame: bytes, linktype: int) -> None:
    packet = ip_packet(linktype, frame)
    if packet is not None:
        port, payload = udp_datagram(packet)
        assert 0 <= port < 65536
        assert len(payload) <= len(frame)


@given(st.binary(max_size=300))
def test_hostile_files_raise_only_the_declared_error(data: bytes) -> None:
    try:
        capture = read_pcap(b"\x4d\x3c\xb2\xa1" + data)
    except RemoteError:
        return
    assert sum(16 + len(p.data) for p in capture.packets) <= max(0, len(data) - 20)


def test_gap_from_a_capture(layers: dict[str, Any]) -> None:
    ip, udp = layers["IP"], layers["UDP"]
    packets = [
        Packet(
            START + i * 20 * MS,
            bytes(
                ethernet(layers) / ip(src="10.0.0.1", dst="10.0.0.2") / udp(dport=40000) / rtp(i)
            ),
            214,
        )
        for i in range(100)
        if not 40 <= i < 50
    ]
    packets.append(packets[-1])  # a duplicate changes nothing
    seen = sightings(Capture(1, 65535, packets, False), {40000}, offset_ns=START)
    assert set(seen) == {7}
    assert seen[7].gap_ms(Window(500 * MS, 1500 * MS), 20 * MS) == 200
    assert seen[7].gap_ms(Window(1500 * MS, 1900 * MS), 20 * MS) == 0
    assert not sightings(Capture(1, 65535, packets, False), {40001})


def test_agreement_is_within_one_interval() -> None:
    assert agree(200.4, 199.9, 1.0).agrees
    assert agree(200, 201, 1.0).agrees
    apart = agree(200, 203, 2.0)
    assert not apart.agrees
    assert "DISAGREE" in str(apart)
    assert "3.000 of 2 ms" in str(apart)


def test_pcapng_opens_in_tshark(layers: dict[str, Any], tmp_path: Path) -> None:
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed (apt install tshark)")
    wires = frames(layers)
    wired = Capture(
        1, 65535, [Packet(START + i * MS, wires["ethernet"][1], 214) for i in (4, 0, 2)], False
    )
    air = Capture(127, 65535, [Packet(START + i * MS, wires["qos"][1], 300) for i in (1, 3)], False)
    out = io.BytesIO()
    sources = [Source("cn", "eth0", wired, "the correspondent's link"), Source("mn", "hwsim0", air)]
    assert write_pcapng(out, sources) == 5
    path = tmp_path / "run.pcapng"
    path.write_bytes(out.getvalue())
    fields = ["frame.interface_name", "frame.time_epoch", "udp.dstport"]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["cn:eth0", "mn:hwsim0"] * 2 + ["cn:eth0"]
    stamps = [int(row[1].replace(".", "")) for row in rows]
    assert stamps == [START + i * MS for i in range(5)]
    assert {row[2] for row in rows} == {"40000"}
    info = subprocess.run(
        ["capinfos", "-E", "-c", str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "5" in info.stdout
