"""Carries out `mpa-hil compare`: every column an experiment, all on one boot, one table at the end.

request -> one scenario a column -> raw records -> a folder a column -> compare.json, table
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from radios.errors import LocalError, RemoteError

from . import guest_job, preflight, rig_choice, scenario
from .experiment import series
from .experiment.collect import Request
from .launch import LAB_ID, VIRTUAL, read_failure
from .report.summary import Summary
from .request import CompareRequest
from .rig_choice import Choice
from .scenario import Column, Compare, Scenario

RESULT = "compare.json"


@dataclass(frozen=True, slots=True)
class Planned:
    """A comparison, checked.

    Attributes:
        compare: with the columns wanted only, and the checks between them.
        labs: the lab of each column.
    """

    compare: Compare
    labs: tuple[Scenario, ...]


def plan(request: CompareRequest) -> Planned:
    """What a request comes down to; everything that can be told without starting it.

    Raises:
        LocalError: the lab, a column or a setting of a column is wrong.
        MachineError: the folder cannot be made or its disk is full.
    """
    described = scenario.load(request.lab, request.overrides)
    if described.compare is None:
        raise LocalError(
            "the lab file compares nothing",
            where=f"{request.lab}, compare",
            remedy="add a table `[compare]`, or take lab_configs/fig10.toml",
        )
    chosen = _chosen(described.compare, request)
    labs = tuple(_lab(request, column) for column in chosen.columns)
    if request.rig == "bench":
        raise LocalError("comparisons on a bench are not built yet", where="--rig bench")
    preflight.check_clock(request)
    preflight.check_out(request.out, holds=RESULT)
    return Planned(chosen, labs)


def _chosen(compare: Compare, request: CompareRequest) -> Compare:
    names = [column.name for column in compare.columns]
    for name in request.columns:
        if name not in names:
            raise LocalError(
                "there is no such column",
                where=f"--column {name}",
                remedy=f"choose from {', '.join(names)}",
            )
    wanted = set(request.columns or names)
    return msgspec.structs.replace(
        compare,
        repeat=request.repeat or compare.repeat,
        columns=tuple(column for column in compare.columns if column.name in wanted),
        checks=tuple(
            check for check in compare.checks if {check.column, check.of or check.column} <= wanted
        ),
    )


def _lab(request: CompareRequest, column: Column) -> Scenario:
    """The lab of one column; errors name the column."""
    try:
        described = scenario.load(request.lab, (*request.overrides, *column.set))
        preflight.choose_schemes(described, (column.scheme,))
    except LocalError as error:
        where = f"column {column.name}: {error.where}"
        raise LocalError(error.what, where=where, remedy=error.remedy) from error
    if request.seed is None:
        return described
    lab = msgspec.structs.replace(described.lab, seed=request.seed)
    return msgspec.structs.replace(described, lab=lab)


def compare(request: CompareRequest) -> int:
    """Carry a comparison out.

    Returns:
        0; or 1 when a column failed or a check did not hold (the table says which).

    Raises:
        LocalError: the lab file or an option is wrong.
        MachineError: this machine cannot carry the lab.
        RemoteError: nothing could be measured.
    """
    planned = plan(request)
    choice = rig_choice.choose(request.rig, request.clock)
    if choice.rig == "guest":
        preflight.check_image_space()
        preflight.check_guest_space()
    say = guest_job.progress()
    say(f"{len(planned.labs)} columns on the {choice.rig}, {choice.clock} clock ({choice.reason})")
    with tempfile.TemporaryDirectory(prefix="mpa-raw-") as folder:
        raw = Path(folder) / "raw"
        _collect(planned, choice, raw, say)
        say("evaluating")
        summaries = _evaluate(planned, raw, request.out)
    return _report(planned.compare, summaries, request)


def _collect(planned: Planned, choice: Choice, raw: Path, say: guest_job.Say) -> None:
    pem = {k: p.read_bytes() for k, p in scenario.certificate_files(planned.labs[0]).items()}
    columns = zip(planned.compare.columns, planned.labs, strict=True)
    repeat = planned.compare.repeat
    orders = [
        Request(lab, (column.scheme,), repeat, choice.rig, choice.clock, LAB_ID, pem)
        for column, lab in columns
    ]
    if choice.rig == "host":
        asyncio.run(series.collect_all(orders, raw, say))
        return
    guest_job.run(
        "mpa_hil.experiment.series",
        series.to_json(orders),
        choice,
        raw,
        say,
        seed=planned.labs[0].lab.seed,
        pem=pem,
        done=lambda: any(raw.glob("*/failure.json")),
    )


def _evaluate(planned: Planned, raw: Path, out: Path) -> list[Summary]:
    from .evaluation import evaluate
    from .report import html

    summaries = []
    for number, (column, lab) in enumerate(zip(planned.compare.columns, planned.labs, strict=True)):
        records = series.folder(raw, number)
        if not (records / "runs").is_dir():
            failure = records / "failure.json"
            if failure.is_file():
                raise read_failure(failure)
            raise RemoteError("it left no records", where=f"column {column.name}")
        summaries.append(evaluate(records, lab, lab.lab.seed, out / column.name))
        (out / column.name / "lab.toml").write_text(scenario.to_toml(lab))
        html.write(out / column.name, summaries[-1])
    return summaries


def _report(described: Compare, summaries: Sequence[Summary], request: CompareRequest) -> int:
    from .report import comparison

    made = comparison.compared(described, summaries)
    (request.out / RESULT).write_bytes(comparison.encode(made))
    if request.json:
        sys.stdout.write(comparison.encode(made).decode())
    else:
        comparison.render(made, described.figures, sys.stdout)
        print(VIRTUAL)
        print(f"\nThe comparison is in {request.out}")
    sys.stdout.flush()
    return 0 if made.good else 1
