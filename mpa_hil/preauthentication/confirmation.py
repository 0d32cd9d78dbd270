"""Asks an agent to put the keys into its access points, until all are accounted for. Sans-IO.

The question travels under the MPA-SA (`mpa_hil.authentication.service`); an agent holds its answer
back until the access points have answered, so the first answer normally is the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mpa_hil.authentication.service import KeyState, Prepare, Seal, ServiceClient
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import NS_PER_S, Instant
from mpa_hil.pana.association import SecurityAssociation

from .settings import Settings


class Confirmation:
    """The state of the keys in one network's access points.

    Args:
        realm: of the network, bound into what is said.
        bssids: of its access points.
    """

    def __init__(
        self,
        sa: SecurityAssociation,
        realm: str,
        bssids: Iterable[str],
        settings: Settings,
        random: Callable[[int], bytes],
    ) -> None:
        self._client = ServiceClient(Seal(sa, realm, random))
        self._settings = settings
        self.states: dict[str, KeyState] = dict.fromkeys(bssids, KeyState.PENDING)
        self.answered = False
        """The agent has answered at all."""
        self._question = b""
        self._sent = 0
        self._wait_s = settings.question_s
        self._due_ns: int | None = None

    @property
    def pending(self) -> tuple[str, ...]:
        """Access points that nothing final is known of."""
        return tuple(bssid for bssid, state in self.states.items() if state is KeyState.PENDING)

    @property
    def unheard(self) -> bool:
        """Asked several times, and never answered."""
        return not self.answered and self._sent > self._settings.questions

    def ask(self, now: Instant) -> bytes | None:
        """Ask about what is pending: the datagram, or None when all is known."""
        self._due_ns = None
        if not self.pending:
            return None
        self._question = self._client.ask(Prepare(self._settings.station, self.pending), now)
        self._wait_s = self._settings.question_s
        return self._repeat(now)

    def receive(self, datagram: bytes, now: Instant) -> None:
        """Digest an answer.

        Raises:
            DecodeError: it is none, or not authentic.
        """
        answer = self._client.receive(datagram)
        if answer is None:
            return  # to an earlier question
        if isinstance(answer, bytes):
            raise DecodeError("a description, which was not asked for", where="agent service")
        self.answered = True
        for bssid, state in answer:
            if bssid in self.states:
                self.states[bssid] = state
        self._question = b""
        pause_ns = round(self._settings.pending_s * NS_PER_S)
        self._due_ns = now.monotonic_ns + pause_ns if self.pending else None

    def expire(self, now: Instant) -> bytes | None:
        """The datagram that is due, if one is."""
        if self._due_ns is None or self._due_ns > now.monotonic_ns:
            return None
        if not self._question:
            return self.ask(now)
        self._wait_s = min(2 * self._wait_s, self._settings.question_max_s)
        return self._repeat(now)

    def stop(self) -> None:
        """Ask no more."""
        self._due_ns = None

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns."""
        return self._due_ns

    def _repeat(self, now: Instant) -> bytes:
        self._sent += 1
        self._due_ns = now.monotonic_ns + round(self._wait_s * NS_PER_S)
        return self._question
