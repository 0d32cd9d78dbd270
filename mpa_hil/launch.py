"""Carries out `mpa-hil run`: chooses the rig, collects there, evaluates here, prints the result.

    request -> scenario, rig, clock -> raw records (guest or host) -> the run's folder -> table

The raw records live in a temporary folder that is gone at the end; the run's folder is written
last, so an interrupted run leaves none.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from radios.errors import LocalError, MachineError, MpaError, RemoteError

from . import guest_job, preflight, rig_choice, scenario
from .experiment.collect import Request, collect
from .request import RunRequest
from .rig_choice import Choice
from .scenario import Scenario

if TYPE_CHECKING:
    from .report.summary import Summary

LAB_ID = "run"
VIRTUAL = "Virtual radios: airtime, contention and retuning cost nothing here (docs/floor.md)."


def run(request: RunRequest) -> int:
    """Carry out a request that `preflight.check_request` let through.

    Returns:
        0; 1 when a run failed or the figures passed not every check (the report says which); or
        the exit code of what ended the experiment early, after which there is a report too.

    Raises:
        LocalError: the lab file or an option is wrong.
        MachineError: this machine cannot carry the lab.
        RemoteError: the experiment ended before any run could be reported.
    """
    described = scenario.load(request.lab, request.overrides)
    if request.seed is not None:
        lab = msgspec.structs.replace(described.lab, seed=request.seed)
        described = msgspec.structs.replace(described, lab=lab)
    choice = rig_choice.choose(request.rig, request.clock)
    if choice.rig == "bench":
        raise LocalError(
            "experiments on a bench are not built yet",
            where="--rig bench",
            remedy="use --rig guest, or --rig host",
        )
    if choice.rig == "guest":
        preflight.check_image_space()
        preflight.check_guest_space()
    schemes = preflight.choose_schemes(described, request.schemes)
    say = guest_job.progress()
    if described.placements:
        say("every box is made here: machines in [[host]] tables are for --rig bench")
    say(f"lab {described.lab.name} on the {choice.rig}, {choice.clock} clock ({choice.reason})")
    pem = {k: p.read_bytes() for k, p in scenario.certificate_files(described).items()}
    order = Request(described, schemes, request.repeat, choice.rig, choice.clock, LAB_ID, pem)
    with tempfile.TemporaryDirectory(prefix="mpa-raw-") as folder:
        raw = Path(folder) / "raw"
        trouble = _collect(order, choice, raw, say)
        if trouble is not None and not (raw / "runs").is_dir():
            raise trouble
        say("evaluating")
        summary = _evaluate(raw, described, request)
    return _report(summary, request, trouble)


def _collect(order: Request, choice: Choice, raw: Path, say: guest_job.Say) -> MpaError | None:
    """Leave the raw records below `raw`; what ended the experiment early, if anything did."""
    if choice.rig == "host":
        try:
            asyncio.run(collect(order, raw, say))
        except MpaError as error:
            return error
        return None
    failure = raw / "failure.json"
    guest_job.run(
        "mpa_hil.experiment.collect",
        order.to_json(),
        choice,
        raw,
        say,
        seed=order.scenario.lab.seed,
        pem=order.pem,
        done=failure.is_file,
    )
    if not failure.is_file():
        return None
    return read_failure(failure)


def read_failure(failure: Path) -> MpaError:
    """What ended an experiment early, from its `failure.json`."""
    told = json.loads(failure.read_bytes())
    kinds = {kind.exit_code: kind for kind in (LocalError, RemoteError, MachineError)}
    kind = kinds.get(told["exit_code"], RemoteError)
    return kind(told["what"], where=told["where"], remedy=told["remedy"])


def _evaluate(raw: Path, described: Scenario, request: RunRequest) -> Summary:
    from .evaluation import evaluate

    out = request.out
    summary = evaluate(raw, described, described.lab.seed, out)
    (out / "lab.toml").write_text(scenario.to_toml(described))
    return summary


def _report(summary: Summary, request: RunRequest, trouble: MpaError | None) -> int:
    from .report import html, tables
    from .report.summary import encode

    if request.json:
        sys.stdout.write(encode(summary).decode())
    else:
        tables.render(summary, sys.stdout)
        print(VIRTUAL)
        print(f"\nThe run is in {request.out}")
    sys.stdout.flush()
    page = html.write(request.out, summary)
    if not request.json:
        print(f"To look at: {page}", flush=True)
    if trouble is not None:
        print(f"error: {trouble}", file=sys.stderr)
        return trouble.exit_code
    ok = all(run.ok for scheme in summary.schemes.values() for run in scheme.runs)
    believed = summary.verdict is None or summary.verdict.given
    return 0 if ok and believed and summary.schemes else 1
