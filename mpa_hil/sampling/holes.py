"""How long the radio may be away from its channel, and when. Sans-IO.

A budget fills evenly and pays for looks at other channels. A look that somebody asked for may leave
it in debt, to a limit, and one that nobody asked for may not. What a look costs
is learnt from those that were taken. A look at the present channel costs nothing: the radio stays.
"""

from __future__ import annotations

from mpa_hil.sampling.settings import NS_PER_MS, NS_PER_S, Settings

_NEVER_NS = 3600 * NS_PER_S
"""Until it is thought about again, where nothing is to be spent."""
_PUT_OFF = 2
"""A look that takes so many times what looks take was put off: mac80211 begins one only with an
empty queue, and until then, for half a second and more, the radio is where it was."""
_LEARNT = 0.25
"""Weight of the newest look in the mean."""


class Holes:
    """The budget."""

    def __init__(self, settings: Settings) -> None:
        self._rate = settings.hole_ms_per_s / 1000
        self._burst_ns = settings.burst_ms * NS_PER_MS
        self._debt_ns = settings.debt_ms * NS_PER_MS
        self._most_ns = int(_PUT_OFF * settings.hole_ms * NS_PER_MS)
        self.cost_ns = settings.hole_ms * NS_PER_MS
        """Of one look, as far as is known."""
        self._saved_ns = self._burst_ns
        self._at_ns: int | None = None
        self._held_off_ns = self._unasked_ns = 0
        self.spent_ns = 0
        """Away from the channel in all."""

    def hold_off(self, until_ns: int, *, asked: bool = True) -> None:
        """No look may begin that would not be over before a switch, until then.

        Args:
            asked: nor one that somebody wants.
        """
        self._unasked_ns = max(self._unasked_ns, until_ns)
        if asked:
            self._held_off_ns = max(self._held_off_ns, until_ns)

    def held_off(self, now_ns: int) -> bool:
        """Whether a switch is near."""
        return now_ns < self._held_off_ns

    def when(self, now_ns: int, *, away: bool, asked: bool) -> int:
        """The earliest time at which a look may begin, as things stand.

        Args:
            away: it is a look at another channel.
            asked: somebody wants it.
        """
        self._fill(now_ns)
        missing_ns = (-self._debt_ns if asked else self.cost_ns) - self._saved_ns
        wait_ns = 0
        if away and missing_ns > 0:
            wait_ns = int(missing_ns / self._rate) + 1 if self._rate else _NEVER_NS
        return max(now_ns + wait_ns, self._held_off_ns if asked else self._unasked_ns)

    def spend(self, began_ns: int, ended_ns: int, *, usual: bool = True) -> None:
        """A look at another channel took that long, of which what it was put off does not count.

        Args:
            usual: so will the next one.
        """
        took_ns = min(max(ended_ns - began_ns, 0), self._most_ns)
        self._fill(ended_ns)
        self._saved_ns -= took_ns
        self.spent_ns += took_ns
        if usual:
            self.cost_ns += _LEARNT * (took_ns - self.cost_ns)

    def _fill(self, now_ns: int) -> None:
        if self._at_ns is not None and now_ns > self._at_ns:
            self._saved_ns += self._rate * (now_ns - self._at_ns)
            self._saved_ns = min(self._saved_ns, self._burst_ns)
        self._at_ns = max(now_ns, self._at_ns or 0)
