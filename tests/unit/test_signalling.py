"""Protected requests and answers: what is acted on, how often, and what is not even answered."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.keys import Key, Usage
from mpa_hil.mobility.interface import Discarded, Endpoint, Instant, Send
from mpa_hil.signalling.client import Client
from mpa_hil.signalling.message import MAXIMUM_OCTETS, Flags, Protocol, decode
from mpa_hil.signalling.requester import Answered, GaveUp, Output, Requester, Timing
from mpa_hil.signalling.server import Reply, Request, Server
from mpa_hil.signalling.values import Values, encode

MN = Endpoint(ip_address("192.0.2.7"), 40000)
AGENT = Endpoint(ip_address("10.2.0.2"), 7164)
DO, DONE = 3, 1
MS = 1_000_000


def key(number: int = 1) -> Key:
    dice = random.Random(number)
    return Key(Usage.MN_CA, dice.randbytes(20), dice.randbytes(64), 1, 2, b"")


@dataclass
class Pair:
    """An MN and an agent, and the road between them."""

    server: Server = field(
        default_factory=lambda: Server(Protocol.CONFIGURATION, random.Random(9).randbytes)
    )
    key: Key = field(default_factory=key)
    timing: Timing = field(default_factory=Timing)
    ns: int = 10**9
    acted: list[bytes] = field(default_factory=list)
    log: list[Output] = field(default_factory=list)
    one_way_ms: int = 10

    def __post_init__(self) -> None:
        self.server.add_key(self.key)
        self.client = Client(self.key, Protocol.CONFIGURATION, random.Random(5).randbytes)
        self.requester = Requester(self.client, AGENT, self.timing)

    @property
    def now(self) -> Instant:
        return Instant(self.ns, self.ns)

    def pass_ms(self, ms: float) -> Instant:
        self.ns += int(ms * MS)
        return self.now

    def act(self, datagram: bytes, work_ms: int = 0) -> bytes | None:
        """What the agent sends back; it does what it is asked to at once."""
        received = self.server.receive(datagram, MN, self.now)
        if isinstance(received, Reply):
            return received.datagram
        if isinstance(received, Discarded):
            return None
        self.acted.append(received.values.one(1))
        self.pass_ms(work_ms)
        return self.server.answer(received.token, DONE, [(2, received.values.one(1))], self.now)

    def ask(self, what: bytes) -> None:
        self.run(self.requester.ask(what, DO, [(1, what)], self.now))

    def run(self, outputs: tuple[Output, ...], *, answered: bool = True) -> None:
        for output in outputs:
            self.log.append(output)
            if isinstance(output, Send) and answered:
                self.pass_ms(self.one_way_ms)
                back = self.act(output.datagram)
                self.pass_ms(self.one_way_ms)
                if back:
                    self.run(self.requester.receive(back, self.now))

    def silence(self, bound_ms: int) -> None:
        """Every datagram is lost."""
        end = self.ns + bound_ms * MS
        while (due := self.requester.next_deadline()) is not None and due <= end:
            self.ns = due
            self.log += self.requester.expire(self.now)

    def told(self) -> list[Output]:
        return [output for output in self.log if not isinstance(output, Send)]


@pytest.fixture
def pair() -> Pair:
    return Pair()


def acquainted() -> Pair:
    pair = Pair()
    pair.ask(b"first")
    pair.log.clear()
    return pair


def test_the_first_request_learns_the_epoch_and_is_acted_on_once(pair: Pair) -> None:
    assert not pair.client.acquainted
    pair.ask(b"a")
    assert pair.acted == [b"a"]
    assert pair.client.acquainted
    (answered,) = pair.told()
    assert isinstance(answered, Answered)
    assert (answered.token, answered.kind, answered.attempts) == (b"a", DONE, 2)
    assert answered.values.one(2) == b"a"
    assert answered.round_trip_ns == 40 * MS
    assert not pair.requester.busy
    assert pair.requester.next_deadline() is None


def test_after_that_it_takes_one_round_trip() -> None:
    pair = acquainted()
    pair.ask(b"b")
    (answered,) = pair.told()
    assert isinstance(answered, Answered)
    assert (answered.attempts, answered.round_trip_ns) == (1, 20 * MS)


def test_nothing_can_be_prepared_for_an_agent_that_never_spoke(pair: Pair) -> None:
    with pytest.raises(LocalError):
        pair.client.prepare(DO)


def test_a_repeat_gets_the_same_answer_and_is_not_acted_on_again() -> None:
    pair = acquainted()
    request = pair.client.request(DO, [(1, b"x")])
    first = pair.act(request)
    assert first == pair.act(request) == pair.act(request)
    assert pair.acted == [b"first", b"x"]


def test_a_repeat_before_the_answer_is_told_that_work_goes_on() -> None:
    pair = acquainted()
    request = pair.client.request(DO, [(1, b"x")])
    received = pair.server.receive(request, MN, pair.now)
    assert isinstance(received, Request)
    again = pair.server.receive(request, MN, pair.now)
    assert isinstance(again, Reply)
    working = pair.client.answer(again.datagram)
    assert working is not None
    assert not working.final
    assert working.flags & Flags.WORKING
    final = pair.client.answer(pair.server.answer(received.token, DONE, (), pair.now))
    assert final is not None
    assert final.final


def test_a_later_request_makes_an_earlier_one_void() -> None:
    pair = acquainted()
    early, late = (pair.client.prepare(DO, [(1, what)]) for what in (b"early", b"late"))
    pair.act(late)
    answer = pair.act(early)
    assert pair.acted == [b"first", b"late"]
    assert answer is not None
    stale = pair.client.answer(answer)
    assert stale is not None
    assert stale.flags & Flags.STALE


def test_what_was_recorded_before_a_restart_does_nothing_after_it() -> None:
    pair = acquainted()
    recorded = [pair.client.request(DO, [(1, b"old")]) for _ in range(3)]
    pair.server = Server(Protocol.CONFIGURATION, random.Random(10).randbytes)
    pair.server.add_key(pair.key)
    for datagram in recorded:
        pair.act(datagram)
    assert pair.acted == [b"first"]
    pair.ask(b"new")  # the MN itself notices, and goes on
    assert pair.acted == [b"first", b"new"]


def test_a_key_that_was_withdrawn_and_given_again_starts_anew() -> None:
    pair = acquainted()
    recorded = pair.client.request(DO, [(1, b"old")])
    pair.act(recorded)
    pair.server.remove_key(pair.key.name)
    assert pair.act(recorded) is None
    pair.server.add_key(pair.key)
    pair.act(recorded)
    assert pair.acted == [b"first", b"old"]


def test_an_answer_to_a_key_withdrawn_meanwhile_is_not_sent() -> None:
    pair = acquainted()
    received = pair.server.receive(pair.client.request(DO), MN, pair.now)
    assert isinstance(received, Request)
    pair.server.remove_key(pair.key.name)
    assert pair.server.answer(received.token, DONE, (), pair.now) == b""
    pair.server.add_key(pair.key)
    assert pair.server.answer(received.token, DONE, (), pair.now) == b""


def test_a_restarted_mobile_node_goes_on(pair: Pair) -> None:
    pair.ask(b"a")
    for seed in range(20):
        client = Client(pair.key, Protocol.CONFIGURATION, random.Random(seed).randbytes)
        pair.requester = Requester(client, AGENT)
        pair.ask(b"again")
    assert pair.acted == [b"a"] + [b"again"] * 20


def test_an_answer_fits_only_the_request_that_it_answers() -> None:
    pair = acquainted()
    first = pair.act(pair.client.request(DO, [(1, b"x")]))
    assert first is not None
    other = Client(pair.key, Protocol.CONFIGURATION, lambda n: bytes(n))
    other._sequence = pair.client._sequence - 1
    other._epoch = pair.client._epoch
    other.request(DO, [(1, b"y")])  # of the same number
    assert other.answer(first) is None


@pytest.mark.parametrize("name", ["other key", "other protocol"])
def test_keys_of_elsewhere_are_not_answered(pair: Pair, name: str) -> None:
    if name == "other key":
        client = Client(key(2), Protocol.CONFIGURATION, random.Random(5).randbytes)
    else:
        client = Client(pair.key, Protocol.TUNNEL, random.Random(5).randbytes)
    assert pair.act(client.request(DO, [(1, b"x")])) is None


def test_the_mac_decides_not_the_name(pair: Pair) -> None:
    liar = Key(Usage.MN_CA, pair.key.name, bytes(64), 1, 2, b"")
    request = Client(liar, Protocol.CONFIGURATION, random.Random(5).randbytes).request(DO)
    discarded = pair.server.receive(request, MN, pair.now)
    assert isinstance(discarded, Discarded)
    assert discarded.security


def test_every_bit_counts() -> None:
    pair = acquainted()
    request = pair.client.request(DO, [(1, b"x")])
    for bit in range(len(request) * 8):
        flipped = bytearray(request)
        flipped[bit // 8] ^= 1 << bit % 8
        assert pair.act(bytes(flipped)) is None
    answer = pair.act(request)
    assert answer is not None
    for bit in range(len(answer) * 8):
        flipped = bytearray(answer)
        flipped[bit // 8] ^= 1 << bit % 8
        assert pair.client.answer(bytes(flipped)) is None
    assert pair.client.answer(answer) is not None


def test_a_request_sent_back_is_no_answer() -> None:
    pair = acquainted()
    request = pair.client.request(DO, [(1, b"x")])
    assert pair.client.answer(request) is None
    answer = pair.act(request)
    assert answer is not None
    assert isinstance(pair.server.receive(answer, MN, pair.now), Discarded)


def test_two_keys_with_the_same_beginning(pair: Pair) -> None:
    twin = Key(Usage.MN_CA, pair.key.name[:8] + bytes(12), bytes(64), 1, 2, b"")
    with pytest.raises(LocalError):
        pair.server.add_key(twin)
    pair.server.remove_key(twin.name)
    assert len(pair.server) == 1


def test_silence_is_met_with_doubling_and_an_end(pair: Pair) -> None:
    began = pair.ns
    pair.run(pair.requester.ask("x", DO, (), pair.now), answered=False)
    pair.silence(60_000)
    assert [type(output) for output in pair.log[-1:]] == [GaveUp]
    assert (pair.ns - began) / MS == pair.timing.give_up_ms
    # 100, 200, 400, 800 and then every 1000 ms.
    assert len([output for output in pair.log if isinstance(output, Send)]) == 9


def test_a_lost_datagram_costs_little_more_than_a_round_trip() -> None:
    pair = acquainted()
    for _ in range(10):
        pair.ask(b"x")
    pair.log.clear()
    began = pair.ns
    pair.run(pair.requester.ask("lost", DO, [(1, b"x")], pair.now), answered=False)
    due = pair.requester.next_deadline()
    assert due is not None
    assert 20 <= (due - began) / MS < 30
    pair.ns = due
    pair.run(pair.requester.expire(pair.now))
    assert isinstance(pair.told()[0], Answered)


def test_the_agents_own_time_is_no_round_trip() -> None:
    pair = acquainted()
    for _ in range(10):
        (send,) = pair.requester.ask("slow", DO, [(1, b"x")], pair.now)
        assert isinstance(send, Send)
        pair.pass_ms(10)
        answer = pair.act(send.datagram, work_ms=3000)
        pair.pass_ms(10)
        assert answer is not None
        pair.requester.receive(answer, pair.now)
    assert pair.requester.round_trip_ns == pytest.approx(20 * MS, rel=0.01)


def test_an_agent_at_work_is_waited_for(pair: Pair) -> None:
    """Longer than silence would be borne, and with few repeats."""
    pair.ask(b"a")
    pair.log.clear()
    (send,) = pair.requester.ask("slow", DO, [(1, b"x")], pair.now)
    assert isinstance(send, Send)
    received = pair.server.receive(send.datagram, MN, pair.now)
    assert isinstance(received, Request)
    for _ in range(9):
        due = pair.requester.next_deadline()
        assert due is not None
        pair.ns = due
        pair.run(pair.requester.expire(pair.now))
    assert not pair.told()
    answer = pair.server.answer(received.token, DONE, (), pair.now)
    (answered,) = pair.requester.receive(answer, pair.now)
    assert isinstance(answered, Answered)
    assert answered.attempts == 10
    assert answered.round_trip_ns > pair.timing.give_up_ms * MS


def test_work_without_end_is_given_up(pair: Pair) -> None:
    pair.ask(b"a")
    pair.log.clear()
    began = pair.ns
    (send,) = pair.requester.ask("never", DO, [(1, b"x")], pair.now)
    assert isinstance(send, Send)
    pair.server.receive(send.datagram, MN, pair.now)
    while (due := pair.requester.next_deadline()) is not None:
        pair.ns = due
        pair.run(pair.requester.expire(pair.now))
    assert isinstance(pair.told()[-1], GaveUp)
    assert (pair.ns - began) / MS == pytest.approx(pair.timing.limit_ms, abs=30)


def test_requests_wait_for_each_other_and_a_cancelled_one_is_not_sent() -> None:
    pair = acquainted()
    (first,) = pair.requester.ask("a", DO, [(1, b"a")], pair.now)
    assert isinstance(first, Send)
    assert pair.requester.ask("b", DO, [(1, b"b")], pair.now) == ()
    assert pair.requester.ask("c", DO, [(1, b"c")], pair.now) == ()
    assert pair.requester.cancel("b", pair.now) == ()
    answer = pair.act(first.datagram)
    assert answer is not None
    pair.run(pair.requester.receive(answer, pair.now))
    assert [t.token for t in pair.told() if isinstance(t, Answered)] == ["a", "c"]


def test_cancelling_the_one_under_way_lets_the_next_go() -> None:
    pair = acquainted()
    pair.requester.ask("a", DO, [(1, b"a")], pair.now)
    pair.requester.ask("b", DO, [(1, b"b")], pair.now)
    pair.run(pair.requester.cancel("a", pair.now))
    assert pair.acted[-1] == b"b"


def test_too_much_for_a_datagram(pair: Pair) -> None:
    with pytest.raises(LocalError):
        pair.requester.ask("big", DO, [(1, bytes(MAXIMUM_OCTETS))], pair.now)
    assert not pair.requester.busy


def test_values_are_read_strictly() -> None:
    values = Values([(1, b"a"), (2, b"\0\7"), (2, b""), (4, bytes(4)), (200, b"?")])
    assert values.one(1) == b"a"
    assert values.all(2) == (b"\0\7", b"")
    for refused in (
        lambda: values.one(2),
        lambda: values.one(3),
        lambda: values.one(1, 2),
        lambda: values.number(3, 2),
        lambda: values.address(1),
        values.done,
    ):
        with pytest.raises(DecodeError):
            refused()
    assert str(values.address(4)) == "0.0.0.0"
    values.done()  # 200 may be left unread
    assert Values.decode(values.encode()) == values
    with pytest.raises(LocalError):
        encode([(1, b"")] * 65)


def test_a_requests_own_lies_about_its_length_are_found() -> None:
    with pytest.raises(DecodeError):
        decode(bytes(MAXIMUM_OCTETS + 1))
    with pytest.raises(DecodeError):
        Values.decode(b"\1\0\5abc")
