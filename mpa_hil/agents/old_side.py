"""A handover's dealings with the access router that is left, where that is to hold (`Hold.OLD`);
where it is not, all of this does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from mpa_hil.agents.detention import DEVICE, Detention, Ended
from mpa_hil.agents.handover_ahead import TUNNEL, Self, Target
from mpa_hil.handover.options import Hold
from mpa_hil.mobility.interface import Address
from mpa_hil.tunnel.interface import TunnelWish
from radios.errors import MpaError

_FORWARD_S = 1.0
"""From the end of a handover until nothing is on the old path any more, so long as the way from the
correspondent by the old network and on to the new one can be."""


class OldSide:
    """The old router's part in one handover.

    Args:
        own: the node; its present care-of address becomes the old one.
    """

    def __init__(self, target: Target, own: Self, old: Address) -> None:
        self._target = target
        self._own = own
        self._old = old
        self._detention: Detention | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def forwarding(self) -> bool:
        """Packets may still come by it."""
        return self._detention is not None and self._detention.forwarding

    @property
    def patience_s(self) -> float:
        """How long what it forwards may still be on its way."""
        return _FORWARD_S if self.forwarding else 0.0

    def begin(self, new: Address) -> None:
        """Begin with `stage`, which need not be waited for yet: it takes the router its time."""
        self.stage(new, False, lambda: None)

    def stage(self, new: Address | None, tunnelled: bool, staged: Callable[[], None]) -> None:
        """Have it ready to hold, before the switch; `staged` is told when it is, or cannot be had.

        Args:
            new: the new care-of address; None: there is none yet, and so nothing can be had.
            tunnelled: the tunnel to the next router stands.
        """
        router, limits = self._target.old, self._target
        if router is None or new is None or not limits.options.hold & Hold.OLD:
            staged()
            return

        def ready(well: bool) -> None:
            if well and tunnelled and self._detention is not None:
                self._attempt(lambda detention: detention.prove(TUNNEL))
            staged()

        try:
            if self._detention is None:
                own = self._own
                keys = own.ring.keys.get(router.realm)
                ends, state = (self._old, new), own.layer3.state
                self._detention = Detention(router, keys, ends, own.interface, state, own.console)
            wish = TunnelWish(
                new,
                (self._old,),
                self._own.mac,
                hold_ms=limits.hold_ms,
                hold_octets=limits.hold_octets,
                hold_packets=limits.hold_packets,
                advertise=False,
                flows=router.flows,
            )
            self._detention.prepare(wish, ready)
        except (MpaError, OSError) as error:
            self._failed(error)
            staged()

    def hold(self, ended: Ended) -> None:
        """Have it hold; `ended` is told whether it does."""
        if self._detention is None:
            ended(False)
        else:
            self._detention.hold(ended)

    def behind(self, ended: Ended) -> Ended:
        """Who is told whether the next router holds, to have this one hold then: it would hold the
        other's answer, too. `ended` is told how the next one answered."""
        return lambda well: self.hold(lambda _: ended(well))

    def forward(self, router_mac: bytes) -> None:
        """On the new link: have what was held come."""
        self._attempt(lambda detention: detention.forward(router_mac, self._own.mac))

    def release(self) -> None:
        """On the old link again."""
        self._attempt(lambda detention: detention.release())

    def drop(self) -> None:
        """The node lives on the new link: have it part with the old one, in its own time."""
        self._later(self._own.layer3.drop(self.part()))

    def let_go(self) -> None:
        """The handover did not take place."""
        self._later(self.close())

    async def part(self) -> None:
        """The node lives on the new link: wait until nothing comes by the old one any more."""
        forwarded = self.forwarding
        await asyncio.sleep(self.patience_s)
        await self.close()
        if forwarded:
            self._own.layer3.retire(self._old)

    async def close(self) -> None:
        """Have the router forget this node; safe to repeat."""
        detention, self._detention = self._detention, None
        if detention is not None:
            await detention.close()

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _attempt(self, step: Callable[[Detention], None]) -> None:
        if self._detention is None:
            return
        try:
            step(self._detention)
        except (MpaError, OSError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._own.console.emit("agent.failed", error=str(error), where=DEVICE)
