"""The authentication agent (RFC 6252 s6.2) as one machine: PANA towards MNs, RADIUS towards the
home network, keys towards its own. Sans-IO.

PAA, EAP pass-through and key delivery know nothing of one another; here they meet. The owner
carries out what every verb returns, and calls `changes` after it to keep the associations on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from mpa_hil.authentication.admission import Admission
from mpa_hil.authentication.agenda import Agenda, Matter
from mpa_hil.authentication.associations import Association, Associations
from mpa_hil.authentication.authenticating import Authenticating, Dialogue
from mpa_hil.authentication.delivery import Deliveries
from mpa_hil.authentication.outputs import AgentOutput, Authenticated
from mpa_hil.authentication.preparing import Preparing
from mpa_hil.authentication.record import Record
from mpa_hil.authentication.service import Seal
from mpa_hil.authentication.settings import AgentSettings
from mpa_hil.authentication.states import Cue
from mpa_hil.authentication.whereabouts import Whereabouts
from mpa_hil.eap.interface import Random
from mpa_hil.keys import MasterKey
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant, Send
from mpa_hil.pana import interface as pana
from mpa_hil.pana.numbers import TerminationCause
from mpa_hil.pana.settings import PaaSettings
from mpa_hil.radius.interface import Outcome

Outputs = tuple[AgentOutput, ...]
MakePaa = Callable[[PaaSettings], pana.PaaMachine]

_ONWARD = (Send, Discarded)
_RENEW_AT = 0.8
"""Part of a lifetime after which an MN that is here is authenticated anew, if its home network
wants that (RFC 2865 s5.29)."""


class AuthenticationAgent:
    """One AA with all its MNs.

    Args:
        make_paa: makes the PAA from its settings, which get this agent's admission put in.
        random: source of secrets (`os.urandom`).
    """

    def __init__(self, settings: AgentSettings, make_paa: MakePaa, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._out: list[AgentOutput] = []
        self._changed: set[int] = set()
        self._agenda = Agenda()
        emit = self._out.append
        admission = settings.admission
        if admission.networks:  # those who are here already are known, too
            networks = admission.networks + settings.own_networks
            admission = replace(admission, networks=networks)
        self.admission = gate = Admission(admission, random)
        self._paa = make_paa(
            replace(settings.pana, admit=gate.admit, admit_session=gate.admit_session)
        )
        self.associations = Associations()
        limits = settings.limits
        self._whereabouts = Whereabouts(
            self.associations,
            self._agenda,
            settings.own_networks,
            limits.leave_grace_s,
            emit,
            self._changed.add,
        )
        self._deliveries = Deliveries(
            settings.name,
            settings.recipients,
            settings.delivery,
            self.associations,
            emit,
            lambda name, now: self._preparing.settled(name, now),
            self._whereabouts.seen,
        )
        self._preparing = Preparing(
            settings,
            self.associations,
            self._deliveries,
            emit,
            self._supersede,
            self._on_question,
        )
        self._authenticating = Authenticating(
            settings, self._paa, gate, random, emit, self._refusal
        )
        self._handlers: dict[type[pana.PanaOutput], Callable[..., None]] = {
            pana.SessionStarted: self._on_started,
            pana.EapPacket: self._on_eap,
            pana.Established: self._on_established,
            pana.Rejected: self._on_over,
            pana.Ended: self._on_over,
            pana.Lost: self._on_over,
            pana.BecameServing: self._on_serving,
            pana.AddressChanged: lambda event, now: self._whereabouts.moved(event),
            pana.Changed: lambda event, now: self._changed.add(event.session_id),
            pana.Answered: lambda event, now: None,
        }

    @property
    def half_open(self) -> int:
        """Authentications under way."""
        return self._paa.half_open_count

    @property
    def settled(self) -> bool:
        """Every recipient that is connected holds what it should."""
        return self._deliveries.settled

    def is_held(self, association: Association, name: bytes) -> bool:
        """Whether the recipient of a key has confirmed it."""
        return self._deliveries.is_held(name, association.keys[name].recipient)

    # What comes in

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """A datagram on the PANA port."""
        return self._take(self._paa.receive(datagram, source, now), now)

    def receive_question(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """A datagram on the service port."""
        self._preparing.receive(datagram, source, now)
        return self._take((), now)

    def aaa_answered(self, outcome: Outcome, now: Instant) -> Outputs:
        """The RADIUS client's word on an `AskAaa`."""
        return self._take(self._authenticating.answered(outcome, now), now)

    def recipient_connected(self, recipient: str, now: Instant) -> Outputs:
        """A connection to a recipient stands, certificates checked."""
        self._deliveries.connected(recipient, now)
        return self._take((), now)

    def recipient_received(self, recipient: str, octets: bytes, now: Instant) -> Outputs:
        """Octets came from a recipient."""
        self._deliveries.received(recipient, octets, now)
        return self._take((), now)

    def recipient_lost(self, recipient: str, now: Instant) -> Outputs:
        """The connection to a recipient is gone."""
        self._deliveries.disconnected(recipient, now)
        return self._take((), now)

    def station_key(self, station: str, bssid: str) -> tuple[bytes, int] | None:
        """For a point of attachment that asks for keys itself: the PMK of a station that has asked
        for it to be prepared, and when that ends (monotonic nanoseconds)."""
        association = self.associations.of_station(station)
        if association is None or bssid not in association.bssids:
            return None
        return association.master.pmk(bssid).secret, association.expires_ns

    def release(self, session_id: int, now: Instant) -> Outputs:
        """Somebody who knows says that this MN has left (R114)."""
        association = self.associations.get(session_id)
        if association is not None:
            self._whereabouts.cue(association, Cue.LEFT, "command")
        return self._take((), now)

    def end(self, session_id: int, now: Instant) -> Outputs:
        """End an association, and tell the MN."""
        return self._take(
            self._paa.terminate(session_id, TerminationCause.ADMINISTRATIVE, now), now
        )

    def stop(self, now: Instant) -> Outputs:
        """End them all: keys are withdrawn, MNs told once."""
        cause = TerminationCause.ADMINISTRATIVE
        for association in self.associations:
            self._carry_on(self._paa.terminate(association.session_id, cause, now), now)
            self._end(association, "the agent stops", now)
        return self._take((), now)

    def expire(self, now: Instant) -> Outputs:
        """Do what is due; harmless at other times."""
        outputs = list(self._paa.expire(now))
        self._deliveries.expire(now)
        self._preparing.expire(now)
        for at_ns, matter, session_id in self._agenda.due(now):
            association = self.associations.get(session_id)
            if association is None:
                continue
            if matter is Matter.PRESENCE:
                self._whereabouts.look_again(association)
            elif matter is Matter.RENEWAL and association.renew_ns == at_ns:
                outputs += self._paa.reauthenticate(session_id, now)
        return self._take(outputs, now)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""
        soonest = self._paa.next_deadline()
        for machine in (self._deliveries, self._preparing, self._agenda):
            due = machine.next_deadline()
            if due is not None and (soonest is None or due < soonest):
                soonest = due
        return soonest

    # Across restarts

    def changes(self, now: Instant) -> tuple[tuple[int, Record | None], ...]:
        """What to write down since the last call: sessions with their records, or None for those
        that are over."""
        if not self._changed:
            return ()
        found = tuple((session_id, self._record(session_id, now)) for session_id in self._changed)
        self._changed.clear()
        return found

    def restore(self, record: Mapping[str, object], now: Instant) -> bool:
        """Take up an association again; whether it was still good.

        Raises:
            DecodeError: the record is none.
        """
        known = Record.read(record)
        session = self._paa.restore(known.pana, now)
        if session is None or session.pac is None:
            return False
        association = self._associate(session, known.mobile_node, session.pac)
        association.state = known.state
        association.number = known.number
        if known.station:
            self.associations.settle(association, known.station)
        association.bssids = known.bssids
        self._deliveries.agent_keys(association, now)
        self._preparing.renew(association, now)
        return True

    # What PANA says

    def _take(self, outputs: Iterable[pana.PanaOutput], now: Instant) -> Outputs:
        self._carry_on(outputs, now)
        if not self._out:
            return ()
        taken = tuple(self._out)
        self._out.clear()
        return taken

    def _carry_on(self, outputs: Iterable[pana.PanaOutput], now: Instant) -> None:
        for output in outputs:
            handle = self._handlers.get(type(output))
            if handle is not None:
                handle(output, now)
            elif isinstance(output, _ONWARD):
                self._out.append(output)

    def _on_started(self, event: pana.SessionStarted, now: Instant) -> None:
        self._carry_on(self._authenticating.started(event, now), now)

    def _on_eap(self, event: pana.EapPacket, now: Instant) -> None:
        self._carry_on(self._authenticating.packet(event, now), now)

    def _on_established(self, event: pana.Established, now: Instant) -> None:
        session = event.session
        dialogue = self._authenticating.finish(session.session_id, now)
        source = session.pac
        if dialogue is None or source is None:
            return
        known = self.associations.get(session.session_id)
        if known is None:
            association = self._associate(session, dialogue.mobile_node, source)
            self._deliveries.agent_keys(association, now)
        else:
            association = known
            self._renew(association, session, now)
        self._report(session, dialogue, source, now)
        early = session.preauthentication
        self._whereabouts.cue(
            association, Cue.PREAUTHENTICATED if early else Cue.AUTHENTICATED, "EAP succeeded"
        )
        if dialogue.renew:
            after_ns = int(_RENEW_AT * session.lifetime_s * NS_PER_S)
            association.renew_ns = now.monotonic_ns + after_ns
            self._agenda.put(association.renew_ns, Matter.RENEWAL, session.session_id)
        self._changed.add(session.session_id)
        self._limit(association, now)

    def _on_over(self, event: pana.Rejected | pana.Ended | pana.Lost, now: Instant) -> None:
        reason = "the MN does not answer"
        if isinstance(event, pana.Ended):
            reason = event.cause.value
        elif isinstance(event, pana.Rejected):
            reason = event.code.name.lower()
        self._authenticating.abandon(event.session_id, reason, now)
        association = self.associations.get(event.session_id)
        if association is not None:
            self._end(association, reason, now)

    def _on_serving(self, event: pana.BecameServing, now: Instant) -> None:
        self._whereabouts.serving(event)
        association = self.associations.get(event.session.session_id)
        if association is not None:
            self._deliveries.presence(association, True, now)

    def _on_question(self, association: Association, source: Endpoint) -> None:
        session = self._paa.session(association.session_id)
        self._whereabouts.asked(association, source, session)

    # Associations

    def _refusal(self, session_id: int, mobile_node: str) -> str:
        known = self.associations.get(session_id)
        if known is not None:
            same = known.mobile_node == mobile_node
            return "" if same else "another identity than the session's"
        full = len(self.associations) >= self._settings.limits.associations
        return "this agent has no room for another association" if full else ""

    def _associate(
        self, session: pana.PanaSession, mobile_node: str, source: Endpoint
    ) -> Association:
        master = MasterKey(session.sa, self._settings.realm)
        seal = Seal(session.sa, self._settings.realm, self._random)
        expires_ns = session.expires_ns
        association = Association(session.session_id, mobile_node, source, expires_ns, master, seal)
        self.associations.add(association)
        return association

    def _renew(self, association: Association, session: pana.PanaSession, now: Instant) -> None:
        """New keys everywhere, then the old ones go."""
        old = tuple(association.keys)
        association.master = MasterKey(session.sa, self._settings.realm)
        association.seal = Seal(session.sa, self._settings.realm, self._random)
        association.expires_ns = session.expires_ns
        self._deliveries.agent_keys(association, now)
        self._preparing.renew(association, now)
        self._deliveries.withdraw(association, old, now)

    def _limit(self, association: Association, now: Instant) -> None:
        """No identity has more than its share; the association that was made first goes first."""
        limit = self._settings.limits.sessions_per_identity
        for session_id in self.associations.beyond(limit, association.mobile_node):
            older = self.associations.get(session_id)
            if older is not None:
                cause = TerminationCause.ADMINISTRATIVE
                self._carry_on(self._paa.terminate(session_id, cause, now), now)
                self._end(older, "the identity has too many", now)

    def _supersede(self, older: Association, now: Instant) -> None:
        """The same MN has begun anew; nobody is left to be told that the older one is over."""
        self._paa.drop(older.session_id)
        self._end(older, "superseded", now)

    def _end(self, association: Association, reason: str, now: Instant) -> None:
        self._whereabouts.cue(association, Cue.ENDED, reason)
        self._preparing.forget(association)
        self._deliveries.withdraw(association, association.keys, now)
        self.associations.remove(association)
        self._changed.add(association.session_id)

    def _record(self, session_id: int, now: Instant) -> Record | None:
        association = self.associations.get(session_id)
        preserved = self._paa.preserve(session_id, now) if association is not None else None
        if association is None or preserved is None:
            return None
        return Record(
            preserved,
            association.mobile_node,
            association.state,
            association.station,
            association.bssids,
            association.number,
        )

    def _report(
        self, session: pana.PanaSession, dialogue: Dialogue, source: Endpoint, now: Instant
    ) -> None:
        self._out.append(
            Authenticated(
                session.session_id,
                session.key_id,
                dialogue.mobile_node,
                source,
                session.lifetime_s,
                now.monotonic_ns - dialogue.started_ns,
                dialogue.aaa_round_trips,
                dialogue.aaa_ns,
            )
        )
