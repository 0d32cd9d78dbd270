"""From what was recorded to what is reported: the whole experiment, run by run.

Runs are read one after another and let go, so that memory holds one at a time.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from mpa_hil import eventlog
from mpa_hil.evaluation import output
from mpa_hil.evaluation import raw as recorded
from mpa_hil.evaluation.judgement import verdict, with_faults
from mpa_hil.evaluation.raw import RawRun
from mpa_hil.evaluation.resources import Held
from mpa_hil.evaluation.runs import AGENT, Outcome, evaluate_run
from mpa_hil.eventlog import EventLog
from mpa_hil.events import RunResources, Verdict
from mpa_hil.experiment.plan import KEYS
from mpa_hil.report.faults import FaultSummary
from mpa_hil.report.policies import PolicySummary
from mpa_hil.report.summary import (
    Run,
    Scheme,
    Summary,
    encode,
    failed_run,
    make_scheme,
    verdict_summary,
)
from mpa_hil.scenario import Scenario
from mpa_hil.scenario.movement import switches
from mpa_hil.traffic.pcap import Source, write_pcapng
from mpa_hil.traffic.records import write_packets
from radios.errors import MpaError

LAB = "lab"
"""Host of the events that concern the experiment as a whole."""


def evaluate(raw: Path, scenario: Scenario, seed: int, out: Path) -> Summary:
    """Work out an experiment's figures and write its folder.

    Into `out` go ``NNN-SCHEME[-KIND]-repeatN.pcapng`` (a run's captures in one file), ``logs/``
    (daemons' logs, run by run), ``packets.csv``, ``events.jsonl`` and, last, ``summary.json``.
    Each file is there as a whole or not at all; of a folder with ``summary.json`` all are.

    Whatever is broken in `raw` costs no more than what it was to tell: a run that cannot be
    measured is reported as failed, the rest is named in the summary's notes.

    Args:
        raw: what the collector left (`mpa_hil.evaluation.raw`).
        scenario: the lab file that was run.
        seed: start of the random choices that were made.
        out: the run's folder; made where it is missing.

    Raises:
        MachineError: `out` cannot be written.
    """
    output.make_folder(out)
    notes: list[str] = []
    lab = recorded.read_lab(raw, notes)
    log = EventLog()
    log.extend(recorded.read_outer_events(raw, notes))
    outcomes = _runs(raw, scenario, out, log, notes)
    judged = verdict(outcomes, scenario)
    ended_ns = max((event.t_ns for event in log), default=0)
    sound, reasons = not judged.refused, judged.refused
    log.append(Verdict(t_ns=ended_ns, host=LAB, agent=AGENT, sound=sound, reasons=reasons))
    with output.replacing(out / "events.jsonl") as stream:
        stream.writelines(map(eventlog.encode, log))
    summary = Summary(
        lab=scenario.lab.name,
        seed=seed,
        rig=lab.rig,
        clock=lab.clock,
        versions=lab.versions,
        schemes=_schemes(outcomes),
        verdict=verdict_summary(judged),
        faults=with_faults(outcomes),
        policy=[outcome.policy for outcome in outcomes if outcome.policy is not None],
        notes=notes,
    )
    with output.replacing(out / "summary.json") as stream:
        stream.write(encode(summary))
    return summary


def _runs(
    raw: Path, scenario: Scenario, out: Path, log: EventLog, notes: list[str]
) -> list[Outcome]:
    """Evaluate each run and write its files; adds to `log` and `notes`."""
    outcomes: list[Outcome] = []
    daemons: dict[str, Path] = {}
    with output.replacing(out / "packets.csv") as stream:
        packets = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        write_packets(packets, 0, "", ())  # the header, also when no run left a packet
        for number, folder in recorded.run_folders(raw):
            run = recorded.read_run(number, folder, notes)
            if run is None:
                continue
            outcome = replace(_outcome(run, scenario), held=_held(run, scenario))
            write_packets(packets, number, run.info.scheme, outcome.logs, run.info.kind)
            outcomes.append(replace(outcome, logs=()))
            _write_captures(run, out)
            output.copy_secret(folder / KEYS, out / f"{run.name}.{KEYS}")
            daemons[run.name] = folder / "logs"
            log.extend(run.events)
            log.extend(outcome.events)
            notes += [*run.notes, *outcome.notes]
        packets.detach()
    output.copy_logs(daemons, out / "logs")
    return outcomes


def _held(run: RawRun, scenario: Scenario) -> Held | None:
    """What agents and kernels held after a run."""
    found = next((event for event in run.events if isinstance(event, RunResources)), None)
    if found is None:
        return None
    many = 0 if run.info.kind == "null" else len(switches(scenario))
    return Held(run.info.lab, run.number, many, found)


def _outcome(run: RawRun, scenario: Scenario) -> Outcome:
    """What a run says; a run that says nothing has failed."""
    try:
        return evaluate_run(run, scenario)
    except MpaError as error:
        reason = str(error)
    if run.info.kind == "fault":
        judged = FaultSummary(
            fault=run.info.fault, scheme=run.info.scheme, number=run.number, problems=(reason,)
        )
        return Outcome(run.number, run.info, fault=judged)
    if run.info.kind == "policy":
        piloted = PolicySummary(scheme=run.info.scheme, number=run.number, problems=(reason,))
        return Outcome(run.number, run.info, policy=piloted)
    if run.info.kind == "handover":
        return Outcome(run.number, run.info, run=failed_run(reason, run.number))
    return Outcome(run.number, run.info, failure=reason)


def _write_captures(run: RawRun, out: Path) -> None:
    """One file of all captures of a run; none where there were none."""
    sources = [Source(taken.host, taken.interface, taken.capture) for taken in run.captures]
    if not sources:
        return
    with output.replacing(out / f"{run.name}.pcapng") as stream:
        write_pcapng(stream, sources)


def _schemes(outcomes: list[Outcome]) -> dict[str, Scheme]:
    """The handovers by scheme, in order of execution."""
    runs: dict[str, list[Run]] = {}
    for outcome in outcomes:
        if outcome.run is not None:
            runs.setdefault(outcome.info.scheme, []).append(outcome.run)
    return {name: make_scheme(found) for name, found in runs.items()}
