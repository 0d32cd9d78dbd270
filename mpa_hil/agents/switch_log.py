"""What happens at a switch, noted at once and worked out when the link is up again."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mpa_hil.agents.stdio import Console
from mpa_hil.handover.link_phases import LinkPhases, Mark
from radios.wpa_events import parse_event

_FLUSH_S = 0.03
"""How long noted events wait to be worked out, so that it happens in no switch's way."""


class Teller(Protocol):
    """Somebody with something to tell."""

    @property
    def busy(self) -> bool:
        """There is something under way that telling must not delay."""

    def tell(self) -> None:
        """Tell it."""


class SwitchLog:
    """Notes events and phases, and tells them.

    Args:
        more: has noted more, and is told when there is time to tell it.
    """

    def __init__(self, console: Console, more: Teller | None) -> None:
        self._console = console
        self._more = more
        self._phases = LinkPhases()
        self._noted: list[tuple[int, bytes | Mark | None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def note(self, t_ns: int, what: bytes | Mark | None) -> None:
        """Keep an event of the supplicant's, a phase, or (None) that the switch began."""
        self._noted.append((t_ns, what))
        if self._timer is None:
            self._timer = self._loop.call_later(_FLUSH_S, self._on_time)

    def flush(self) -> None:
        """Work out what the noted events mean, and tell them."""
        self._stop()
        noted, self._noted = self._noted, []
        for t_ns, what in noted:
            if what is None:
                for mark in self._phases.select(t_ns):
                    self._mark(mark)
            elif isinstance(what, Mark):
                self._mark(what)
            else:
                event = parse_event(what, t_ns)
                self._console.emit("wpa.event", t_ns, name=event.name, text=event.text)
                for mark in self._phases.receive(event):
                    self._mark(mark)
        if self._more is not None:
            self._more.tell()

    def _on_time(self) -> None:
        if self._more is not None and self._more.busy:
            self._timer = self._loop.call_later(_FLUSH_S, self._on_time)
        else:
            self.flush()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def phase(self, name: str, t_ns: int, outcome: str | None = None, cause: str = "") -> None:
        """Tell that a phase began (no outcome) or ended."""
        fields = {"phase": name, "cause": cause} if cause else {"phase": name}
        if outcome is None:
            self._console.emit("phase.started", t_ns, **fields)
        else:
            self._console.emit("phase.ended", t_ns, outcome=outcome, **fields)

    def _mark(self, mark: Mark) -> None:
        self.phase(mark.phase, mark.t_ns, mark.outcome, mark.cause)
