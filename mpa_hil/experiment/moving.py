"""The movement of one run: traffic begins, the MN prepares as its scheme does, the signal fades.

    arm -> flows start -> warm-up -> [prepare, arm] -> movement -> handover done -> next switch ...

A scheme that prepares nothing is armed before the traffic begins; for a trace with several switches
all are prepared and armed one after the other, each once the one before it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

from mpa_hil.experiment import piloted
from mpa_hil.experiment.faults import BEGINNING, PREPARED, Mishap
from mpa_hil.experiment.plan import RunSpec
from mpa_hil.lab.agents import Agent
from mpa_hil.lab.builder import Lab
from mpa_hil.scenario import (
    L2Floor,
    Mpa,
    MpaLevel1,
    MpaLevel2,
    Piloted,
    Reactive,
    RsnPreauth,
    Scenario,
    Switch,
    end_s,
)
from mpa_hil.scenario.movement import switches
from radios.errors import RemoteError

HANDOVER_BOUND_S = 60.0
"""Longest handover that is waited for: EAP over 300 ms and a DHCP conflict check take 7 s."""
_GRID_NS = 20_000_000
_APART_NS = 1_000_000
"""Flows begin on this grid of time, one endpoint a little after the other: so a switch that keeps
to the kernel's tick meets their packets in the same phase in each run, and runs compare."""
_ARM_AHEAD_S = 1.5
"""Before the signal falls, in every switch but the first: what is scanned then is fresh at the
switch, and the supplicant need not scan again."""
_SWITCH_LEAD_US = 4800
"""From the decision to the association request of a held switch in the guest: 0.8 ms to hold, 2.2
to leave, 1.0 to authenticate beside 1 kHz of probes; the rest is margin. A request that misses its
tick waits for the next. See `mpa_hil.agents.mobile_node`."""
_TUNNEL_LEAD_US = 4300
"""The same for a switch behind a tunnel, besides the round trip to the router that holds."""
_PREPARED_LEAD_US = 4000
"""The same where nothing is held."""


async def move(
    lab: Lab,
    spec: RunSpec,
    chosen: Reactive | L2Floor,
    endpoints: Collection[Agent],
    mishap: Mishap | None = None,
) -> None:
    """Traffic, and the movement in its middle.

    Args:
        endpoints: what sends and receives; all begin within some milliseconds.
        mishap: what goes wrong; then the handover need not succeed.
    """
    scenario = lab.scenario
    wanted = switches(scenario) if spec.kind != "null" else ()
    prepares = isinstance(chosen, RsnPreauth | MpaLevel1)
    if wanted and not prepares:
        await _arm(lab, spec, chosen, wanted[0])
    since = lab.mobile_node.count
    start_ns = (time.monotonic_ns() // _GRID_NS + 2) * _GRID_NS
    for number, agent in enumerate(endpoints):
        await agent.daemon.write(b"start %d\n" % (start_ns + number * _APART_NS))
    await asyncio.sleep(scenario.measure.warmup_s)
    if isinstance(chosen, Piloted) and spec.kind != "null":
        await piloted.walk(lab, chosen, lead_us=_TUNNEL_LEAD_US)
        await asyncio.sleep(scenario.measure.cooldown_s)
        return
    if wanted and mishap is not None:
        await mishap.arm(BEGINNING)
    if wanted and prepares:
        for step in (_prepare, _arm):
            with mishap.tolerated() if mishap is not None else contextlib.nullcontext():
                await step(lab, spec, chosen, wanted[0])
    if wanted and mishap is not None:
        await mishap.arm(PREPARED)
    if not wanted:
        await asyncio.sleep(end_s(scenario))
    else:
        begun_s = time.monotonic()
        following = asyncio.create_task(lab.air.follow())
        try:
            for number, each in enumerate(wanted):
                if number:
                    since = lab.mobile_node.count
                    await _prepare(lab, spec, chosen, each)
                    until_s = begun_s + each.leave_s - _ARM_AHEAD_S
                    await asyncio.sleep(until_s - time.monotonic())
                    await _arm(lab, spec, chosen, each)
                if mishap is None:
                    await _done(lab, chosen, since)
                else:
                    await mishap.finished(since)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    await asyncio.sleep(scenario.measure.cooldown_s)


def first_switch(scenario: Scenario) -> Switch:
    """The first switch that the trace asks for.

    Raises:
        RemoteError: it asks for none.
    """
    wanted = switches(scenario)
    if not wanted:
        raise RemoteError(
            "the movement asks for no switch",
            where=f"lab {scenario.lab.name}",
            remedy="let the signal of the first AP fall below leave_dbm",
        )
    return wanted[0]


async def _done(lab: Lab, chosen: Reactive | L2Floor, since: int) -> None:
    """Wait for the end of a switch."""
    await lab.mobile_node.event(
        "phase.started",
        end_s(lab.scenario) + HANDOVER_BOUND_S,
        since=since,
        matches=lambda event: event["phase"] == "first-packet",
    )
    if isinstance(chosen, MpaLevel2):
        await _finish(lab.mobile_node, since)


async def _prepare(lab: Lab, spec: RunSpec, chosen: Reactive | L2Floor, wanted: Switch) -> None:
    """What a scheme does ahead of its handover, over the present link."""
    if isinstance(chosen, RsnPreauth):
        await lab.ask(
            "preauthenticate",
            "mobile_node.preauthenticated",
            HANDOVER_BOUND_S,
            network=wanted.new,
        )
    elif isinstance(chosen, MpaLevel1):
        await lab.prepare(wanted.new, chosen)
        if isinstance(chosen, MpaLevel2):
            hold = spec.kind != "control"
            await lab.prepare_handover(wanted.new, chosen, origin=wanted.old, hold=hold)


async def _finish(node: Agent, since: int) -> None:
    """Wait until nothing of a handover is under way any more."""
    ended = await node.event("handover.finished", HANDOVER_BOUND_S, since=since)
    if ended["outcome"] != "moved":
        what = f"the mobile node has {ended['outcome']}: {ended['cause']}"
        raise RemoteError(what, where="handover")


async def _arm(lab: Lab, spec: RunSpec, chosen: Reactive | L2Floor, wanted: Switch) -> None:
    scenario = lab.scenario
    known = isinstance(chosen, L2Floor) or chosen.scan == "known"
    frequencies = [lab.frequency_mhz(wanted.new)] if known else []
    hold = isinstance(chosen, L2Floor) and chosen.hold and spec.kind != "control"
    await lab.ask(
        "arm",
        "mobile_node.armed",
        HANDOVER_BOUND_S,
        network=wanted.new,
        leave_dbm=round(scenario.movement.leave_dbm),
        scan=frequencies,
        fresh_scan=lab.floor or getattr(chosen, "fresh_scan", False),
        roam=isinstance(chosen, RsnPreauth),
        returns=isinstance(chosen, MpaLevel2),
        hold=hold,
        lead_us=_lead_us(lab, chosen),
        **lab.layer3(
            wanted.new,
            chosen,
            same_link=scenario.domain_of(wanted.old) == scenario.domain_of(wanted.new),
        ),
    )


def _lead_us(lab: Lab, chosen: Reactive | L2Floor) -> int:
    if lab.floor:
        return _SWITCH_LEAD_US
    if isinstance(chosen, Mpa):
        return _TUNNEL_LEAD_US
    return _PREPARED_LEAD_US if isinstance(chosen, MpaLevel1) else 0
