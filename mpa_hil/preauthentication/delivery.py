"""The keys of one network's points of attachment, at both ends. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mpa_hil.authentication.service import KeyState
from mpa_hil.discovery.description import PointOfAttachment
from mpa_hil.keys import MasterKey, pmkid
from mpa_hil.mobility.interface import Instant
from mpa_hil.pana.interface import PanaSession

from .confirmation import Confirmation
from .interface import Install, PointKey, PointReady, Remove
from .settings import Settings


@dataclass(slots=True)
class _End:
    """One point of attachment."""

    point: PointOfAttachment
    pmkid: bytes = b""
    agent: KeyState = KeyState.PENDING
    supplicant: bool | None = None
    """None: not heard of yet."""
    detail: str = ""
    told: bool = False

    @property
    def ready(self) -> bool:
        return bool(self.supplicant) and self.agent is KeyState.INSTALLED

    @property
    def hopeless(self) -> bool:
        """It will not become ready any more."""
        refused = self.agent in (KeyState.DECLINED, KeyState.UNKNOWN)
        return refused or self.supplicant is False


@dataclass(slots=True)
class Delivery:
    """Who holds which key.

    Args:
        random: source of nonces.
    """

    realm: str
    settings: Settings
    random: Callable[[int], bytes] = field(repr=False)
    _ends: dict[str, _End] = field(default_factory=dict)
    _confirmation: Confirmation | None = None

    def begin(
        self, session: PanaSession, points: Iterable[PointOfAttachment], now: Instant
    ) -> tuple[Install, bytes | None]:
        """Derive keys for these points: what to install here, and the question to the agent."""
        install = self._install(session, points)
        for key in install.keys:
            self._ends[key.point.bssid] = _End(key.point, key.pmkid)
        return install, self._question(session, now)

    def verify(self, session: PanaSession, now: Instant) -> bytes | None:
        """Ask whether the access points have their keys, all of them anew."""
        for end in self._ends.values():
            end.agent, end.told = KeyState.PENDING, False
        return self._question(session, now)

    def _question(self, session: PanaSession, now: Instant) -> bytes | None:
        pending = [b for b, end in self._ends.items() if end.agent is KeyState.PENDING]
        self._confirmation = Confirmation(
            session.sa, self.realm, pending, self.settings, self.random
        )
        return self._confirmation.ask(now)

    def again(self, session: PanaSession) -> Install | None:
        """The keys once more, for a supplicant that has forgotten them."""
        return self._install(session, self.points) if self._ends else None

    def _install(self, session: PanaSession, points: Iterable[PointOfAttachment]) -> Install:
        master = MasterKey(session.sa, self.realm)
        keys = []
        for point in points:
            pmk = master.pmk(point.bssid).secret
            name = pmkid(pmk, point.bssid, self.settings.station)
            keys.append(PointKey(point, name, pmk))
        return Install(self.realm, tuple(keys), session.expires_ns)

    @property
    def points(self) -> tuple[PointOfAttachment, ...]:
        """Those that have, or may yet get, a key."""
        return tuple(end.point for end in self._ends.values())

    @property
    def under_way(self) -> bool:
        """Not all that was begun is accounted for."""
        return any(not end.told for end in self._ends.values())

    @property
    def complete(self) -> bool:
        """Nothing more is waited for."""
        return all(
            end.supplicant is not None and (end.hopeless or end.ready)
            for end in self._ends.values()
        )

    @property
    def ready(self) -> int:
        """Points with the key at both ends."""
        return sum(end.ready for end in self._ends.values())

    @property
    def answered(self) -> bool:
        """The agent has said something about the keys."""
        return self._confirmation is not None and self._confirmation.answered

    @property
    def unheard(self) -> bool:
        """The agent was asked several times and never answered."""
        return self._confirmation is not None and self._confirmation.unheard

    def installed(self, results: Mapping[str, str]) -> None:
        """What the supplicant did, by BSSID: an empty text, or why it did not take the key."""
        for bssid, reason in results.items():
            end = self._ends.get(bssid)
            if end is not None:
                end.supplicant, end.detail = not reason, reason

    def receive(self, datagram: bytes, now: Instant) -> None:
        """Digest the agent's answer.

        Raises:
            DecodeError: it is none.
        """
        if self._confirmation is None:
            return
        self._confirmation.receive(datagram, now)
        for bssid, state in self._confirmation.states.items():
            if bssid in self._ends:
                self._ends[bssid].agent = state

    def account(self) -> tuple[list[PointReady], Remove | None]:
        """What became of the points not told of yet; and the keys that make no sense."""
        told = []
        for end in self._ends.values():
            if not end.told:
                end.told = True
                held = bool(end.supplicant)
                told.append(
                    PointReady(self.realm, end.point, end.pmkid, end.agent, held, end.detail)
                )
        vain = tuple(end.point for end in self._ends.values() if end.hopeless)
        if self._confirmation is not None:
            self._confirmation.stop()
        return told, self.remove(vain)

    def remove(self, points: Iterable[PointOfAttachment]) -> Remove | None:
        """Forget points; what the supplicant is to forget."""
        gone = [self._ends.pop(p.bssid) for p in points if p.bssid in self._ends]
        held = tuple(end.point for end in gone if end.supplicant is not False)
        return Remove(self.realm, held) if held else None

    def disown(self, bssid: str) -> None:
        """The supplicant has made a key of its own for this point, which is its to remove."""
        self._ends.pop(bssid, None)

    def summary(self) -> str:
        """How far it got, in words."""
        words = []
        for end in self._ends.values():
            here = {None: "supplicant silent", True: "", False: end.detail}[end.supplicant]
            there = "" if end.agent is KeyState.INSTALLED else f"agent: {end.agent.name.lower()}"
            words.append(f"{end.point.name} ({', '.join(filter(None, (here, there))) or 'ready'})")
        heard = "" if self.answered else "the agent did not answer the question for keys; "
        return heard + ", ".join(words)

    def expire(self, now: Instant) -> bytes | None:
        """The question that is due, if one is."""
        return self._confirmation.expire(now) if self._confirmation else None

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns."""
        return self._confirmation.next_deadline() if self._confirmation else None
