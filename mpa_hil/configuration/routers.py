"""The link's routers, as their advertisements tell of them. Sans-IO.

The agent listens all the time, so that a mobile node need not wait for an advertisement: a router
may take half a second to answer (RFC 4861 s6.2.6).
"""

from __future__ import annotations

from mpa_hil.configuration.frames6 import RouterAdvertised
from mpa_hil.mobility.interface import NS_PER_S, Instant

_FRESH_S = 30.0
"""An advertisement this old is passed on; for an older one the router is asked again."""


class Routers:
    """The last advertisement of whoever is a default router."""

    def __init__(self) -> None:
        self._last: RouterAdvertised | None = None
        self._heard_ns = 0

    def heard(self, advertised: RouterAdvertised, now: Instant) -> None:
        """A router spoke. One that stops being one takes its word back."""
        if advertised.advertisement.lifetime_s:
            self._last, self._heard_ns = advertised, now.monotonic_ns
        elif self._last is not None and self._last.router == advertised.router:
            self._last = None

    def fresh(self, now: Instant) -> RouterAdvertised | None:
        """What can be passed on now."""
        if self._last is None:
            return None
        limit_s = min(_FRESH_S, self._last.advertisement.lifetime_s)
        old = now.monotonic_ns - self._heard_ns > limit_s * NS_PER_S
        return None if old else self._last
