"""A made-up summary that the report's tests share."""

from __future__ import annotations

from mpa_hil.report.summary import (
    Delay,
    Eap,
    PerDirection,
    Run,
    Signalling,
    Summary,
    complete_phases,
    failed_run,
    make_scheme,
    verdict_summary,
)
from mpa_hil.report.verdict import QuietRun, Verdict, judge
from mpa_hil.traffic.observer import agree


def run(gap_ms: float, lost: int, **extra: object) -> Run:
    phases = complete_phases({"scan": 185.0, "eap": 440.5, "dhcp": 3100.0}, gap_ms)
    figures: dict[str, object] = {
        "ok": True,
        "l2_ms": gap_ms / 4,
        "l3_ms": gap_ms / 2,
        "gap_ms": PerDirection(gap_ms, gap_ms - 12.5),
        "sent": PerDirection(1500, 1500),
        "received": PerDirection(1500 - lost, 1500 - lost),
        "lost": PerDirection(lost, lost),
        "duplicated": PerDirection(0, 1),
        "reordered": PerDirection(0, 0),
        "jitter_ms": PerDirection(0.12, 0.3456),
        "delay_ms": PerDirection(Delay(20.1, 24.9, 60.0), Delay(None, None, None)),
        "mos": PerDirection(3.21, None),
        "phases_ms": phases,
        "signalling": {"radius": Signalling(16, 9876)},
        "eap": Eap(11, 4),
        "gap_flow": "probe",
        "voice_flow": "voice",
    }
    return Run(**(figures | extra))  # type: ignore[arg-type]


def good_verdict() -> Verdict:
    null = [QuietRun("voice", "downlink", 500, 0, 0, 0.0, 20.0)]
    return judge(null, None, [("reactive 1 downlink", agree(100, 100.2, 1))])


def summary(verdict: Verdict | None = None) -> Summary:
    reactive = [run(4000.0 + 10 * i, 200 + i) for i in range(7)]
    floor = [run(12.0, 0, l3_ms=None, eap=None, phases_ms={}), failed_run("hostapd b1 died")]
    return Summary(
        lab="two_domains",
        seed=7,
        rig="guest",
        clock="virtual",
        versions={"mpa-hil": "0.1.0", "linux": "6.1.0"},
        schemes={"reactive": make_scheme(reactive), "l2-floor": make_scheme(floor)},
        verdict=None if verdict is None else verdict_summary(verdict),
    )
