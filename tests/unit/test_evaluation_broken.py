"""Garbage in any file of a RAW folder costs what that file was to tell, and nothing else."""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest
from evaluation_fake import Files, Story, lab, raw_files, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpa_hil import eventlog
from mpa_hil.evaluation import evaluate
from mpa_hil.report.summary import Run, Summary, decode

PROBE_MS = 25
KINDS = (
    Story(kind="null", probe_ms=PROBE_MS),
    Story(probe_ms=PROBE_MS),
    Story(repeat=1, probe_ms=PROBE_MS),
)
VICTIM = "runs/002/"


@lru_cache
def files() -> Files:
    return raw_files(*KINDS)


def outcome(changed: Files) -> Summary:
    """The summary, which is also read back; the event log must be readable too."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "out")
        made = evaluate(write(changed, Path(name, "raw")), lab(PROBE_MS), 1, out)
        assert decode((out / "summary.json").read_bytes()) == made
        assert list(eventlog.read(out / "events.jsonl"))
        assert not list(out.glob(".*"))
    return made


@lru_cache
def whole() -> Summary:
    return outcome(files())


def runs(summary: Summary) -> dict[int, Run]:
    return {run.number: run for scheme in summary.schemes.values() for run in scheme.runs}


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes | None:
    """What may become of a file: gone, cut, overwritten in part, mixed up, or something else."""
    how = draw(st.sampled_from(["gone", "cut", "stretch", "other", "lines"]))
    if how == "gone":
        return None
    if how == "other":
        return draw(st.binary(max_size=300))
    at = draw(st.integers(0, len(data)))
    if how == "cut":
        return data[:at]
    if how == "lines":
        return data[:at] + b"\n" + draw(st.binary(max_size=40)) + b"\n" + data[at:]
    noise = draw(st.binary(min_size=1, max_size=40))
    return data[:at] + noise + data[at + len(noise) :]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(st.data())
def test_a_broken_file_loses_no_other_run(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(n for n in files() if n.startswith(VICTIM))))
    content = data.draw(broken(files()[name]))
    changed = {n: d for n, d in files().items() if n != name}
    if content is not None:
        changed[name] = content
    found, unharmed = runs(outcome(changed)), runs(whole())
    assert {n: r for n, r in found.items() if n != 2} == {
        n: r for n, r in unharmed.items() if n != 2
    }


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_broken_outer_files_lose_no_run(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["lab.json", "events.jsonl", "runs/001/run.json"]))
    content = data.draw(broken(files()[name]))
    changed = files() | {name: content or b""}
    assert runs(outcome(changed)) == runs(whole())


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_valid_json_of_the_wrong_kind_loses_no_other_run(data: st.DataObject) -> None:
    name = VICTIM + data.draw(st.sampled_from(["run.json", "captures.json", "events.jsonl"]))
    lines = files()[name].splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    plain = json.loads(lines[number])
    one = plain[data.draw(st.integers(0, len(plain) - 1))] if isinstance(plain, list) else plain
    one[data.draw(st.sampled_from(sorted(one)))] = data.draw(values)
    lines[number] = json.dumps(plain).encode()
    found, unharmed = runs(outcome(files() | {name: b"\n".join(lines)})), runs(whole())
    assert {n: r for n, r in found.items() if n != 2} == {
        n: r for n, r in unharmed.items() if n != 2
    }


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("events.jsonl", b'{"type": "coffee"}\nrubbish\n', "2 lines are no events; line 1: "),
        ("events.jsonl", b'{"x":' + b"[" * 100_000, "1 lines are no events"),
        ("mn-wlan0.pcap", None, "mn-wlan0.pcap is missing"),
        ("cn-cn-router.pcap", b"rubbish", "cn-cn-router.pcap: not a classic pcap file"),
        ("captures.json", b'[{"file": "../../../etc/passwd", "host": "mn"}]', "an entry that is"),
        ("captures.json", b"[7]", "an entry that is none"),
        ("captures.json", b"{", "captures.json is not what it should be"),
        ("run.json", b'{"scheme": "../up"}', "run.json is not what it should be"),
        ("run.json", None, "run.json is missing"),
    ],
)
def test_what_is_amiss_is_noted(name: str, content: bytes | None, note: str) -> None:
    changed = {n: d for n, d in files().items() if n != VICTIM + name}
    if content is not None:
        changed[VICTIM + name] = content
    summary = outcome(changed)
    assert any(n.startswith("run 002: ") and note in n for n in summary.notes), summary.notes


def test_a_capture_cut_off_after_the_handover_is_still_compared() -> None:
    cut = files() | {f"{VICTIM}mn-wlan0.pcap": files()[f"{VICTIM}mn-wlan0.pcap"][:-7]}
    summary = outcome(cut)
    assert "run 002: mn-wlan0.pcap is cut off" in summary.notes
    assert summary.verdict is not None
    assert summary.verdict.checks[2].detail.startswith("4 comparisons")
    early = files() | {f"{VICTIM}mn-wlan0.pcap": files()[f"{VICTIM}mn-wlan0.pcap"][:3000]}
    verdict = outcome(early).verdict
    assert verdict is not None
    assert "run 002 reactive voice downlink: the capture of mn's wlan0 is cut off" in (
        verdict.checks[2].detail
    )


def test_an_empty_folder_is_a_summary_without_runs(tmp_path: Path) -> None:
    summary = evaluate(tmp_path / "nothing", lab(), 1, tmp_path / "out")
    assert summary.schemes == {}
    assert "lab.json is missing" in summary.notes
    assert (tmp_path / "out" / "packets.csv").read_text().startswith("run,scheme,")
