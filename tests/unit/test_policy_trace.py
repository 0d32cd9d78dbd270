"""Traces: written, read, refused, made from an event log, and decided again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from policy_stage import S, airs, engine

from mpa_hil import eventlog
from mpa_hil.cli import cli
from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.events import AnyEvent
from mpa_hil.events.policy import PolicyDecided, PolicyInput, PolicyOpened
from mpa_hil.policy import interface as say
from mpa_hil.policy import lines, loading, records, replay_files, replaying, settings, trace
from mpa_hil.policy.interface import Candidate, Decision, Input, Level
from mpa_hil.policy.rehearsal import Rehearsal
from mpa_hil.policy.trace import Header, Step, Trace

TIMES = st.integers(0, 2**62)
NAMES = st.text(max_size=20)
LEVELS = st.integers(0, 3)
DBM = st.none() | st.integers(-110, 0) | st.floats(-110, 0)
CANDIDATES = st.builds(
    Candidate,
    NAMES,
    realm=NAMES,
    frequency_mhz=st.integers(0, 7000),
    load=st.none() | st.floats(0, 1),
    stations=st.none() | st.integers(0, 99),
    preference=st.floats(-9, 9),
    highest=LEVELS,
)
INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.builds(say.Sample, TIMES, NAMES, DBM, DBM, DBM, NAMES),
    st.builds(say.BeaconLoss, TIMES, NAMES, st.integers(0, 99)),
    st.builds(say.CandidateSeen, TIMES, CANDIDATES),
    st.builds(say.CandidateGone, TIMES, NAMES),
    st.builds(say.Attached, TIMES, NAMES, st.booleans()),
    st.builds(say.LinkLost, TIMES, NAMES, NAMES),
    st.builds(
        say.Holding,
        TIMES,
        NAMES,
        LEVELS,
        st.booleans(),
        st.none() | TIMES,
        st.booleans(),
        st.booleans(),
        NAMES,
    ),
    st.builds(
        say.Measured, TIMES, st.sampled_from(("keys", "binding", "round_trip")), TIMES, NAMES
    ),
    st.builds(say.SwitchFailed, TIMES, NAMES, NAMES),
    st.builds(say.Flow, TIMES, st.booleans(), st.floats(0, 100)),
    st.builds(say.Speed, TIMES, st.floats(0, 100)),
    st.builds(say.Probed, TIMES, NAMES, st.booleans(), TIMES),
    st.builds(say.Tick, TIMES),
)
WHY = {
    "rule": NAMES,
    "inputs": st.dictionaries(
        NAMES, st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | NAMES, max_size=5
    ),
}
DECISIONS: st.SearchStrategy[Decision] = st.one_of(
    st.builds(say.Prepare, NAMES, st.sampled_from(Level), **WHY),
    st.builds(say.Bind, NAMES, st.booleans(), **WHY),
    st.builds(say.Switch, NAMES, **WHY),
    st.builds(say.Return, NAMES, **WHY),
    st.builds(say.LetGo, NAMES, st.booleans(), **WHY),
    st.builds(say.KeepContext, NAMES, TIMES, **WHY),
    st.builds(say.Probe, st.sampled_from(("scan", "reachability")), NAMES, **WHY),
    st.builds(say.Stay, NAMES, **WHY),
)


def crossing() -> Iterator[Input]:
    """From a1 to b1 in 20 s, with noise."""
    yield say.Attached(S, "a1")
    yield from airs(20, 2.0, a1=lambda t: 38 - 1.5 * t, b1=lambda t: 8 + 1.5 * t)


@cache
def recorded(name: str = "default", **options: object) -> Trace:
    """A trace as an agent would leave it, with the node played."""
    chosen = loading.choose(name, options)
    steps: list[Step] = []

    class Recording:
        def __init__(self) -> None:
            self.engine = engine(name, **options)
            self.situation = self.engine.situation
            self.next_deadline = self.engine.next_deadline

        def feed(self, event: Input) -> tuple[Decision, ...]:
            decisions = self.engine.feed(event)
            steps.append(Step(event, decisions))
            return decisions

    signals = [event for event in crossing() if not isinstance(event, say.Attached)]
    Rehearsal(Recording()).run("a1", signals)  # type: ignore[arg-type]
    return Trace(Header(name, settings.told(chosen.settings), "test"), tuple(steps))


# --- lines


@given(INPUTS)
@tuned(max_examples=80, deadline=None)
def test_an_input_comes_back(event: Input) -> None:
    assert trace.decode(trace.input_line(event)) == event


@given(DECISIONS, TIMES)
@tuned(max_examples=80, deadline=None)
def test_a_decision_comes_back(decision: Decision, t_ns: int) -> None:
    assert trace.decode(trace.decision_line(t_ns, decision)) == (t_ns, decision)


@pytest.mark.parametrize(
    ("line", "what", "where"),
    [
        (b"", "no JSON", ""),
        (b"[]", "no JSON object", ""),
        (b"[" * 5000, "no JSON", ""),
        (b'{"kind":"sampel"}', "'sampel' is no kind of input", ""),
        (b'{"kind":7}', "7 is no kind of input", ""),
        (b'{"kind":"tick"}', "missing", "tick.t_ns"),
        (b'{"kind":"tick","t_ns":-1}', "-1 will not do", "tick.t_ns"),
        (b'{"kind":"tick","t_ns":true}', "True will not do", "tick.t_ns"),
        (b'{"kind":"tick","t_ns":1.5}', "1.5 will not do", "tick.t_ns"),
        (b'{"kind":"tick","t_ns":1,"x":2}', "unknown field", "tick.x"),
        (b'{"kind":"sample","t_ns":1,"ap":"a","signal_dbm":NaN}', "nan will not do", ".signal_dbm"),
        (b'{"kind":"sample","t_ns":1,"ap":"a","signal_dbm":"x"}', "'x' will not do", ".signal_dbm"),
        (b'{"kind":"sample","t_ns":1,"ap":7,"signal_dbm":1}', "7 will not do", "sample.ap"),
        (b'{"kind":"measured","t_ns":1,"part":"tea","took_ns":1}', "'tea' will not do", ".part"),
        (b'{"kind":"candidate","t_ns":1,"candidate":3}', "3 is not a candidate", ""),
        (b'{"kind":"decided","decision":"switch"}', "without a time", "t_ns"),
        (b'{"kind":"decided","t_ns":1,"decision":"jump"}', "'jump' is no kind of decision", ""),
        (
            b'{"kind":"decided","t_ns":1,"decision":"prepare","target":"b","level":4,"rule":""}',
            "4 will not do",
            "prepare.level",
        ),
        (
            b'{"kind":"decided","t_ns":1,"decision":"stay","rule":"r","inputs":{"x":[]}}',
            "[] will not do",
            "stay.inputs.x",
        ),
    ],
)
def test_what_is_no_line_is_refused(line: bytes, what: str, where: str) -> None:
    with pytest.raises(DecodeError) as refused:
        trace.decode(line)
    assert what in refused.value.what
    assert refused.value.where.endswith(where)


# --- files


def test_a_file_comes_back() -> None:
    made = recorded()
    assert trace.read(trace.write(made), "here") == made
    assert any(step.decisions for step in made.steps)


@pytest.mark.parametrize(
    ("content", "what", "place"),
    [
        (b"", "an empty file is no trace", "t.jsonl"),
        (b'{"trace":2}', "no trace's first line", "t.jsonl, line 1"),
        (b'{"trace":1,"x":1}', "unknown field", "t.jsonl, line 1, x"),
        (b'{"trace":1}\n\n{"kind":"tick"}', "missing", "t.jsonl, line 3, tick.t_ns"),
        (
            b'{"trace":1}\n{"kind":"decided","t_ns":1,"decision":"stay","rule":""}',
            "a decision before the first input",
            "t.jsonl, line 2",
        ),
    ],
)
def test_what_is_no_trace_is_refused_with_its_place(content: bytes, what: str, place: str) -> None:
    with pytest.raises(LocalError) as refused:
        trace.read(content, "t.jsonl")
    assert what in refused.value.what
    assert refused.value.where == place
    assert refused.value.remedy


# --- deciding again


@pytest.mark.parametrize("name", loading.SHIPPED)
def test_the_recorded_policy_decides_the_same_again(name: str) -> None:
    made = trace.read(trace.write(recorded(name)), "here")
    result = replaying.replay(made, replaying.choose(made, None, {}, "here"))
    assert result.checked
    assert result.difference is None
    assert result.decisions


def test_another_decision_is_found() -> None:
    made = recorded()
    at = next(number for number, step in enumerate(made.steps) if step.decisions)
    steps = [*made.steps]
    steps[at] = Step(steps[at].event, ())
    result = replaying.replay(
        Trace(made.header, tuple(steps)), replaying.choose(made, "default", {}, "here")
    )
    assert result.difference is not None
    assert result.difference.step == at + 1
    assert result.difference.now == made.steps[at].decisions


def test_other_options_are_rehearsed() -> None:
    made = recorded(dwell_s=3.0)
    chosen = replaying.choose(made, None, {"switch_snr_db": 12.0}, "here")
    assert (chosen.settings.dwell_s, chosen.settings.switch_snr_db) == (3, 12)
    result = replaying.replay(made, chosen)
    assert not result.checked
    assert result.tally is not None
    assert result.tally.moves == 1


def test_a_run_has_a_trace(tmp_path: Path) -> None:
    made = recorded()
    common = {"host": "mn", "agent": "mobile_node", "scheme": "mpa", "repeat": 1}
    log: list[AnyEvent] = [
        PolicyOpened(t_ns=1, policy="fixed", settings={}, **{**common, "repeat": 0}),
        PolicyOpened(t_ns=1, policy="default", settings=dict(made.header.settings), **common),
    ]
    for step in made.steps:
        t_ns = step.event.t_ns
        log.append(PolicyInput(t_ns=t_ns, input=lines.tell(step.event), **common))
        for decision in step.decisions:
            told = lines.tell_decision(decision)
            log.append(PolicyDecided(t_ns=t_ns, **told, **common))  # type: ignore[arg-type]
    (tmp_path / "events.jsonl").write_bytes(b"".join(map(eventlog.encode, log)))
    again = replay_files.load(tmp_path, "mpa", 1)
    assert again.steps == made.steps
    assert again.header.policy == "default"
    assert replay_files.load(tmp_path).header.policy == "fixed", "the first one"
    with pytest.raises(LocalError, match="no policy decided"):
        records.from_events(log, "here", "reactive")


# --- the command


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["replay", *map(str, arguments)], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.output


def test_the_command_checks(tmp_path: Path) -> None:
    made, file = recorded(), tmp_path / "t.jsonl"
    file.write_bytes(trace.write(made))
    status, output = run(file)
    assert status == 0
    assert "decisions as recorded" in output
    assert "serving_snr_db=" in output
    content = trace.write(made).replace(b'"rule":"switch-', b'"rule":"itch-')
    file.write_bytes(content)
    status, output = run(file)
    assert status == 1
    assert "not what was recorded: first at input" in output
    assert "itch-" in output


def test_the_command_in_json(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_bytes(trace.write(recorded()))
    status, output = run(file, "-p", "naive", "--set", "hysteresis_db=1", "--json")
    told = json.loads(output)
    assert status == 0
    assert told["policy"] == "naive"
    assert told["settings"]["hysteresis_db"] == 1
    assert told["same"] is None
    assert told["figures"]["moves"] > 1
    first = next(each for each in told["decisions"] if each["decision"] == "switch")
    assert first["rule"] == "stronger"
    assert first["inputs"]["serving"] == "a1"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("nowhere.jsonl",), "cannot read it"),
        (("t.jsonl", "-p", "defualt"), "did you mean `default`?"),
        (("t.jsonl", "--set", "dwel_s=1"), "did you mean `dwell_s`?"),
        (("t.jsonl", "--set", "dwell_s"), "not a setting"),
        (("t.jsonl", "--set", "dwell_s=-1"), "out of range"),
        (("t.jsonl", "--set", "filter=fft"), "none of its values"),
        (("junk",), "neither a trace nor an event log"),
    ],
)
def test_the_command_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.jsonl").write_bytes(trace.write(recorded()))
    Path("junk").write_bytes(b"\x00\xff\n")
    with pytest.raises(LocalError) as refused:
        run(*arguments)
    assert what in str(refused.value)


def test_a_trace_of_signals_alone_is_rehearsed(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    steps = tuple(Step(event) for event in crossing() if isinstance(event, say.Sample))
    file.write_bytes(trace.write(Trace(Header(), steps)))
    status, output = run(file)
    assert status == 0
    assert "policy default" in output
    assert "rehearsed" in output


def test_a_lab_files_movement_is_rehearsed() -> None:
    """Nothing is run: the corridor, there and back, in milliseconds."""
    lab = Path(__file__).parents[2] / "lab_configs" / "corridor.toml"
    status, output = run(lab, "--seed", 1, "--json")
    told = json.loads(output)
    assert status == 0
    assert told["figures"]["moves"] == 2
    assert told["figures"]["link_losses"] == 0
    assert told["figures"]["full_authentications"] == 0
    assert told["figures"]["scans"] > 0
    assert json.loads(run(lab, "--seed", 2, "--json")[1])["decisions"] != told["decisions"]


def test_a_lab_files_own_policy_is_rehearsed_unless_another_is_asked_for() -> None:
    lab = Path(__file__).parents[2] / "lab_configs" / "speeds.toml"
    own = json.loads(run(lab, "--json")[1])
    assert (own["policy"], own["settings"]["window_s"]) == ("fixed", 0.2)
    assert json.loads(run(lab, "--set", "window_s=0.4", "--json")[1])["settings"]["window_s"] == 0.4
    other = json.loads(run(lab, "--policy", "naive", "--json")[1])
    assert other["policy"] == "naive"
