"""Parts of the evaluation by example: the air, RADIUS round trips, phases, windows, files."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from evaluation_fake import MS, OFFSET, Frames, ack, datagram, eap, eapol, lab, pcap, radius, wifi
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.evaluation import air, output
from mpa_hil.evaluation.flows import RECOVERY_NS, handover_window, headline_flows, measure
from mpa_hil.evaluation.radius import exchanges
from mpa_hil.evaluation.raw import Taken
from mpa_hil.evaluation.signalling import Place, hear
from mpa_hil.evaluation.timeline import Span, Timeline, read_timeline
from mpa_hil.events import AnyEvent, PhaseEnded, PhaseStarted, TriggerFired, WpaEvent
from mpa_hil.traffic.figures import Window, figures
from mpa_hil.traffic.pcap import Capture, Packet, read_pcap
from mpa_hil.traffic.records import Arrival, FlowLog
from radios.errors import MachineError

MN, OLD, NEW = "02:00:00:00:00:10", "02:00:00:00:0a:01", "02:00:00:00:0b:01"
RADIO, POA = bytes.fromhex("020000000010"), bytes.fromhex("020000000a01")
EVER = Span(0, 1 << 62)
QOS, NULL, DEAUTH, DISASSOC = 0x88, 0x48, 0xC0, 0xA0


def seen(frames: Frames) -> list[air.Frame]:
    return list(air.frames(read_pcap(pcap(frames, 127)), RADIO, OFFSET))


@pytest.mark.parametrize(
    ("frames", "last"),
    [
        ([], None),
        ([(1, wifi(QOS, MN, OLD)), (2, ack(OLD))], 1),
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN))], 1),
        # Whatever the access point sends after the MN has gone is not acknowledged.
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN)), (3, wifi(QOS, MN, OLD))], 1),
        # The MN's farewell counts, the access point's does not, and no empty frame does.
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN)), (3, wifi(DEAUTH, OLD, MN)), (4, ack(MN))], 3),
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN)), (3, wifi(DISASSOC, OLD, MN)), (4, ack(MN))], 3),
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN)), (3, wifi(DEAUTH, MN, OLD)), (4, ack(OLD))], 1),
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN)), (3, wifi(NULL, OLD, MN)), (4, ack(MN))], 1),
        # Nothing on the new PoA, nor after the time asked about.
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN)), (3, wifi(QOS, NEW, MN)), (4, ack(MN))], 1),
        ([(1, wifi(QOS, OLD, MN)), (2, ack(MN)), (99, wifi(QOS, OLD, MN)), (100, ack(MN))], 1),
        # A capture without acknowledgements: every frame counts.
        ([(1, wifi(QOS, MN, OLD)), (3, wifi(QOS, MN, OLD))], 3),
    ],
)
def test_last_frame_on_the_old_poa(frames: Frames, last: int | None) -> None:
    assert air.last_on_ns(seen(frames), RADIO, POA, until_ns=50) == last


def test_eapol_is_between_mn_and_poa_and_repetitions_are_known() -> None:
    request = eapol(0, eap(1, 7, b"\x01") + b"padding")
    frames = [
        (1, wifi(0x08, MN, OLD, request, flags=2)),
        (2, wifi(0x08, MN, OLD, request, flags=2 | 8)),
        (3, wifi(0x08, MN, NEW, request, flags=2)),
        (4, wifi(0x08, MN, OLD, eapol(1, b""), flags=2)),
        (5, wifi(0x08, MN, OLD, request, flags=2 | 0x40)),  # encrypted
        (9, wifi(0x08, MN, OLD, request, flags=2)),
    ]
    found = air.eapol(seen(frames), POA, Span(1, 8), 127)
    assert [(one.frame.t_ns, one.frame.repeats, one.eap) for one in found] == [
        (1, False, eap(1, 7, b"\x01")),
        (2, True, eap(1, 7, b"\x01")),
        (4, False, b""),
    ]


@given(st.lists(st.binary(max_size=60), max_size=20), st.sampled_from([105, 127]))
def test_hostile_air_raises_nothing(data: list[bytes], linktype: int) -> None:
    packets = [Packet(n, frame + RADIO, len(frame)) for n, frame in enumerate(data)]
    found = list(air.frames(Capture(linktype, 65535, packets, False), RADIO, 0))
    air.last_on_ns(found, RADIO, POA, 99)
    assert all(len(one.eap) <= 66 for one in air.eapol(found, POA, EVER, linktype))


ASKER, SERVER = IPv4Address("10.2.0.2"), IPv4Address("10.0.0.2")


def asked(number: int, authenticator: int, server: IPv4Address = SERVER) -> bytes:
    return datagram(ASKER, 1814, server, 1812, radius(1, number, authenticator))


def answered(number: int, code: int = 11) -> bytes:
    return datagram(SERVER, 1812, ASKER, 1814, radius(code, number, 0))


def test_radius_round_trips() -> None:
    frames = [
        (1 * MS, asked(1, 1)),
        (3 * MS, asked(1, 1)),  # again, for want of an answer
        (4 * MS, answered(1)),
        (5 * MS, answered(1)),  # the answer to the second
        (6 * MS, asked(2, 2)),  # never answered
        (7 * MS, asked(2, 3)),  # another request under the same number
        (9 * MS, answered(2, 2)),
        (10 * MS, asked(3, 4, IPv4Address("10.9.9.9"))),
        (11 * MS, datagram(ASKER, 1814, SERVER, 1812, radius(12, 4, 4))),  # Status-Server
        (12 * MS, answered(4, 2)),
        (30 * MS, asked(5, 5)),
        (31 * MS, answered(5, 3)),
    ]
    capture = read_pcap(pcap(frames))
    found = exchanges(capture, Span(0, 20 * MS), OFFSET, SERVER)
    assert [(e.requested_ns // MS, e.answered_ns // MS, e.code) for e in found] == [
        (1, 4, "Access-Challenge"),
        (7, 9, "Access-Accept"),
    ]


def started(t_ms: int, phase: str) -> AnyEvent:
    return PhaseStarted(t_ns=t_ms * MS, host="mn", agent="a", phase=phase)  # type: ignore[arg-type]


def ended(t_ms: int, phase: str, outcome: str = "done") -> AnyEvent:
    fields = {"t_ns": t_ms * MS, "host": "mn", "agent": "a", "phase": phase, "outcome": outcome}
    return PhaseEnded(**fields)  # type: ignore[arg-type]


def connected(t_ms: int, bssid: str, host: str = "mn") -> AnyEvent:
    text = f"- Connection to {bssid} completed"
    return WpaEvent(t_ns=t_ms * MS, host=host, agent="a", name="CTRL-EVENT-CONNECTED", text=text)


TRIGGER = TriggerFired(t_ns=100 * MS, host="mn", agent="a", rule="signal-below")


def test_phases_repeat_are_skipped_and_are_cut_to_the_handover() -> None:
    events = [
        *(started(10, "eap"), ended(20, "eap"), connected(20, OLD)),
        *(started(95, "decision"), TRIGGER, ended(102, "decision")),
        *(started(102, "scan"), ended(110, "scan")),
        *(started(110, "authentication"), ended(111, "authentication", "failed")),
        *(started(111, "scan"), ended(120, "scan"), started(120, "eap")),
        *(ended(120, "eap", "skipped"), started(120, "four-way"), ended(130, "four-way")),
        *(connected(130, NEW.upper()), connected(131, OLD, host="other")),
        *(started(133, "first-packet"), connected(500, OLD), ended(600, "dhcp")),
    ]
    line = read_timeline(events)
    assert line is not None
    assert (line.trigger_ns, line.port_open_ns, line.bssid) == (100 * MS, 130 * MS, NEW)
    assert (line.leaving_ns, line.arrived_ns) == (102 * MS, 133 * MS)
    assert not line.readdressed
    assert line.phases_ms(140 * MS) == {
        "decision": 2,
        "scan": 8 + 9,
        "authentication": 1,
        "four_way": 10,
        "first_packet": 7,
        "remainder": 3,
        "total": 40,
    }
    # The first packet was faster than the program that waited for it.
    assert line.phases_ms(132 * MS)["first_packet"] == 0
    assert line.phases_ms(132 * MS)["remainder"] == 2
    assert line.phases_ms(125 * MS)["four_way"] == 5


def test_what_goes_on_while_the_first_packet_is_awaited_is_no_phase_of_its_own() -> None:
    """A call's packets come every 16 ms; meanwhile the MN tidies up."""
    events = [
        *(TRIGGER, started(110, "four-way"), ended(130, "four-way"), connected(130, NEW)),
        *(started(130, "arrival"), ended(132, "arrival"), started(132, "post-switching")),
        *(started(133, "first-packet"), ended(300, "post-switching")),
    ]
    line = read_timeline(events)
    assert line is not None
    assert line.answered_ns == 132 * MS
    assert line.drained_ns is None
    assert not line.readdressed
    assert line.phases_ms(145 * MS) == {
        "four_way": 20,
        "arrival": 2,
        "settling": 1,
        "first_packet": 12,
        "remainder": 10,
        "total": 45,
    }


def test_no_trigger_is_no_handover_and_an_unfinished_one_has_open_ends() -> None:
    assert read_timeline([started(1, "scan"), connected(2, NEW)]) is None
    line = read_timeline([TRIGGER, started(101, "scan"), connected(150, "nobody")])
    assert line == Timeline(
        trigger_ns=100 * MS, port_open_ns=150 * MS, leaving_ns=101 * MS, phases={}
    )


def flow(direction: str, delay_ms: int, missing: range = range(0)) -> FlowLog:
    sent = [n * 2 * MS for n in range(1000)]
    arrivals = [Arrival(n, s, s + delay_ms * MS) for n, s in enumerate(sent) if n not in missing]
    return FlowLog("probe", direction, 2 * MS, 24, sent, arrivals)


def test_windows_follow_the_path_and_stay_within_the_sending() -> None:
    down = handover_window(flow("downlink", 100), 500 * MS, 512 * MS)
    assert down == Window(500 * MS, 512 * MS + RECOVERY_NS)
    up = handover_window(flow("uplink", 100), 500 * MS, 512 * MS)
    assert up == Window(600 * MS, 612 * MS + RECOVERY_NS)
    assert handover_window(flow("uplink", 100), 500 * MS, None).end_ns == 2098 * MS
    assert handover_window(flow("downlink", 100), 5000 * MS, None) == Window(5000 * MS, 5000 * MS)


def test_a_short_switch_on_a_long_path_is_seen_where_it_shows() -> None:
    """12 ms away at 500 ms: the CN misses what was sent then 100 ms later."""
    up = flow("uplink", 100, range(250, 256))
    window = handover_window(up, 500 * MS, 512 * MS)
    found = figures(up, window)
    assert (found.gap_ms, found.lost_gap_ms) == (12, 12)
    # A scan that was over before the trigger is not the handover's.
    earlier = flow("uplink", 100, range(200, 240))
    assert figures(earlier, window).gap_ms == 0


def test_headline_flows_go_both_ways_if_any_does() -> None:
    down, up = flow("downlink", 5), flow("uplink", 5)
    both = measure([down, up], lab(), None)
    assert headline_flows(both) == ("probe", "probe")
    voice = FlowLog("voice", "uplink", 20 * MS, 172, [0], [])
    assert headline_flows(measure([voice, down, up], lab(), None)) == ("probe", "probe")
    assert headline_flows(measure([down, voice], lab(), None)) == ("voice", "probe")


def test_ipv6s_signalling_is_counted_where_the_lab_has_it() -> None:
    def six(protocol: int, body: bytes) -> bytes:
        head = b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes([protocol, 64])
        return bytes(12) + b"\x86\xdd" + head + bytes(32) + body

    option = bytes([135, 2, 1, 2, 0, 0, 0xC9, 16]) + bytes(16)
    frames = [
        (1 * MS, six(135, bytes(16))),
        (2 * MS, six(60, option + bytes(24))),  # a binding update with its home address option
        (3 * MS, six(58, bytes([135]) + bytes(23))),
        (4 * MS, six(58, bytes([128]) + bytes(23))),  # an echo request
        (5 * MS, six(17, b"\x02\x22\x02\x23\0\x10\0\0" + bytes(8))),
        (9 * MS, six(135, bytes(16))),  # after the first packet
        (1 * MS, datagram(IPv4Address("10.2.0.9"), 68, IPv4Address(1), 67, bytes(240))),
    ]
    taken = Taken("mn", "wlan0", read_pcap(pcap(frames)), 0)
    place = Place(RADIO, POA, POA, "B-aaa", IPv4Address("10.0.0.2"), ipv6=True)
    found = hear([taken], place, Span(0, 6 * MS), None, OFFSET).signalling
    counted = {name: one.messages for name, one in found.items()}
    assert counted == {"dhcp": 1, "mip4": 0, "hold": 0, "dhcp6": 1, "mip6": 2, "nd": 1}
    assert found["mip6"].bytes == (54 + 16) + (54 + 48)
    without = hear([taken], replace(place, ipv6=False), Span(0, 6 * MS), None, OFFSET).signalling
    assert set(without) == {"dhcp", "mip4", "hold"}


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with output.replacing(path) as stream:
        stream.write(b"old")
    with pytest.raises(ZeroDivisionError), output.replacing(path) as stream:  # noqa: PT012
        stream.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(MachineError), output.replacing(tmp_path / "no" / "file"):
        pass


def test_logs_are_copied_without_following_links(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.log").write_text("a")
    (source / "link.log").symlink_to("/etc/hostname")
    target = tmp_path / "logs"
    output.copy_logs({"001": source, "002": tmp_path / "absent"}, target)
    output.copy_logs({"003": source}, target)
    assert [str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()] == [
        "003/deep/a.log"
    ]
    output.copy_logs({}, target)
    assert os.listdir(tmp_path) == ["source"]
