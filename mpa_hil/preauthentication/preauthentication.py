"""One candidate network, from nothing to keys in both ends, and its time as serving network.

Sans-IO. What may happen when is the table in `states`, what it does is in `actions`. Each verb
returns what to carry out, in order; `receive` raises nothing, whatever comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mpa_hil.authentication.service import SERVICE_PORT
from mpa_hil.discovery.description import PointOfAttachment
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Instant
from mpa_hil.pana.interface import PanaSession

from .actions import Actions
from .interface import Dropped, EndCause, Missed, Outputs
from .states import KEYED, Event, State


class Preauthentication(Actions):
    """The preparation of one network."""

    @property
    def points(self) -> tuple[PointOfAttachment, ...]:
        """Those that take a place in the supplicant's key cache, now or soon."""
        if self.state in KEYED:
            return self._delivery.points
        return () if self.state in (State.CLOSING, State.OVER) else self._points

    @property
    def prepared(self) -> bool:
        """The node may come."""
        return self.state in (State.PREPARED, State.SERVING)

    @property
    def session(self) -> PanaSession | None:
        """The MPA-SA with the network's agent; None unless it is established."""
        return self._association.session if self._association is not None else None

    @property
    def askable(self) -> tuple[Endpoint, PanaSession] | None:
        """Agent and session to ask other things under, while no question for keys is outstanding.

        An MPA-SA has one numbering of questions, and a later one takes the place of an earlier.
        """
        association = self._association
        session = association.session if association is not None else None
        if association is None or session is None:
            return None
        if self.state not in KEYED or self._delivery.under_way:
            return None
        return association.agent, session

    # --- what the owner asks

    def start(self, now: Instant) -> Outputs:
        """Begin."""
        self._limit_ns = now.monotonic_ns + self._budget_ns
        self._began_ns = now.monotonic_ns
        return self._fire(Event.START, now)

    def extend(
        self, points: Iterable[PointOfAttachment], budget_s: float, hold_s: float, now: Instant
    ) -> Outputs:
        """Want it for longer, or with these points besides. One EAP run serves them all.

        If it is prepared already, the agent is asked whether that is still so; one that has lost
        the association (started anew without its store) does not answer, and all begins anew.
        """
        self._hold_ns = round(hold_s * NS_PER_S)
        self._budget_ns = round(budget_s * NS_PER_S)
        known = {point.bssid for point in self.points}
        new = tuple(point for point in points if point.bssid not in known)
        if self.state not in KEYED:
            self._points += new
            self._limit_ns = now.monotonic_ns + self._budget_ns
            return ()
        if self._hold_until_ns is not None:
            self._hold_until_ns = now.monotonic_ns + self._hold_ns
        if self.prepared:
            self._verify(now)
        if new:
            self._deliver(new, now)
        self._plan_renewal()
        return self._taken()

    def keep(self, points: Iterable[PointOfAttachment], now: Instant) -> Outputs:
        """Give up all points but these; without any left, give up the network."""
        kept = {point.bssid for point in points}
        gone = tuple(point for point in self.points if point.bssid not in kept)
        if not gone:
            return ()
        self._out.append(Dropped(self.realm, gone))
        if len(gone) == len(self.points):
            return self.release(EndCause.NO_ROOM, now)
        self._points = tuple(point for point in self._points if point.bssid in kept)
        self._put(self._delivery.remove(gone))
        self._check_delivery(now)
        return self._taken()

    def release(self, cause: EndCause, now: Instant) -> Outputs:
        """Give it up."""
        self._cause, self._reason = cause, ""
        return self._fire(Event.RELEASED, now)

    def installed(self, results: Mapping[str, str], now: Instant) -> Outputs:
        """What the supplicant did with the last `Install`, by BSSID: "" or why not."""
        self._delivery.installed(results)
        self._check_delivery(now)
        return self._taken()

    def supplicant_restarted(self) -> Outputs:
        """The supplicant has forgotten every key."""
        session = self._association.session if self._association else None
        if session is not None and self.state in KEYED:
            self._put(self._delivery.again(session))
        return self._taken()

    # --- what the link tells

    def arrived(self, bssid: str, now: Instant) -> Outputs:
        """The node is connected to one of this network's points of attachment."""
        self._here = bssid
        return self._fire(Event.ARRIVED, now)

    def left(self, now: Instant) -> Outputs:
        """It is not any more."""
        self._here = None
        return self._fire(Event.LEFT, now)

    def missed(self, bssid: str, now: Instant) -> Outputs:
        """Full EAP runs at a point whose key was thought to be in place (F8)."""
        if bssid not in {point.bssid for point in self._delivery.points}:
            return ()
        self._delivery.disown(bssid)
        self._out.append(Missed(self.realm, bssid))
        self._check_delivery(now)
        return self._taken()

    def address_changed(self, now: Instant) -> Outputs:
        """This node has another address; the agent is told as long as it is held (R116)."""
        if self._association is not None and self.state is not State.CLOSING:
            self._take(self._association.notify(now), now)
        return self._taken()

    # --- what the network and time bring

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """Digest a datagram that came to this network's socket."""
        association = self._association
        if association is None or source.address != association.agent.address:
            self._ignore("not from the agent", source)
        elif source.port == association.agent.port:
            self._take(association.receive(datagram, source, now), now)
            if association.heard:
                self._agent_ns = None
        elif source.port == SERVICE_PORT:
            self._receive_states(datagram, source, now)
        else:
            self._ignore("from a port of the agent that nobody asked", source)
        return self._taken()

    def expire(self, now: Instant) -> Outputs:
        """Do what is due; harmless at other times."""
        at = now.monotonic_ns
        if self._association is not None and _due(self._association.next_deadline(), at):
            self._take(self._association.expire(now), now)
        self._ask(self._delivery.expire(now))
        if self._verifying and self._delivery.unheard:
            self._step(Event.FORGOTTEN, now)
        if _due(self._agent_ns, at):
            self._agent_ns = None
            self._reason, self._passing = "the agent says nothing", True
            self._step(Event.ATTEMPT_FAILED, now)
        if _due(self._retry_ns, at):
            self._retry_ns = None
            self._step(Event.RETRY_DUE, now)
        if _due(self._renew_ns, at) and self._association is not None:
            self._renew_ns = None
            self._renew(now)
        if _due(self._limit_ns, at):
            self._limit_ns = None
            self._step(Event.TIME_UP, now)
        if _due(self._hold_until_ns, at):
            self._hold_until_ns = None
            self._cause, self._reason = EndCause.HOLD_OVER, ""
            self._step(Event.HOLD_OVER, now)
        return self._taken()

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns of the next thing to do, or None while there is nothing."""
        if self.state is State.OVER:
            return None
        times = (
            self._limit_ns,
            self._agent_ns,
            self._retry_ns,
            self._renew_ns,
            self._hold_until_ns,
            self._delivery.next_deadline(),
            self._association.next_deadline() if self._association else None,
        )
        return min((time for time in times if time is not None), default=None)

    # --- the table

    def _fire(self, event: Event, now: Instant) -> Outputs:
        self._step(event, now)
        return self._taken()


def _due(deadline_ns: int | None, at_ns: int) -> bool:
    return deadline_ns is not None and deadline_ns <= at_ns
