"""A course as settings of radios, computed ahead: playing it then costs one look and some writes.
Sans-IO.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpa_hil.movement.course import Course, steps


@dataclass(frozen=True, slots=True)
class Setting:
    """What one access point is set to.

    Attributes:
        signal_dbm: as the MN hears it, whole dBm.
        within: they hear each other at all.
    """

    ap: str
    signal_dbm: int
    within: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """What changes at a time.

    Attributes:
        near_dbm: signal of the strongest access point within range: by reciprocity that is what it
            hears of the MN.
    """

    t_s: float
    settings: tuple[Setting, ...]
    near_dbm: int | None


def at(course: Course, t_s: float, lost_dbm: float, range_dbm: tuple[int, int]) -> Moment:
    """Every access point as it is at a time.

    Args:
        lost_dbm: mean signal at and below which an access point is out of range.
        range_dbm: lowest and highest signal that can be set.
    """
    low, high = range_dbm
    settings = tuple(
        Setting(ap, min(max(round(signal_dbm), low), high), mean_dbm > lost_dbm)
        for ap, (signal_dbm, mean_dbm) in zip(course.aps, course.heard(t_s), strict=True)
    )
    near_dbm = max((each.signal_dbm for each in settings if each.within), default=None)
    return Moment(t_s, settings, near_dbm)


def schedule(course: Course, lost_dbm: float, range_dbm: tuple[int, int]) -> tuple[Moment, ...]:
    """The times at which anything changes, and what: the first has every access point.

    A moment without changes is left out, but the last one is there, to say when the course ends.
    """
    found: list[Moment] = []
    last: dict[str, Setting] = {}
    near_dbm: int | None = None
    for t_s in steps(course):
        now = at(course, t_s, lost_dbm, range_dbm)
        changed = tuple(each for each in now.settings if last.get(each.ap) != each)
        if changed or now.near_dbm != near_dbm or t_s == course.end_s:
            found.append(Moment(t_s, changed, now.near_dbm))
        last.update({each.ap: each for each in changed})
        near_dbm = now.near_dbm
    return tuple(found)
