"""How long a silent guest is waited for."""

from __future__ import annotations

import os

from rigs.guest.patience import IDLE_SHARE, Patience, processor_s


class World:
    """A wall's clock and a guest's processor time, both set by hand."""

    def __init__(self) -> None:
        self.now_s = self.used_s = 0.0
        self.patience = Patience(600, lambda: self.used_s, lambda: self.now_s)

    def silent(self, wall_s: float, used_s: float) -> bool:
        self.now_s += wall_s
        self.used_s += used_s
        return self.patience.is_over()


def test_a_guest_with_a_processor_to_itself_may_be_silent_so_long() -> None:
    assert World().silent(600, 600)
    assert not World().silent(600, 599)


def test_one_that_others_starve_is_waited_for_until_it_had_its_time() -> None:
    world = World()
    assert [world.silent(600, 100) for _ in range(6)] == [False] * 5 + [True]


def test_one_that_does_nothing_hangs() -> None:
    assert World().silent(600, 0)
    assert World().silent(600, 600 * IDLE_SHARE * 0.99)
    assert not World().silent(600, 600 * IDLE_SHARE * 1.01)


def test_one_that_stops_doing_anything_hangs_from_then_on() -> None:
    world = World()
    assert not world.silent(600, 300)
    assert world.silent(600, 1)


def test_what_it_says_begins_the_wait_anew() -> None:
    world = World()
    assert not world.silent(600, 500)
    world.patience.heard()
    assert not world.silent(600, 500)
    assert world.silent(600, 500)


def test_processor_time_of_a_process() -> None:
    before_s = processor_s(os.getpid())
    while processor_s(os.getpid()) - before_s < 0.05:
        pass
    assert processor_s(2**22 + 1) == 0
