"""Where packets wait, and what the machine has done about it on each way through the switch."""

from __future__ import annotations

import pytest

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Event, Hold, Level
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Options

BOTH = Hold.NEXT | Hold.OLD
AHEAD = {
    Level.BOUND: (
        *(Event.PREPARE, Event.AUTHENTICATED, Event.CONFIGURED, Event.TUNNELLED, Event.STAGED),
        Event.BOUND,
    ),
    Level.CONFIGURED: (Event.PREPARE, Event.AUTHENTICATED, Event.CONFIGURED, Event.STAGED),
    Level.AUTHENTICATED: (Event.PREPARE, Event.AUTHENTICATED, Event.STAGED),
}


class Node:
    """A machine, and all that it said."""

    def __init__(self, **options: object) -> None:
        self.machine = Handover(Options(**options))  # type: ignore[arg-type]
        self.now_ns = 0
        self.feed(*AHEAD[self.machine.options.level])

    def feed(self, *events: Event) -> list[act.Action]:
        """What it says to the last of them."""
        said: list[act.Action] = []
        for event in events:
            self.now_ns += 1_000_000
            said = list(self.machine.feed(event, self.now_ns))
        return said

    def limit_ms(self) -> float:
        """How long it waits now."""
        due_ns = self.machine.next_deadline()
        assert due_ns is not None
        return (due_ns - self.now_ns) / 1e6


@pytest.mark.parametrize("hold", [Hold.NEXT, Hold.OLD, BOTH])
def test_bound_ahead(hold: Hold) -> None:
    """All places are asked, and all of them told to let go where the node is."""
    node = Node(hold=hold)
    assert node.feed(Event.SWITCH_WANTED) == [act.StartHold(hold, bicast=False)]
    leaving = node.feed(Event.HELD)
    assert [type(each) for each in leaving] == [act.TurnUplink, act.Leave, act.SelectNetwork]
    assert node.feed(Event.LINK_LOST, Event.PORT_OPEN) == [act.Arrive(hold, marked=True)]
    settling = node.feed(Event.ARRIVED)
    assert act.ReleaseUplink() in settling
    assert not [each for each in settling if isinstance(each, act.Arrive)], "once is enough"


@pytest.mark.parametrize("hold", [Hold.NEXT, Hold.OLD, BOTH, Hold.OFF])
def test_bicasting_replaces_the_next_router_alone(hold: Hold) -> None:
    node = Node(hold=hold, bicast=True)
    kept = hold & Hold.OLD
    assert node.feed(Event.SWITCH_WANTED) == [act.StartHold(kept, bicast=True)]
    assert node.feed(Event.HELD, Event.PORT_OPEN) == [act.Arrive(kept, marked=True)]


def test_nowhere() -> None:
    node = Node(hold=Hold.OFF)
    leaving = node.feed(Event.SWITCH_WANTED)
    assert [type(each) for each in leaving] == [act.TurnUplink, act.Leave, act.SelectNetwork]
    assert node.feed(Event.PORT_OPEN) == [act.Arrive(Hold.OFF, marked=True)]


@pytest.mark.parametrize("hold", [Hold.OLD, BOTH])
def test_bound_after_the_move(hold: Hold) -> None:
    """Without a tunnel only the router that is left can hold; it forwards before the binding's
    answer, and the old address stays until that is there."""
    node = Node(level=Level.CONFIGURED, hold=hold)
    assert node.feed(Event.SWITCH_WANTED) == [act.StartHold(Hold.OLD, bicast=False)]
    assert node.feed(Event.HELD) == [act.SelectNetwork()]
    there = node.feed(Event.PORT_OPEN)
    assert there == [act.Settle(), act.Arrive(Hold.OLD), act.StageBinding(), act.Bind(False)]
    bound = node.feed(Event.BOUND)
    assert not [each for each in bound if isinstance(each, act.DropOld | act.RetireBinding)]
    assert act.DropOld() in node.feed(Event.SETTLED, Event.SERVING)


def test_without_an_address_there_is_nowhere_to_forward_to() -> None:
    node = Node(level=Level.AUTHENTICATED, hold=Hold.NEXT)
    assert node.feed(Event.SWITCH_WANTED) == [act.SelectNetwork()]


@pytest.mark.parametrize("hold", [Hold.NEXT, Hold.OLD, BOTH])
@pytest.mark.parametrize("level", [Level.BOUND, Level.CONFIGURED])
def test_back_on_the_old_link(hold: Hold, level: Level) -> None:
    """What was held is let go there, wherever it waits."""
    node = Node(level=level, hold=hold)
    held = hold if level is Level.BOUND else hold & Hold.OLD
    node.feed(Event.SWITCH_WANTED, Event.HELD, Event.ASSOCIATION_REFUSED)
    back = node.feed(Event.OLD_PORT_OPEN)
    resumed = [each for each in back if isinstance(each, act.Resume)]
    assert resumed == ([act.Resume(held)] if held else [])


@pytest.mark.parametrize(
    ("hold", "bicast", "deaf"),
    [
        (Hold.NEXT, False, True),
        (Hold.OLD, False, False),
        (BOTH, False, True),
        (Hold.OLD, True, True),
    ],
)
def test_only_the_next_router_is_deaf(hold: Hold, bicast: bool, deaf: bool) -> None:
    """When nobody answers before the switch, B's router is given up early only if it was asked."""
    node = Node(hold=hold, bicast=bicast)
    node.feed(Event.SWITCH_WANTED, Event.HOLD_FAILED, Event.PORT_OPEN)
    options = node.machine.options
    assert node.limit_ms() == (options.deaf_ms if deaf else options.arrive_ms)
