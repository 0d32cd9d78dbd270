"""The trace decoder, fuzzed: lines, headers, whole files."""

from __future__ import annotations

from fuzzing import fuzz

from mpa_hil.errors import LocalError
from mpa_hil.policy import interface as say
from mpa_hil.policy import trace
from mpa_hil.policy.interface import Candidate, Decision, Input, Level, Part
from mpa_hil.policy.trace import Header, Step, Trace

PARTS: tuple[Part, ...] = ("round_trip", "switch")
INPUTS: tuple[Input, ...] = (
    say.Sample(10**9, "a1", -61, -92, None, "signal_poll"),
    say.Sample(10**9, "a1", -61.5, None, 20.25),
    say.BeaconLoss(10**9, "a1", 4),
    say.CandidateSeen(10**9, Candidate("b1", "b.example", 2437, 0.25, 3, 1.5, -2.0, 80.0, 2)),
    say.CandidateGone(10**9, "b1"),
    say.Attached(10**9, "a1", True),
    say.LinkLost(10**9, "a1", "out of range"),
    say.Holding(10**9, "b1", 2, True, 2 * 10**9, True, True, "refused"),
    *(say.Measured(10**9, part, 10**8, "b.example") for part in PARTS),
    say.SwitchFailed(10**9, "b1", "vanished"),
    say.Flow(10**9, True, 20.0),
    say.Speed(10**9, 1.4),
    say.Probed(10**9, "b1", True, 10**7),
    say.Tick(10**9),
)
WHY = {"snr_db": 12.5, "level": 2, "load": None, "serving": "a1", "linked": True}
DECISIONS: tuple[Decision, ...] = (
    say.Prepare("b1", Level.BOUND, rule="configure-threshold", inputs=WHY),
    say.Bind("b1", True, rule="bind-threshold", inputs=WHY),
    say.Switch("b1", rule="switch-threshold", inputs=WHY),
    say.Return("b1", rule="return-switch-threshold", inputs=WHY),
    say.LetGo("b1", False, rule="recovered", inputs=WHY),
    say.KeepContext("a1", 10**9, rule="keep-context", inputs=WHY),
    say.Probe("scan", "b1", 2437, rule="scan-stale", inputs=WHY),
    say.Stay("b1", rule="dwell", inputs=WHY),
)
LINES = [trace.input_line(event) for event in INPUTS]
LINES += [trace.decision_line(10**9, decision) for decision in DECISIONS]


def encoded(told: Input | tuple[int, Decision]) -> bytes:
    return trace.decision_line(*told) if isinstance(told, tuple) else trace.input_line(told)


def test_lines() -> None:
    fuzz("policy trace", trace.decode, LINES, encode=encoded)


def test_headers() -> None:
    corpus = [
        trace.header_line(Header()),
        trace.header_line(Header("default", {"dwell_s": 5.0, "level": 3}, "corridor")),
    ]
    fuzz("policy trace header", trace.decode_header, corpus)


def test_files() -> None:
    steps = tuple(Step(event, DECISIONS[:2]) for event in INPUTS[:4])
    corpus = [trace.write(Trace(Header("default", {"dwell_s": 5.0}), steps)), b'{"trace":1}\n']
    fuzz("policy trace file", lambda octets: trace.read(octets, "here"), corpus, refusal=LocalError)
