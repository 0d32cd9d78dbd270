"""What a lab's movement means: the signal at any time, and the switches that it asks for."""

from __future__ import annotations

import functools

from mpa_hil.movement import course as courses
from mpa_hil.movement.course import Course, Switch, Trace, Walk
from mpa_hil.movement.path import Path
from mpa_hil.movement.path import Waypoint as Place
from mpa_hil.movement.propagation import Model, Transmitter
from mpa_hil.movement.propagation import Wall as Barrier

from .model import Movement, Propagation, Scenario, Waypoint

__all__ = ["Switch", "course", "end_s", "path", "switch", "switches", "traced"]


@functools.lru_cache(maxsize=8)
def course(scenario: Scenario) -> Course:
    """What the MN hears of the lab's access points over time.

    Raises:
        LookupError, ValueError: the movement is none that `checks` would let pass.
    """
    movement = scenario.movement
    names = {ap.name for ap in scenario.aps}
    if not movement.waypoints:
        return traced(movement, names)
    told = movement.propagation or Propagation()
    model = Model(
        exponent=told.exponent,
        reference_loss_db=told.reference_loss_db,
        shadowing_db=told.shadowing_db,
        correlation_m=told.correlation_m,
        fading=told.fading,
        rician_k_db=told.rician_k_db,
        surroundings_mps=told.surroundings_mps,
        walls=tuple(Barrier(w.x_m, w.y_m, w.to_x_m, w.to_y_m, w.loss_db) for w in told.walls),
    )
    transmitters = [
        Transmitter(ap.name, ap.x_m or 0.0, ap.y_m, ap.transmit_dbm, ap.frequency_mhz)
        for ap in scenario.aps
    ]
    return Walk(path(movement.waypoints), transmitters, model, scenario.lab.seed)


def traced(movement: Movement, aps: set[str]) -> Trace:
    """The points of these access points, as often as they are gone through."""
    points: dict[str, list[tuple[float, float]]] = {}
    for point in movement.points:
        if point.ap in aps:
            points.setdefault(point.ap, []).append((point.t_s, point.signal_dbm))
    if movement.repeat == 1:
        return Trace(points)
    period_s = max(some[-1][0] for some in points.values())
    return Trace({ap: _again(some, period_s, movement.repeat) for ap, some in points.items()})


def _again(
    points: list[tuple[float, float]], period_s: float, times: int
) -> list[tuple[float, float]]:
    """One access point's, `times` times; where one time ends the next begins."""
    made: list[tuple[float, float]] = []
    for number in range(times):
        for t_s, signal_dbm in points:
            when_s = round(number * period_s + t_s, 6)
            if not made or when_s > made[-1][0]:
                made.append((when_s, signal_dbm))
    return made


def path(waypoints: tuple[Waypoint, ...]) -> Path:
    """The way through them.

    Raises:
        BadWaypoint: one that cannot be come to as it says.
    """
    return Path([Place(p.x_m, p.y_m, p.t_s, p.speed_mps, p.pause_s) for p in waypoints])


def end_s(scenario: Scenario) -> float:
    """When the movement ends."""
    return course(scenario).end_s


def switch(scenario: Scenario) -> Switch | None:
    """The first switch that the movement asks for; None when the MN never has to leave an AP."""
    return next(iter(switches(scenario)), None)


@functools.lru_cache(maxsize=8)
def switches(scenario: Scenario) -> tuple[Switch, ...]:
    """Every switch that the movement asks for, in order: there, back again, and on."""
    movement = scenario.movement
    return courses.switches(course(scenario), movement.start, movement.leave_dbm, movement.lost_dbm)
