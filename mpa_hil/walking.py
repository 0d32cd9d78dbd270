"""Carries out `mpa-hil walks`: every walk a run, many on one boot, one table at the end.

    request -> walks that the folder does not have -> boot by boot: raw records -> a folder a walk
            -> walks.json, table

    OUT/lab.toml  walks.json  007-naive/{walk.json, events.jsonl, logs/ if it did not end well} ...

A walk's folder is whole or not there, so whatever ends the command, the next one goes on.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from radios.errors import LocalError, RemoteError

from . import guest_job, preflight, rig_choice, scenario
from .commands.options import default_out
from .experiment import walks as job
from .experiment.collect import Request
from .experiment.plan import POLICY
from .experiment.walks import Order, Walk, seeded
from .launch import LAB_ID, VIRTUAL, read_failure
from .policy import loading
from .report import walks as report
from .report.walks import Walked
from .request import WalksRequest
from .rig_choice import Choice
from .scenario import PolicyChoice, Scenario

RESULT = "walks.json"
_WALK = "walk.json"
_LAB = "lab.toml"


@dataclass(frozen=True, slots=True)
class Planned:
    """Walks, checked.

    Attributes:
        walks: all that were asked for, each seed with every policy in turn.
    """

    lab: Scenario
    walks: tuple[Walk, ...]


def plan(request: WalksRequest) -> Planned:
    """What a request comes down to; everything that can be told without starting it.

    Raises:
        LocalError: the lab, a policy, a seed's movement or the folder is wrong.
        MachineError: the folder cannot be made or its disk is full.
    """
    lab = scenario.load(request.lab, request.overrides)
    preflight.choose_schemes(lab, (POLICY,))
    if not lab.movement.waypoints:
        raise LocalError(
            "nothing of this movement comes from the seed",
            where=f"{request.lab}, movement",
            remedy="give it waypoints, or take lab_configs/walks.toml",
        )
    choices = [_choice(lab, name) for name in request.policies]
    walks = tuple(Walk(seed, each) for seed in range(1, request.seeds + 1) for each in choices)
    if not request.rehearse:
        if request.rig == "bench":
            raise LocalError("walks on a bench are not built yet", where="--rig bench")
        preflight.check_clock(request)
        if request.out is not None:
            preflight.check_out(request.out)
            _check_lab(request.out, lab)
    return Planned(lab, walks)


def _choice(lab: Scenario, name: str) -> PolicyChoice:
    """A policy with the options that the lab file has for it."""
    if lab.policy is not None and lab.policy.name == name:
        return lab.policy
    loading.choose(name, {}, "--policy")
    return PolicyChoice(name=name)


def _check_lab(out: Path, lab: Scenario) -> None:
    """Refuse a folder with walks of another lab.

    Raises:
        LocalError: it has them.
    """
    standing = out / _LAB
    if standing.is_file() and standing.read_text() != scenario.to_toml(lab):
        raise LocalError(
            "holds walks of another lab, or of this one before it was changed",
            where=f"--out {out}",
            remedy=f"compare with {standing}, or name another folder",
        )


def walk(request: WalksRequest) -> int:
    """Carry the walks out.

    Returns:
        0; or 1 when a walk is missing or did not end connected (the lines below the table say so).

    Raises:
        LocalError: the lab file or an option is wrong.
        MachineError: this machine cannot carry the lab.
        RemoteError: the lab could not be built.
    """
    planned = plan(request)
    if request.rehearse:
        found = list(rehearsed(planned))
        _write(request, planned, found, request.out)
        return _print(request, planned, found, None)
    out = request.out or default_out(request.lab)
    missing = [each for each in planned.walks if not (_folder(out, each) / _WALK).is_file()]
    missing = missing[: request.most]
    say = guest_job.progress()
    if missing:
        choice = rig_choice.choose(request.rig, request.clock)
        if choice.rig == "guest":
            preflight.check_image_space()
            preflight.check_guest_space()
        many = f"taking {len(missing)} of {len(planned.walks)} walks"
        say(f"{many} on the {choice.rig}, {choice.clock} clock ({choice.reason})")
        _prepare(out, planned.lab)
        for first in range(0, len(missing), request.boot):
            some = tuple(missing[first : first + request.boot])
            _measure(planned.lab, some, choice, out, say)
    found = [told for each in planned.walks if (told := _told(_folder(out, each))) is not None]
    _write(request, planned, found, out)
    return _print(request, planned, found, out)


def _folder(out: Path, walk: Walk) -> Path:
    return out / f"{walk.seed:03}-{walk.choice.name}"


def _told(folder: Path) -> Walked | None:
    try:
        return msgspec.json.decode((folder / _WALK).read_bytes(), type=Walked)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise LocalError(
            f"not what a walk leaves: {error}",
            where=str(folder / _WALK),
            remedy="remove it: the walk is taken again then",
        ) from error


def _prepare(out: Path, lab: Scenario) -> None:
    from .evaluation import output

    output.make_folder(out)
    with output.replacing(out / _LAB) as stream:
        stream.write(scenario.to_toml(lab).encode())


def _measure(
    lab: Scenario, walks: tuple[Walk, ...], choice: Choice, out: Path, say: guest_job.Say
) -> None:
    """Take some walks on one boot, and write what they came to."""
    pem = {key: path.read_bytes() for key, path in scenario.certificate_files(lab).items()}
    order = Order(Request(lab, (POLICY,), 1, choice.rig, choice.clock, LAB_ID, pem), walks)
    with tempfile.TemporaryDirectory(prefix="mpa-raw-") as folder:
        raw = Path(folder) / "raw"
        failure = raw / "failure.json"
        if choice.rig == "host":
            asyncio.run(job.walk_all(order, raw, say))
        else:
            guest_job.run(
                "mpa_hil.experiment.walks",
                order.to_json(),
                choice,
                raw,
                say,
                seed=lab.lab.seed,
                pem=pem,
                done=failure.is_file,
            )
        say("evaluating")
        evaluate(raw, lab, walks, out)
        if failure.is_file():
            raise read_failure(failure)
        if not (raw / "runs").is_dir():
            raise RemoteError("it left no records", where="walks")


def evaluate(raw: Path, lab: Scenario, walks: tuple[Walk, ...], out: Path) -> None:
    """Write a folder for each walk that left records; its numbers are those of `walks`."""
    from .evaluation import output
    from .evaluation import raw as recorded
    from .evaluation.runs import evaluate_run

    for number, folder in recorded.run_folders(raw):
        walk = walks[number - 1]
        run = recorded.read_run(number, folder, [])
        judged = None if run is None else evaluate_run(run, seeded(lab, walk)).policy
        if run is None or judged is None:
            continue
        place = _folder(out, walk)
        output.make_folder(place)
        if judged.problems:
            output.copy_logs({".": folder / "logs"}, place / "logs")
        with output.replacing(place / "events.jsonl") as stream:
            stream.write((folder / "events.jsonl").read_bytes())
        with output.replacing(place / _WALK) as stream:
            stream.write(msgspec.json.encode(report.measured(walk.seed, walk.choice.name, judged)))


def rehearsed(planned: Planned) -> Iterator[Walked]:
    """The walks with nothing run: the policies decide on the model of the air."""
    from .policy import walks
    from .policy.budget import STEP_OCTETS
    from .policy.engine import Engine
    from .policy.rehearsal import Rehearsal
    from .policy.trace import Trace, signals

    octets = {int(level): count for level, count in STEP_OCTETS.items()}
    heard: tuple[int, Trace] | None = None
    for each in planned.walks:
        lab = seeded(planned.lab, each)
        if heard is None or heard[0] != each.seed:
            heard = each.seed, walks.trace_of(lab)
        chosen = loading.choose(each.choice.name, each.choice.options)
        terms = walks.terms_of(lab)._replace(scans=True)
        player = Rehearsal(Engine(chosen.make()), terms)
        tally = player.run(lab.movement.start, signals(heard[1]))
        yield report.rehearsed(each.seed, each.choice.name, tally, octets, linked=player.linked)


def _gathered(request: WalksRequest, planned: Planned, found: list[Walked]) -> report.Walks:
    name = planned.lab.lab.name
    return report.gathered(name, found, request.policies, request.seeds, rehearsed=request.rehearse)


def _write(request: WalksRequest, planned: Planned, found: list[Walked], out: Path | None) -> None:
    if out is None:
        return
    from .evaluation import output

    output.make_folder(out)
    name = f"rehearsed-{RESULT}" if request.rehearse else RESULT
    with output.replacing(out / name) as stream:
        stream.write(report.encode(_gathered(request, planned, found)))


def _print(request: WalksRequest, planned: Planned, found: list[Walked], out: Path | None) -> int:
    made = _gathered(request, planned, found)
    if request.json:
        sys.stdout.write(report.encode(made).decode())
    else:
        from .report import tables

        tables.show([report.grid(made)], report.lines(made), sys.stdout, width=None)
        if out is not None:
            print(VIRTUAL)
            print(f"\nThe walks are in {out}")
    sys.stdout.flush()
    return 0 if made.good else 1
