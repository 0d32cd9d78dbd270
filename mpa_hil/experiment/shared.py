"""One standing lab for walks that differ in nothing but the way, the seed and the policy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType

import msgspec

from mpa_hil.experiment.collect import Request
from mpa_hil.experiment.plan import POLICY
from mpa_hil.lab.builder import Lab, standing_lab
from mpa_hil.scenario import Scenario

Say = Callable[[str], None]


def foundation(request: Request) -> Scenario | None:
    """What of a lab stands through all walks on it; None: these are no walks."""
    described = request.scenario
    if request.schemes != (POLICY,) or not described.movement.waypoints:
        return None
    replace = msgspec.structs.replace
    return replace(
        described,
        lab=replace(described.lab, seed=0),
        movement=replace(described.movement, waypoints=()),
        policy=None,
    )


def change(lab: Lab, described: Scenario) -> None:
    """Walk another way next, with another seed or policy."""
    lab.scenario = described
    lab.air.retrace(described)


class SharedLab:
    """The lab of walks in a row; another one where the next walk needs another.

    Args:
        requests: all that are to come. One that shares its lab with none builds its own.
    """

    def __init__(self, requests: Sequence[Request], say: Say) -> None:
        some = [foundation(request) for request in requests]
        self._often = [each for each in some if each is not None and some.count(each) > 1]
        self._say = say
        self._stack = contextlib.AsyncExitStack()
        self._lab: Lab | None = None
        self._foundation: Scenario | None = None

    async def __aenter__(self) -> SharedLab:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._leave()

    async def lab(self, request: Request) -> Lab | None:
        """The lab for a request, standing; None: it has to build its own.

        Raises:
            MpaError: it could not be built, or the one before not be taken away.
        """
        wanted = foundation(request)
        usable = self._lab is not None and not self._lab.broken and wanted == self._foundation
        if not usable:
            await self._leave()
            if wanted is None or wanted not in self._often:
                return None
            self._lab = await self._stack.enter_async_context(
                standing_lab(
                    request.scenario,
                    request.lab_id,
                    self._say,
                    pem=request.pem,
                    preauthentication=True,
                )
            )
            self._foundation = wanted
        assert self._lab is not None
        change(self._lab, request.scenario)
        return self._lab

    async def _leave(self) -> None:
        self._lab = self._foundation = None
        await self._stack.aclose()
