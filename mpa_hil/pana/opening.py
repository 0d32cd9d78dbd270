"""The first exchange at the PAA, of which nothing is kept until it is over; sans-IO.

RFC 5191 s4.1: no EAP in the first PANA-Auth-Request, no retransmission, no state. The answer
brings back a ticket (`cookie`), from which the request is made once more, to the octet.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final, NamedTuple

from mpa_hil.mobility.interface import Endpoint

from . import negotiation
from .association import Suite
from .conversation import Objection
from .cookie import Cookies, Ticket
from .message import Message
from .numbers import HEADER_OCTETS, AvpCode, Flag, MessageType
from .settings import PaaSettings

_ALGORITHM_AVP_OCTETS: Final = 12
_E: Final = int(Flag.PREAUTHENTICATION)


class Opening(NamedTuple):
    """A first exchange that a PaC has proved to have had."""

    ticket: Ticket
    suite: Suite
    first_request: bytes


class Openings:
    """Makes first requests, and knows their answers."""

    def __init__(self, settings: PaaSettings, random: Callable[[int], bytes], now_ns: int) -> None:
        self._cookies = Cookies(random, settings.cookie_period_s, now_ns)
        self._flags = int(Flag.REQUEST | Flag.START)
        if settings.ip_reconfiguration:
            self._flags |= Flag.IP_RECONFIGURATION
        full = negotiation.offer(settings.suites, settings.encryption)
        self._offers = {False: negotiation.offer(settings.suites[:1], None), True: full}
        self._full_octets = HEADER_OCTETS + _ALGORITHM_AVP_OCTETS * len(full)

    def first_request(
        self,
        pac: Endpoint,
        relay: Endpoint | None,
        taken: Container[int],
        now_ns: int,
        *,
        room: int,
        preauthentication: bool,
    ) -> bytes | None:
        """A PAR[S] with every algorithm if it then fits in `room` octets, else the best alone.

        None when this PaC has had too many sessions of late.
        """
        ticket = self._cookies.issue(
            pac,
            relay,
            taken,
            now_ns,
            full_offer=self._full_octets <= room,
            preauthentication=preauthentication,
        )
        return None if ticket is None else self._request(ticket)

    def _request(self, ticket: Ticket) -> bytes:
        flags = self._flags | _E if ticket.preauthentication else self._flags
        avps = self._offers[ticket.full_offer]
        return Message(MessageType.AUTH, flags, ticket.session_id, ticket.sequence, avps).encode()

    def recognise(
        self, answer: Message, pac: Endpoint, relay: Endpoint | None, now_ns: int
    ) -> Opening | Objection:
        """The first exchange that a PAN[S] completes."""
        ticket = self._cookies.redeem(answer.session_id, answer.sequence, pac, relay, now_ns)
        if ticket is None:
            return Objection("answers no first request of late", security=True)
        if ticket.preauthentication != bool(answer.flags & _E):
            return Objection("does not agree on the E bit", security=True)
        suite = negotiation.chosen(answer, self._offers[ticket.full_offer])
        if suite is None or answer.value(AvpCode.EAP_PAYLOAD) is not None:
            return Objection("chooses what was not offered", security=True)
        return Opening(ticket, suite, self._request(ticket))

    def spend(self, opening: Opening) -> None:
        """It has become a session; the same answer opens no other."""
        self._cookies.spend(opening.ticket)
