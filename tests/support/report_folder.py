"""A run's folder made up for the page's tests: two schemes, one packet stream each way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from report_sample import run

from mpa_hil.report.html.data import Happening
from mpa_hil.report.summary import (
    Delay,
    FlowSummary,
    PerDirection,
    Run,
    Summary,
    VerdictSummary,
    encode,
    failed_run,
    make_scheme,
)
from mpa_hil.traffic.records import PACKETS_COLUMNS

ROOT = Path(__file__).parents[2]
LAB = ROOT / "lab_configs" / "two_domains.toml"
MS = 1_000_000
START = 5_000 * MS
"""When the run's events begin; its trigger is a second later."""
TRIGGER = START + 1_000 * MS
OLD, NEW = "02:00:00:00:0a:01", "02:00:00:00:0b:01"


def flow(gap_ms: float, lost: int) -> FlowSummary:
    """Figures of one flow in one direction."""
    return FlowSummary(
        sent=100,
        received=100 - lost,
        lost=lost,
        duplicated=0,
        reordered=0,
        refused=0,
        late=0,
        gap_ms=gap_ms,
        lost_gap_ms=gap_ms,
        sender_hole_ms=0.0,
        recovered=True,
        jitter_ms=0.1,
        jitter_max_ms=0.2,
        pdv_ms=0.3,
        delay_ms=Delay(30.0, 30.0, 30.0),
        mos=4.1,
        r=90.0,
    )


def switch_run(number: int, **extra: object) -> Run:
    """A handover of 200 ms: packets 52 to 59 of each way are lost, 20 ms apart."""
    figures: dict[str, object] = {
        "phases_ms": {"scan": 150.0, "dhcp": 40.0, "remainder": 10.0, "total": 200.0},
        "flows": {"voice": PerDirection(flow(160.0, 8), flow(160.0, 8))},
        "gap_flow": "voice",
        "number": number,
    }
    made = msgspec.structs.replace(run(160.0, 8), **(figures | extra))
    return msgspec.structs.replace(made, gap_ms=PerDirection(160.0 + number, 160.0))


def summary(**extra: object) -> Summary:
    """One scheme of three runs, one that failed."""
    entries: dict[str, object] = {
        "lab": "two_domains",
        "seed": 7,
        "rig": "guest",
        "clock": "virtual",
        "versions": {"mpa-hil": "0.1.0"},
        "schemes": {
            "reactive": make_scheme([switch_run(1), switch_run(3), switch_run(4)]),
            "l2-floor": make_scheme([failed_run("hostapd b1 died", 2)]),
        },
        "verdict": VerdictSummary(True, [], []),
    }
    return Summary(**(entries | extra))  # type: ignore[arg-type]


def event(t_ns: int, kind: str, /, host: str = "mn", **fields: object) -> dict[str, object]:
    """One line of the log."""
    agent = fields.pop("agent", "mobile_node")
    named = {"type": kind, "t_ns": t_ns, "host": host, "agent": agent, "scheme": "reactive"}
    return {**named, **fields}


def wpa(t_ns: int, name: str, text: str) -> dict[str, object]:
    return event(t_ns, "wpa.event", name=name, text=text)


def phase(name: str, start_ns: int, end_ns: int) -> list[dict[str, object]]:
    return [
        event(start_ns, "phase.started", phase=name),
        event(end_ns, "phase.ended", phase=name),
    ]


def log() -> list[dict[str, object]]:
    """Null run, then the handover: trigger, link, DHCP, registration."""
    said = {"signal_dbm": -80.0, "leave_dbm": -75.0}
    mip = {"home_address": "10.0.0.10", "care_of": "10.2.0.5", "lifetime_s": 300}
    return [
        event(START - 9 * MS, "run.started", "lab", agent="collector", kind="null"),
        event(START - 8 * MS, "trigger.fired", rule="of the null run"),
        event(START - 7 * MS, "run.finished", "lab", agent="collector", ok=True),
        event(START, "run.started", "lab", agent="collector"),
        event(START + MS, "flow.ready", agent="endpoint"),
        event(TRIGGER, "trigger.fired", rule="signal-below", inputs=said),
        *phase("scan", TRIGGER + MS, TRIGGER + 151 * MS),
        wpa(
            TRIGGER + 2 * MS,
            "CTRL-EVENT-DISCONNECTED",
            f"CTRL-EVENT-DISCONNECTED bssid={OLD} reason=3 locally_generated=1",
        ),
        wpa(TRIGGER + 151 * MS, "AUTHENTICATING", f"SME: Trying to authenticate with {NEW}"),
        wpa(TRIGGER + 152 * MS, "ASSOCIATED", f"Associated with {NEW}"),
        wpa(TRIGGER + 155 * MS, "CTRL-EVENT-CONNECTED", f"Connection to {NEW} completed"),
        *phase("dhcp", TRIGGER + 155 * MS, TRIGGER + 195 * MS),
        event(TRIGGER + 195 * MS, "dhcp.bound", address="10.2.0.5", router="10.2.0.1"),
        event(TRIGGER + 196 * MS, "mip4.request", **mip),
        event(TRIGGER + 211 * MS, "mip4.binding", "home-agent", agent="home_agent", **mip),
        event(TRIGGER + 226 * MS, "mip4.reply", code=0, text="accepted"),
        event(TRIGGER + 900 * MS, "flow.quiet", agent="endpoint"),
        event(TRIGGER + 901 * MS, "mip4.request", **mip),
        event(TRIGGER + 902 * MS, "run.finished", "lab", agent="collector", ok=True),
    ]


def happenings(events: Iterable[Mapping[str, object]]) -> list[Happening]:
    """Events as the page's modules have them, in order of time."""
    found = [
        Happening(
            int(str(e["t_ns"])),
            str(e["host"]),
            str(e["agent"]),
            str(e["type"]),
            str(e["scheme"]),
            int(str(e.get("repeat", 0))),
            e,
        )
        for e in events
    ]
    return sorted(found, key=lambda one: one.t_ns)


def packets(number: int) -> list[tuple[object, ...]]:
    """Rows of packets.csv: 100 packets each way from 40 ms after START, 20 ms apart."""
    rows: list[tuple[object, ...]] = []
    for direction in ("downlink", "uplink"):
        for seq in range(100):
            sent = START + 40 * MS + seq * 20 * MS
            received = "" if 52 <= seq < 60 else sent + 30 * MS
            front = (number, "reactive", "voice", direction, seq)
            rows.append((*front, sent, received, 172, "", "handover"))
    return rows


def write_folder(folder: Path, what: Summary | None = None) -> Summary:
    """The whole folder, `report.html` left out; returns its summary."""
    what = summary() if what is None else what
    (folder / "summary.json").write_bytes(encode(what))
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(e)}\n" for e in log()))
    rows = [PACKETS_COLUMNS, *packets(1), *packets(3)]
    lines = (",".join(map(str, row)) for row in rows)
    (folder / "packets.csv").write_text("".join(f"{line}\n" for line in lines))
    (folder / "lab.toml").write_text(LAB.read_text())
    return what
