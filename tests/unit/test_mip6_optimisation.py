"""Route optimisation: tests, updates, tokens that end, correspondents that fall silent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import IPv6Address

import pytest

from mpa_hil.mobility.interface import NS_PER_S, Discarded, Instant
from mpa_hil.mobility.mip6.authentication import authorize, binding_key
from mpa_hil.mobility.mip6.bindings import (
    Bound,
    Optimised,
    Refused,
    Removal,
    SendPacket,
    Unoptimised,
)
from mpa_hil.mobility.mip6.correspondent import Correspondent
from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    Message,
    Packet,
    decode,
)
from mpa_hil.mobility.mip6.numbers import MhType, Status, Tuning, UpdateFlag
from mpa_hil.mobility.mip6.options import NonceIndices
from mpa_hil.mobility.mip6.tokens import Tokens
from tests.support.mip6_world import AGENT, CARE_OF, CN, HOME, World, swift

ASKS = UpdateFlag.ACKNOWLEDGE


def bound_world(**changes: object) -> World:
    world = World(**changes)  # type: ignore[arg-type]
    world.register(CARE_OF[0])
    world.run(3)
    assert world.bound == [CARE_OF[0]]
    assert world.direct == CARE_OF[0]
    return world


def test_the_old_way_serves_until_the_new_one_stands() -> None:
    """Make before break: at no time is the direct way one that the correspondent does not know."""
    world = bound_world()
    seen: list[MhType] = []

    def fate(packet: Packet) -> Sequence[float]:
        if CN in (packet.source, packet.destination):
            seen.append(decode(packet.header).type)
            assert world.direct is not None
            known = {world.at_correspondent.get(HOME), CARE_OF[0]}
            assert world.direct in known
        return (0.01,)

    world.fate = fate
    world.register(CARE_OF[1])
    world.run(1)
    assert world.bound[-1] == CARE_OF[1]
    assert world.direct == CARE_OF[1]
    assert not world.all(Unoptimised)
    assert seen == [
        MhType.CARE_OF_TEST_INIT,
        MhType.CARE_OF_TEST,
        MhType.BINDING_UPDATE,
        MhType.BINDING_ACKNOWLEDGEMENT,
    ], "the home token is used again (s5.2.7)"


def test_a_dead_address_is_left_at_once() -> None:
    world = bound_world()
    world.register(CARE_OF[1], alone=True)
    assert world.direct is None, "until the correspondent knows, by the tunnel"
    world.run(1)
    assert world.direct == CARE_OF[1]
    assert world.at_correspondent[HOME] == CARE_OF[1]


def test_deregistration_reaches_the_correspondent() -> None:
    world = bound_world()
    world.deregister()
    world.run(1)
    assert world.direct is None
    assert HOME not in world.at_correspondent
    assert not world.correspondent.bindings


def test_a_silent_correspondent() -> None:
    """MAX_RO_FAILURE: three tries more, then the tunnel for good (s5.2.9)."""
    inits: list[int] = []
    world = World()

    def fate(packet: Packet) -> Sequence[float]:
        if packet.destination == CN:
            inits.append(world.now_ns)
            return ()
        return (0.01,)

    world.fate = fate
    world.register(CARE_OF[0])
    world.run(1.5)
    assert world.bound == [CARE_OF[0]], "it knows no other address, so nobody waits for it"
    world.run(60)
    assert world.direct is None
    assert len(inits) == 2 * 4
    gaps = [later - earlier for earlier, later in zip(inits, inits[2:], strict=False)][::2]
    assert [round(gap / NS_PER_S) for gap in gaps] == [1, 2, 4]


def test_giving_up_takes_the_old_binding_back() -> None:
    """Else the correspondent would go on sending to a care-of address that is about to go."""
    world = bound_world()
    kept: list[Packet] = []

    def fate(packet: Packet) -> Sequence[float]:
        if packet.source == CARE_OF[1] and packet.destination == CN:
            kept.append(packet)
            return ()
        return (0.01,)

    world.fate = fate
    world.register(CARE_OF[1])
    world.run(2.9)
    assert world.bound == [CARE_OF[0]], "it may still send to the one before"
    world.run(0.2)
    assert world.bound[-1] == CARE_OF[1]
    world.run(30)
    assert kept
    assert world.bound[-1] == CARE_OF[1]
    assert world.direct is None
    assert HOME not in world.at_correspondent


def test_renewal() -> None:
    """No binding by return routability lives longer than 420 s, so it is renewed in time."""
    world = bound_world()
    world.run(2000)
    updates = [b for b in world.all(Bound) if isinstance(b, Bound) and b.after]
    correspondents = [b for b in updates if b.after[0].lifetime_s == 420]
    assert len(correspondents) in (7, 8)
    assert world.direct == CARE_OF[0]
    assert not world.all(Unoptimised)


def test_a_correspondent_that_restarts() -> None:
    """It says that it knows no binding; the node goes by the tunnel and tries anew (s11.3.6)."""
    world = bound_world()
    world.restart_correspondent()
    world.caches(world.correspondent.unknown(HOME, CARE_OF[0], world.now()), "correspondent")
    world.run(0.012)
    assert world.direct is None
    world.run(5)
    assert world.direct == CARE_OF[0]
    assert world.at_correspondent[HOME] == CARE_OF[0]


def test_lost_messages() -> None:
    """Every third message is lost, and it comes to rest all the same."""
    count = 0

    def fate(packet: Packet) -> Sequence[float]:
        nonlocal count
        count += 1
        return () if count % 3 == 0 else (0.01,)

    world = World(fate=fate)
    world.register(CARE_OF[0])
    world.run(60)
    assert world.direct == world.at_correspondent.get(HOME) == CARE_OF[0]


def test_quick_moves_keep_to_the_rate() -> None:
    """At most three messages of a type to a correspondent within a second (s11.8)."""
    world = bound_world()
    sent: list[tuple[MhType, int]] = []

    def fate(packet: Packet) -> Sequence[float]:
        if packet.destination == CN:
            sent.append((decode(packet.header).type, world.now_ns))
        return (0.001,)

    world.fate = fate
    for step in range(40):
        world.register(CARE_OF[step % 5])
        world.run(0.05)
    world.run(3)
    assert world.direct == CARE_OF[39 % 5]
    for kind in MhType:
        times = [ns for each, ns in sent if each is kind]
        for first, fourth in zip(times, times[3:], strict=False):
            assert fourth - first >= 0.99 * NS_PER_S, kind


def test_tokens_last_as_long_as_the_rfc_says() -> None:
    """MAX_TOKEN_LIFETIME 210 s at least, MAX_NONCE_LIFETIME 240 s at most."""
    tokens = Tokens(random.Random(1).randbytes)
    for asked_s in range(0, 60, 7):
        index, token = tokens.home(HOME, asked_s * NS_PER_S)
        again = tokens.home_again(HOME, index, (asked_s + 209) * NS_PER_S)
        assert again == token
        assert tokens.home_again(HOME, index, (asked_s + 241) * NS_PER_S) is None
        assert tokens.home_again(CN, index, asked_s * NS_PER_S) != token
        assert tokens.care_of_again(HOME, index, asked_s * NS_PER_S) != token
    tokens.forget()
    assert tokens.home_again(HOME, index, 60 * NS_PER_S) is None


class Peer:
    """A correspondent and somebody who passed its tests."""

    def __init__(self, **changes: object) -> None:
        self.cn = Correspondent(CN, random.Random(2).randbytes, **changes)  # type: ignore[arg-type]
        self.ns = 10 * NS_PER_S
        self.sequence = 1
        self.home_index, self.home_token = self._test(HomeTestInit(b"h" * 8), HOME)
        self.care_of_index, self.care_of_token = self._test(CareOfTestInit(b"c" * 8), CARE_OF[0])

    def _test(self, init: HomeTestInit | CareOfTestInit, source: IPv6Address) -> tuple[int, bytes]:
        answer = self.hear(init.encode(), source)[0]
        assert isinstance(answer, HomeTest | CareOfTest)
        assert answer.cookie == init.cookie
        return answer.nonce_index, answer.token

    def hear(
        self, header: bytes, source: IPv6Address, home: IPv6Address | None = None
    ) -> list[object]:
        """Outputs, with messages decoded."""
        now = Instant(self.ns, 10**18)
        outputs = self.cn.receive(Packet(header, source, CN, home=home), now)
        found: list[object] = []
        for output in outputs:
            if isinstance(output, SendPacket):
                message: Message = decode(output.packet.header)
                found.append(message)
            else:
                found.append(output)
        return found

    def update(
        self,
        *,
        units: int = 50,
        sequence: int | None = None,
        indices: NonceIndices | None = None,
        key: bytes | None = None,
    ) -> list[object]:
        self.sequence += 1
        deletes = units == 0
        tokens = (self.home_token,) if deletes else (self.home_token, self.care_of_token)
        update = BindingUpdate(
            self.sequence if sequence is None else sequence,
            ASKS,
            units,
            (indices or NonceIndices(self.home_index, self.care_of_index),),
        )
        care_of = HOME if deletes else CARE_OF[0]
        header = authorize(update, key or binding_key(*tokens), care_of, CN)
        return self.hear(header, CARE_OF[0], HOME)


def test_a_correspondents_cache() -> None:
    tested = Peer()
    bound, answer = tested.update(units=0xFFFF)
    assert isinstance(bound, Bound)
    assert isinstance(answer, BindingAcknowledgement)
    assert (answer.status, answer.lifetime_units) == (0, 105), "MAX_RR_BINDING_LIFETIME"
    tested.ns += 411 * NS_PER_S
    (request,) = tested.cn.expire(Instant(tested.ns, 0))
    assert isinstance(request, SendPacket)
    assert isinstance(decode(request.packet.header), BindingRefreshRequest)
    assert tested.cn.expire(Instant(tested.ns, 0)) == ()
    tested.ns += 10 * NS_PER_S
    (gone,) = tested.cn.expire(Instant(tested.ns, 0))
    assert isinstance(gone, Bound)
    assert gone.reason is Removal.EXPIRED
    assert tested.cn.next_deadline() is not None, "its sequence number counts for a while"
    tested.ns += 241 * NS_PER_S
    assert tested.cn.expire(Instant(tested.ns, 0)) == ()
    assert tested.cn.next_deadline() is None


def test_no_update_counts_twice() -> None:
    """Not while the binding stands, and not after it was deleted (s5.2.8, s9.5.3)."""
    tested = Peer()
    tested.update(sequence=10)
    for sequence in (10, 9):
        answer, refused = tested.update(sequence=sequence)
        assert isinstance(answer, BindingAcknowledgement)
        assert (answer.status, answer.sequence) == (Status.SEQUENCE_OUT_OF_WINDOW, 10)
        assert isinstance(refused, Refused)
    tested.update(units=0, sequence=11)
    assert not tested.cn.bindings
    answer, _ = tested.update(sequence=11)
    assert isinstance(answer, BindingAcknowledgement)
    assert answer.status == Status.SEQUENCE_OUT_OF_WINDOW
    assert not tested.cn.bindings


@pytest.mark.parametrize(
    ("home", "care_of", "status"),
    [(99, 0, 136), (0, 99, 137), (99, 99, 138)],
)
def test_indices_that_are_not_known(home: int, care_of: int, status: int) -> None:
    """The answer is unsigned, for there is nothing to sign it with (s9.5.4)."""
    tested = Peer()
    indices = NonceIndices(tested.home_index + home, tested.care_of_index + care_of)
    (answer,) = tested.update(indices=indices)
    assert isinstance(answer, BindingAcknowledgement)
    assert (answer.status, answer.options) == (status, ())
    assert not tested.cn.bindings


def test_updates_without_both_tests() -> None:
    tested = Peer()
    for key in (binding_key(tested.home_token), bytes(20)):
        (discarded,) = tested.update(key=key)
        assert isinstance(discarded, Discarded)
        assert discarded.security
    plain = BindingUpdate(1, ASKS, 9).encode()
    home = BindingUpdate(1, ASKS | UpdateFlag.HOME, 9).encode()
    for header in (plain, home, b"\x3b\0"):
        (discarded,) = tested.hear(header, CARE_OF[0], HOME)
        assert isinstance(discarded, Discarded)
    assert not tested.cn.bindings


def test_tests_with_a_home_address_option_are_ignored() -> None:
    tested = Peer()
    (discarded,) = tested.hear(HomeTestInit(b"x" * 8).encode(), CARE_OF[0], HOME)
    assert isinstance(discarded, Discarded)


def test_a_full_cache() -> None:
    answer, refused = Peer(tuning=Tuning(maximum_bindings=0)).update()
    assert isinstance(answer, BindingAcknowledgement)
    assert answer.status == Status.RESOURCES
    assert isinstance(refused, Refused)


def test_what_the_kernel_refused() -> None:
    tested = Peer()
    bound, _ = tested.update()
    assert isinstance(bound, Bound)
    tested.cn.withdraw(bound)
    assert not tested.cn.bindings


def test_lies_told_to_the_node() -> None:
    """Answers to no question, with wrong cookies, to another address, unsigned, of strangers."""
    world = bound_world()
    lies = [
        Packet(HomeTest(1, b"?" * 8, b"t" * 8).encode(), CN, HOME),
        Packet(CareOfTest(1, b"?" * 8, b"t" * 8).encode(), CN, CARE_OF[0]),
        Packet(BindingAcknowledgement(0, 1, 9).encode(), CN, HOME, via=CARE_OF[0]),
        Packet(BindingAcknowledgement(129, 1, 9).encode(), CN, HOME, via=CARE_OF[0]),
        Packet(BindingAcknowledgement(136, 1, 9).encode(), CN, HOME, via=CARE_OF[0]),
        Packet(BindingAcknowledgement(135, 1, 9).encode(), CN, HOME, via=CARE_OF[0]),
        Packet(BindingAcknowledgement(0, 1, 9).encode(), AGENT, HOME, via=CARE_OF[0]),
        Packet(BindingError(1, CARE_OF[0]).encode(), CN, CARE_OF[0]),
        Packet(BindingError(2, HOME).encode(), CN, CARE_OF[0]),
        Packet(BindingError(1, HOME).encode(), CARE_OF[2], CARE_OF[0]),
        Packet(b"\x3b\0\x63\0\0\0\0\0", CN, CARE_OF[0]),
        Packet(BindingUpdate(1, ASKS, 1).encode(), CN, HOME),
    ]
    before = len(world.said)
    for lie in lies:
        world.hear(lie)
    said = world.said[before:]
    assert len(said) == len(lies)
    assert all(isinstance(output, Discarded) for output in said)
    assert world.direct == CARE_OF[0]


def test_a_refresh_is_answered_with_a_new_update() -> None:
    world = bound_world()
    world.fate = swift
    before = len(world.all(Optimised))
    world.hear(Packet(BindingRefreshRequest().encode(), CN, HOME))
    world.run(1)
    assert len(world.all(Optimised)) == before + 1


def test_a_correspondent_without_route_optimisation() -> None:
    """It answers the tests with an error, and is let alone (s11.3.6)."""
    world = World(fate=lambda packet: () if packet.destination == CN else (0.01,))
    world.register(CARE_OF[0])
    world.run(1.5)
    world.hear(Packet(BindingError(2, IPv6Address("::")).encode(), CN, CARE_OF[0]))
    world.run(0.1)
    assert world.bound == [CARE_OF[0]]
    assert world.optimiser.settled(world.now())
    assert world.optimiser.next_deadline() is not None
    world.run(10)
    assert world.optimiser.next_deadline() is None
