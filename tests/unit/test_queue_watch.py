"""What waits for an interface's queue: done once it works, once, and not after it was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mpa_hil.agents.queue_watch import QueueWatch
from radios.errors import MachineError


class Queue:
    """Works from the n-th look on."""

    def __init__(self, works_at: int) -> None:
        self.looks = 0
        self._works_at = works_at

    def works(self) -> bool:
        self.looks += 1
        return self.looks >= self._works_at


def done(works: Callable[[], bool], *, start: bool = True, looks: int = 0) -> list[str]:
    """What was done, and when: before `then` returned, or later."""
    said: list[str] = []

    async def go() -> None:
        watch = QueueWatch(works)
        if start:
            watch.start()
        for _ in range(looks):
            await asyncio.sleep(0)
        end = asyncio.get_running_loop().create_future()
        watch.then(lambda: end.set_result(None))
        said.append("at once" if end.done() else "waits")
        assert watch.waiting is not end.done()
        async with asyncio.timeout(5):
            await end
        assert not watch.waiting

    asyncio.run(go())
    return said


def test_it_waits_until_the_queue_works() -> None:
    queue = Queue(works_at=3)
    assert done(queue.works) == ["waits"]
    assert queue.looks == 3


def test_what_is_known_to_work_needs_no_waiting() -> None:
    assert done(Queue(works_at=1).works, looks=3) == ["at once"]


def test_without_a_start_there_is_nothing_to_wait_for() -> None:
    queue = Queue(works_at=3)
    assert done(queue.works, start=False) == ["at once"]
    assert queue.looks == 0


def test_it_does_not_wait_for_ever() -> None:
    assert done(lambda: False) == ["waits"]


def test_when_nobody_can_tell_it_goes_on() -> None:
    def broken() -> bool:
        raise MachineError("gone", where="wlan0")

    assert done(broken) == ["waits"]


def test_given_up_nothing_is_done() -> None:
    async def go() -> list[str]:
        said: list[str] = []
        watch = QueueWatch(Queue(works_at=2).works)
        watch.start()
        watch.then(lambda: said.append("done"))
        watch.cancel()
        await asyncio.sleep(0.01)
        return said

    assert asyncio.run(go()) == []
