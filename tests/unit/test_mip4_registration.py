"""Mobile node and home agent against each other, in memory, on clocks that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from typing import TypeVar

import pytest

from mpa_hil.mobility.interface import (
    Deregistered,
    Discarded,
    Endpoint,
    Expired,
    Instant,
    MobileOutput,
    Registered,
    Rejected,
    Send,
    TimedOut,
)
from mpa_hil.mobility.mip4 import identification as ids
from mpa_hil.mobility.mip4.authentication import SecurityAssociation, sign
from mpa_hil.mobility.mip4.bindings import (
    BindingAdded,
    BindingChanged,
    BindingRefreshed,
    BindingRemoved,
    HomeOutput,
    Refused,
    Removal,
    Subscriber,
)
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.mobility.mip4.messages import (
    Extension,
    Flag,
    RegistrationReply,
    RegistrationRequest,
    decode,
)
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.mobility.mip4.tuning import Tuning
from mpa_hil.mobility.none import NoMobility
from radios.errors import LocalError

HOME = IPv4Address("10.0.0.100")
AGENT = IPv4Address("10.0.0.1")
COA_A = IPv4Address("192.0.2.7")
COA_B = IPv4Address("198.51.100.9")
SA = SecurityAssociation(256, b"0123456789abcdef")
OTHER_SA = SecurityAssociation(300, b"fedcba9876543210")
EPOCH_NS = 1_800_000_000 * 10**9
T = TypeVar("T")


@dataclass
class Clock:
    """Monotonic and real time; `skew_s` is how wrong the real-time clock is."""

    seconds: float = 0.0
    skew_s: float = 0.0

    @property
    def now(self) -> Instant:
        ns = int(self.seconds * 1e9)
        return Instant(ns + 7, EPOCH_NS + ns + int(self.skew_s * 1e9))

    def skewed(self, skew_s: float) -> Instant:
        return replace(self, skew_s=skew_s).now


@dataclass
class Bench:
    """One home agent and one mobile node with a wire between them."""

    tuning: Tuning = field(default_factory=Tuning)
    mobile_skew_s: float = 0.0
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.agent = HomeAgent(
            AGENT,
            [Subscriber(HOME, (SA, OTHER_SA))],
            started=self.clock.skewed(-60),
            tuning=self.tuning,
        )
        self.node = MobileNode(
            home_address=HOME, home_agent=AGENT, association=SA, tuning=self.tuning
        )

    @property
    def mobile_now(self) -> Instant:
        return self.clock.skewed(self.mobile_skew_s)

    def to_agent(self, outputs: tuple[MobileOutput, ...]) -> tuple[HomeOutput, ...]:
        send = only(Send, outputs)
        assert send.source is not None
        assert send.destination == Endpoint(AGENT, 434)
        return self.agent.receive(send.datagram, Endpoint(send.source, 5000), self.clock.now)

    def to_node(self, outputs: tuple[HomeOutput, ...]) -> tuple[MobileOutput, ...]:
        send = only(Send, outputs)
        return self.node.receive(send.datagram, Endpoint(AGENT, 434), self.mobile_now)

    def register(self, care_of: IPv4Address) -> tuple[HomeOutput, ...]:
        answer = self.to_agent(self.node.register(care_of, self.mobile_now))
        only(Registered, self.to_node(answer))
        return answer

    def raw(
        self,
        association: SecurityAssociation = SA,
        *,
        source: IPv4Address = COA_A,
        stamp_s: float = 0.0,
        tail: bytes = b"",
        **changes: object,
    ) -> tuple[HomeOutput, ...]:
        """A hand-made request; `stamp_s` is its time stamp against the clock."""
        flags = Flag.DECAPSULATION_BY_MOBILE | Flag.REVERSE_TUNNEL
        stamp = ids.from_unix_ns(self.clock.skewed(stamp_s).unix_ns)
        request = RegistrationRequest(flags, 1800, HOME, AGENT, COA_A, stamp)
        request = replace(request, **changes)  # type: ignore[arg-type]
        datagram = sign(request, association) + tail
        return self.agent.receive(datagram, Endpoint(source, 5000), self.clock.now)


def only(kind: type[T], outputs: tuple[object, ...]) -> T:
    found = [output for output in outputs if isinstance(output, kind)]
    assert len(found) == 1, outputs
    return found[0]


def code_of(outputs: tuple[HomeOutput, ...]) -> int:
    reply = decode(only(Send, outputs).datagram)
    assert isinstance(reply, RegistrationReply)
    return reply.code


def test_a_registration() -> None:
    bench = Bench()
    sent = only(Send, bench.node.register(COA_A, bench.mobile_now))
    request = decode(sent.datagram)
    assert isinstance(request, RegistrationRequest)
    assert request.flags == Flag.DECAPSULATION_BY_MOBILE | Flag.REVERSE_TUNNEL
    assert (sent.source, request.lifetime_s) == (COA_A, 1800)
    answer = bench.to_agent((sent,))
    added = only(BindingAdded, answer)
    assert isinstance(answer[-1], Send), "the kernel is changed before the reply leaves"
    assert added.binding.reverse_tunnel
    bench.clock.seconds = 0.04
    registered = only(Registered, bench.to_node(answer))
    assert (registered.care_of, registered.lifetime_s, registered.renewal) == (COA_A, 1800.0, False)
    assert registered.round_trip_ns == 40_000_000
    assert bench.node.care_of == COA_A
    assert not bench.node.busy


def test_moving_changes_and_renewing_refreshes() -> None:
    bench = Bench()
    bench.register(COA_A)
    bench.clock.seconds = 10
    changed = only(BindingChanged, bench.register(COA_B))
    assert (changed.old.care_of, changed.binding.care_of) == (COA_A, COA_B)
    deadline = bench.node.next_deadline()
    assert deadline is not None
    bench.clock.seconds = deadline / 1e9
    assert bench.clock.seconds == pytest.approx(10 + 1200)
    answer = bench.to_agent(bench.node.expire(bench.mobile_now))
    only(BindingRefreshed, answer)
    assert only(Registered, bench.to_node(answer)).renewal


def test_code_is_1_because_simultaneous_bindings_are_not_kept() -> None:
    bench = Bench()
    flags = Flag.DECAPSULATION_BY_MOBILE | Flag.SIMULTANEOUS
    assert code_of(bench.raw(flags=flags)) == 1
    bench.clock.seconds = 2
    assert code_of(bench.raw(flags=flags, care_of=COA_B, source=COA_B)) == 1
    assert [binding.care_of for binding in bench.agent.bindings] == [COA_B]


def test_appendix_c2_is_granted_with_ip_in_ip() -> None:
    """All encapsulations and broadcasts on offer: a home agent without them says yes (s3.8.2)."""
    flags = Flag.BROADCAST | Flag.DECAPSULATION_BY_MOBILE | Flag.MINIMAL | Flag.GRE
    assert code_of(Bench().raw(flags=flags)) == 1


@pytest.mark.parametrize("at_home", [True, False])
def test_deregistration(at_home: bool) -> None:
    bench = Bench()
    bench.register(COA_A)
    bench.clock.seconds = 5
    outputs = bench.node.deregister(bench.mobile_now, at_home=at_home)
    request = decode(only(Send, outputs).datagram)
    assert isinstance(request, RegistrationRequest)
    assert (request.lifetime_s, request.care_of, request.flags) == (0, HOME, 0)
    assert only(Send, outputs).source == (HOME if at_home else COA_A)
    answer = bench.to_agent(outputs)
    assert only(BindingRemoved, answer).reason is Removal.DEREGISTERED
    assert only(Send, answer).on_home_link is at_home
    only(Deregistered, bench.to_node(answer))
    assert bench.node.care_of is None
    assert bench.node.next_deadline() is None
    assert bench.agent.next_deadline() is None


def test_deregistering_another_care_of_address_leaves_the_binding() -> None:
    bench = Bench()
    bench.register(COA_A)
    bench.clock.seconds = 5
    answer = bench.raw(lifetime_s=0, care_of=COA_B, stamp_s=1)
    assert code_of(answer) == 1
    assert [binding.care_of for binding in bench.agent.bindings] == [COA_A]


def test_retransmission_doubles_and_gives_up() -> None:
    bench = Bench()
    node, start = bench.node, bench.mobile_now.monotonic_ns
    seen = {only(Send, node.register(COA_A, bench.mobile_now)).datagram}
    offsets = []
    while True:
        deadline = node.next_deadline()
        assert deadline is not None
        offsets.append(round((deadline - start) / 1e9))
        bench.clock.seconds = (deadline - 7) / 1e9
        outputs = node.expire(Instant(deadline, bench.mobile_now.unix_ns))
        if isinstance(outputs[0], TimedOut):
            break
        seen.add(only(Send, outputs).datagram)
    assert offsets == [1, 3, 7, 15, 31, 63]
    assert len(seen) == 6, "each has a new identification (s3.6.3)"
    assert outputs[0].attempts == 6
    assert node.next_deadline() is None


def test_timeouts_never_exceed_the_lifetime() -> None:
    bench = Bench(Tuning(lifetime_s=3))
    bench.node.register(COA_A, bench.mobile_now)
    times = [0.0]
    for _ in range(4):
        deadline = bench.node.next_deadline()
        assert deadline is not None
        times.append(deadline / 1e9)
        bench.node.expire(Instant(deadline, EPOCH_NS + deadline))
    gaps = [round(later - earlier) for earlier, later in pairwise(times)]
    assert gaps == [1, 2, 3, 3]


def test_asking_twice_within_a_second_sends_once() -> None:
    bench = Bench()
    bench.node.register(COA_A, bench.mobile_now)
    bench.clock.seconds = 0.5
    assert bench.node.register(COA_A, bench.mobile_now) == ()
    bench.clock.seconds = 1.0
    assert len(bench.node.register(COA_A, bench.mobile_now)) == 1


def test_an_earlier_request_can_no_longer_be_answered() -> None:
    bench = Bench()
    first = bench.to_agent(bench.node.register(COA_A, bench.mobile_now))
    bench.clock.seconds = 1.5
    second = bench.node.expire(bench.mobile_now)
    assert isinstance(only(Discarded, bench.to_node(first)), Discarded)
    assert only(Registered, bench.to_node(bench.to_agent(second))).attempts == 2


def test_binding_expires_on_both_sides_and_the_mobile_node_is_first() -> None:
    bench = Bench(Tuning(lifetime_s=30))
    request = bench.node.register(COA_A, bench.mobile_now)
    bench.clock.seconds = 0.5
    bench.to_node(bench.to_agent(request))
    bench.clock.seconds = 30
    outputs = bench.node.expire(bench.mobile_now)
    assert outputs == (Expired(HOME, COA_A),)
    assert bench.agent.expire(bench.clock.now) == ()
    bench.clock.seconds = 30.5
    assert only(BindingRemoved, bench.agent.expire(bench.clock.now)).reason is Removal.EXPIRED


def test_renewal_goes_on_until_the_binding_ends() -> None:
    bench = Bench(Tuning(lifetime_s=30))
    bench.register(COA_A)
    sends = 0
    ended: tuple[MobileOutput, ...] = ()
    while (deadline := bench.node.next_deadline()) is not None:
        ended = bench.node.expire(Instant(deadline, EPOCH_NS + deadline))
        sends += sum(isinstance(output, Send) for output in ended)
    assert sends == 4  # at 20, 21, 23 and 27 s
    assert ended == (Expired(HOME, COA_A),)


def test_moving_stops_the_renewal_of_the_address_left() -> None:
    bench = Bench(Tuning(lifetime_s=300))
    bench.register(COA_A)
    bench.node.register(COA_B, bench.mobile_now)
    bench.clock.seconds = 250
    request = decode(only(Send, bench.node.expire(bench.mobile_now)).datagram)
    assert isinstance(request, RegistrationRequest)
    assert request.care_of == COA_B
    bench.clock.seconds = 300
    only(Expired, bench.node.expire(bench.mobile_now))


def test_lifetimes_cap_and_infinity() -> None:
    bench = Bench(Tuning(maximum_lifetime_s=60))
    registered = only(
        Registered, bench.to_node(bench.to_agent(bench.node.register(COA_A, bench.mobile_now)))
    )
    assert registered.lifetime_s == 60.0
    endless = Bench(Tuning(lifetime_s=0xFFFF, maximum_lifetime_s=0xFFFF))
    endless.register(COA_A)
    assert endless.node.next_deadline() is None
    assert endless.agent.next_deadline() is None


@pytest.mark.parametrize("skew_s", [-86400.0, -7.5, 7.5, 3600.0, 1e8])
def test_a_wrong_clock_is_mended_by_code_133(skew_s: float) -> None:
    bench = Bench(mobile_skew_s=skew_s)
    answer = bench.to_agent(bench.node.register(COA_A, bench.mobile_now))
    assert only(Refused, answer).code == 133
    assert bench.to_node(answer) == ()
    deadline = bench.node.next_deadline()
    assert deadline is not None
    assert deadline - bench.mobile_now.monotonic_ns >= 10**9, "s3.6.3: a second apart"
    bench.clock.seconds = 1.0
    answer = bench.to_agent(bench.node.expire(bench.mobile_now))
    only(BindingAdded, answer)
    only(Registered, bench.to_node(answer))


@pytest.mark.parametrize("skew_s", [-6.9, 6.9])
def test_seven_seconds_are_tolerated(skew_s: float) -> None:
    bench = Bench(mobile_skew_s=skew_s)
    bench.register(COA_A)


def test_persistent_133_is_believed_in_the_end() -> None:
    bench = Bench()
    outputs = bench.node.register(COA_A, bench.mobile_now)
    for _ in range(20):
        datagram = only(Send, outputs).datagram
        request = decode(datagram)
        assert isinstance(request, RegistrationRequest)
        reply = RegistrationReply(133, 0, HOME, AGENT, request.identification)
        result = bench.node.receive(sign(reply, SA), Endpoint(AGENT, 434), bench.mobile_now)
        if result:
            assert only(Rejected, result).code == 133
            break
        deadline = bench.node.next_deadline()
        assert deadline is not None
        bench.clock.seconds = deadline / 1e9
        outputs = bench.node.expire(bench.mobile_now)
    else:
        pytest.fail("it never gave up")


def test_denials() -> None:
    """Every code that this home agent gives, with what provokes it; bindings stay as they are."""
    bench = Bench()
    flag = Flag.DECAPSULATION_BY_MOBILE
    assert code_of(bench.raw(SecurityAssociation(256, b"x" * 16))) == 131
    assert code_of(bench.raw(SecurityAssociation(999, b"0123456789abcdef"), stamp_s=1)) == 131
    cases: list[tuple[int, dict[str, object]]] = [
        (136, {"home_agent": IPv4Address("10.0.0.255")}),
        (134, {"flags": flag | Flag.RESERVED_X}),
        (134, {"flags": flag | Flag.RESERVED_R}),
        (134, {"care_of": IPv4Address("224.0.0.1")}),
        (134, {"care_of": IPv4Address("0.0.0.0")}),
        (134, {"care_of": IPv4Address("255.255.255.255")}),
        (134, {"care_of": HOME}),
        (134, {"care_of": AGENT}),
        (129, {"care_of": COA_B}),
        (129, {"flags": Flag(0)}),
        (133, {"identification": 0}),
    ]
    for step, (code, changes) in enumerate(cases):
        bench.clock.seconds = 2.0 + step
        answer = bench.raw(**changes)  # type: ignore[arg-type]
        assert (code_of(answer), only(Refused, answer).code) == (code, code), changes
        assert bench.agent.bindings == ()
    rejected = Bench()
    request = decode(only(Send, rejected.node.register(COA_A, rejected.mobile_now)).datagram)
    assert isinstance(request, RegistrationRequest)
    reply = RegistrationReply(136, 0, HOME, COA_B, request.identification)
    result = rejected.node.receive(sign(reply, SA), Endpoint(AGENT, 434), rejected.mobile_now)
    assert only(Rejected, result).hint == COA_B


def test_policy_denials() -> None:
    clock = Clock()
    second = IPv4Address("10.0.0.101")
    agent = HomeAgent(
        AGENT,
        [
            Subscriber(HOME, (SA,), care_of_networks=(IPv4Network("192.0.2.0/24"),)),
            Subscriber(second, (OTHER_SA,), maximum_lifetime_s=5),
        ],
        started=clock.skewed(-1),
        tuning=Tuning(maximum_bindings=1),
        reverse_tunnel=False,
    )

    def attempt(home: IPv4Address, sa: SecurityAssociation, care_of: IPv4Address, t: bool) -> int:
        clock.seconds += 1
        node = MobileNode(home_address=home, home_agent=AGENT, association=sa, reverse_tunnel=t)
        sent = only(Send, node.register(care_of, clock.now))
        return code_of(agent.receive(sent.datagram, Endpoint(care_of, 5000), clock.now))

    assert attempt(HOME, SA, COA_B, False) == 129
    assert attempt(HOME, SA, COA_A, True) == 137
    assert attempt(HOME, SA, COA_A, False) == 1
    assert attempt(second, OTHER_SA, COA_A, False) == 129, "a care-of address has one owner"
    assert attempt(second, OTHER_SA, COA_B, False) == 130
    assert attempt(HOME, SA, IPv4Address("192.0.2.8"), False) == 1, "moving needs no new room"


def test_silence_where_the_rfc_wants_it() -> None:
    bench = Bench()
    stranger = bench.raw(home_address=IPv4Address("10.0.0.7"))
    assert isinstance(stranger[0], Discarded)
    assert len(stranger) == 1
    bare = bench.node.register(COA_B, bench.mobile_now)
    unsigned = only(Send, bare).datagram[:24]
    source = Endpoint(COA_B, 1)
    assert only(Discarded, bench.agent.receive(unsigned, source, bench.clock.now)).security
    foreign = Extension(34, bytes(20)).encode()
    assert only(Discarded, bench.raw(tail=foreign, stamp_s=1)).reason.startswith("an unverifiable")
    unknown = Extension(99, b"").encode()
    assert "must not be skipped" in only(Discarded, bench.raw(tail=unknown, stamp_s=2)).reason
    assert code_of(bench.raw(tail=Extension(199, b"abc").encode(), stamp_s=3)) == 1


def test_a_restart_refuses_what_was_stamped_before_it() -> None:
    bench = Bench()
    outputs = bench.node.register(COA_A, bench.mobile_now)
    bench.clock.seconds = 2
    bench.agent = HomeAgent(AGENT, [Subscriber(HOME, (SA,))], started=bench.clock.now)
    assert code_of(bench.to_agent(outputs)) == 133


def test_withdrawn_by_the_kernel() -> None:
    bench = Bench()
    bench.to_agent(bench.node.register(COA_A, bench.mobile_now))
    outputs = bench.agent.withdraw(HOME)
    assert only(BindingRemoved, outputs).reason is Removal.WITHDRAWN
    assert only(Rejected, bench.to_node(outputs)).code == 130
    assert bench.agent.withdraw(HOME) == ()


def test_replies_that_are_discarded() -> None:
    bench = Bench()
    outputs = bench.node.register(COA_A, bench.mobile_now)
    request = decode(only(Send, outputs).datagram)
    assert isinstance(request, RegistrationRequest)
    good = RegistrationReply(0, 1800, HOME, AGENT, request.identification)
    source = Endpoint(AGENT, 434)
    bad = [
        good.encode(),
        sign(good, OTHER_SA),
        sign(good, SecurityAssociation(256, b"x" * 16)),
        sign(replace(good, identification=good.identification ^ 1), SA),
        sign(replace(good, home_address=COA_A), SA),
        sign(replace(good, home_agent=COA_A), SA),
        sign(replace(good, code=65), SecurityAssociation(256, b"x" * 16)),
        only(Send, outputs).datagram,
        b"",
    ]
    double = sign(good, SA)
    bad.append(double + double[20:])
    for datagram in bad:
        only(Discarded, bench.node.receive(datagram, source, bench.mobile_now))
        assert bench.node.busy
        assert bench.node.care_of is None
    only(Registered, bench.node.receive(sign(good, SA), source, bench.mobile_now))
    only(Discarded, bench.node.receive(sign(good, SA), source, bench.mobile_now))


def test_a_longer_lifetime_than_asked_is_not_believed() -> None:
    bench = Bench(Tuning(lifetime_s=10))
    request = decode(only(Send, bench.node.register(COA_A, bench.mobile_now)).datagram)
    assert isinstance(request, RegistrationRequest)
    reply = RegistrationReply(0, 500, HOME, AGENT, request.identification)
    result = bench.node.receive(sign(reply, SA), Endpoint(AGENT, 434), bench.mobile_now)
    assert only(Registered, result).lifetime_s == 10.0


def test_care_of_addresses_that_cannot_be() -> None:
    bench = Bench()
    for address in (HOME, IPv4Address("0.0.0.0"), IPv4Address("224.1.1.1")):
        with pytest.raises(LocalError):
            bench.node.register(address, bench.mobile_now)


def test_none_does_nothing() -> None:
    none, now = NoMobility(), Clock().now
    assert none.register(COA_A, now) == none.deregister(now) == none.expire(now) == ()
    assert none.receive(b"x", Endpoint(AGENT, 1), now) == ()
    assert none.next_deadline() is None
