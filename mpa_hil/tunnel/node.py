"""The mobile node's end of tunnel management with one access router. Sans-IO.

    create -> Created -> (refreshed by itself) -> prepare_switch -> the switch -> delete

The switch does without this machine's help: its datagrams are made before it, and `acknowledged`
costs one HMAC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.mobility.interface import NS_PER_S, Address, Endpoint, Instant, Send
from mpa_hil.signalling.client import Client, NamedSecret
from mpa_hil.signalling.message import Flags, Protocol, mac_of, sequence_of
from mpa_hil.signalling.requester import Answered, Requester, Timing
from mpa_hil.signalling.requester import GaveUp as Unanswered
from mpa_hil.signalling.requester import Output as RequesterOutput
from mpa_hil.signalling.values import Pair, Values
from mpa_hil.tunnel.flows import MAX_FLOWS, check
from mpa_hil.tunnel.interface import (
    MAX_INNER,
    Ack,
    Code,
    Created,
    Deleted,
    Detained,
    Done,
    GaveUp,
    Keys,
    Kind,
    NodeOutput,
    PreparedSwitch,
    Protect,
    Refreshed,
    Refused,
    TunnelTerms,
    TunnelWish,
    WireGuardKeys,
)
from mpa_hil.tunnel.material import esp_keys, leave_datagram, leave_key, preshared
from mpa_hil.tunnel.messages import (
    MAC_OCTETS,
    MAXIMUM_LIFE_S,
    NONCE_OCTETS,
    OK,
    Create,
    Grant,
    Refresh,
    decode_grant,
    decode_refusal,
    encode_claim,
    encode_create,
    encode_refresh,
    is_drained,
)

Outputs = tuple[NodeOutput, ...]

_PROOFS = 3
"""How often in a row a router may ask for the same proof."""
_LOWEST_SPI = 0x1000


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How a session is kept."""

    timing: Timing = field(default_factory=Timing)
    refresh_at: float = 0.5
    """Part of its life after which it is refreshed ..."""
    refresh_s: float = 10.0
    """... or sooner, after this: so a router that has restarted without it is found out."""
    pause_s: float = 5.0
    """After `prepare_switch`: so long nothing is refreshed, which would make what was prepared
    worthless."""


class TunnelClient:
    """One MN's session at one access router.

    Args:
        key: the MN-AR key.
        router: its port.
        random: source of nonces (`os.urandom`).
    """

    def __init__(
        self,
        key: NamedSecret,
        router: Endpoint,
        random: Callable[[int], bytes],
        settings: NodeSettings = NodeSettings(),
    ) -> None:
        self._key = key
        self._random = random
        self._settings = settings
        self._client = Client(key, Protocol.TUNNEL, random)
        self._requester = Requester(self._client, router, settings.timing)
        self._leave_key = leave_key(key.secret)
        self._create: Create | None = None
        """What was asked for last, with CREATE or DETAIN."""
        self._making = Kind.CREATE
        self._outer: Address | None = None
        """Where REFRESH says that we are."""
        self._source: Address | None = None
        self._cookies: dict[Address, bytes] = {}
        self._proofs = 0
        self._wanted = False
        """Whether a session is to be kept: what was under way when it was deleted must not make it
        anew."""
        self._refresh_ns: int | None = None
        self._arrivals: set[int] = set()
        """Sequence numbers of each ARRIVED that was prepared for this session."""
        self.terms: TunnelTerms | None = None
        """Of the session that stands; None: none does."""

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._requester.busy

    # Verbs

    def create(self, wish: TunnelWish, now: Instant) -> Outputs:
        """Have the router make its end; `Created`, `Refused` or `GaveUp` follows.

        Again with another wish, it replaces the session; the router does not check addresses again
        that it knows to be ours.

        Raises:
            LocalError: a value that does not fit into its field.
        """
        return self._make(Kind.CREATE, wish, now)

    def detain(self, wish: TunnelWish, now: Instant) -> Outputs:
        """At the old router: have it ready to hold what comes for `wish.inner`, our address there,
        and to forward it to `wish.outer`, our next one (R73); `Detained` follows.

        DISABLE then holds; ENABLE, sent from the next address, forwards.

        Raises:
            LocalError: a value that does not fit into its field.
        """
        return self._make(Kind.DETAIN, wish, now)

    def refresh(self, outer: Address, now: Instant) -> Outputs:
        """Go on, perhaps from another outer address; `Refreshed` follows, or `Created` where the
        session had to be made anew.

        Raises:
            LocalError: nothing was created.
        """
        if self._create is None or self.terms is None:
            raise LocalError("there is no tunnel to refresh", where="tunnel")
        wish = self._create.wish
        if outer != wish.outer and wish.protect is Protect.ESP:
            return self._make(Kind.CREATE, replace(wish, outer=outer), now)
        self._outer = outer
        self._refresh_ns = None
        cookie = self._cookies.get(outer, b"")
        return self._ask(Kind.REFRESH, encode_refresh(Refresh(outer, wish.life_s, cookie)), now)

    def order(self, kind: Kind, now: Instant) -> Outputs:
        """DISABLE, ENABLE or ARRIVED as an ordinary request, where time does not matter; `Done`
        follows. Send it from where the prepared ones would be sent; ENABLE, after `detain`, from
        where everything is to be forwarded to."""
        if kind not in (Kind.DISABLE, Kind.ENABLE, Kind.ARRIVED):
            raise LocalError(f"{kind.name} has a verb of its own", where="tunnel")
        if kind is Kind.ENABLE and self._making is Kind.DETAIN and self._create is not None:
            self._source = outer = self._create.wish.outer
            return self._ask(kind, encode_claim(self._cookies.get(outer, b"")), now)
        return self._ask(kind, (), now)

    def delete(self, now: Instant) -> Outputs:
        """Have the router take its end away; `Deleted` follows.

        What is under way to make or keep it is not waited for: nobody wants the answer, and the
        router may be asked for what is to go.
        """
        self._refresh_ns = None
        self._wanted = False
        self._source = None  # from wherever we are now
        outputs: Outputs = ()
        for kind in (Kind.REFRESH, Kind.CREATE, Kind.DETAIN):
            outputs += self._take(self._requester.cancel(kind, now), now)
        return outputs + self._ask(Kind.DELETE, (), now)

    def receive(self, datagram: bytes, now: Instant) -> Outputs:
        """Digest a datagram from the router; what is none of ours changes nothing."""
        return self._take(self._requester.receive(datagram, now), now)

    def expire(self, now: Instant) -> Outputs:
        """Do what is due; harmless at other times."""
        outputs = self._take(self._requester.expire(now), now)
        if self._refresh_ns is not None and self._refresh_ns <= now.monotonic_ns:
            self._refresh_ns = None
            if self.terms is not None:
                outputs += self.refresh(self.terms.outer, now)
        return outputs

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, or None while there is nothing."""
        due_ns = self._requester.next_deadline()
        if self._refresh_ns is None or due_ns is None:
            return self._refresh_ns if due_ns is None else due_ns
        return min(due_ns, self._refresh_ns)

    # The switch

    def prepare_switch(self, now: Instant) -> PreparedSwitch:
        """The datagrams of the next switch. What was prepared before is worthless.

        For `NodeSettings.pause_s` nothing is refreshed; a refresh after that, or any other request,
        makes them worthless too (the answer is `Ack.stale`).

        Raises:
            LocalError: the router has not answered anything yet.
        """
        make = self._client.prepare
        disable, arrived = make(Kind.DISABLE), make(Kind.ARRIVED)
        enable, delete = make(Kind.ENABLE), make(Kind.DELETE)
        if self._refresh_ns is not None:
            pause_ns = now.monotonic_ns + int(self._settings.pause_s * NS_PER_S)
            self._refresh_ns = max(self._refresh_ns, pause_ns)
        self._arrivals.add(sequence_of(arrived))
        leave = leave_datagram(self._leave_key, mac_of(disable))
        return PreparedSwitch(disable, leave, arrived, enable, delete)

    def acknowledged(self, datagram: bytes, sent: bytes) -> Ack | None:
        """The answer to the prepared datagram `sent`, None when it is none (try `receive`)."""
        answer = self._client.answer(datagram)
        if answer is None or answer.sequence != sequence_of(sent):
            return None
        if answer.flags & Flags.STALE:
            return Ack(False, stale=True)
        if answer.flags & Flags.WORKING:
            return None
        try:
            if answer.kind != OK:
                return Ack(False, decode_refusal(answer.values)[0])
            if answer.sequence in self._arrivals:
                self._refresh_ns = None  # the session ends by itself now
            return Ack(True, drained=is_drained(answer.values))
        except DecodeError:
            return None

    # Inside

    def _make(self, kind: Kind, wish: TunnelWish, now: Instant) -> Outputs:
        _check(wish)
        self._refresh_ns = None
        self._wanted = True
        self._arrivals.clear()
        self._source = wish.outer if kind is Kind.CREATE else wish.inner[0]
        spi = 0
        while wish.protect is Protect.ESP and spi < _LOWEST_SPI:
            spi = int.from_bytes(self._random(4), "big")
        cookie = self._cookies.get(self._source, b"")
        self._create = Create(wish, self._random(NONCE_OCTETS), spi, cookie)
        self._making = kind
        return self._ask(kind, encode_create(self._create), now)

    def _ask(self, kind: Kind, pairs: Iterable[Pair], now: Instant) -> Outputs:
        if kind is Kind.REFRESH:
            self._source = self._outer
        return self._take(self._requester.ask(kind, kind, pairs, now), now)

    def _take(self, outputs: Iterable[RequesterOutput], now: Instant) -> Outputs:
        taken: list[NodeOutput] = []
        for output in outputs:
            if isinstance(output, Send):
                taken.append(Send(output.datagram, output.destination, self._source))
            elif isinstance(output, Unanswered):
                kind = Kind(output.token)  # type: ignore[arg-type]
                if kind is Kind.REFRESH:
                    self._plan(now)
                elif kind is self._making:
                    self.terms = None  # whatever the router has now, it is not that
                taken.append(GaveUp(kind, output.attempts))
            else:
                taken += self._answered(output, now)
        return tuple(taken)

    def _answered(self, answered: Answered, now: Instant) -> Outputs:
        kind = Kind(answered.token)  # type: ignore[arg-type]
        try:
            if answered.kind == OK:
                self._proofs = 0
                return self._granted(kind, answered.values, now)
            code, text, cookie = decode_refusal(answered.values)
        except DecodeError as error:
            return (Refused(kind, Code.MALFORMED, error.what),)
        if code is None:
            return self._prove(kind, cookie, now)
        lost = code is Code.NO_SESSION and kind is Kind.REFRESH
        if lost and self._wanted and self._create is not None:
            wish = self._create.wish
            return self._make(self._making, replace(wish, outer=self._outer or wish.outer), now)
        if kind in (Kind.REFRESH, self._making):
            self.terms = None
        return (Refused(kind, code, text),)

    def _granted(self, kind: Kind, values: Values, now: Instant) -> Outputs:
        if kind is Kind.DELETE:
            self.terms = None
            return (Deleted(),)
        if kind in (Kind.DISABLE, Kind.ENABLE, Kind.ARRIVED):
            if kind is Kind.ARRIVED:
                self._refresh_ns = None  # the session ends by itself now
            return (Done(kind, is_drained(values)),)
        assert self._create is not None
        grant, wish = decode_grant(values), self._create.wish
        expected = self._outer if kind is Kind.REFRESH else wish.outer
        if grant.inner != wish.inner or grant.outer != expected:
            return (Refused(kind, Code.MALFORMED, "the router granted another tunnel"),)
        if kind is Kind.REFRESH:
            self._create = replace(self._create, wish=replace(wish, outer=grant.outer))
            keys = self.terms.keys if self.terms is not None else None
        else:
            keys = self._keys(self._create, grant)
        self.terms = terms = TunnelTerms(
            grant.outer,
            grant.router,
            grant.inner,
            grant.life_s,
            grant.hold_ms,
            grant.hold_octets,
            grant.hold_packets,
            grant.bicast,
            grant.mtu,
            grant.router_mac,
            keys,
        )
        self._plan(now)
        if kind is Kind.REFRESH:
            return (Refreshed(terms),)
        return (Detained(terms) if kind is Kind.DETAIN else Created(terms),)

    def _keys(self, create: Create, grant: Grant) -> Keys:
        secret, protect = self._key.secret, create.wish.protect
        if protect is Protect.PLAIN:
            return None
        if not grant.nonce or not (grant.spi or grant.public):
            raise DecodeError("the router granted no protection", where="tunnel")
        if protect is Protect.ESP:
            return esp_keys(secret, create.nonce, grant.nonce, create.spi, grant.spi)
        mixed = preshared(secret, create.nonce, grant.nonce)
        return WireGuardKeys(grant.public, grant.port, mixed)

    def _prove(self, kind: Kind, cookie: bytes, now: Instant) -> Outputs:
        """Show that we are reached where we say that we are, and ask again."""
        self._proofs += 1
        source = self._source
        if self._proofs > _PROOFS or source is None or self._create is None:
            return (Refused(kind, Code.NOT_YOURS, "the router does not accept our proof"),)
        self._cookies = {source: cookie}
        if kind is Kind.REFRESH:
            return self.refresh(source, now)
        if kind is Kind.ENABLE:
            return self._ask(kind, encode_claim(cookie), now)
        self._create = replace(self._create, cookie=cookie)
        return self._ask(kind, encode_create(self._create), now)

    def _plan(self, now: Instant) -> None:
        if self.terms is not None and self._wanted:
            life_s = min(self.terms.life_s * self._settings.refresh_at, self._settings.refresh_s)
            self._refresh_ns = now.monotonic_ns + int(life_s * NS_PER_S)


def _check(wish: TunnelWish) -> None:
    fits = (
        1 <= len(wish.inner) <= MAX_INNER
        and len(wish.mac) == MAC_OCTETS
        and 1 <= wish.life_s <= MAXIMUM_LIFE_S
        and all(0 <= n < 1 << 32 for n in (wish.hold_ms, wish.hold_octets, wish.hold_packets))
        and (wish.protect is not Protect.WIREGUARD or len(wish.public) == 32)
        and 0 <= wish.port < 1 << 16
        and len(wish.flows) <= MAX_FLOWS
    )
    if not fits:
        raise LocalError("a tunnel that cannot be asked for", where="tunnel")
    for choice in wish.flows:
        check(choice)
