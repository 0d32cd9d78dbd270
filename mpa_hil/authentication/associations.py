"""The MPA-SAs of one AA: who has them, where they are, which keys came of them. Sans-IO."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from mpa_hil.authentication.service import Seal
from mpa_hil.authentication.states import Cue, State, follow
from mpa_hil.keys import MasterKey
from mpa_hil.light import light
from mpa_hil.mobility.interface import Endpoint


@light
class Placed:
    """Where one key of an association belongs."""

    recipient: str
    bssid: str = ""
    """Of a PMK."""


@dataclass(slots=True)
class Association:
    """One MPA-SA (RFC 6252 s4.1)."""

    session_id: int
    mobile_node: str
    """Identity that the home network vouched for."""
    address: Endpoint
    """Where the MN was last proved to be (R116)."""
    expires_ns: int
    master: MasterKey = field(repr=False)
    seal: Seal = field(repr=False)
    state: State = State.NONE
    station: str = ""
    """MAC address that its PMKs are for."""
    bssids: tuple[str, ...] = ()
    """Points of attachment that it asked to have prepared."""
    keys: dict[bytes, Placed] = field(default_factory=dict)
    """By name."""
    number: int = 0
    """Of its last question to the service."""
    answer: bytes = field(default=b"", repr=False)
    """To that question, for when it is repeated."""
    renew_ns: int = 0
    """When to authenticate it anew; 0: not wanted."""
    seen: set[bytes] = field(default_factory=set)
    """Names of the keys of access points that the MN is connected to now."""

    def follow(self, cue: Cue) -> bool:
        """Change the state; whether it is another now."""
        before, self.state = self.state, follow(self.state, cue)
        return self.state is not before


class Associations:
    """All of them, found by session, by identity and by station address."""

    def __init__(self) -> None:
        self._by_session: dict[int, Association] = {}
        self._by_identity: dict[str, OrderedDict[int, None]] = {}
        self._by_station: dict[str, int] = {}
        self._by_key: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._by_session)

    def __iter__(self) -> Iterator[Association]:
        return iter(tuple(self._by_session.values()))

    def get(self, session_id: int) -> Association | None:
        """By its PANA session."""
        return self._by_session.get(session_id)

    def of_key(self, name: bytes) -> Association | None:
        """Whose key this is."""
        session_id = self._by_key.get(name)
        return None if session_id is None else self._by_session.get(session_id)

    def of_station(self, station: str) -> Association | None:
        """Who announced this MAC address."""
        session_id = self._by_station.get(station)
        return None if session_id is None else self._by_session.get(session_id)

    def beyond(self, limit: int, mobile_node: str) -> tuple[int, ...]:
        """The oldest sessions of one identity, but for so many newest."""
        known = self._by_identity.get(mobile_node)
        if known is None or len(known) <= limit:
            return ()
        return tuple(islice(known, len(known) - limit))

    def add(self, association: Association) -> None:
        """Keep a new one."""
        self._by_session[association.session_id] = association
        known = self._by_identity.setdefault(association.mobile_node, OrderedDict())
        known[association.session_id] = None
        if association.station:
            self._by_station[association.station] = association.session_id

    def remove(self, association: Association) -> None:
        """Forget one, its keys included."""
        session_id = association.session_id
        if self._by_session.pop(session_id, None) is None:
            return
        known = self._by_identity[association.mobile_node]
        del known[session_id]
        if not known:
            del self._by_identity[association.mobile_node]
        if self._by_station.get(association.station) == session_id:
            del self._by_station[association.station]
        for name in association.keys:
            self._by_key.pop(name, None)

    def settle(self, association: Association, station: str) -> None:
        """It will come with this MAC address."""
        if self._by_station.get(association.station) == association.session_id:
            del self._by_station[association.station]
        association.station = station
        self._by_station[station] = association.session_id

    def place(self, association: Association, name: bytes, where: Placed) -> None:
        """It has this key, at this recipient."""
        association.keys[name] = where
        self._by_key[name] = association.session_id

    def displace(self, association: Association, name: bytes) -> None:
        """It has this key no more."""
        association.keys.pop(name, None)
        association.seen.discard(name)
        self._by_key.pop(name, None)
