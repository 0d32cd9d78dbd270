"""Session ids and sequence numbers that a PAA need not remember (RFC 5191 s4.1), sans-IO.

A PANA-Client-Initiation must not cost the agent any state, for anybody can send one in anybody's
name. So the session id and the first sequence number, which are the agent's to choose, are a keyed
hash of where the PaC claims to be. Only who got the PANA-Auth-Request can repeat them in its
answer, and from them the agent knows which request that was, so it can tell it again to the octet.

The id's last octet says how the rest was made: which of two secrets, what was offered, the E bit,
and a counter that steps over ids already taken.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Container
from typing import Final, NamedTuple

from mpa_hil.mac import Mac
from mpa_hil.mobility.interface import NS_PER_S, Endpoint

from .relay import pac_information

PAA_SEQUENCES: Final = 0
PAC_SEQUENCES: Final = 1 << 30
SEQUENCE_MASK: Final = (1 << 30) - 1
"""First sequence numbers are random within the first quarter of all for an agent and the second
for a client. So neither wraps within a session, and the two never meet: a message thrown back at
its sender has a wrong number, and no counter block of RFC 6786 is ever used twice."""

_SECRET_OCTETS: Final = 32
_COUNTERS: Final = 32


class Ticket(NamedTuple):
    """The beginning of a session that nobody has to remember."""

    session_id: int
    sequence: int
    full_offer: bool
    preauthentication: bool


class Cookies:
    """Makes tickets and knows its own again, each once."""

    def __init__(self, random: Callable[[int], bytes], period_s: float, now_ns: int) -> None:
        self._random = random
        self._period_ns = round(period_s * NS_PER_S)
        self._epoch = 0
        self._ends_ns = now_ns + self._period_ns
        self._secrets = [self._secret(), self._secret()]
        self._spent: list[set[int]] = [set(), set()]

    def issue(
        self,
        pac: Endpoint,
        relay: Endpoint | None,
        taken: Container[int],
        now_ns: int,
        *,
        full_offer: bool,
        preauthentication: bool,
    ) -> Ticket | None:
        """A ticket for a PaC; the same for the same one until it is used or the secret changes.

        None when this PaC has used up what there is in this period.
        """
        self._turn(now_ns)
        spent = self._spent[self._epoch]
        how = self._epoch << 7 | full_offer << 6 | preauthentication << 5
        for counter in range(_COUNTERS):
            ticket = self._ticket(how | counter, pac, relay)
            number = ticket.session_id
            if number and number not in taken and number not in spent:
                return ticket
        return None

    def redeem(
        self, session_id: int, sequence: int, pac: Endpoint, relay: Endpoint | None, now_ns: int
    ) -> Ticket | None:
        """The ticket that an answer repeats, if it was issued to that PaC and not yet used."""
        self._turn(now_ns)
        how = session_id & 0xFF
        ticket = self._ticket(how, pac, relay)
        genuine = hmac.compare_digest(
            ticket.session_id.to_bytes(4, "big") + ticket.sequence.to_bytes(4, "big"),
            session_id.to_bytes(4, "big") + sequence.to_bytes(4, "big"),
        )
        return ticket if genuine and session_id not in self._spent[how >> 7] else None

    def spend(self, ticket: Ticket) -> None:
        """The ticket has become a session; recorded answers open no other."""
        self._spent[(ticket.session_id & 0xFF) >> 7].add(ticket.session_id)

    def _ticket(self, how: int, pac: Endpoint, relay: Endpoint | None) -> Ticket:
        where = pac_information(pac) + (b"" if relay is None else pac_information(relay))
        mac = self._secrets[how >> 7].digest(bytes((how,)) + where)
        return Ticket(
            int.from_bytes(mac[:3], "big") << 8 | how,
            PAA_SEQUENCES | int.from_bytes(mac[3:7], "big") & SEQUENCE_MASK,
            full_offer=bool(how & 0x40),
            preauthentication=bool(how & 0x20),
        )

    def _secret(self) -> Mac:
        return Mac(self._random(_SECRET_OCTETS), "sha256")

    def _turn(self, now_ns: int) -> None:
        if now_ns < self._ends_ns:
            return
        late = now_ns >= self._ends_ns + self._period_ns
        for _ in range(2 if late else 1):
            self._epoch ^= 1
            self._secrets[self._epoch] = self._secret()
            self._spent[self._epoch] = set()
        self._ends_ns = now_ns + self._period_ns
