"""How far a preparation could come in the time that there was, against RFC 6252 C.6. Pure.

C.6: authentication is possible where 2 RTT + Tpsk < D / v, with the address where
2 RTT + Tpsk + Tconf < D / v. D / v is the time for which the node still hears the access point that
it is on; the other terms are what the run measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpa_hil.report.policies import PolicySummary
from mpa_hil.report.statistics import median

_C6 = ("round_trip", "keys", "configuration")
_WHOLE = (*_C6, "authentication", "tunnel", "binding")
_FIGURES = {
    "rtt_ms": "round_trip",
    "t_conf_ms": "keys",
    "t_auth_ms": "authentication",
    "configuration_ms": "configuration",
    "tunnel_ms": "tunnel",
    "binding_ms": "binding",
}
"""Lead times by the figure that they are."""


def level_c6(left_s: float, lead_s: Mapping[str, float]) -> int | None:
    """What the rule allows as it is printed: 0, 1 (keys) or 2 (and address); None: not known."""
    if any(part not in lead_s for part in _C6):
        return None
    keys_s = 2 * lead_s["round_trip"] + lead_s["keys"]
    return sum(needed_s < left_s for needed_s in (keys_s, keys_s + lead_s["configuration"]))


def level_lead(left_s: float, lead_s: Mapping[str, float]) -> int | None:
    """What the measured steps as wholes allow: an EAP method has more than two round trips, and
    level 3 takes tunnel and binding. None: not all were measured."""
    if any(part not in lead_s for part in _WHOLE):
        return None
    keys_s = max(2 * lead_s["round_trip"] + lead_s["keys"], lead_s["authentication"])
    address_s = keys_s + lead_s["configuration"]
    bound_s = address_s + lead_s["tunnel"] + lead_s["binding"]
    return sum(needed_s < left_s for needed_s in (keys_s, address_s, bound_s))


def pooled(runs: Sequence[PolicySummary]) -> dict[str, float]:
    """Lead times of several runs, s: the median of each part."""
    parts = dict.fromkeys(part for run in runs for part in run.lead_s)
    return {part: median([r.lead_s[part] for r in runs if part in r.lead_s]) for part in parts}


def figures(run: PolicySummary, elsewhere_s: Mapping[str, float]) -> dict[str, float]:
    """The figures of a comparison (`mpa_hil.report.comparison`) that a policy's run has.

    Args:
        elsewhere_s: lead times of the comparison's other runs, for parts that this one was too
            short to measure.
    """
    first = run.moves[0] if run.moves else None
    gaps = run.gap_ms if first is None or not first.gap_ms else first.gap_ms
    lead_s = {**elsewhere_s, **run.lead_s}
    late_ms = run.begun_s * 1000 if run.begun_s is not None else 0.0
    left_ms = None if run.available_s is None else run.available_s * 1000
    found: dict[str, float | None] = {
        "left_ms": left_ms,
        "begun_ms": None if run.begun_s is None else late_ms,
        "level": None if first is None else first.level,
        "gap_down_ms": gaps.get("downlink"),
        "gap_up_ms": gaps.get("uplink"),
        "lost_down": run.lost.get("downlink"),
        "lost_up": run.lost.get("uplink"),
        "duplicated": sum(run.duplicated.values()) if run.duplicated else None,
        "reordered": sum(run.reordered.values()) if run.reordered else None,
        **{
            name: 1000 * run.lead_s[part] if part in run.lead_s else None
            for name, part in _FIGURES.items()
        },
    }
    if left_ms is not None:
        found["level_c6"] = level_c6(left_ms / 1000, lead_s)
        found["level_lead"] = level_lead((left_ms - late_ms) / 1000, lead_s)
    return {name: float(value) for name, value in found.items() if value is not None}
