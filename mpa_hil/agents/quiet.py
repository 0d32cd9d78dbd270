"""Leaving the channel for a moment, packets held at both ends meanwhile (RFC 6252 s7.6.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mpa_hil.agents.switch_path import SwitchPath
from mpa_hil.kernel.node_tunnel import NodeTunnel

_BOUND_S = 1.0
"""For the router to hold; a lost datagram is repeated meanwhile."""
WAITING_S = 0.003
"""Until it is looked again whether packets still wait; they leave within a packet's time."""


async def quietly(
    work: Awaitable[object],
    path: SwitchPath,
    tunnel: Callable[[], NodeTunnel | None],
    round_trip_s: float,
) -> None:
    """Have the next router hold, and the node, do `work`, and let all go on through the tunnel.

    Packets to the node would be lost in the access point when the radio goes. Those from it would
    wait in the radio's queue; but mac80211 puts a scan off by 200 ms when that queue is not empty
    as the scan is to begin, and the router would hold all that time. So they wait above the radio.

    Args:
        tunnel: the node's end of it; None: there is none, or none any more.
        round_trip_s: to the router and back; 0: not known.
    """
    bound_s = _BOUND_S + 2 * round_trip_s
    path.prepare()
    await path.holding(bound_s, round_trip_s)
    turned = tunnel()
    try:
        if turned is not None:
            turned.turn()
        await work
    finally:
        if turned is not None and tunnel() is turned:  # else it was lost, and its path is closed
            turned.back()
            await path.resumed(bound_s)
            await _restaged(turned, tunnel)


async def _restaged(turned: NodeTunnel, tunnel: Callable[[], NodeTunnel | None]) -> None:
    """A switch turns the uplink anew; it must find the hold device closed."""
    while True:
        if tunnel() is not turned or turned.restage():
            return
        await asyncio.sleep(WAITING_S)
