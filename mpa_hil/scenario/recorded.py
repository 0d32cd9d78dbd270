"""A lab whose movement is a recorded trace: the readings become the lab's own points.

So a lab file as run has them in it, and a guest or another machine needs no second file.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from mpa_hil.errors import LocalError
from mpa_hil.movement.recorded import BadTrace, Reading, points, read_csv

from . import checks_movement
from .model import Point, Scenario
from .source import Source

_KEY = "movement.trace"


def resolve(scenario: Scenario, folder: Path, source: Source) -> Scenario:
    """The scenario with its recorded trace read; one without is returned as it is.

    Raises:
        LocalError: naming lab file, key, and what is wrong with the trace.
    """
    movement = scenario.movement
    if movement.trace is None:
        return scenario
    path = folder / Path(movement.trace).expanduser()
    names = {ap.name.lower(): ap.name for ap in scenario.aps}
    names |= {ap.bssid.lower(): ap.name for ap in scenario.aps}
    try:
        found = points(_readings(path), names)
    except LocalError as error:
        raise source.error(_KEY, f"{error.where}: {error.what}", error.remedy) from error
    except (OSError, ValueError) as error:
        if isinstance(error, BadTrace):
            raise source.error(_KEY, f"{path}: {error}", error.remedy) from error
        what = getattr(error, "strerror", None) or error
        raise source.error(
            _KEY,
            f"cannot read {path}: {what}",
            "relative paths count from the lab file's folder; check the name and its permissions",
        ) from error
    for ap in scenario.aps:
        if ap.name not in found:
            raise source.error(
                _KEY,
                f"{path} says nothing about {ap.name}",
                f"have it record {ap.name} or {ap.bssid}, or remove that access point",
            )
    traced = tuple(
        Point(t_s=t_s, ap=ap, signal_dbm=dbm) for ap, some in found.items() for t_s, dbm in some
    )
    replace = msgspec.structs.replace
    scenario = replace(scenario, movement=replace(movement, trace=None, points=traced))
    for _, what, remedy in checks_movement.problems(scenario):
        raise source.error(_KEY, f"{path}: {what}", remedy)
    return scenario


def _readings(path: Path) -> list[Reading]:
    """Of a CSV file, or of anything that `mpa-hil replay` reads too: a trace, or a run's folder."""
    if path.suffix.lower() == ".csv":
        return list(read_csv(path.read_text(encoding="utf-8")))
    from mpa_hil.policy import replay_files
    from mpa_hil.policy.interface import Sample

    events = (step.event for step in replay_files.load(path).steps)
    return [
        Reading(event.t_ns / 1e9, event.ap, event.signal_dbm)
        for event in events
        if isinstance(event, Sample) and event.signal_dbm is not None
    ]
