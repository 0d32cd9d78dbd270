"""Distributor and holder joined in memory: what one wants the other holds, whatever happens."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mpa_hil.errors import LocalError
from mpa_hil.key_delivery import distributor as d
from mpa_hil.key_delivery import holder as h
from mpa_hil.key_delivery.messages import Acknowledge, Hello, Install, Inventory, decode, encode
from mpa_hil.keys import Key, MasterKey, Usage
from mpa_hil.mobility.interface import NS_PER_S, Instant
from mpa_hil.pana.association import SecurityAssociation, Suite
from mpa_hil.pana.numbers import Integrity, Prf

SUITE = Suite(Prf.HMAC_SHA2_256, Integrity.HMAC_SHA2_256_128)
AA, EP = "aa@b.example", "ep.b1.b.example"
POINTS = ("02:00:00:00:0b:01", "02:00:00:00:0b:02")
STATION = b"\2\0\0\0\0\1"


def pmk(session_id: int = 1, point: str = POINTS[0], key_id: int = 1) -> Key:
    msk = session_id.to_bytes(4, "big") * 16
    sa = SecurityAssociation(SUITE, session_id, key_id, msk, b"")
    return MasterKey(sa, "b.example").pmk(point)


class Pair:
    """Both ends and what lies between them."""

    def __init__(self, maximum_keys: int = 900) -> None:
        self.ns = 10 * NS_PER_S
        self.ahead_ns = 5 * NS_PER_S
        """The recipient's clock is another one."""
        peers = frozenset(pmk(point=point).peer for point in POINTS)
        self.terms = h.Terms(EP, AA, frozenset((Usage.PMK,)), peers, maximum_keys)
        self.aa = d.Distributor(AA, EP)
        self.ep = h.Holder(self.terms)
        self.up = False
        self.failure = ""
        self.to_ep = self.to_aa = b""
        self.seen: list[d.Output] = []
        self.steps: list[h.Apply | h.Release] = []
        self.refused: list[h.Refused] = []

    def now(self, ahead: bool = False) -> Instant:
        return Instant(self.ns + (self.ahead_ns if ahead else 0), 0)

    def grant(self, key: Key, node: str = "mn@h.example", lifetime_s: float = 60) -> d.Grant:
        return d.Grant(key, node, STATION, self.ns + int(lifetime_s * NS_PER_S))

    def install(self, key: Key, **changes: object) -> None:
        self.aa_does(self.aa.install(self.grant(key, **changes), self.now()))  # type: ignore[arg-type]

    def withdraw(self, key: Key) -> None:
        self.aa_does(self.aa.withdraw(key.name, self.now()))

    def connect(self) -> None:
        self.up = True
        self.to_ep = self.to_aa = b""
        self.ep_does(self.ep.connected(self.now(True)))
        self.aa_does(self.aa.connected(self.now()))

    def cut(self) -> None:
        self.up = False
        self.aa.disconnected(self.now())
        self.ep.disconnected()

    def aa_does(self, outputs: tuple[d.Output, ...]) -> None:
        for output in outputs:
            if isinstance(output, d.Transmit):
                self.to_ep += output.octets
            else:
                self.seen.append(output)
                if isinstance(output, d.Close):
                    self.cut()

    def ep_does(self, outputs: tuple[h.Output, ...]) -> None:
        queue = list(outputs)
        while queue:
            output = queue.pop(0)
            if isinstance(output, h.Transmit):
                self.to_aa += output.octets
            elif isinstance(output, h.Refused):
                self.refused.append(output)
            elif isinstance(output, h.Close):
                self.cut()
            else:
                self.steps.append(output)
                queue += self.ep.done(self.failure, self.now(True))

    def settle(self) -> None:
        """Let octets flow until there are none."""
        while self.up and (self.to_ep or self.to_aa):
            octets, self.to_ep = self.to_ep, b""
            self.ep_does(self.ep.receive(octets, self.now(True)))
            octets, self.to_aa = self.to_aa, b""
            self.aa_does(self.aa.receive(octets, self.now()))

    def pass_s(self, seconds: float) -> None:
        self.ns += int(seconds * NS_PER_S)
        self.aa_does(self.aa.expire(self.now()))
        self.ep_does(self.ep.expire(self.now(True)))
        self.settle()

    @property
    def held(self) -> set[bytes]:
        return {key.install.name for key in self.ep.keys}


@pytest.fixture
def pair() -> Pair:
    standing = Pair()
    standing.connect()
    standing.settle()
    return standing


def test_a_key_is_installed_acknowledged_and_withdrawn(pair: Pair) -> None:
    key = pmk()
    pair.install(key)
    assert not pair.aa.is_held(key.name), "not before the recipient says so"
    pair.settle()
    assert pair.seen[-1] == d.Installed(key.name)
    assert pair.aa.is_held(key.name)
    assert pair.aa.settled
    (held,) = pair.ep.keys
    assert held.install.secret == key.secret
    assert held.expires_ns == pair.now(True).monotonic_ns + 60 * NS_PER_S
    pair.withdraw(key)
    pair.settle()
    assert pair.seen[-1] == d.Withdrawn(key.name)
    assert isinstance(pair.steps[-1], h.Release)
    assert not pair.held


def test_the_same_key_twice_is_one(pair: Pair) -> None:
    key = pmk()
    pair.install(key)
    pair.install(key)
    pair.settle()
    octets = encode(99, Install(**fields(pair, key)))
    pair.ep_does(pair.ep.receive(octets, pair.now(True)))
    assert decode(pair.to_aa) == (99, Acknowledge(True))
    assert len(pair.steps) == 1


def fields(pair: Pair, key: Key, **changes: object) -> dict[str, object]:
    return {
        "name": key.name,
        "usage": key.usage,
        "session_id": key.session_id,
        "key_id": key.key_id,
        "lifetime_ms": 1000,
        "recipient": EP,
        "mobile_node": "mn@h.example",
        "peer": key.peer,
        "station": STATION,
        "secret": key.secret,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipient": "ep.b2.b.example"}, "for ep.b2"),
        ({"usage": Usage.MN_CA, "station": b""}, "MN_CA"),
        ({"peer": b"\0\6\2\0\0\0\x0c\1"}, "another peer"),
        ({"station": b""}, "station"),
        ({"lifetime_ms": 0}, "over"),
        ({"name": pmk().name, "secret": b"x" * 32}, "another key"),
        ({"mobile_node": "evil@h.example"}, "another mobile node"),
    ],
)
def test_a_recipient_takes_what_is_meant_for_it(
    pair: Pair, changes: dict[str, object], reason: str
) -> None:
    pair.install(pmk())
    pair.settle()
    before = pair.held
    message = Install(**fields(pair, pmk(2), **changes))  # type: ignore[arg-type]
    pair.ep_does(pair.ep.receive(encode(50, message), pair.now(True)))
    assert reason in pair.refused[-1].reason
    answer = decode(pair.to_aa)
    assert answer == (50, Acknowledge(False, pair.refused[-1].reason))
    assert pair.held == before


def test_a_full_recipient_says_so_and_is_asked_again() -> None:
    pair = Pair(maximum_keys=1)
    pair.connect()
    pair.install(pmk(1))
    pair.install(pmk(2, POINTS[1]))
    pair.settle()
    assert pair.seen[-1] == d.Declined(pmk(2, POINTS[1]).name, "1 keys are held already")
    pair.withdraw(pmk(1))
    pair.settle()
    pair.pass_s(d.Tuning().retry_s)
    assert pair.held == {pmk(2, POINTS[1]).name}
    assert pair.aa.settled


def test_a_step_that_fails_is_not_acknowledged_as_done(pair: Pair) -> None:
    pair.failure = "hostapd is away"
    pair.install(pmk())
    pair.settle()
    assert pair.seen[-1] == d.Declined(pmk().name, "hostapd is away")
    assert not pair.held
    pair.failure = ""
    pair.pass_s(1)
    assert pair.held == {pmk().name}


def test_keys_end_by_the_recipients_own_clock(pair: Pair) -> None:
    """Also with nobody connected: a key is never immortal."""
    pair.install(pmk(), lifetime_s=2)
    pair.settle()
    pair.cut()
    assert pair.ep.next_deadline() == pair.now(True).monotonic_ns + 2 * NS_PER_S
    pair.pass_s(1.999)
    assert pair.held
    pair.pass_s(0.002)
    assert not pair.held
    assert pair.steps[-1] == h.Release(pair.steps[0].key, h.End.EXPIRED)
    assert pair.ep.next_deadline() is None


def test_a_restarted_agent_withdraws_what_it_does_not_know(pair: Pair) -> None:
    """Killed between installation and writing it down: cleanly refused, not half valid."""
    pair.install(pmk(1))
    pair.install(pmk(2, POINTS[1]))
    pair.settle()
    pair.cut()
    pair.aa = d.Distributor(AA, EP)
    pair.aa.install(pair.grant(pmk(1)), pair.now())
    pair.connect()
    pair.settle()
    assert pair.held == {pmk(1).name}
    assert len([step for step in pair.steps if isinstance(step, h.Apply)]) == 2, "not put in again"
    assert pair.aa.settled


def test_a_restarted_recipient_gets_its_keys_again(pair: Pair) -> None:
    pair.install(pmk(1))
    pair.settle()
    pair.cut()
    pair.ep = h.Holder(pair.terms)
    pair.connect()
    pair.settle()
    assert pair.held == {pmk(1).name}
    assert pair.aa.settled


def test_what_happens_while_away_is_made_up_for(pair: Pair) -> None:
    pair.install(pmk(1))
    pair.settle()
    pair.cut()
    pair.withdraw(pmk(1))
    pair.install(pmk(2, POINTS[1]))
    assert not pair.to_ep
    pair.connect()
    pair.settle()
    assert pair.held == {pmk(2, POINTS[1]).name}


def test_an_audit_finds_a_key_that_got_lost(pair: Pair) -> None:
    pair.install(pmk(1))
    pair.settle()
    pair.ep.__init__(pair.terms)  # type: ignore[misc]
    pair.ep.connected(pair.now(True))
    pair.ep.receive(encode(1, Hello(AA, EP)), pair.now(True))
    pair.pass_s(d.Tuning().audit_s)
    assert pair.held == {pmk(1).name}


def test_many_keys_take_several_messages() -> None:
    pair = Pair()
    keys = [pmk(number, POINTS[number % 2]) for number in range(100)]
    for number, key in enumerate(keys):
        station = number.to_bytes(6, "big")
        pair.aa.install(d.Grant(key, "mn@h.example", station, pair.ns + 10**12), pair.now())
    pair.connect()
    pair.settle()
    assert len(pair.held) == 100
    pair.cut()
    pair.aa = d.Distributor(AA, EP)
    pair.aa.install(d.Grant(keys[0], "mn@h.example", bytes(6), pair.ns + 10**12), pair.now())
    pair.connect()
    pair.settle()
    assert pair.held == {keys[0].name}


def test_a_newer_key_for_a_station_takes_the_older_ones_place(pair: Pair) -> None:
    """hostapd has one PMK for a station; the older one's withdrawal must not undo the newer."""
    pair.install(pmk(1, key_id=1))
    pair.install(pmk(1, key_id=2))
    pair.withdraw(pmk(1, key_id=1))
    pair.settle()
    key = pair.ep.in_use(pmk().peer, STATION)
    assert key is not None
    assert key.install.name == pmk(1, key_id=2).name
    release = pair.steps[-1]
    assert isinstance(release, h.Release)
    assert pair.held == {pmk(1, key_id=2).name}


def test_silence_ends_a_connection(pair: Pair) -> None:
    pair.install(pmk())
    pair.to_ep = b""
    assert pair.aa.next_deadline() == pair.ns + 5 * NS_PER_S
    pair.pass_s(5)
    assert isinstance(pair.seen[-1], d.Close)
    assert "Install" in pair.seen[-1].reason
    pair.connect()
    pair.settle()
    assert pair.held


def test_a_step_of_an_earlier_connection_acknowledges_nothing(pair: Pair) -> None:
    """Sequence numbers begin anew: the late word would be taken for another message's answer."""
    now = pair.now(True)
    (apply,) = pair.ep.receive(encode(50, Install(**fields(pair, pmk()))), now)  # type: ignore[arg-type]
    assert isinstance(apply, h.Apply)
    pair.ep.disconnected()
    pair.ep.connected(now)
    pair.ep.receive(encode(1, Hello(AA, EP)), now)
    (answer,) = pair.ep.done("", now)
    assert isinstance(answer, h.Transmit)
    assert isinstance(decode(answer.octets)[1], Hello), "which waited for its turn"
    assert pair.held == {pmk().name}


def test_presence_is_passed_on(pair: Pair) -> None:
    pair.install(pmk())
    pair.settle()
    (key,) = pair.ep.keys
    pair.ep_does(pair.ep.presence(key, True))
    pair.settle()
    assert pair.seen[-1] == d.Seen(key.install.name, True)


def test_strangers_are_sent_away() -> None:
    pair = Pair()
    for sender, addressee in (("aa@c.example", EP), (AA, "ep.b2.b.example")):
        pair.ep.connected(pair.now())
        (close,) = pair.ep.receive(encode(1, Hello(sender, addressee)), pair.now())
        assert isinstance(close, h.Close)
        assert pair.ep.receive(encode(2, Inventory()), pair.now()) == ()
    pair.aa.connected(pair.now())
    (closed,) = pair.aa.receive(encode(1, Hello("ep.b2.b.example", AA)), pair.now())
    assert isinstance(closed, d.Close)
    pair.ep.connected(pair.now())
    (early,) = pair.ep.receive(encode(1, Inventory()), pair.now())
    assert early == h.Close("Inventory before Hello")
    with pytest.raises(LocalError):
        pair.ep.done("", pair.now())


def test_agents_hold_by_address() -> None:
    sa = SecurityAssociation(SUITE, 1, 1, bytes(64), b"")
    key = MasterKey(sa, "b.example").mn_ca(ip_address("2001:db8::2"))
    terms = h.Terms("ca.b.example", AA, frozenset((Usage.MN_CA,)), frozenset((key.peer,)))
    authority, recipient = d.Distributor(AA, "ca.b.example"), h.Holder(terms)
    now = Instant(0, 0)
    recipient.connected(now)
    octets = authority.connected(now)[0]
    authority.install(d.Grant(key, "mn@h.example", b"", 10**10), now)
    assert isinstance(octets, d.Transmit)
    pending = octets.octets
    for _ in range(3):
        replies = list(recipient.receive(pending, now))
        if replies and isinstance(replies[0], h.Apply):
            replies = list(recipient.done("", now))
        back = b"".join(reply.octets for reply in replies if isinstance(reply, h.Transmit))
        outputs = authority.receive(back, now)
        pending = b"".join(o.octets for o in outputs if isinstance(o, d.Transmit))
    assert [held.install.secret for held in recipient.keys] == [key.secret]


class AnyOrder(RuleBasedStateMachine):
    """Installs, withdrawals, cuts, restarts and lost octets in any order: once all is quiet on a
    connection the recipient holds exactly what the authentication agent wants."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair()
        self.wanted: dict[bytes, Key] = {}

    @rule(session_id=st.integers(1, 4), point=st.sampled_from(POINTS))
    def install(self, session_id: int, point: str) -> None:
        key = pmk(session_id, point)
        self.wanted[key.name] = key
        grant = d.Grant(key, "mn@h.example", session_id.to_bytes(6, "big"), self.pair.ns + 10**15)
        self.pair.aa_does(self.pair.aa.install(grant, self.pair.now()))

    @rule(session_id=st.integers(1, 4), point=st.sampled_from(POINTS))
    def withdraw(self, session_id: int, point: str) -> None:
        key = pmk(session_id, point)
        self.wanted.pop(key.name, None)
        self.pair.withdraw(key)

    @rule()
    def connect(self) -> None:
        self.pair.cut()
        self.pair.connect()

    @rule()
    def cut(self) -> None:
        self.pair.cut()

    @rule(count=st.integers(1, 60))
    def some_octets(self, count: int) -> None:
        pair = self.pair
        if pair.up:
            octets, pair.to_ep = pair.to_ep[:count], pair.to_ep[count:]
            pair.ep_does(pair.ep.receive(octets, pair.now(True)))

    @rule()
    def other_octets(self) -> None:
        pair = self.pair
        if pair.up:
            octets, pair.to_aa = pair.to_aa, b""
            pair.aa_does(pair.aa.receive(octets, pair.now()))

    @rule()
    def recipient_restarts(self) -> None:
        self.pair.cut()
        self.pair.ep = h.Holder(self.pair.terms)

    @rule(failure=st.sampled_from(("", "hostapd is away")))
    def fail(self, failure: str) -> None:
        self.pair.failure = failure

    @precondition(lambda self: self.pair.up)
    @rule()
    def quiet(self) -> None:
        self.pair.failure = ""
        self.pair.settle()
        self.pair.pass_s(d.Tuning().retry_s)
        if self.pair.up:
            assert self.pair.held == set(self.wanted)
            assert self.pair.aa.settled

    @invariant()
    def never_confirmed_but_not_held(self) -> None:
        for name in self.wanted:
            if self.pair.aa.is_held(name):
                assert name in self.pair.held


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30)
