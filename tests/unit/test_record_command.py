"""`mpa-hil record`: what it writes of a live radio and of a run; a link is left alone."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpa_hil import recording
from mpa_hil.cli import body
from mpa_hil.movement.recorded import read_csv
from mpa_hil.policy import replay_files, trace
from mpa_hil.policy.interface import (
    Attached,
    Candidate,
    CandidateSeen,
    LinkLost,
    Sample,
    Stay,
)
from mpa_hil.sampling.settings import Settings
from radios.errors import LocalError, RemoteError

HERE, OTHER = "02:00:00:00:0a:01", "02:00:00:00:0b:01"
ROW = "{}\t{}\t-60\t[WPA2-PSK-CCMP][ESS]\t{}\n"
QUESTIONS = {"PING", "ATTACH", "DETACH", "STATUS", "SCAN_RESULTS", "BSS", "SIGNAL_POLL"}
ELEMENTS = bytes((11, 5, 2, 0, 102, 0, 0)).hex()


class FakeDaemon:
    """A supplicant's control socket, with a thread behind it."""

    def __init__(self, path: Path) -> None:
        self.asked: list[str] = []
        self.bssid = HERE
        self._listeners: set[str] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(b"END", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            datagram, peer = self._socket.recvfrom(4096)
            if datagram == b"END":
                return
            text = datagram.decode()
            self.asked.append(text)
            with contextlib.suppress(OSError):  # whoever asked is gone
                self._socket.sendto(self._answer(text, peer).encode(), peer)
                if self.asked.count("SIGNAL_POLL") == 4 and text == "SIGNAL_POLL":
                    self._tell("CTRL-EVENT-SCAN-RESULTS ")
                elif self.asked.count("SIGNAL_POLL") == 8 and text == "SIGNAL_POLL":
                    self.bssid = ""
                    self._tell(f"CTRL-EVENT-DISCONNECTED bssid={HERE} reason=3")

    def _tell(self, event: str) -> None:
        for listener in self._listeners:
            self._socket.sendto(f"<3>{event}".encode(), listener)

    def _answer(self, text: str, peer: str) -> str:
        match text.split()[0]:
            case "PING":
                return "PONG\n"
            case "ATTACH":
                self._listeners.add(peer)
            case "STATUS":
                state = "COMPLETED" if self.bssid else "SCANNING"
                return f"bssid={self.bssid}\nfreq=2412\nssid=cafe\nwpa_state={state}\n"
            case "SIGNAL_POLL":
                return "RSSI=-61\nNOISE=9999\nFREQUENCY=2412\n"
            case "SCAN_RESULTS":
                rows = ROW.format(HERE, 2412, "cafe") + ROW.format(OTHER, 2437, "bar")
                return "bssid / frequency / signal level / flags / ssid\n" + rows
            case "BSS":
                other = OTHER in text
                found = f"bssid={OTHER if other else HERE}\nfreq={2437 if other else 2412}\n"
                return found + f"level={-72 if other else -60}\nage=0\nie={ELEMENTS}\n"
        return "OK\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    made = FakeDaemon(tmp_path / "wlan-x")
    yield made
    made.close()


def record(*arguments: object) -> int:
    return body(["record", *map(str, arguments)])


def test_a_live_radio_is_listened_to_and_left_alone(
    daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "walk.jsonl"
    live = (tmp_path / "wlan-x", "--out", out, "--for", 1, "--poll-ms", 20)
    assert record(*live, "--note", "here") == 0
    found = replay_files.load(out)
    assert (found.header.policy, found.header.note) == ("", "here")
    events = [step.event for step in found.steps]
    assert Candidate(HERE, "cafe", 2412) in [
        event.candidate for event in events if isinstance(event, CandidateSeen)
    ]
    assert [event.ap for event in events if isinstance(event, Attached)] == [HERE]
    assert [event.ap for event in events if isinstance(event, LinkLost)] == [HERE]
    samples = [event for event in events if isinstance(event, Sample)]
    assert {(s.ap, s.signal_dbm, s.source) for s in samples} == {
        (HERE, -61.0, "signal_poll"),
        (HERE, -60.0, "scan"),
        (OTHER, -72.0, "scan"),
    }
    assert all(sample.noise_dbm is None for sample in samples)
    loads = [e.candidate.load for e in events if isinstance(e, CandidateSeen) and e.candidate.load]
    assert loads == [0.4, 0.4]
    assert {asked.split()[0] for asked in daemon.asked} <= QUESTIONS
    assert "Sample" in capsys.readouterr().err


def test_looks_are_taken_only_where_they_are_allowed(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "Settings", functools.partial(Settings, guard_ms=0))
    live = (tmp_path / "wlan-x", "--for", 0.5, "--poll-ms", 500)
    record(*live, "--out", tmp_path / "one.jsonl")
    assert not [asked for asked in daemon.asked if asked.startswith("SCAN ")]
    record(*live, "--out", tmp_path / "two.jsonl", "--scan", 100)
    assert "SCAN TYPE=ONLY freq=2437" in daemon.asked


def test_signals_alone_for_a_lab(daemon: FakeDaemon, tmp_path: Path) -> None:
    out = tmp_path / "walk.csv"
    record(tmp_path / "wlan-x", "--out", out, "--for", 0.5, "--poll-ms", 20)
    readings = list(read_csv(out.read_text()))
    assert readings[0].t_s == 0
    assert {reading.ap for reading in readings} == {HERE, OTHER}


def test_out_of_a_run(tmp_path: Path) -> None:
    steps = (
        trace.Step(Attached(1, "a1")),
        trace.Step(Sample(2, "a1", -50.0), (Stay(rule="dwell", target="b1"),)),
    )
    whole = trace.Trace(trace.Header("default", {"x": 1}, "mpa 0"), steps)
    (tmp_path / "run").write_bytes(trace.write(whole))
    record(tmp_path / "run", "--out", tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == trace.write(whole)
    record(tmp_path / "run", "--out", tmp_path / "noted.jsonl", "--note", "n")
    first = json.loads((tmp_path / "noted.jsonl").read_text().splitlines()[0])
    assert (first["policy"], first["note"]) == ("default", "n")
    record(tmp_path / "run", "--out", tmp_path / "it.CSV")
    with (tmp_path / "it.CSV").open() as file:
        assert list(csv.reader(file)) == [["t_s", "ap", "signal_dbm"], ["0.000000", "a1", "-50"]]


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    (tmp_path / "run").write_bytes(trace.write(trace.Trace(trace.Header(), ())))
    with pytest.raises(LocalError, match="exists"):
        record(tmp_path / "run", "--out", tmp_path / "there")
    with pytest.raises(LocalError, match="cannot write"):
        record(tmp_path / "run", "--out", tmp_path / "no" / "such")
    with pytest.raises(LocalError, match="cannot read"):
        record(tmp_path / "nowhere", "--out", tmp_path / "new")
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "dead"))
    dead.close()
    with pytest.raises(RemoteError):
        record(tmp_path / "dead", "--out", tmp_path / "new2")
