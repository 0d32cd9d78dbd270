"""A made-up RAW folder, octet by octet: what the collector would leave of a small experiment.

Times are CLOCK_MONOTONIC ns. The MN leaves its old PoA at `LEFT`, the port of the new one opens at
`OPEN`, and packets flow again from `BACK`; the path takes `DELAY` each way.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import msgspec

from mpa_hil.scenario import Scenario, floor_scenario, load
from mpa_hil.traffic.endpoint import FORMAT, HEADER
from mpa_hil.traffic.plan import PlannedFlow, planned_flows

MS = 1_000_000
OFFSET = 1_767_225_600_000_000_000
START = 1_000 * MS
TRIGGER = 1_500 * MS
LEFT = 1_502 * MS
OPEN = 1_600 * MS
BACK = 1_700 * MS
END = 2_200 * MS
DELAY = 30 * MS

LABS = Path(__file__).parents[2] / "lab_configs"
Files = dict[str, bytes]
Frames = list[tuple[int, bytes]]


@lru_cache
def lab(probe_ms: float = 2) -> Scenario:
    """The lab file that everything here is of; a coarser probe makes smaller files."""
    whole = load(LABS / "two_domains.toml")
    voice, probe = whole.flows
    replace = msgspec.structs.replace
    probe = replace(probe, codec=None, spacing_ms=probe_ms, payload_bytes=12)
    return replace(whole, flows=(voice, probe))


@dataclass(frozen=True)
class Story:
    """One run to make up."""

    scheme: str = "reactive"
    kind: str = "handover"
    repeat: int = 0
    holds: bool = False
    lab: str = "main"
    ok: bool = True
    error: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    """By file: what its capture's kernel dropped."""
    probe_ms: float = 2
    unheard: tuple[int, ...] = ()
    """Sequence numbers of the downlink probe that the MN's capture lacks."""

    @property
    def moves(self) -> bool:
        return self.kind != "null"

    @property
    def floor(self) -> bool:
        return self.lab == "floor"

    @property
    def scenario(self) -> Scenario:
        whole = lab(self.probe_ms)
        return floor_scenario(whole) if self.floor else whole

    @property
    def back_ns(self) -> int:
        """Packets flow again: on the floor with the port, elsewhere with the binding."""
        return OPEN + MS if self.floor else BACK


def arrival_ns(story: Story, flow: PlannedFlow, sent_ns: int) -> int | None:
    """When a packet arrives; None: never. Who is away misses what comes, or has it held."""
    at_mn = sent_ns + (DELAY if flow.direction == "downlink" else 0)
    if not story.moves or not LEFT <= at_mn < story.back_ns:
        return sent_ns + DELAY
    if story.holds and flow.direction == "downlink":
        return story.back_ns
    return None


def sent_times(flow: PlannedFlow) -> list[int]:
    return list(range(START, END, flow.codec.spacing_ns))


def record(story: Story, host: str) -> bytes:
    """The record file of the endpoint on `host`."""
    sending = "uplink" if host == "mn" else "downlink"
    send, sinks, stamps, rows = [], [], b"", b""
    for flow in planned_flows(story.scenario):
        times = sent_times(flow)
        if flow.direction == sending:
            send.append(
                {
                    "flow": flow.name,
                    "ssrc": flow.ssrc,
                    "spacing_ns": flow.codec.spacing_ns,
                    "payload_bytes": flow.codec.payload_bytes,
                    "start_ns": START,
                    "sent": len(times),
                    "errors": [],
                    "skips": [],
                }
            )
            stamps += struct.pack(f"<{len(times)}q", *times)
            continue
        own = b""
        for sequence, sent_ns in enumerate(times):
            at = arrival_ns(story, flow, sent_ns)
            if at is not None:
                own += rtp(flow, sequence, sent_ns)
                own += struct.pack("<qq", *divmod(OFFSET + at, 1_000_000_000))
        count = len(own) // (HEADER.size + 16)
        sinks.append({"rows": count, "foreign": 0, "unstamped": 0, "dropped_by_socket": 0})
        rows += own
    reading = {"realtime_ns": OFFSET + START, "offset_ns": OFFSET, "width_ns": 100}
    header = {"format": FORMAT, "host": host, "byteorder": "little", "clock": [reading, reading]}
    header |= {"send": send, "receive": sinks}
    return json.dumps(header).encode() + b"\n" + stamps + rows


def rtp(flow: PlannedFlow, sequence: int, sent_ns: int) -> bytes:
    return HEADER.pack(0x80, 0, sequence & 0xFFFF, 0, flow.ssrc, sent_ns, sequence)


def pcap(frames: Frames, linktype: int = 1) -> bytes:
    """A classic pcap file with nanoseconds."""
    out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, linktype)
    for t_ns, frame in sorted(frames):
        stamp = divmod(OFFSET + t_ns, 1_000_000_000)
        out += struct.pack("<IIII", *stamp, len(frame), len(frame)) + frame
    return out


def ip(source: IPv4Address, destination: IPv4Address, protocol: int, body: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return head + source.packed + destination.packed + body


def udp(source_port: int, port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload


def ethernet(packet: bytes) -> bytes:
    return bytes(12) + b"\x08\x00" + packet


def datagram(
    source: IPv4Address, source_port: int, destination: IPv4Address, port: int, payload: bytes
) -> bytes:
    return ethernet(ip(source, destination, 17, udp(source_port, port, payload)))


def radius(code: int, identifier: int, authenticator: int) -> bytes:
    return struct.pack("!BBH", code, identifier, 20) + bytes([authenticator]) * 16


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def wifi(control: int, receiver: str, transmitter: str, body: bytes = b"", flags: int = 0) -> bytes:
    """An 802.11 frame with the smallest radiotap header; `control` is its first octet."""
    head = bytes([control, flags, 0, 0]) + mac(receiver) + mac(transmitter) + mac(transmitter)
    return b"\0\0\x08\0\0\0\0\0" + head + b"\0\0" + body


def ack(receiver: str) -> bytes:
    return b"\0\0\x08\0\0\0\0\0" + b"\xd4\0\0\0" + mac(receiver)


def eapol(kind: int, body: bytes) -> bytes:
    return b"\xaa\xaa\x03\0\0\0\x88\x8e" + struct.pack("!BBH", 2, kind, len(body)) + body


def eap(code: int, identifier: int, method: bytes = b"") -> bytes:
    return struct.pack("!BBH", code, identifier, 4 + len(method)) + method


def air(story: Story) -> Frames:
    """The switch as the air saw it."""
    mn = story.scenario.mn.mac
    old, new = (ap.bssid for ap in story.scenario.aps)
    frames = [
        (TRIGGER - MS, wifi(0x88, mn, old, b"x" * 40, flags=0x42)),
        (TRIGGER - MS + 1000, ack(old)),
        (START, wifi(0x80, "ff:ff:ff:ff:ff:ff", old)),
    ]
    if not story.moves:
        return frames
    frames += [
        (LEFT, wifi(0xC0, old, mn, b"\x03\0")),
        (LEFT + 1000, ack(mn)),
        (LEFT + MS, wifi(0x88, mn, old, b"x" * 40, flags=0x42)),  # to a station that is gone
        (OPEN - 50 * MS, wifi(0xB0, new, mn, bytes(6))),
        (OPEN - 49 * MS, wifi(0xB0, mn, new, bytes(6))),
        (OPEN - 10 * MS, wifi(0x08, mn, new, eapol(3, bytes(95)), flags=2)),
        (OPEN - 9 * MS, wifi(0x08, new, mn, eapol(3, bytes(95)), flags=1)),
    ]
    if not story.floor:
        talk = [(1, b"\x01"), (2, b"\x01mn"), (1, b"\x0d\x20"), (2, b"\x0dhello"), (3, b"")]
        for step, (code, method) in enumerate(talk):
            ends = (mn, new) if code != 2 else (new, mn)
            frame = wifi(0x08, *ends, eapol(0, eap(code, step, method)), flags=code % 2 + 1)
            frames.append((OPEN - (40 - 4 * step) * MS, frame))
    return frames


def mn_link(story: Story) -> Frames:
    """The MN's wireless interface: the call and what it signals."""
    mn, cn = IPv4Address("10.0.0.10"), IPv4Address("10.9.0.2")
    coa, home = IPv4Address("10.2.0.100"), IPv4Address("10.0.0.1")
    frames = []
    for flow in planned_flows(story.scenario):
        for sequence, sent_ns in enumerate(sent_times(flow)):
            at = arrival_ns(story, flow, sent_ns)
            missed = flow.name == "probe" and sequence in story.unheard
            if flow.direction == "downlink" and at is not None and not missed:
                inner = ip(cn, mn, 17, udp(50000, flow.port, rtp(flow, sequence, sent_ns)))
                frames.append((at + 1000, ethernet(ip(home, coa, 4, inner))))
    if story.moves and not story.floor:
        nobody, all_ = IPv4Address(0), IPv4Address("255.255.255.255")
        frames += [
            (OPEN + 10 * MS, datagram(nobody, 68, all_, 67, bytes(240))),
            (OPEN + 40 * MS, datagram(IPv4Address("10.2.0.1"), 67, coa, 68, bytes(240))),
            (OPEN + 50 * MS, datagram(coa, 434, home, 434, bytes(46))),
            (OPEN + 80 * MS, datagram(home, 434, coa, 434, bytes(42))),
            (END, datagram(coa, 434, home, 434, bytes(46))),  # deregisters, long after
        ]
    return frames


def cn_link(story: Story) -> Frames:
    frames = []
    for flow in planned_flows(story.scenario):
        for sequence, sent_ns in enumerate(sent_times(flow)):
            at = arrival_ns(story, flow, sent_ns)
            if flow.direction == "uplink" and at is not None:
                packet = rtp(flow, sequence, sent_ns)
                ends = IPv4Address("10.0.0.10"), 50000, IPv4Address("10.9.0.2")
                frames.append((at, datagram(*ends, flow.port, packet)))
    return frames


def aaa_link(story: Story, *, asker: bool) -> Frames:
    """Two round trips, as B's AAA server (`asker`) or the home AAA server sees them."""
    if not story.moves or story.floor:
        return []
    home, visited = story.scenario.home.aaa_address, IPv4Address("10.2.0.2")
    near, far = (0, 20 * MS) if asker else (9 * MS, 11 * MS)
    frames = []
    for number, answer in enumerate((11, 2)):
        at = OPEN - (45 - 22 * number) * MS
        query = datagram(visited, 1814, home, 1812, radius(1, number, number))
        frames.append((at + near, query))
        frames.append((at + far, datagram(home, 1812, visited, 1814, radius(answer, number, 9))))
    return frames


def events(story: Story) -> bytes:
    lines: list[dict[str, Any]] = [
        {"t_ns": START - 9, "host": "lab", "agent": "collector", "type": "run.started"}
        | {"kind": story.kind},
        {"t_ns": END, "host": "lab", "agent": "collector", "type": "run.finished", "ok": story.ok},
    ]
    if story.moves:
        new = story.scenario.aps[1].bssid
        lines.append(_mn(TRIGGER, "trigger.fired", rule="signal-below"))
        lines.append(_connected(START - 100 * MS, story.scenario.aps[0].bssid))
        steps = [("decision", TRIGGER, LEFT), ("scan", LEFT, OPEN - 50 * MS)]
        if story.floor:
            steps.append(("four-way", OPEN - 50 * MS, OPEN))
        else:
            steps += [
                ("eap", OPEN - 50 * MS, OPEN - 10 * MS),
                ("four-way", OPEN - 10 * MS, OPEN),
                ("dhcp", OPEN, OPEN + 50 * MS),
                ("binding-update", OPEN + 50 * MS, OPEN + 80 * MS),
            ]
        for name, begin, end in steps:
            lines.append(_mn(begin, "phase.started", phase=name))
            lines.append(_mn(end, "phase.ended", phase=name))
        lines.append(_connected(OPEN, new))
        lines.append(_mn(steps[-1][2] + MS // 2, "phase.started", phase="first-packet"))
    lines.reverse()  # agents' lines come in no order
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _mn(t_ns: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"t_ns": t_ns, "host": "mn", "agent": "mobile_node", "type": kind, **fields}


def _connected(t_ns: int, bssid: str) -> dict[str, Any]:
    text = f"CTRL-EVENT-CONNECTED - Connection to {bssid} completed [id=0 id_str=]"
    return _mn(t_ns, "wpa.event", name="CTRL-EVENT-CONNECTED", text=text)


def run_files(story: Story) -> Files:
    """The files of one run's folder, by name."""
    info = {"scheme": story.scheme, "kind": story.kind, "repeat": story.repeat, "ok": story.ok}
    info |= {"error": story.error, "lab": story.lab, "addresses": {}}
    captures = [
        ("mn", "wlan0", "mn-wlan0.pcap", pcap(mn_link(story))),
        ("cn", "cn-router", "cn-cn-router.pcap", pcap(cn_link(story))),
        ("home-aaa", "home-agent", "home-aaa.pcap", pcap(aaa_link(story, asker=False))),
        ("B-aaa", "B-router", "B-aaa.pcap", pcap(aaa_link(story, asker=True))),
        ("air", "hwsim0", "air-hwsim0.pcap", pcap(air(story), linktype=127)),
    ]
    listed = [
        {"host": host, "interface": interface, "file": file, "dropped": story.dropped.get(file, 0)}
        for host, interface, file, _ in captures
    ]
    return {
        "run.json": json.dumps(info).encode(),
        "events.jsonl": events(story),
        "mn.flows": record(story, "mn"),
        "cn.flows": record(story, "cn"),
        "captures.json": json.dumps(listed).encode(),
        "logs/mn-wpa_supplicant.log": b"said nothing\n",
        **{file: data for _, _, file, data in captures},
    }


def raw_files(*stories: Story) -> Files:
    """A whole RAW folder, by path."""
    about = {"rig": "guest", "clock": "virtual", "versions": {"linux": "6.1"}, "lab_id": "lab"}
    outer = {"t_ns": 5, "host": "mn", "agent": "collector", "type": "host.created"}
    files = {"lab.json": json.dumps(about).encode(), "events.jsonl": json.dumps(outer).encode()}
    for number, story in enumerate(stories, start=1):
        for name, data in run_files(story).items():
            files[f"runs/{number:03}/{name}"] = data
    return files


def write(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
