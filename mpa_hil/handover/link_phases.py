"""The phases of a link-layer switch, read off wpa_supplicant's events. Pure.

    select() --> scan --> authentication --> association --> eap --> four-way --> connected
                  ^                                                      |
                  +----------- any failure after authentication ---------+

A phase ends where the next begins, so that they add up. EAP is only known to take place when it
starts: with a pre-shared key or a cached PMK the 4-way handshake follows association at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radios import wpa_events
from radios.wpa_events import Event

Outcome = Literal["done", "failed", "skipped"]

FAILURES = frozenset(
    {
        wpa_events.DISCONNECTED,
        wpa_events.ASSOC_REJECT,
        wpa_events.AUTH_REJECT,
        wpa_events.EAP_FAILURE,
        wpa_events.SSID_TEMP_DISABLED,
    }
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A phase begins (`outcome` None) or is over, at a CLOCK_MONOTONIC time in ns."""

    phase: str
    t_ns: int
    outcome: Outcome | None = None
    cause: str = ""


class LinkPhases:
    """One switch of the link; `phase` is the present one, "" before and after it."""

    def __init__(self) -> None:
        self.phase = ""
        self.connected_ns: int | None = None
        self._associated_ns = 0

    def select(self, t_ns: int) -> tuple[Mark, ...]:
        """The supplicant was told to join the new network."""
        self.connected_ns = None
        self.phase = "scan"
        return (Mark("scan", t_ns),)

    def receive(self, event: Event) -> tuple[Mark, ...]:
        """What an event means; nothing for most."""
        t_ns, name = event.t_ns, event.name
        if not self.phase:
            return ()
        if name in FAILURES:
            # Leaving the old network is announced too, while the new one is still looked for.
            return () if self.phase == "scan" else self._go("scan", t_ns, name, "failed")
        if name == wpa_events.AUTHENTICATING:
            return self._go("authentication", t_ns, name)
        if name == wpa_events.ASSOCIATING:
            return self._go("association", t_ns, name)
        if name == wpa_events.ASSOCIATED and self.phase != "associated":
            return self._end(t_ns, name)
        if name == wpa_events.EAP_STARTED and self.phase == "associated":
            self.phase = "eap"
            return (Mark("eap", self._associated_ns, cause=name),)
        if name == wpa_events.EAP_SUCCESS and self.phase == "eap":
            return self._go("four-way", t_ns, name)
        if name == wpa_events.CONNECTED:
            return self._connected(t_ns)
        return ()

    def _connected(self, t_ns: int) -> tuple[Mark, ...]:
        before: tuple[Mark, ...] = ()
        if self.phase == "associated":
            before = (Mark("four-way", self._associated_ns, cause="no EAP"),)
            self.phase = "four-way"
        self.connected_ns = t_ns
        ended = (Mark(self.phase, t_ns, "done", wpa_events.CONNECTED),)
        self.phase = ""
        return before + ended

    def _end(self, t_ns: int, cause: str) -> tuple[Mark, ...]:
        """Association is over; what follows is seen with the next event."""
        ended = (Mark(self.phase, t_ns, "done", cause),)
        self.phase = "associated"
        self._associated_ns = t_ns
        return ended

    def _go(self, phase: str, t_ns: int, cause: str, outcome: Outcome = "done") -> tuple[Mark, ...]:
        if self.phase == phase:
            return ()
        if self.phase == "associated":
            before: tuple[Mark, ...] = (
                Mark("four-way", self._associated_ns),
                Mark("four-way", t_ns, outcome, cause),
            )
        else:
            before = (Mark(self.phase, t_ns, outcome, cause),)
        self.phase = phase
        return (*before, Mark(phase, t_ns, cause=cause))
