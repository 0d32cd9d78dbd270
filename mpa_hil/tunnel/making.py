"""CREATE, DETAIN and REFRESH at the access router: what becomes of the wish. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mpa_hil.mobility.interface import NS_PER_S, Address, Instant
from mpa_hil.signalling.server import Request
from mpa_hil.signalling.values import Pair
from mpa_hil.tunnel.admission import Admission, Refuse
from mpa_hil.tunnel.interface import Code, Kind, Protect, TunnelWish, WireGuardKeys
from mpa_hil.tunnel.keyring import Keyring
from mpa_hil.tunnel.material import esp_keys, preshared
from mpa_hil.tunnel.messages import (
    NONCE_OCTETS,
    Create,
    Grant,
    decode_claim,
    decode_create,
    decode_refresh,
    encode_grant,
)
from mpa_hil.tunnel.sessions import Session, Sessions
from mpa_hil.tunnel.settings import RouterSettings
from mpa_hil.tunnel.states import Order, State

KeyPair = Callable[[], tuple[bytes, bytes]]
"""Makes a WireGuard private key with its public one."""

_LOWEST_SPI = 0x1000
_UNCHECKED = frozenset((State.TUNNELLED, State.HOLDING, State.BICASTING, State.DIRECT))
"""States in which the address is known to be its MN's: it need not be checked again."""


@dataclass(frozen=True, slots=True)
class Made:
    """What to do about a request that is granted."""

    session: Session
    order: Order | None
    """None: there is nothing to do but to answer."""
    state: State
    replaced: tuple[Session, ...] = ()
    """Of the same MN: they go first."""
    evicted: Session | None = None
    outer: Address | None = None
    """MOVE: to where."""


class Making:
    """Turns wishes into sessions."""

    def __init__(
        self,
        settings: RouterSettings,
        sessions: Sessions,
        keyring: Keyring,
        random: Callable[[int], bytes],
        key_pair: KeyPair | None,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._keyring = keyring
        self._random = random
        self._key_pair = key_pair
        self._admission = Admission(settings, sessions, random)

    def request(self, request: Request, now: Instant) -> Made:
        """Grant a request; the sessions that were there are as before.

        Raises:
            errors.DecodeError: it is none.
            Refuse: it is not granted.
        """
        owner = self._keyring.owner(request.key)
        if request.kind == Kind.CREATE:
            return self._create(owner, request, decode_create(request.values), now)
        if request.kind == Kind.DETAIN:
            return self._detain(owner, request, decode_create(request.values), now)
        if request.kind == Kind.REFRESH:
            return self._refresh(request, now)
        raise Refuse(Code.MALFORMED, f"request {request.kind}")

    def claim(self, request: Request, session: Session) -> None:
        """ENABLE of a detention: the MN must be where it has everything forwarded to.

        Raises:
            errors.DecodeError: it says something else.
            Refuse: it comes from elsewhere, or that was not proved.
        """
        outer, cookie = session.wish.outer, decode_claim(request.values)
        if request.source.address != outer:
            raise Refuse(Code.NOT_YOURS, "forwarding starts by request from where it goes to")
        self._admission.prove(request.key, outer, cookie)

    def grant(self, session: Session) -> list[Pair]:
        """The values of the OK."""
        wish = session.wish
        return encode_grant(
            Grant(
                wish.outer,
                session.router,
                wish.inner,
                wish.life_s,
                wish.hold_ms,
                wish.hold_octets,
                wish.hold_packets,
                wish.bicast,
                session.mtu,
                self._settings.mac,
                session.nonce,
                session.spi,
                session.public,
                session.port,
            )
        )

    def _create(self, owner: str, request: Request, create: Create, now: Instant) -> Made:
        wish, source = create.wish, request.source
        router = self._admission.tunnel(owner, request.key, wish, source, create.cookie)
        replaced = self._replaced(request.key, wish)
        if len(replaced) == 1 and self._as_wished(replaced[0], wish):
            session = replaced[0]  # the same again: its answer was lost, or the MN has restarted
            self._sessions.rule(session, request.key)
            self._live(session, session.wish.life_s, now)
            return Made(session, None, session.state)
        granted = self._admission.granted(wish, replaced)
        evicted = self._admission.room(owner, replaced, now.monotonic_ns)
        known = {a for old in replaced if old.state in _UNCHECKED for a in old.wish.inner}
        session = self._session(owner, request.key, granted, router, now)
        self._agree(session, create)
        order = Order.INSTALL if known >= set(wish.inner) else Order.CHECK
        state = State.TUNNELLED if order is Order.INSTALL else State.CHECKING
        return Made(session, order, state, replaced, evicted)

    def _detain(self, owner: str, request: Request, create: Create, now: Instant) -> Made:
        wish, source = create.wish, request.source
        router = self._admission.detention(owner, request.key, wish, source, create.cookie)
        replaced = self._replaced(request.key, wish)
        granted = self._admission.granted(wish, replaced)
        evicted = self._admission.room(owner, replaced, now.monotonic_ns)
        session = self._session(owner, request.key, granted, router, now)
        session.detained, session.state = True, State.DETAINED
        return Made(session, Order.PREPARE, State.DETAINED, replaced, evicted)

    def _refresh(self, request: Request, now: Instant) -> Made:
        refresh = decode_refresh(request.values)
        session = self._sessions.under(request.key)
        if session is None or session.state is State.CHECKING:
            raise Refuse(Code.NO_SESSION, "no session under this key")
        moved = refresh.outer != session.wish.outer
        if moved:
            if session.detained or session.wish.protect is Protect.ESP:
                # A session with keys from before must not use them between other addresses.
                raise Refuse(Code.WRONG_STATE, "it has to be created anew")
            key, cookie = request.key, refresh.cookie
            router = self._admission.outer(key, refresh.outer, request.source, cookie)
            if router != session.router:
                raise Refuse(Code.WRONG_STATE, "another family: it has to be created anew")
        self._live(session, min(refresh.life_s, self._settings.limits.life_s), now)
        if not moved:
            return Made(session, None, session.state)
        return Made(session, Order.MOVE, session.state, outer=refresh.outer)

    def _replaced(self, key: bytes, wish: TunnelWish) -> tuple[Session, ...]:
        """What stands under this key, or has one of these inner addresses; all of one MN."""
        found = {self._sessions.under(key), *map(self._sessions.with_inner, wish.inner)}
        return tuple(session for session in found if session is not None)

    def _as_wished(self, session: Session, wish: TunnelWish) -> bool:
        """Whether it is what is asked for, as far as its answer can be given once more."""
        have = session.wish
        same = (have.outer, have.inner, have.mac, have.bicast, have.flows, have.protect) == (
            *(wish.outer, wish.inner, wish.mac, wish.bicast, wish.flows),
            Protect.PLAIN,
        )
        standing = session.state in (State.CHECKING, State.TUNNELLED) and not session.detained
        return same and standing and wish.protect is Protect.PLAIN

    def _session(
        self, owner: str, key: bytes, wish: TunnelWish, router: Address, now: Instant
    ) -> Session:
        number = self._sessions.new_number()
        mtu = self._settings.mtu(wish.protect, wish.outer.version)
        session = Session(number, owner, key, wish, router, mtu, State.CHECKING)
        self._live(session, wish.life_s, now)
        return session

    def _live(self, session: Session, life_s: int, now: Instant) -> None:
        session.wish = replace(session.wish, life_s=life_s)
        session.used_ns = now.monotonic_ns
        session.expires_ns = now.monotonic_ns + life_s * NS_PER_S

    def _agree(self, session: Session, create: Create) -> None:
        """On keys, new ones for each session."""
        protect, secret = session.wish.protect, self._keyring.secret(session.key)
        if protect is Protect.PLAIN:
            return
        session.nonce = nonce = self._random(NONCE_OCTETS)
        if protect is Protect.ESP:
            session.spi = self._spi()
            session.keys = esp_keys(secret, create.nonce, nonce, create.spi, session.spi)
        elif self._key_pair is None:
            raise Refuse(Code.UNSUPPORTED, "no WireGuard here")
        else:
            session.private, session.public = self._key_pair()
            session.port = self._settings.wireguard_port + session.number
            mixed = preshared(secret, create.nonce, nonce)
            session.keys = WireGuardKeys(session.wish.public, session.wish.port, mixed)

    def _spi(self) -> int:
        taken = {session.spi for session in self._sessions}
        while True:
            spi = int.from_bytes(self._random(4), "big")
            if spi >= _LOWEST_SPI and spi not in taken:
                return spi
