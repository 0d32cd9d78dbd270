"""What of the node's own packets waited while its link was switched, told when that is over."""

from __future__ import annotations

import time

from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.node_tunnel import NodeTunnel
from radios.errors import MpaError


class UplinkTold:
    """The uplink's part of one handover's tunnel, with a clock beside it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._turned_ns = self._released_ns = 0

    def turn(self, pht: NodeTunnel) -> None:
        """From now on the node's packets wait."""
        self._turned_ns, self._released_ns = time.monotonic_ns(), 0
        pht.turn()

    def release(self, pht: NodeTunnel) -> None:
        """They go onto the new link."""
        self._released_ns = time.monotonic_ns()
        pht.release()

    def settle(self, pht: NodeTunnel) -> bool:
        """Tell, and settle; False: packets still wait."""
        if self._turned_ns and self._released_ns:
            self._tell(pht)
        return pht.settle()

    def _tell(self, pht: NodeTunnel) -> None:
        """How many there were is not known: what came after them has passed the same counter."""
        turned_ns, self._turned_ns = self._turned_ns, 0
        try:
            dropped = pht.backlog().dropped
        except MpaError:  # whoever settles will hear of it
            return
        self._console.emit(
            "hold.released",
            self._released_ns,
            address=str(pht.plan.inner[0]),
            cause="arrived",
            dropped_packets=dropped,
            held_ns=self._released_ns - turned_ns,
        )
