"""A mobile node that is told nothing of the next network: it asks, prepares, and switches.

Whole runs through the command line, one guest for each way of asking. Under the virtual clock
figures repeat, so they are asserted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mpa_hil import eventlog
from mpa_hil.discovery import wire
from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.scenario import load

PROJECT = Path(__file__).parents[2]
LAB = PROJECT / "lab_configs" / "two_domains.toml"
BOUND_S = 900
REPEATS = 2
"""The second run begins where the first began: nothing is remembered."""
B1 = "02:00:00:00:0b:01"
AFFECTING_MS = 20.0
"""Authentication frames, association and 4-way handshake; 11 ms in the guest."""


@dataclass(frozen=True)
class Run:
    """What one way of asking left."""

    folder: Path
    summary: dict[str, Any]

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Checked against the event log's description, then as they are written."""
        path = self.folder / "events.jsonl"
        count = sum(1 for _ in eventlog.read(path))
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert len(lines) == count
        return lines

    def of(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Events of a kind in which these fields have these values."""
        return [
            event
            for event in self.events
            if event["type"] == kind and all(event.get(key) == fields[key] for key in fields)
        ]

    def one(self, kind: str, repeat: int, **fields: Any) -> dict[str, Any]:
        found = [e for e in self.of(kind, **fields) if e.get("repeat", 0) == repeat]
        assert len(found) == 1, (kind, fields, len(found))
        return found[0]


def run(way: str, folder: Path) -> Run:
    temporary = folder / f"{way}.tmp"
    temporary.mkdir()
    out = folder / way
    settings = (f"schemes.mpa-level1.discovery={way}", "measure.null_run=false")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mpa_hil.cli", "run", str(LAB), "--scheme", "mpa-level1"),
            *("--rig", "guest", "--clock", "virtual", "--repeat", str(REPEATS)),
            *("--out", str(out), "--json", *(word for one in settings for word in ("--set", one))),
        ],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert not list(temporary.iterdir()), "temporary files are left"
    return Run(out, json.loads(done.stdout))


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Run]]:
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-d-") as folder, ThreadPoolExecutor() as pool:
        jobs = {way: pool.submit(run, way, Path(folder)) for way in ("air", "service")}
        yield {way: job.result() for way, job in jobs.items()}


def decoded(octets: str) -> Sequence[CandidateNetwork]:
    return wire.decode(bytes.fromhex(octets))


@pytest.mark.parametrize("way", ["air", "service"])
@pytest.mark.parametrize("repeat", range(REPEATS))
def test_the_node_knows_b_only_once_it_has_asked(
    runs: dict[str, Run], way: str, repeat: int
) -> None:
    """R25, R27, R29: AA, CA, AR and points of a network that no configuration of its names."""
    it = runs[way]
    assert it.one("mobile_node.opened", repeat)["networks"] == 1
    found = it.one("discovery.candidates", repeat)
    assert found["bssid"] == "02:00:00:00:0a:01"
    assert found["realms"] == ["b.example"]
    (b,) = decoded(found["networks"])
    domain = load(LAB).domains[1]
    router = ip_address(str(domain.router_address))
    assert {each.address for each in (*b.aa, *b.ca, *b.ar)} == {router}
    assert [point.bssid for point in b.points] == [B1]
    learnt = it.one("mobile_node.learnt", repeat)
    assert learnt["network"] == "b1"
    started = it.one("preauth.started", repeat, realm="b.example")
    armed = it.one("mobile_node.armed", repeat)
    assert found["t_ns"] < learnt["t_ns"] < started["t_ns"] < armed["t_ns"]
    added = [
        event
        for event in it.of("wpa.event", name="CTRL-EVENT-NETWORK-ADDED")
        if event.get("repeat", 0) == repeat
    ]
    assert len(added) == 2
    assert added[0]["t_ns"] < found["t_ns"] < added[1]["t_ns"]


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_the_access_point_told_of_it(runs: dict[str, Run], repeat: int) -> None:
    """R26: by ANQP and by an 802.11k report; nobody vouches for either."""
    it = runs["air"]
    assert it.one("discovery.candidates", repeat)["trust"] == ["unauthenticated"]
    anqp = it.one("discovery.learnt", repeat, source="anqp")
    report = it.one("discovery.learnt", repeat, source="neighbor-report")
    assert (anqp["count"], report["count"]) == (2, 1)  # a description and a report; b1
    assert 0 < anqp["duration_ns"] < 50e6
    assert 0 < report["duration_ns"] < 150e6
    assert not it.of("discovery.unanswered")
    assert not it.of("preauth.started", realm="a.example")


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_the_agent_of_the_present_network_told_of_it(runs: dict[str, Run], repeat: int) -> None:
    """R29: under the MPA-SA with the AA that DHCP's option 136 had named (RFC 5192)."""
    it = runs["service"]
    bound = [e for e in it.of("dhcp.bound") if e.get("repeat", 0) == repeat]
    assert bound[0]["paa"] == bound[0]["dns"] == ["10.1.0.1"]
    here = it.one("discovery.here", repeat)
    assert (here["realm"], here["trust"]) == ("a.example", "unauthenticated")
    prepared = it.one("preauth.prepared", repeat, realm="a.example")
    described = it.one("preauth.described", repeat, realm="a.example")
    assert [each.realm for each in decoded(described["own"])] == ["a.example"]
    assert [each.realm for each in decoded(described["others"])] == ["b.example"]
    assert described["duration_ns"] < 100e6
    found = it.one("discovery.candidates", repeat)
    assert found["trust"] == ["vouched"]
    assert here["t_ns"] < prepared["t_ns"] < described["t_ns"] < found["t_ns"]
    asked = [e for e in it.of("discovery.learnt") if e["source"] in ("anqp", "neighbor-report")]
    assert not asked


@pytest.mark.parametrize("way", ["air", "service"])
def test_the_switch_runs_no_eap(runs: dict[str, Run], way: str) -> None:
    """R87: what was discovered was enough for keys at both ends."""
    it = runs[way]
    made = it.summary["schemes"]["mpa-level1"]["runs"]
    assert len(made) == REPEATS
    for each in made:
        assert each["ok"], each
        assert "eap" not in each["phases_ms"]
        phases = each["phases_ms"]
        link_ms = sum(phases[name] for name in ("authentication", "association", "four_way"))
        assert link_ms < AFFECTING_MS
    for repeat in range(REPEATS):
        keys = it.one("preauth.keys", repeat, realm="b.example")
        assert (keys["bssid"], keys["access_point"], keys["supplicant"]) == (B1, "installed", True)
        it.one("preauth.serving", repeat, realm="b.example")
    assert not it.of("preauth.missed")
    assert not it.of("agent.failed")


def test_the_agent_left_behind_holds_what_the_node_had(runs: dict[str, Run]) -> None:
    """C.2, R115: authorised where the node is, held where it was; a return needs no EAP."""
    it = runs["service"]
    for repeat in range(REPEATS):
        told = [
            event["state"]
            for event in it.of("aa.state", host="A-router")
            if event.get("repeat", 0) == repeat
        ]
        assert told == ["held", "authorised", "held", "gone"]
