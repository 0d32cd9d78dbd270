"""The endpoint's record file decoded, and packets.csv."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.traffic.endpoint import FORMAT, HEADER, clock_offset
from mpa_hil.traffic.records import PACKETS_COLUMNS, Arrival, FlowLog, decode, join, write_packets
from radios.errors import RemoteError

MS = 1_000_000
OFFSET = 1_700_000_000_000_000_000


def record(
    sent: list[int],
    received: list[tuple[int, int, int]] = (),  # type: ignore[assignment]
    *,
    order: str = "<",
    drift_ns: int = 0,
    **flow: Any,
) -> bytes:
    """A record file: one flow sent, rows of (ssrc, sequence, monotonic receive time) received."""
    entry = {"flow": "voice", "ssrc": 7, "spacing_ns": 20 * MS, "payload_bytes": 160}
    entry |= {"start_ns": 1000 * MS, "sent": len(sent), "errors": [], "skips": []} | flow
    sink = {"rows": len(received), "foreign": 1, "unstamped": 0, "dropped_by_socket": 2}
    clock = [
        {"realtime_ns": OFFSET, "offset_ns": OFFSET, "width_ns": 100},
        {"realtime_ns": OFFSET + 10_000 * MS, "offset_ns": OFFSET + drift_ns, "width_ns": 300},
    ]
    header = {"format": FORMAT, "host": "mn", "clock": clock, "send": [entry], "receive": [sink]}
    header["byteorder"] = "little" if order == "<" else "big"
    out = json.dumps(header).encode() + b"\n" + struct.pack(f"{order}{len(sent)}q", *sent)
    for ssrc, sequence, at_ns in received:
        out += HEADER.pack(0x80, 0, sequence & 0xFFFF, 0, ssrc, sequence * MS, sequence)
        out += struct.pack(f"{order}qq", *divmod(OFFSET + at_ns, 1_000_000_000))
    return out


@pytest.mark.parametrize("order", ["<", ">"])
def test_sender_and_receiver_are_brought_together(order: str) -> None:
    sender = decode(record([1000 * MS, 1020 * MS], order=order))
    rows = [(7, 1, 1025 * MS), (9, 0, 5), (7, 0, 1030 * MS)]
    receiver = decode(record([], rows, order=order))
    [log] = join(sender, receiver, "downlink")
    assert log.arrivals == [Arrival(1, MS, 1025 * MS), Arrival(0, 0, 1030 * MS)]
    assert (log.size_bytes, log.direction, log.spacing_ns) == (172, "downlink", 20 * MS)
    assert (receiver.foreign, receiver.dropped_by_socket, receiver.offset_width_ns) == (1, 2, 300)


def test_lateness_knows_of_skipped_slots() -> None:
    sent = [1000 * MS, 1021 * MS, 1100 * MS + 5]  # the third is the sixth slot: 3 were left out
    [flow] = decode(record(sent, skips=[[2, 3]])).sent
    assert list(flow.lateness_ns) == [0, MS, 5]
    assert flow.skipped == 3


def test_a_drifting_wall_clock_is_taken_out_linearly() -> None:
    data = record([], [(7, 0, 5_000 * MS)], drift_ns=2 * MS)
    decoded = decode(data)
    assert decoded.arrivals[7][0].received_ns == 5_000 * MS - MS
    assert decoded.offset_drift_ns == 2 * MS


@pytest.mark.parametrize("data", [b"", b"{}\n", b"nonsense\n", record([1, 2])[:-1]])
def test_broken_files_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteError):
        decode(data)


def test_clock_offset_is_tight() -> None:
    first, second = clock_offset(), clock_offset()
    assert 0 <= first["width_ns"] < 50 * MS
    assert abs(first["offset_ns"] - second["offset_ns"]) < 50 * MS


def test_packets_csv() -> None:
    log = FlowLog(
        "voice",
        "uplink",
        20 * MS,
        172,
        [0, 20 * MS, 61 * MS, 80 * MS],
        [Arrival(0, 0, 5), Arrival(0, 0, 9), Arrival(3, 80 * MS, 81 * MS)],
        lateness_ns=[0, 0, 21 * MS, 0],
        errors={1: errno.ENETUNREACH},
    )
    out = io.StringIO()
    assert write_packets(out, 1, "reactive", [log]) == 5
    write_packets(out, 2, "reactive", [log])
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert tuple(rows[0]) == PACKETS_COLUMNS
    assert len(rows) == 10
    assert [(r["seq"], r["received_ns"], r["note"]) for r in rows[:5]] == [
        ("0", "5", ""),
        ("0", "9", "duplicate"),
        ("1", "", "refused ENETUNREACH"),
        ("2", "", "late"),
        ("3", str(81 * MS), ""),
    ]
    assert (rows[5]["run"], rows[5]["kind"]) == ("2", "handover")


@given(st.text(max_size=12), st.sampled_from([None, -1, 1 << 70, "x", [], {}]), st.integers(0, 400))
def test_hostile_headers_raise_only_the_declared_error(text: str, value: Any, at: int) -> None:
    plain = record([1, 2, 3], [(7, 1, 5)])
    header = json.loads(plain.split(b"\n")[0])
    for part in (header, header["send"][0], header["receive"][0], header["clock"][1]):
        part[list(part)[at % len(part)]] = text if at % 2 else value
    whole = plain[:at] + text.encode("utf-8", "replace") + plain[at:]
    for data in (json.dumps(header).encode() + b"\n", whole):
        with contextlib.suppress(RemoteError):
            decode(data)


@given(st.binary(max_size=200))
def test_hostile_bodies_raise_only_the_declared_error(body: bytes) -> None:
    head = record([1, 2, 3]).split(b"\n")[0]
    try:
        decode(head + b"\n" + body)
    except RemoteError:
        return
    assert len(body) == 24
