"""Which runs an experiment consists of, and in which order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mpa_hil.scenario import L2Floor, Reactive, Scenario

Kind = Literal["handover", "null", "control", "fault", "policy"]
FLOOR = "l2-floor"
MPA = "mpa"
POLICY: Final = "policy"
AHEAD = ("mpa-level1", "mpa-level2", MPA, POLICY)
"""Schemes that need the agents of RFC 6252."""
KEYS = "80211_keys"
"""A run's PMKs, when the lab file asks for them; the name that Wireshark has for such a file."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run.

    Attributes:
        scheme: whose options hold.
        kind: a handover; `null`: nothing moves; `control`: a handover without holding packets;
            `fault`: one in which something goes wrong; `policy`: a policy decides about handovers.
        repeat: which repeat of the scheme, from 0.
        floor: it takes place in the floor's lab.
        fault: what goes wrong, by its name in the lab file.
    """

    scheme: str
    kind: Kind
    repeat: int
    floor: bool
    fault: str = ""

    def __str__(self) -> str:
        if self.fault:
            return f"{self.scheme}, fault {self.fault}, repeat {self.repeat + 1}"
        suffix = "" if self.kind in ("handover", POLICY) else f", {self.kind} run"
        return f"{self.scheme}{suffix}" if suffix else f"{self.scheme}, repeat {self.repeat + 1}"


def order(scenario: Scenario, schemes: tuple[str, ...], repeat: int) -> tuple[RunSpec, ...]:
    """The checks first, then the schemes in turn: what drifts meets all of them alike."""
    runs: list[RunSpec] = []
    if scenario.measure.null_run:
        above = next((scheme for scheme in schemes if scheme != FLOOR), None)
        if above is not None:
            runs.append(RunSpec(above, "null", 0, False))
        if FLOOR in schemes:
            runs.append(RunSpec(FLOOR, "null", 0, True))
    floor, mpa = scenario.schemes.l2_floor, scenario.schemes.mpa
    if FLOOR in schemes and floor.hold and floor.control:
        runs.append(RunSpec(FLOOR, "control", 0, True))
    if MPA in schemes and mpa.hold != "off" and mpa.control:
        runs.append(RunSpec(MPA, "control", 0, False))
    runs += [
        RunSpec(scheme, POLICY if scheme == POLICY else "handover", number, scheme == FLOOR)
        for number in range(repeat)
        for scheme in schemes
    ]
    runs += [
        RunSpec(scheme, "fault", number, False, fault.name)
        for number in range(repeat)
        for fault in scenario.faults
        for scheme in schemes
        if scheme in fault.schemes
    ]
    return tuple(runs)


def options(scenario: Scenario, scheme: str) -> Reactive | L2Floor:
    """The lab file's options of a scheme."""
    found: dict[str, Reactive | L2Floor] = {
        "reactive": scenario.schemes.reactive,
        "reactive-tuned": scenario.schemes.reactive_tuned,
        "rsn-preauth": scenario.schemes.rsn_preauth,
        "mpa-level1": scenario.schemes.mpa_level1,
        "mpa-level2": scenario.schemes.mpa_level2,
        MPA: scenario.schemes.mpa,
        POLICY: scenario.schemes.policy,
        FLOOR: scenario.schemes.l2_floor,
    }
    return found[scheme]
