"""A handover gone through for practice: at the switch nothing may happen for the first time."""

from __future__ import annotations

import time

from mpa_hil.handover.interface import Event
from mpa_hil.handover.machine import Handover
from mpa_hil.handover.options import Options

_REHEARSALS = 8
_ALL_GOES_WELL = (
    Event.PREPARE,
    Event.AUTHENTICATED,
    Event.CONFIGURED,
    Event.TUNNELLED,
    Event.STAGED,
    Event.BOUND,
    Event.SWITCH_WANTED,
    Event.HELD,
    Event.LINK_LOST,
    Event.PORT_OPEN,
    Event.ARRIVED,
)


def rehearse(options: Options) -> None:
    """Take a machine of its own through a handover that goes well.

    The interpreter makes code faster that it has run a few times, and what happens at the switch
    would happen for the first time.
    """
    for _ in range(_REHEARSALS):
        machine = Handover(options)
        for event in _ALL_GOES_WELL:
            machine.feed(event, time.monotonic_ns())
