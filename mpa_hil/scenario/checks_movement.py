"""What must hold for the MN's movement: signal trace, recorded trace or walk."""

from __future__ import annotations

from collections.abc import Iterator

from mpa_hil.movement.path import BadWaypoint

from . import movement as moving
from .model import Movement, Scenario
from .problem import Problem
from .shape import suggestion

_KINDS = "one of `[[movement.point]]`, `[[movement.waypoint]]` and `trace`"


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with the movement; what is in a recorded trace is not known yet."""
    yield from _ends(scenario)
    movement = scenario.movement
    given = [bool(movement.points), bool(movement.waypoints), movement.trace is not None]
    if sum(given) != 1:
        yield Problem(
            "movement.point" if sum(given) == 0 else "movement",
            "it does not say how the MN moves"
            if sum(given) == 0
            else "it says more than once how the MN moves",
            f"give {_KINDS}",
        )
        return
    if movement.propagation is not None and not movement.waypoints:
        yield Problem(
            "movement.propagation",
            "a propagation model beside a trace, which has the signal itself",
            "remove it, or give `[[movement.waypoint]]` instead of the trace",
        )
    if movement.repeat > 1 and movement.waypoints:
        yield Problem(
            "movement.repeat", "a walk is not repeated", "let the waypoints lead to and fro"
        )
    if movement.waypoints:
        yield from _walk(scenario)
    elif movement.points:
        yield from _points(scenario)


def _ends(scenario: Scenario) -> Iterator[Problem]:
    movement = scenario.movement
    names = [ap.name for ap in scenario.aps]
    if movement.start not in names:
        yield Problem(
            "movement.start",
            f"there is no access point '{movement.start}'",
            suggestion(movement.start, names),
        )
    if movement.lost_dbm >= movement.leave_dbm:
        yield Problem(
            "movement.lost_dbm",
            f"the AP is lost at {movement.lost_dbm} dBm, before the MN wants to leave it "
            f"({movement.leave_dbm} dBm)",
            "lost_dbm must be lower than leave_dbm",
        )


def _points(scenario: Scenario) -> Iterator[Problem]:
    movement = scenario.movement
    names = [ap.name for ap in scenario.aps]
    last: dict[str, float] = {}
    for index, point in enumerate(movement.points):
        key = f"movement.point.{index}"
        if point.ap not in names:
            yield Problem(
                f"{key}.ap",
                f"there is no access point '{point.ap}'",
                suggestion(point.ap, names),
            )
        if point.t_s <= last.get(point.ap, -1.0):
            yield Problem(
                f"{key}.t_s",
                f"{point.t_s} s is not after the point before it for {point.ap}",
                "list an AP's points in the order of time",
            )
        last[point.ap] = point.t_s
    for name in names:
        if name not in last:
            yield Problem(
                "movement.point",
                f"the trace says nothing about {name}",
                f'add `[[movement.point]]` with ap = "{name}"',
            )
    if movement.repeat > 1:
        yield from _repeated(movement)
    if movement.start in last and last.keys() == set(names):
        yield from _switches(scenario) if scenario.policy is None else _start(scenario)


def _repeated(movement: Movement) -> Iterator[Problem]:
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for point in movement.points:
        first.setdefault(point.ap, point.signal_dbm)
        last[point.ap] = point.signal_dbm
    for name in last:
        if last[name] != first[name]:
            yield Problem(
                "movement.repeat",
                f"the trace of {name} begins at {first[name]:g} dBm and ends at {last[name]:g} dBm",
                "let it end as it begins, so that one time leads into the next",
            )


def _switches(scenario: Scenario) -> Iterator[Problem]:
    """Without a policy a trace must say by itself when to move and where to."""
    movement, course = scenario.movement, moving.course(scenario)
    if course.signal_dbm(movement.start, 0.0) <= movement.leave_dbm:
        yield Problem(
            "movement.start",
            f"{movement.start} is not above {movement.leave_dbm} dBm at the start",
            "begin on an AP that is heard well",
        )
        return
    switches = moving.switches(scenario)
    if not switches:
        yield Problem(
            "movement.point",
            f"nothing makes the MN move: {movement.start} never falls to "
            f"{movement.leave_dbm} dBm with another AP there",
            "let its signal fall below leave_dbm",
        )
    for switch in switches:
        if course.signal_dbm(switch.new, switch.leave_s) <= movement.leave_dbm:
            yield Problem(
                "movement.point",
                f"no AP is above {movement.leave_dbm} dBm when {switch.old} falls to it "
                f"({switch.leave_s:g} s)",
                "let another AP rise earlier",
            )
        elif switch.lost_s is None:
            yield Problem(
                "movement.point",
                f"{switch.old} never falls to lost_dbm ({movement.lost_dbm} dBm)",
                "a client that waits for the loss of the link would never move: let it fall so far",
            )


def _walk(scenario: Scenario) -> Iterator[Problem]:
    movement = scenario.movement
    placed = True
    for domain in scenario.domains:
        for ap in domain.aps:
            if ap.x_m is None:
                placed = False
                yield Problem(
                    f"domain.{domain.name}.ap.{ap.name}.x_m",
                    f"the MN walks, and {ap.name} stands nowhere",
                    "give x_m and y_m, in m",
                )
    try:
        path = moving.path(movement.waypoints)
    except BadWaypoint as error:
        key = f"movement.waypoint.{error.index}.{error.key}"
        yield Problem(key, str(error), error.remedy)
        return
    if path.end_s <= 0:
        yield Problem(
            "movement.waypoint", "the MN is there for no time", "give `pause_s`, or a second place"
        )
    if placed and movement.start in {ap.name for ap in scenario.aps}:
        yield from _start(scenario)


def _start(scenario: Scenario) -> Iterator[Problem]:
    """Who does not hear the first access point cannot begin."""
    movement = scenario.movement
    start_dbm = moving.course(scenario).mean_dbm(movement.start, 0.0)
    if start_dbm <= movement.lost_dbm:
        yield Problem(
            "movement.start",
            f"{movement.start} is not heard where the MN begins ({start_dbm:.0f} dBm)",
            "begin nearer to it, or with a stronger transmitter",
        )
