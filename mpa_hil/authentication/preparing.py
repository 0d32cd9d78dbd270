"""The AA's answers to what MNs ask under their MPA-SA (see `service`). Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mpa_hil.authentication.associations import Association, Associations
from mpa_hil.authentication.delivery import Deliveries
from mpa_hil.authentication.outputs import AgentOutput, Prepared, SendAnswer
from mpa_hil.authentication.service import (
    DecodeError,
    Describe,
    KeyState,
    KeyStates,
    Prepare,
    header,
)
from mpa_hil.authentication.settings import AgentSettings
from mpa_hil.discovery.information import InformationService
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant

Emit = Callable[[AgentOutput], None]


@dataclass(slots=True)
class _Pending:
    """A `Prepare` whose keys are on their way."""

    association: Association
    number: int
    destination: Endpoint
    names: dict[str, bytes | None]
    """The key for each point of attachment; None: there is no such point."""
    started_ns: int
    deadline_ns: int


class Preparing:
    """Answers questions. Wrong ones are dropped without a word.

    Args:
        superseded: called to end an older association of the same MN, whose station address the
            newer one has taken.
        proved: called when an MN has proved to have its MPA-SA, and from where.
    """

    def __init__(
        self,
        settings: AgentSettings,
        associations: Associations,
        deliveries: Deliveries,
        emit: Emit,
        superseded: Callable[[Association, Instant], None],
        proved: Callable[[Association, Endpoint], None],
    ) -> None:
        self._asking = settings.asking_points
        self._information = InformationService(settings.networks, settings.neighbours)
        self._patience_ns = int(settings.limits.prepare_s * NS_PER_S)
        self._associations = associations
        self._deliveries = deliveries
        self._emit = emit
        self._superseded = superseded
        self._proved = proved
        self._pending: dict[int, _Pending] = {}
        self._deadlines: deque[_Pending] = deque()

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> None:
        """Digest a datagram of the service port."""
        try:
            said = header(datagram)
            association = self._associations.get(said.session_id)
            if association is None:
                self._emit(Discarded("question of an unknown MPA-SA", source))
                return
            asked = association.seal.open_question(datagram)
        except DecodeError as error:
            self._emit(Discarded(f"question: {error.what}", source, security=True))
            return
        if asked.number < association.number:
            self._emit(Discarded("question: replayed", source, security=True))
        elif asked.number == association.number and association.answer:
            self._emit(SendAnswer(association.answer, source))
        elif asked.number > association.number or association.session_id not in self._pending:
            association.number, association.answer = asked.number, b""
            self._pending.pop(association.session_id, None)
            self._proved(association, source)
            if isinstance(asked.question, Describe):
                self._describe(association, asked.number, asked.question, source)
            else:
                self._prepare(association, asked.number, asked.question, source, now)

    def settled(self, name: bytes, now: Instant) -> None:
        """A recipient has answered about this key."""
        association = self._associations.of_key(name)
        pending = self._pending.get(association.session_id) if association is not None else None
        if pending is not None and name in pending.names.values():
            self._answer_if_known(pending, now)

    def forget(self, association: Association) -> None:
        """It is over: nobody waits for an answer any more."""
        self._pending.pop(association.session_id, None)

    def renew(self, association: Association, now: Instant) -> None:
        """Its keys are others: give its points of attachment those."""
        if association.station:
            for bssid in association.bssids:
                if self._deliveries.knows(bssid):
                    self._deliveries.point_key(association, bssid, now)

    def expire(self, now: Instant) -> None:
        """Answer those that have waited long enough."""
        while self._deadlines and self._deadlines[0].deadline_ns <= now.monotonic_ns:
            pending = self._deadlines.popleft()
            if self._pending.get(pending.association.session_id) is pending:
                self._answer(pending, now)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next one, or None."""
        return self._deadlines[0].deadline_ns if self._deadlines else None

    def _describe(
        self, association: Association, number: int, question: Describe, source: Endpoint
    ) -> None:
        answer = self._information.answer(question.query)
        if answer is None:
            self._emit(Discarded("question: no query for networks", source))
        else:
            self._send(association, association.seal.description(number, answer), source)

    def _prepare(
        self,
        association: Association,
        number: int,
        question: Prepare,
        source: Endpoint,
        now: Instant,
    ) -> None:
        bssids = question.bssids or (*self._deliveries.bssids, *sorted(self._asking))
        if not self._take_station(association, question.station, now):
            states = tuple((bssid, KeyState.DECLINED) for bssid in bssids)
            self._send(association, association.seal.states(number, states), source)
            return
        names: dict[str, bytes | None] = {}
        for bssid in bssids:
            known = self._deliveries.knows(bssid)
            names[bssid] = self._deliveries.point_key(association, bssid, now) if known else None
        association.bssids = tuple(
            dict.fromkeys(
                (*association.bssids, *(b for b, key in names.items() if key or b in self._asking))
            )
        )
        deadline_ns = now.monotonic_ns + self._patience_ns
        pending = _Pending(association, number, source, names, now.monotonic_ns, deadline_ns)
        self._pending[association.session_id] = pending
        self._deadlines.append(pending)
        self._answer_if_known(pending, now)

    def _take_station(self, association: Association, station: str, now: Instant) -> bool:
        """Let the association have the MAC address, unless it is another MN's or nobody's."""
        if int(station[1], 16) & 1:
            return False
        holder = self._associations.of_station(station)
        if holder is not None and holder is not association:
            if holder.mobile_node != association.mobile_node:
                return False
            self._superseded(holder, now)
        if association.station not in ("", station):
            points = [name for name, where in association.keys.items() if where.bssid]
            self._deliveries.withdraw(association, points, now)
            association.bssids = ()
        self._associations.settle(association, station)
        return True

    def _answer_if_known(self, pending: _Pending, now: Instant) -> None:
        states = self._states(pending)
        if all(state is not KeyState.PENDING for _, state in states):
            self._answer(pending, now)

    def _answer(self, pending: _Pending, now: Instant) -> None:
        association, states = pending.association, self._states(pending)
        del self._pending[association.session_id]
        if all(state is not KeyState.PENDING for _, state in states):
            self._send(
                association, association.seal.states(pending.number, states), pending.destination
            )
        else:  # not kept: asked again, it may be known
            answer = association.seal.states(pending.number, states)
            self._emit(SendAnswer(answer, pending.destination))
        installed = sum(state is KeyState.INSTALLED for _, state in states)
        self._emit(
            Prepared(
                association.session_id,
                association.mobile_node,
                association.station,
                installed,
                len(states),
                now.monotonic_ns - pending.started_ns,
            )
        )

    def _states(self, pending: _Pending) -> KeyStates:
        return tuple(
            (bssid, self._state(pending.association, bssid, name))
            for bssid, name in pending.names.items()
        )

    def _state(self, association: Association, bssid: str, name: bytes | None) -> KeyState:
        if bssid in self._asking:
            return KeyState.INSTALLED  # it gets it the moment that it asks
        if name is None:
            return KeyState.UNKNOWN
        where = association.keys.get(name)
        if where is None:
            return KeyState.DECLINED
        if self._deliveries.is_held(name, where.recipient):
            return KeyState.INSTALLED
        return KeyState.DECLINED if self._deliveries.is_declined(name) else KeyState.PENDING

    def _send(self, association: Association, answer: bytes, destination: Endpoint) -> None:
        association.answer = answer
        self._emit(SendAnswer(answer, destination))
