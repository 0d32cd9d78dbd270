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
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from radios.errors import LocalError, MachineError, MpaError, RemoteError

from . import preflight, rig_choice, scenario
from .experiment.collect import Request, collect
from .request import RunRequest
from .rig_choice import Choice
from .scenario import Scenario

if TYPE_CHECKING:
    from .report.summary import Summary

LAB_ID = "run"
REQUEST_FILE = "request.json"
_VIRTUAL = "Virtual radios: airtime, contention and retuning cost nothing here (docs/floor.md)."
Say = Callable[[str], None]


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
    say = _progress()
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


def _collect(order: Request, choice: Choice, raw: Path, say: Say) -> MpaError | None:
    """Leave the raw records below `raw`; what ended the experiment early, if anything did."""
    if choice.rig == "host":
        try:
            asyncio.run(collect(order, raw, say))
        except MpaError as error:
            return error
        return None
    asyncio.run(_collect_in_guest(order, choice, raw, say))
    failure = raw / "failure.json"
    if not failure.is_file():
        return None
    told = json.loads(failure.read_bytes())
    kinds = {kind.exit_code: kind for kind in (LocalError, RemoteError, MachineError)}
    kind = kinds.get(told["exit_code"], RemoteError)
    return kind(told["what"], where=told["where"], remedy=told["remedy"])


async def _collect_in_guest(order: Request, choice: Choice, raw: Path, say: Say) -> None:
    from rigs.guest import image, machine
    from rigs.guest.payload import Job

    assert choice.accelerator is not None
    built = image.ensure(say)
    job = Job(
        ["python3", "-m", "mpa_hil.experiment.collect", REQUEST_FILE],
        files={REQUEST_FILE: order.to_json()},
    )
    settings = machine.Settings(
        choice.accelerator,
        choice.clock,
        seed=order.scenario.lab.seed,
        epoch=epoch(order.pem),
    )
    lines = _Lines(say)
    outcome = await machine.run(built, job, settings, raw, lines.feed)
    if outcome.status and not (raw / "failure.json").is_file():
        raise RemoteError(
            f"the collector ended with status {outcome.status}{lines.last()}",
            where="guest",
            remedy="this is a defect of mpa-hil, please report it",
        )


def epoch(pem: Mapping[str, bytes]) -> str:
    """Where a virtual calendar starts: within the validity of the user's certificates, if any."""
    from rigs.guest.machine import VIRTUAL_EPOCH

    if not pem:
        return VIRTUAL_EPOCH
    from cryptography import x509

    starts = [
        x509.load_pem_x509_certificate(pem[key]).not_valid_before_utc
        for key in pem
        if not key.endswith(".key")
    ]
    return max(*starts).strftime("%Y-%m-%dT%H:%M:%S")


class _Lines:
    """What the collector prints, line by line."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._rest = b""
        self._kept: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next octets."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._kept = [*self._kept[-19:], text]
                self._say(text)

    def last(self) -> str:
        """The last lines, indented below an error's text."""
        return "".join(f"\n    | {line}" for line in self._kept)


def _progress() -> Say:
    """Lines on standard error, with the seconds since the beginning."""
    start_s = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start_s:5.0f} s] {text}", file=sys.stderr, flush=True)

    return say


def _evaluate(raw: Path, described: Scenario, request: RunRequest) -> Summary:
    from .evaluation import evaluate

    out = request.out
    summary = evaluate(raw, described, described.lab.seed, out)
    (out / "lab.toml").write_text(scenario.to_toml(described))
    return summary


def _report(summary: Summary, request: RunRequest, trouble: MpaError | None) -> int:
    from .report import tables
    from .report.summary import encode

    if request.json:
        sys.stdout.write(encode(summary).decode())
    else:
        tables.render(summary, sys.stdout)
        print(_VIRTUAL)
        print(f"\nThe run is in {request.out}")
    sys.stdout.flush()
    if trouble is not None:
        print(f"error: {trouble}", file=sys.stderr)
        return trouble.exit_code
    ok = all(run.ok for scheme in summary.schemes.values() for run in scheme.runs)
    believed = summary.verdict is None or summary.verdict.given
    return 0 if ok and believed and summary.schemes else 1
