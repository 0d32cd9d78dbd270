"""Whether an MN with an MPA-SA is here, by all that tells it (RFC 6252 C.2, R114-R116). Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network

from mpa_hil.authentication.agenda import Agenda, Matter
from mpa_hil.authentication.associations import Association, Associations
from mpa_hil.authentication.outputs import AgentOutput, Moved, StateChanged
from mpa_hil.authentication.states import Cue, State
from mpa_hil.mobility.interface import NS_PER_S, Address, Endpoint, Instant
from mpa_hil.pana import interface as pana


class Whereabouts:
    """Turns signs of an MN's coming and going into changes of its state.

    Args:
        own: networks whose addresses MNs have that are here; empty: nobody says.
        grace_s: how long an MN may be seen by no access point.
        changed: called when an association is to be stored anew.
    """

    def __init__(
        self,
        associations: Associations,
        agenda: Agenda,
        own: tuple[IPv4Network | IPv6Network, ...],
        grace_s: float,
        emit: Callable[[AgentOutput], None],
        changed: Callable[[int], None],
    ) -> None:
        self._associations = associations
        self._agenda = agenda
        self._own = own
        self._grace_ns = int(grace_s * NS_PER_S)
        self._emit = emit
        self._changed = changed

    def cue(self, association: Association, cue: Cue, detail: str) -> None:
        """Change a state, if the table says so, and tell."""
        if association.follow(cue):
            session_id, node = association.session_id, association.mobile_node
            self._emit(StateChanged(session_id, node, association.state, cue, detail))
            self._changed(session_id)

    def serving(self, event: pana.BecameServing) -> None:
        """The MN says under the MPA-SA that it has come (RFC 5873 s3)."""
        association = self._associations.get(event.session.session_id)
        if association is not None:
            self.cue(association, Cue.PROVED_HERE, "it says so under the MPA-SA")

    def moved(self, event: pana.AddressChanged) -> None:
        """The MN proved another address (R116). From elsewhere it means that it has left."""
        association = self._associations.get(event.session.session_id)
        address = event.session.pac
        if association is None or address is None:
            return
        association.address = address
        node, session_id = association.mobile_node, association.session_id
        self._emit(Moved(session_id, node, address, event.before))
        self._changed(session_id)
        if self._own and not event.session.preauthentication:
            here = self._is_own(address.address)
            self.cue(association, Cue.PROVED_HERE if here else Cue.LEFT, "its new address")

    def asked(
        self, association: Association, source: Endpoint, session: pana.PanaSession | None
    ) -> None:
        """Whoever came once and asks from here proves to be back (R115)."""
        self._changed(association.session_id)
        if session is not None and not session.preauthentication and self._is_own(source.address):
            self.cue(association, Cue.PROVED_HERE, "its question from here")

    def seen(self, name: bytes, present: bool, now: Instant) -> None:
        """An access point has, or lost, the MN of this key."""
        association = self._associations.of_key(name)
        if association is None:
            return
        if present:
            association.seen.add(name)
            return
        association.seen.discard(name)
        if not association.seen and association.state is State.AUTHORISED:
            at_ns = now.monotonic_ns + self._grace_ns
            self._agenda.put(at_ns, Matter.PRESENCE, association.session_id)

    def look_again(self, association: Association) -> None:
        """The grace is over."""
        if not association.seen:
            self.cue(association, Cue.LEFT, "no access point sees it any more")

    def _is_own(self, address: Address) -> bool:
        return any(address in network for network in self._own)
