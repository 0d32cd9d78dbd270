"""Which key goes where, and what came of it: all the AA's distributors behind one face. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mpa_hil.authentication.associations import Association, Associations, Placed
from mpa_hil.authentication.outputs import (
    AgentOutput,
    CloseRecipient,
    KeyChanged,
    RecipientReady,
    ToRecipient,
)
from mpa_hil.authentication.settings import Recipient
from mpa_hil.errors import LocalError
from mpa_hil.key_delivery import distributor
from mpa_hil.keys import Key, Usage, bssid_of, mac_octets
from mpa_hil.mobility.interface import Instant

Emit = Callable[[AgentOutput], None]


class Deliveries:
    """Keeps every recipient holding what the associations say.

    Args:
        name: of this AA, in its certificate.
        settled: called with the name of each key that a recipient has answered about.
        seen: called with the name of a key, and whether its MN is there now.

    Raises:
        LocalError: two recipients with one name or for one access point.
    """

    def __init__(
        self,
        name: str,
        recipients: Iterable[Recipient],
        tuning: distributor.Tuning,
        associations: Associations,
        emit: Emit,
        settled: Callable[[bytes, Instant], None],
        seen: Callable[[bytes, bool, Instant], None],
    ) -> None:
        self._associations = associations
        self._emit = emit
        self._settled = settled
        self._seen = seen
        self._lines: dict[str, distributor.Distributor] = {}
        self._points: dict[str, str] = {}
        self._agents: list[tuple[Recipient, bytes]] = []
        self._routers: set[str] = set()
        self._declined: dict[bytes, str] = {}
        self._soonest_ns: int | None = None
        """No distributor has anything to do before; `expire` at this time finds the next."""
        for recipient in recipients:
            if recipient.name in self._lines:
                raise LocalError("two recipients of keys have this name", where=recipient.name)
            self._lines[recipient.name] = distributor.Distributor(name, recipient.name, tuning)
            if recipient.usage is Usage.MN_AR:
                self._routers.add(recipient.name)
            for peer in recipient.peers:
                if recipient.usage is not Usage.PMK:
                    self._agents.append((recipient, peer))
                elif self._points.setdefault(bssid_of(peer), recipient.name) != recipient.name:
                    raise LocalError("two recipients for one BSSID", where=bssid_of(peer))

    @property
    def bssids(self) -> tuple[str, ...]:
        """Every point of attachment of this network."""
        return tuple(self._points)

    @property
    def settled(self) -> bool:
        """Every recipient that is connected holds what it should."""
        return all(line.settled for line in self._lines.values() if line.connected_now)

    def knows(self, bssid: str) -> bool:
        """Whether there is a way to put keys into this point of attachment."""
        return bssid in self._points

    def is_held(self, name: bytes, recipient: str) -> bool:
        """Whether a recipient confirmed a key."""
        return self._lines[recipient].is_held(name)

    def is_declined(self, name: bytes) -> bool:
        """Whether a recipient would not have a key when it was last offered."""
        return name in self._declined

    def agent_keys(self, association: Association, now: Instant) -> None:
        """Give CA and AR the keys that they share with this MN (R19)."""
        for recipient, peer in self._agents:
            master = association.master
            derive = master.mn_ca_of if recipient.usage is Usage.MN_CA else master.mn_ar_of
            self._give(association, derive(peer), Placed(recipient.name), b"", now)

    def point_key(self, association: Association, bssid: str, now: Instant) -> bytes:
        """Give a point of attachment its PMK (R86); the key's name."""
        key = association.master.pmk(bssid)
        where = Placed(self._points[bssid], bssid)
        self._give(association, key, where, mac_octets(association.station), now)
        return key.name

    def withdraw(self, association: Association, names: Iterable[bytes], now: Instant) -> None:
        """Take keys back."""
        for name in tuple(names):
            where = association.keys[name]
            self._associations.displace(association, name)
            self._declined.pop(name, None)
            outputs = self._lines[where.recipient].withdraw(name, now)
            self._carry_out(where.recipient, outputs, now)

    def presence(self, association: Association, present: bool, now: Instant) -> None:
        """Tell the access routers that an MN came, or left: it may be held for (R61, R62)."""
        for name, where in association.keys.items():
            if where.recipient in self._routers:
                outputs = self._lines[where.recipient].presence(name, present)
                self._carry_out(where.recipient, outputs, now)

    def connected(self, recipient: str, now: Instant) -> None:
        """A connection to a recipient stands."""
        self._carry_out(recipient, self._lines[recipient].connected(now), now)

    def received(self, recipient: str, octets: bytes, now: Instant) -> None:
        """Octets came from a recipient."""
        self._carry_out(recipient, self._lines[recipient].receive(octets, now), now)

    def disconnected(self, recipient: str, now: Instant) -> None:
        """The connection to a recipient is gone."""
        self._lines[recipient].disconnected(now)

    def expire(self, now: Instant) -> None:
        """Do what is due."""
        if self._soonest_ns is None or self._soonest_ns > now.monotonic_ns:
            return
        self._soonest_ns = None
        for recipient, line in self._lines.items():
            deadline_ns = line.next_deadline()
            due = deadline_ns is not None and deadline_ns <= now.monotonic_ns
            self._carry_out(recipient, line.expire(now) if due else (), now)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do (or a little earlier), or None."""
        return self._soonest_ns

    def _give(
        self, association: Association, key: Key, where: Placed, station: bytes, now: Instant
    ) -> None:
        self._associations.place(association, key.name, where)
        grant = distributor.Grant(key, association.mobile_node, station, association.expires_ns)
        outputs = self._lines[where.recipient].install(grant, now)
        self._carry_out(where.recipient, outputs, now)

    def _carry_out(
        self, recipient: str, outputs: Iterable[distributor.Output], now: Instant
    ) -> None:
        due_ns = self._lines[recipient].next_deadline()
        if due_ns is not None and (self._soonest_ns is None or due_ns < self._soonest_ns):
            self._soonest_ns = due_ns
        for output in outputs:
            if isinstance(output, distributor.Transmit):
                self._emit(ToRecipient(recipient, output.octets))
            elif isinstance(output, distributor.Installed):
                self._declined.pop(output.name, None)
                self._emit(KeyChanged(recipient, output.name, "installed"))
                self._settled(output.name, now)
            elif isinstance(output, distributor.Withdrawn):
                self._emit(KeyChanged(recipient, output.name, "withdrawn"))
            elif isinstance(output, distributor.Declined):
                if self._declined.get(output.name) != output.reason:
                    self._declined[output.name] = output.reason
                    self._emit(KeyChanged(recipient, output.name, "declined", output.reason))
                self._settled(output.name, now)
            elif isinstance(output, distributor.Seen):
                self._seen(output.name, output.present, now)
                association = self._associations.of_key(output.name)
                if association is not None:
                    self.presence(association, output.present, now)
            elif isinstance(output, distributor.Ready):
                self._emit(RecipientReady(recipient, output.held))
            else:
                self._emit(CloseRecipient(recipient, output.reason))
