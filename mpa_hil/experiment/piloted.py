"""The movement of a run in which a policy decides: the MN walks, nobody says when it moves."""

from __future__ import annotations

from mpa_hil.lab import piloting
from mpa_hil.lab.builder import Lab
from mpa_hil.scenario import Piloted

_BOUND_S = 30.0
LANDING_BOUND_S = 120.0
"""For the end of a switch, and for giving back what is prepared: each has limits of its own."""


async def visit(lab: Lab) -> None:
    """Have each access point but the first serve the MN once, as in a network in service."""
    scenario = lab.scenario
    for ap in scenario.aps:
        if ap.name != scenario.movement.start:
            await lab.visit(ap.name)


async def walk(lab: Lab, chosen: Piloted, *, lead_us: int) -> None:
    """Hand the MN over to its policy, walk, and take it back."""
    command = piloting.command(lab.scenario, chosen, lead_us=lead_us)
    await lab.ask("pilot", "pilot.began", _BOUND_S, **command)
    await lab.air.follow()
    await lab.ask("land", "pilot.landed", LANDING_BOUND_S)
