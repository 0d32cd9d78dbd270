"""The access router's tunnels (RFC 6252 s7.4, s7.6.1) as one machine. Sans-IO.

It is given the MN-AR keys and the datagrams, and says what the kernel must do: `Act`, which is
followed by `acted`, and only then by an answer. So an answer that says done is true. Whatever an MN
sends, it can only touch what is under its own key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant, Send
from mpa_hil.signalling.client import NamedSecret
from mpa_hil.signalling.message import Protocol
from mpa_hil.signalling.server import Reply, Request, Server
from mpa_hil.signalling.values import Pair
from mpa_hil.tunnel.admission import Refuse
from mpa_hil.tunnel.interface import Code, Kind
from mpa_hil.tunnel.keyring import Keyring
from mpa_hil.tunnel.making import KeyPair, Making
from mpa_hil.tunnel.material import is_leave, leave_datagram
from mpa_hil.tunnel.messages import OK, REFUSED, encode_drained, encode_refusal
from mpa_hil.tunnel.outputs import Act, Changed, Failed, Refusal, RouterOutput
from mpa_hil.tunnel.sessions import NEVER, Asked, Session, Sessions
from mpa_hil.tunnel.settings import RouterSettings
from mpa_hil.tunnel.states import Cue, Order, State, follow

Outputs = tuple[RouterOutput, ...]

_NS_PER_MS = 1_000_000
_CUES = {
    Kind.DISABLE: Cue.DISABLE,
    Kind.ENABLE: Cue.ENABLE,
    Kind.ARRIVED: Cue.ARRIVED,
    Kind.DELETE: Cue.DELETE,
}
"""What is asked of a session that stands; the other kinds make one."""
_SETTING_UP = frozenset((Order.INSTALL, Order.PREPARE))
_KINDS: dict[int, Kind] = {kind.value: kind for kind in Kind}
_FATAL = frozenset(
    (Order.INSTALL, Order.PREPARE, Order.DIRECT, Order.RESUME, Order.RESTAGE, Order.MOVE)
)
"""What leaves a session in no state at all when the kernel refuses: it goes, whole."""


class RouterTunnels:
    """All sessions of one access router.

    Args:
        random: source of epochs, nonces and secrets (`os.urandom`).
        key_pair: makes a WireGuard key pair; None: no WireGuard.
    """

    def __init__(
        self,
        settings: RouterSettings,
        random: Callable[[int], bytes],
        key_pair: KeyPair | None = None,
    ) -> None:
        self._settings = settings
        self._server = Server(Protocol.TUNNEL, random)
        self._keyring = Keyring()
        self.sessions = Sessions()
        self._making = Making(settings, self.sessions, self._keyring, random, key_pair)

    # What comes in

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        """Digest a datagram; whatever it holds, this raises nothing."""
        if is_leave(datagram):
            return self._left(datagram, source, now)
        said = self._server.receive(datagram, source, now)
        if isinstance(said, Request):
            return self._request(said, now)
        if isinstance(said, Reply):
            return (Send(said.datagram, source),)
        return (said,)

    def key_added(self, key: NamedSecret, owner: str, now: Instant) -> Outputs:
        """The authentication agent delivered an MN-AR key.

        Raises:
            LocalError: its name begins as another's.
        """
        self._server.add_key(key)
        self._keyring.add(key, owner)
        session = self.sessions.under(key.name)
        if session is not None:  # from before a restart
            session.orphan_ns = NEVER
        return ()

    def key_withdrawn(self, name: bytes, now: Instant) -> Outputs:
        """The key is over. A newer one of the same MN takes its session on."""
        self._server.remove_key(name)
        self._keyring.remove(name)
        session = self.sessions.under(name)
        return () if session is None else self._without_key(session, now)

    def seen(self, name: bytes, present: bool, now: Instant) -> Outputs:
        """The MN of this key associated with an access point of the link, or left it (R62)."""
        session = self.sessions.under(name)
        if session is None or not present:
            return ()
        return self._cue(session, Cue.ASSOCIATED, now)

    def checked(self, session: Session, fault: Code | None, now: Instant) -> Outputs:
        """The result of CHECK: nobody has the addresses, or why they cannot be had."""
        if session.state is not State.CHECKING:
            return ()
        if fault is None:
            return (
                Act(Order.INSTALL, session, Cue.FREE, State.TUNNELLED, session.asked, Kind.CREATE),
            )
        asked, session.asked = session.asked, None
        outputs = list(self._become(session, State.GONE, Cue.TAKEN, now))
        if asked is not None:
            why = "somebody on the link has the address"
            outputs[:0] = self._refuse(asked, session.owner, Kind.CREATE, fault, why, now)
        return tuple(outputs)

    def acted(self, act: Act, failure: str, now: Instant) -> Iterator[RouterOutput]:
        """The kernel carried an `Act` out, or says why not.

        The answer comes first, and what follows from it is thought of when it has been taken: carry
        each out as it comes, and take them all.
        """
        if failure:
            yield from self._failed(act, failure, now)
            return
        if act.order is Order.ADVERTISE:
            return
        session, asked = act.session, act.asked
        if act.outer is not None:
            session.wish = replace(session.wish, outer=act.outer)
        if asked is not None:
            yield self._answer(asked, OK, self._said(act.kind, session), now)
            if act.kind is Kind.DISABLE:
                self._expect_leave(session, asked)
            elif act.kind is Kind.ARRIVED:
                self._arrived(session, asked, now)
            elif act.kind is Kind.ENABLE:  # the end mark of that hold will never come
                yield from self._drained(session, now)
            session.asked = None
        yield from self._become(session, act.state, act.cue, now)
        if act.order in _SETTING_UP and session.wish.advertise and not session.detained:
            yield Act(Order.ADVERTISE, session, act.cue, session.state)

    def expire(self, now: Instant) -> Outputs:
        """Do what is due; harmless at other times."""
        outputs: list[RouterOutput] = []
        for session in self.sessions.due(now):
            now_ns = now.monotonic_ns
            if session.drain_ns <= now_ns:
                outputs += self._drained(session, now)
            if session.orphan_ns <= now_ns:
                session.orphan_ns = NEVER
                outputs += self._without_key(session, now)
            elif session.expires_ns <= now_ns:
                session.expires_ns = NEVER
                outputs += self._cue(session, Cue.EXPIRED, now)
            elif session.hold_ns <= now_ns:
                session.hold_ns = NEVER
                cue = Cue.UNCLAIMED if session.detained else Cue.LIMIT
                outputs += self._cue(session, cue, now)
            elif session.linger_ns <= now_ns:
                session.linger_ns = NEVER
                outputs += self._cue(session, Cue.LINGERED, now)
            self.sessions.plan(session)
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""
        return self.sessions.next_deadline()

    def stop(self, now: Instant) -> Outputs:
        """Everything goes."""
        return tuple(
            output for session in self.sessions for output in self._cue(session, Cue.STOPPED, now)
        )

    def restore(self, session: Session, now: Instant) -> None:
        """Take up a session that stands in the kernel since before a restart. It is over unless its
        key is delivered again."""
        session.orphan_ns = now.monotonic_ns + int(self._settings.orphan_s * NS_PER_S)
        self.sessions.add(session)

    # Requests

    def _request(self, request: Request, now: Instant) -> Outputs:
        asked = Asked(request.token, request.source)
        kind = _KINDS.get(request.kind)
        cue = None if kind is None else _CUES.get(kind)
        if kind is None or cue is None:
            return self._make(request, asked, now)
        session = self.sessions.under(request.key)
        if request.token.message.body and kind is not Kind.ENABLE:
            return self._refuse_of(request, Code.MALFORMED, "it should say nothing", now)
        if session is None:
            if kind is Kind.DELETE:
                return (self._answer(asked, OK, (), now),)
            return self._refuse_of(request, Code.NO_SESSION, "no session under this key", now)
        if session.detained and kind is Kind.ENABLE:
            try:
                self._making.claim(request, session)
            except (DecodeError, Refuse) as error:
                return self._turn_down(request, error, now)
        session.used_ns = now.monotonic_ns
        if session.wish.bicast and kind is Kind.DISABLE:
            cue = Cue.BICAST
        step = follow(session.state, cue)
        if step is None:
            why = f"{kind.name} while {session.state.value}"
            return self._refuse_of(request, Code.WRONG_STATE, why, now)
        if step.order is not None:
            return (Act(step.order, session, cue, step.state, asked, kind),)
        if kind is Kind.DISABLE:
            self._expect_leave(session, asked)
        elif kind is Kind.ARRIVED:
            self._arrived(session, asked, now)
        answer = self._answer(asked, OK, self._said(kind, session), now)
        return (answer, *self._become(session, step.state, cue, now))

    def _make(self, request: Request, asked: Asked, now: Instant) -> Outputs:
        try:
            made = self._making.request(request, now)
        except (DecodeError, Refuse) as error:
            return self._turn_down(request, error, now)
        session, kind = made.session, Kind(request.kind)
        if made.order is None:
            self.sessions.plan(session)
            if session.state is State.CHECKING:
                session.asked = asked
                return ()
            return (self._answer(asked, OK, self._making.grant(session), now),)
        if made.order is Order.MOVE:
            self.sessions.plan(session)
            state, outer = session.state, made.outer
            return (Act(Order.MOVE, session, Cue.MOVED, state, asked, kind, outer),)
        outputs: list[RouterOutput] = []
        for old in made.replaced:
            outputs += self._cue(old, Cue.REPLACED, now)
        if made.evicted is not None:
            outputs += self._cue(made.evicted, Cue.EVICTED, now)
        self.sessions.add(session)
        if made.order is Order.CHECK:
            session.asked = asked
            outputs.append(Act(Order.CHECK, session, Cue.FREE, State.CHECKING))
        else:
            outputs.append(Act(made.order, session, Cue.FREE, made.state, asked, kind))
        return tuple(outputs)

    # States

    def _cue(self, session: Session, cue: Cue, now: Instant) -> Outputs:
        """Something other than a request happened to a session."""
        step = follow(session.state, cue)
        if step is None:
            return ()
        if step.order is not None:
            return (Act(step.order, session, cue, step.state),)
        return self._become(session, step.state, cue, now)

    def _become(self, session: Session, state: State, cue: Cue, now: Instant) -> Outputs:
        before, now_ns = session.state, now.monotonic_ns
        if before is state and cue is not Cue.FREE:
            return ()
        session.state = state
        held_ns = now_ns - session.held_since_ns if before is State.HOLDING else 0
        session.hold_ns = session.linger_ns = NEVER
        outputs: list[RouterOutput] = []
        if state in (State.HOLDING, State.BICASTING):
            session.held_since_ns = now_ns
            session.hold_ns = now_ns + session.wish.hold_ms * _NS_PER_MS
        elif state is State.DIRECT:
            session.linger_ns = now_ns + int(self._settings.linger_s * NS_PER_S)
        elif state is State.GONE:
            outputs += self._farewell(session, now)
        self.sessions.plan(session)
        outputs.append(Changed(session, before, state, cue, held_ns))
        return tuple(outputs)

    def _farewell(self, session: Session, now: Instant) -> Outputs:
        """Answer who still waits, and forget the session."""
        outputs = self._drained(session, now)
        asked, session.asked = session.asked, None
        self.sessions.remove(session)
        if asked is None:
            return outputs
        why = "the session ended before it began"
        return (
            *outputs,
            *self._refuse(asked, session.owner, Kind.CREATE, Code.NO_SESSION, why, now),
        )

    def _failed(self, act: Act, failure: str, now: Instant) -> Outputs:
        session = act.session
        outputs: list[RouterOutput] = []
        if act.asked is not None:
            asked, kind = act.asked, act.kind or Kind.CREATE
            outputs += self._refuse(asked, session.owner, kind, Code.KERNEL, failure, now)
        outputs.append(Failed(session, act.order, failure))
        if act.order is Order.REMOVE:
            outputs += self._become(session, State.GONE, act.cue, now)
        elif act.order in _FATAL:
            if session.state is State.CHECKING:
                session.state = State.TUNNELLED  # whatever stands of it has to be removed
            outputs += self._cue(session, Cue.FAILED, now)
        return tuple(outputs)

    def _without_key(self, session: Session, now: Instant) -> Outputs:
        """Its key is over, or has not come again: a newer one of the same MN takes it on."""
        for name in reversed(self._keyring.of(session.owner)):
            if self.sessions.under(name) is None:
                self.sessions.rule(session, name)
                session.orphan_ns = NEVER
                self.sessions.plan(session)
                return ()
        return self._cue(session, Cue.WITHDRAWN, now)

    # The uplink's end

    def _expect_leave(self, session: Session, asked: Asked) -> None:
        session.drained = False
        key = self._keyring.leave(session.key)
        self.sessions.expect(session, leave_datagram(key, asked.token.mac))

    def _left(self, datagram: bytes, source: Endpoint, now: Instant) -> Outputs:
        session = self.sessions.with_leave(datagram)
        if session is None:
            return (Discarded("an end mark that nobody waits for", source),)
        return self._drained(session, now)

    def _arrived(self, session: Session, asked: Asked, now: Instant) -> None:
        """The answer says whether the uplink is drained; if it is not, another will."""
        if not session.drained:
            session.arrival = asked
            session.drain_ns = now.monotonic_ns + int(self._settings.drain_s * NS_PER_S)

    def _drained(self, session: Session, now: Instant) -> Outputs:
        session.drained = True
        session.drain_ns = NEVER
        self.sessions.expect(session, b"")
        arrival, session.arrival = session.arrival, None
        if arrival is None:
            return ()
        return (self._answer(arrival, OK, encode_drained(True), now),)

    # Answers

    def _answer(self, asked: Asked, kind: int, pairs: Iterable[Pair], now: Instant) -> Send:
        return Send(self._server.answer(asked.token, kind, pairs, now), asked.source)

    def _said(self, kind: Kind | None, session: Session) -> Iterable[Pair]:
        if kind is Kind.ARRIVED:
            return encode_drained(session.drained)
        return () if kind in _CUES else self._making.grant(session)

    def _turn_down(self, request: Request, error: DecodeError | Refuse, now: Instant) -> Outputs:
        if not isinstance(error, Refuse):
            return self._refuse_of(request, Code.MALFORMED, error.what, now)
        if error.cookie:  # it only has to be said once more
            asked = Asked(request.token, request.source)
            pairs = encode_refusal(error.code, cookie=error.cookie)
            return (self._answer(asked, REFUSED, pairs, now),)
        return self._refuse_of(request, Code(error.code), error.what, now)

    def _refuse_of(self, request: Request, code: Code, why: str, now: Instant) -> Outputs:
        owner = self._keyring.owner(request.key)
        kind = _KINDS.get(request.kind)
        return self._refuse(Asked(request.token, request.source), owner, kind, code, why, now)

    def _refuse(
        self, asked: Asked, owner: str, kind: Kind | None, code: Code, why: str, now: Instant
    ) -> Outputs:
        answer = self._answer(asked, REFUSED, encode_refusal(code, why), now)
        return answer, Refusal(owner, kind, code, why, asked.source)
