"""The user's packets through a handover world: one each way at a fixed spacing."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from itertools import pairwise

from handover_peers import MS, OLD
from handover_world import FAR_NS, NEAR_NS, World

BEYOND_NS = FAR_NS - NEAR_NS
"""Between B's router and the home agent."""
LINK_NS = MS


class Stream:
    """Numbered packets both ways, from now until it is stopped."""

    def __init__(self, world: World, spacing_ns: int = 5 * MS) -> None:
        self._world = world
        self._spacing_ns = spacing_ns
        self._sent = 0
        self._running = True
        self.received: dict[str, list[int]] = {"down": [], "up": []}
        self._tick()

    def stop(self) -> None:
        """Send no more."""
        self._running = False

    def faults(self) -> dict[str, tuple[int, int, int]]:
        """By direction: lost, duplicated, out of order."""
        told = {}
        for way, numbers in self.received.items():
            lost = self._sent - len(set(numbers))
            swapped = sum(a > b for a, b in pairwise(numbers))
            told[way] = (lost, len(numbers) - len(set(numbers)), swapped)
        return told

    def _tick(self) -> None:
        if not self._running:
            return
        number, self._sent = self._sent, self._sent + 1
        self._down(lambda: self.received["down"].append(number))
        self._up(lambda: self.received["up"].append(number))
        self._world.later(self._spacing_ns, self._tick)

    def _down(self, got: Callable[[], None]) -> None:
        world, node = self._world, self._world.node
        care_of = world.ha.care_of
        if care_of is None:
            return
        if care_of == OLD:
            world.later(FAR_NS, lambda: got() if node.radio == "A" else None)
            return
        address: IPv4Address = care_of

        def forwarded(way: str) -> None:
            after_ns = NEAR_NS if way == "tunnel" else LINK_NS
            world.later(after_ns, lambda: got() if node.reached(address, way) else None)

        world.later(BEYOND_NS, lambda: world.ar.forward(address, forwarded))

    def _up(self, got: Callable[[], None]) -> None:
        world, node = self._world, self._world.node
        if node.sending_from == OLD:
            if node.radio == "A":
                world.later(FAR_NS, got)
        elif node.turned:
            node.waiting.append(lambda: self._up(got))
        elif node.direct or node.on_link:
            if node.radio == "B":
                world.later(LINK_NS + BEYOND_NS, got)
        elif node.tunnel:
            inner = node.address

            def through() -> None:
                if world.ar.takes(inner):
                    world.later(BEYOND_NS, got)

            if node.radio == "A":
                world.later(NEAR_NS, through)
