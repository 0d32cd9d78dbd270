"""What a lab's agents and kernels hold after a run: over many switches it must not grow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from mpa_hil.lab.agents import Agent
from mpa_hil.lab.builder import Lab
from mpa_hil.lab.leftovers import Inventory, difference, take_stock
from mpa_hil.scenario.movement import switches

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Resources:
    """Taken before and after a run; only of runs with several switches, for it costs some seconds.

    Args:
        agents: those that stay from run to run.
    """

    def __init__(self, lab: Lab, agents: Iterable[Agent]) -> None:
        self._lab = lab
        self._agents = tuple(agents)
        routers = (f"{domain.name}-router" for domain in lab.scenario.domains)
        wanted = ("mn", "home-agent", *routers)
        self._boxes = tuple(box for box in wanted if box in lab.hosts)
        self._before: Inventory | None = None

    async def begin(self) -> None:
        """Before the run's daemons start."""
        if len(switches(self._lab.scenario)) > 1:
            self._before = await take_stock(self._lab.hosts, self._boxes)

    async def end(self) -> dict[str, object] | None:
        """After they have ended: fields of `run.resources`; None where nothing was taken before."""
        if self._before is None:
            return None
        after = await take_stock(self._lab.hosts, self._boxes)
        return {
            "rss_kib": {f"{a.host.name}-{a.name}": _rss_kib(a.daemon.pid) for a in self._agents},
            "objects": {box: len(lines) for box, lines in after.items()},
            "left": difference(self._before, after),
        }


def _rss_kib(pid: int) -> int:
    """Resident memory of a process; 0 when it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_KIB
    return 0
