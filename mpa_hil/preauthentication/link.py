"""Where the node is, read off the supplicant's events. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass

from radios import wpa_events
from radios.wpa_events import Event


@dataclass(frozen=True, slots=True)
class At:
    """Connected to this access point: associated, and all keys in place."""

    bssid: str


@dataclass(frozen=True, slots=True)
class Away:
    """Connected to nothing."""


@dataclass(frozen=True, slots=True)
class FullEap:
    """This access point wants full EAP, and the connection is not up yet."""

    bssid: str


Change = At | Away | FullEap


class LinkWatch:
    """Follows one supplicant.

    A later EAP run on a connection that is up is that network's renewal, and nobody's miss.
    """

    def __init__(self) -> None:
        self.bssid: str | None = None
        """Connected to it."""
        self._joining: str | None = None

    def set(self, bssid: str | None) -> tuple[Change, ...]:
        """What the supplicant's STATUS says: at first, and when events may have been lost."""
        if bssid == self.bssid:
            return ()
        self.bssid, self._joining = bssid, None
        return (Away() if bssid is None else At(bssid),)

    def receive(self, event: Event) -> tuple[Change, ...]:
        """Digest one event."""
        match event.name:
            case wpa_events.ASSOCIATED:
                self._joining = event.address
            case wpa_events.EAP_STARTED if self._joining is not None:
                return (FullEap(self._joining),)
            case wpa_events.CONNECTED:
                bssid, self._joining = event.address, None
                if bssid is not None:
                    self.bssid = bssid
                    return (At(bssid),)
            case wpa_events.DISCONNECTED:
                self._joining = None
                if self.bssid is not None:
                    self.bssid = None
                    return (Away(),)
        return ()
