"""Downloads: which ones a lab asks for, their records decoded, and their figures by hand."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from pathlib import Path

import msgspec
import pytest
from evaluation_fake import END, OFFSET, START, TRIGGER, Story, lab, raw_files, write
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil import scenario
from mpa_hil.evaluation import evaluate
from mpa_hil.report.run_parts import TransferSummary
from mpa_hil.report.tables import render
from mpa_hil.traffic.figures import Window
from mpa_hil.traffic.plan import (
    endpoint_config,
    planned_flows,
    planned_transfers,
    transfer_config,
)
from mpa_hil.traffic.transfer import FORMAT
from mpa_hil.traffic.transfers import TransferEnd, decode, figures
from radios.errors import LocalError, RemoteError

MS = 1_000_000
LABS = Path(__file__).parents[2] / "lab_configs"
TWO = (LABS / "two_domains.toml").read_text(encoding="utf-8")
DOWNLOAD = '[[flow]]\nname = "download"\nkind = "tcp"\ndirection = "downlink"\n'


def described(tmp_path: Path, table: str = DOWNLOAD, *settings: str) -> scenario.Scenario:
    path = tmp_path / "lab.toml"
    path.write_text(TWO.replace("[movement]\n", f"{table}\n[movement]\n", 1))
    return scenario.load(path, settings)


def end(times: list[int], role: str = "receive", **extra: object) -> dict[str, object]:
    entry = {"flow": "download", "role": role, "rate_octets_s": 500_000, "connected_ns": START}
    entry |= {"octets": 1000 * len(times), "retransmissions": 0, "error": "", "rows": len(times)}
    return {**entry, **extra}


def record(times: list[int], *, order: str = "<", **extra: object) -> bytes:
    """A record file: a thousand octets at each time on CLOCK_MONOTONIC."""
    clock = [
        {"realtime_ns": OFFSET + at, "offset_ns": OFFSET, "width_ns": 100} for at in (START, END)
    ]
    header = {"format": FORMAT, "host": "mn", "clock": clock, "quiet_ns": END}
    header["byteorder"] = "little" if order == "<" else "big"
    header["transfers"] = [end(times, **extra)]  # type: ignore[arg-type]
    rows = b"".join(struct.pack(f"{order}qq", OFFSET + at, 1000) for at in times)
    return json.dumps(header).encode() + b"\n" + rows


def every(spacing_ms: int, start_ns: int, end_ns: int) -> list[int]:
    return list(range(start_ns, end_ns, spacing_ms * MS))


OUTAGE = [*every(3, START, TRIGGER), *every(3, TRIGGER + 400 * MS, END)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_outage_is_the_longest_stall(order: str) -> None:
    (got,) = decode(record(OUTAGE, order=order))
    (gave,) = decode(record([], order=order, role="send", octets=9, retransmissions=7))
    found = figures(got, gave, Window(TRIGGER, END))
    last_before = max(at for at in OUTAGE if at < TRIGGER)
    assert found.stall_ms == (TRIGGER + 400 * MS - last_before) / MS
    assert (found.usual_ms, found.recovered, found.retransmissions) == (3, True, 7)
    assert found.octets == 1000 * len(OUTAGE)
    assert found.rate_mbit == pytest.approx(
        8 * (found.octets - 1000) / (END - START) * 1000, rel=5e-3
    )


def test_stalls_before_the_trigger_are_none_of_the_handover() -> None:
    times = [*every(3, START, START + 30 * MS), *every(3, START + 200 * MS, END)]
    (got,) = decode(record(times))
    assert figures(got, None, Window(TRIGGER, END)).stall_ms == 3
    assert figures(got, None, None).stall_ms == 173


def test_a_download_that_never_comes_back_stalls_to_its_end() -> None:
    times = every(3, START, TRIGGER)
    (got,) = decode(record(times, error="[Errno 110] Connection timed out"))
    found = figures(got, None, Window(TRIGGER, 1 << 62))
    assert (found.recovered, found.stall_ms) == (False, (END - times[-1]) / MS)
    assert "timed out" in found.error


def test_one_without_an_octet_has_no_figures_but_says_so() -> None:
    nothing = TransferEnd("download", "receive", 1, 0, 0, "refused", (), None)
    found = figures(nothing, None, Window(TRIGGER, END))
    assert (found.octets, found.stall_ms, found.recovered, found.error) == (0, 0, False, "refused")


@pytest.mark.parametrize("data", [b"", b"{}\n", b"nonsense\n", record([1, 2])[:-1]])
def test_broken_files_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteError):
        decode(data)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_hostile_files_raise_only_the_declared_error(noise: bytes, at: int) -> None:
    plain = record([START, START + MS])
    for data in (plain[:at] + noise + plain[at:], plain[:at] + noise):
        with contextlib.suppress(RemoteError):
            for one in decode(data):
                figures(one, None, Window(0, 5))


def test_downloads_are_numbered_apart_from_streams(tmp_path: Path) -> None:
    whole = described(tmp_path, DOWNLOAD + "count = 2\nrate_mbit = 2\n")
    assert planned_flows(whole) == planned_flows(scenario.load(LABS / "two_domains.toml"))
    names = [(each.name, each.port, each.rate_mbit) for each in planned_transfers(whole)]
    assert names == [("download", 20000, 2), ("download-2", 20001, 2)]
    addresses = whole.mn.home_address, whole.correspondent.address
    ends = [transfer_config(whole, host, *addresses, "/x")["transfers"] for host in ("mn", "cn")]
    assert [each["role"] for one in ends for each in one] == ["receive"] * 2 + ["send"] * 2
    assert {each["rate_octets_s"] for one in ends for each in one} == {250_000}


def test_several_streams_of_one_entry_take_turns(tmp_path: Path) -> None:
    whole = described(tmp_path, "", "flow.voice.count=4")
    voice = [flow for flow in planned_flows(whole) if flow.codec.name == "g711"]
    assert [flow.offset_ns for flow in voice if flow.direction == "uplink"] == [
        number * 5 * MS for number in range(4)
    ]
    addresses = whole.mn.home_address, whole.correspondent.address
    sent = endpoint_config(whole, "mn", *addresses, "/x")["send"]
    assert [flow["offset_ns"] for flow in sent] == [0, 5 * MS, 10 * MS, 15 * MS, 0]


@pytest.mark.parametrize(
    ("table", "key", "what", "remedy"),
    [
        (DOWNLOAD + 'codec = "g711"\n', "flow.download.codec", "cuts its stream", "rate_mbit"),
        (DOWNLOAD + "spacing_ms = 2\n", "flow.download.spacing_ms", "cuts", "rate_mbit"),
        (DOWNLOAD.replace("down", "up", 2), "flow.upload.direction", "go up", '"downlink"'),
        (DOWNLOAD.replace('direction = "downlink"\n', ""), "direction", "both ways", "downlink"),
        (DOWNLOAD.replace('"tcp"', '"udp"') + 'codec = "g711"\nrate_mbit = 2', "rate_mbit", "", ""),
        (DOWNLOAD + "rate_mbit = 0\n", "flow.download.rate_mbit", "> 0", "paces"),
        (DOWNLOAD.replace('"tcp"', '"sctp"'), "flow.download.kind", "sctp", "over TCP"),
    ],
)
def test_refused(tmp_path: Path, table: str, key: str, what: str, remedy: str) -> None:
    with pytest.raises(LocalError) as caught:
        described(tmp_path, table)
    assert caught.value.where.endswith(key)
    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_downloads_alone_measure_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    start, stop = TWO.index("[[flow]]"), TWO.index("# What the MN hears")
    path.write_text(TWO[:start] + DOWNLOAD + TWO[stop:])
    with pytest.raises(LocalError, match="downloads alone"):
        scenario.load(path)


def test_a_run_reports_its_downloads(tmp_path: Path) -> None:
    whole = lab()
    download = msgspec.structs.replace(
        whole.flows[0], name="download", kind="tcp", codec=None, direction="downlink"
    )
    whole = msgspec.structs.replace(whole, flows=(*whole.flows, download))
    files = raw_files(Story(kind="null"), Story())
    files["runs/002/mn-tcp.flows"] = record(OUTAGE)
    files["runs/002/cn-tcp.flows"] = record([], role="send", retransmissions=3)
    files["runs/001/mn-tcp.flows"] = record(OUTAGE)[:-1]
    summary = evaluate(write(files, tmp_path / "raw"), whole, 7, tmp_path / "out")
    [run] = summary.schemes["reactive"].runs
    [(name, found)] = run.transfers.items()
    assert isinstance(found, TransferSummary)
    assert (name, round(found.stall_ms), found.retransmissions) == ("download", 402, 3)
    assert any("run 001: mn-tcp.flows" in note for note in summary.notes)
    out = io.StringIO()
    render(summary, out)
    assert "Downloads: longest time without an octet, ms" in out.getvalue()
    assert "402.0 402.0" in out.getvalue()
