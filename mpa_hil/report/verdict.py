"""Whether the tool may give a verdict at all: null run, control run, and the two observers.

Figures are printed in any case; when a check fails they are printed with the refusal and its
reason, and nobody should quote them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mpa_hil.traffic.observer import Agreement


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a verdict."""

    name: str
    passed: bool | None
    """None: not made in this run, because there was nothing to make it with."""
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of one result."""

    checks: tuple[Check, ...]

    @property
    def refused(self) -> tuple[str, ...]:
        """Reasons for which no verdict is given; empty when the figures may be believed."""
        return tuple(f"{c.name}: {c.detail}" for c in self.checks if c.passed is False)


@dataclass(frozen=True, slots=True)
class QuietRun:
    """What was seen of a flow in a null or a control run."""

    flow: str
    """Its name, and where there are several such runs, which one."""
    direction: str
    sent: int
    lost: int
    duplicated: int
    gap_ms: float
    spacing_ms: float
    sender_hole_ms: float = 0.0
    """What of the gap the sender itself made, by sending late or not at all."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A run that should have been there to check with, and why it is not."""

    reason: str


def judge(
    null: Iterable[QuietRun] | Missing | None,
    control: Iterable[QuietRun] | Missing | None,
    agreements: Iterable[tuple[str, Agreement]],
    uncompared: Iterable[str] = (),
) -> Verdict:
    """Make the checks.

    Args:
        null: flows of the run without a switch: none may lose, duplicate, or have a hole of more
            than one packet interval beyond the nominal spacing. None: none was asked for.
        control: flows of the same switch without holding packets: at least one must lose, or the
            probe is blind. None: no scheme holds packets, so no control is needed.
        agreements: a name and the comparison of both observers, per switch and direction.
        uncompared: switches and directions that could not be compared, each with the reason.
    """
    observers = _observers(list(agreements), list(uncompared))
    return Verdict((_null(null), _control(control), observers))


def _null(runs: Iterable[QuietRun] | Missing | None) -> Check:
    name = "null run clean"
    if runs is None:
        return Check(name, None, "no run without a switch was made")
    if isinstance(runs, Missing):
        return Check(name, False, runs.reason)
    flows = list(runs)
    dirty = [_complaint(f) for f in flows if _is_dirty(f)]
    if dirty:
        return Check(name, False, "; ".join(dirty))
    sent = sum(f.sent for f in flows)
    if not sent:
        return Check(name, False, "nothing was sent in it")
    return Check(name, True, f"{sent} packets without a switch, none lost or doubled")


def _is_dirty(flow: QuietRun) -> bool:
    return bool(flow.lost or flow.duplicated) or flow.gap_ms > flow.spacing_ms


def _complaint(flow: QuietRun) -> str:
    own = f" (its sender's: {flow.sender_hole_ms:.1f} ms)" if flow.sender_hole_ms >= 0.05 else ""
    return (
        f"{flow.flow} {flow.direction} without a switch: {flow.lost} of {flow.sent} lost, "
        f"{flow.duplicated} doubled, gap {flow.gap_ms:.1f} ms{own}"
    )


def _control(runs: Iterable[QuietRun] | Missing | None) -> Check:
    name = "control without holding loses"
    if runs is None:
        return Check(name, None, "no scheme here holds packets")
    if isinstance(runs, Missing):
        return Check(name, False, runs.reason)
    lost = sum(f.lost for f in runs)
    if lost:
        return Check(name, True, f"{lost} packets lost without holding")
    return Check(name, False, "nothing was lost without holding, so the probe does not see losses")


def _observers(agreements: list[tuple[str, Agreement]], uncompared: list[str]) -> Check:
    name = "observers agree"
    left_out = f"{len(uncompared)} not compared: {uncompared[0]}" if uncompared else ""
    if not agreements:
        return Check(name, None, left_out or "no capture to compare with")
    apart = [f"{where}: {a}" for where, a in agreements if not a.agrees]
    if apart:
        return Check(name, False, f"{len(apart)} of {len(agreements)} switches; {apart[0]}")
    worst = max(a.difference_ms for _, a in agreements)
    detail = f"{len(agreements)} comparisons, at most {worst:.3f} ms apart"
    return Check(name, True, f"{detail}; {left_out}" if left_out else detail)
