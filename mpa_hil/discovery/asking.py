"""Asks an AA for its networks under an MPA-SA, as datagrams, until it has answered. Sans-IO.

`information` says what is asked, `mpa_hil.authentication.service` seals it. An MPA-SA has one
numbering of questions, so this is used while no question for keys is outstanding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpa_hil.authentication.service import Describe, Seal, ServiceClient
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import NS_PER_S, Instant
from mpa_hil.pana.association import SecurityAssociation

from .information import (
    InformationClient,
    InformationOutput,
    InformationSettings,
    SendQuery,
)

REPEAT_S = 0.4
"""Until a question is repeated; twice as long each time."""
REPEAT_MAX_S = 2.0


class Asking:
    """One AA's list of networks, over one MPA-SA.

    Outputs are those of `InformationClient`; a `SendQuery` holds a datagram for the AA's
    SERVICE_PORT.

    Args:
        sa: the association.
        realm: of the AA's network; what it says of that one it says of its own.
        random: yields so many random octets.
    """

    def __init__(
        self,
        sa: SecurityAssociation,
        realm: str,
        random: Callable[[int], bytes],
        settings: InformationSettings | None = None,
    ) -> None:
        self._service = ServiceClient(Seal(sa, realm, random))
        self._client = InformationClient(realm, random, settings)
        self._datagram = b""
        self._wait_s = REPEAT_S
        self._due_ns = 0

    @property
    def busy(self) -> bool:
        """Whether a list is under way."""
        return self._client.busy

    def ask(
        self, now: Instant, *, near: str | None = None, realms: Sequence[str] = ()
    ) -> tuple[InformationOutput, ...]:
        """Ask; see `InformationClient.ask`."""
        return self._sealed(self._client.ask(now.monotonic_ns, near=near, realms=realms), now)

    def receive(self, datagram: bytes, now: Instant) -> tuple[InformationOutput, ...]:
        """Digest a datagram from the AA's SERVICE_PORT.

        Raises:
            DecodeError: not of this association, not authentic, or the answer to no such question.
        """
        octets = self._service.receive(datagram)
        if octets is None or not self.busy:
            return ()  # to an earlier question
        if not isinstance(octets, bytes):
            raise DecodeError("states of keys, which were not asked for", where="agent service")
        return self._sealed(self._client.receive(octets, now.monotonic_ns), now)

    def expire(self, now: Instant) -> tuple[InformationOutput, ...]:
        """Do what is due; call it at `next_deadline`."""
        outputs = self._client.expire(now.monotonic_ns)
        if outputs or not self.busy or now.monotonic_ns < self._due_ns:
            return outputs
        self._wait_s = min(2 * self._wait_s, REPEAT_MAX_S)
        return self._repeat(now)

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns, or None while nothing is asked."""
        end_ns = self._client.next_deadline()
        return None if end_ns is None else min(end_ns, self._due_ns)

    def _sealed(
        self, outputs: tuple[InformationOutput, ...], now: Instant
    ) -> tuple[InformationOutput, ...]:
        sealed: tuple[InformationOutput, ...] = ()
        for output in outputs:
            if isinstance(output, SendQuery):
                self._datagram = self._service.ask(Describe(output.octets), now)
                self._wait_s = REPEAT_S
                sealed += self._repeat(now)
            else:
                sealed += (output,)
        return sealed

    def _repeat(self, now: Instant) -> tuple[InformationOutput, ...]:
        self._due_ns = now.monotonic_ns + round(self._wait_s * NS_PER_S)
        return (SendQuery(self._datagram),)
