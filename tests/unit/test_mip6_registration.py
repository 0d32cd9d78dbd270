"""Home registration: what the node asks, what the home agent grants, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network

import pytest

from mpa_hil.mobility.interface import (
    Deregistered,
    Discarded,
    Expired,
    Instant,
    Registered,
    Rejected,
    TimedOut,
)
from mpa_hil.mobility.mip4 import identification as ids
from mpa_hil.mobility.mip6.authentication import sign
from mpa_hil.mobility.mip6.bindings import (
    Bound,
    Check,
    Refused,
    Removal,
    SendPacket,
    Subscriber,
)
from mpa_hil.mobility.mip6.home_agent import HomeAgent
from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    Packet,
    decode,
    find,
)
from mpa_hil.mobility.mip6.numbers import Status, Tuning, UpdateFlag
from mpa_hil.mobility.mip6.options import (
    AlternateCareOf,
    BindingId,
    NonceIndices,
    Option,
    ReplayProtection,
    Unknown,
)
from radios.errors import LocalError
from tests.support.mip6_world import AGENT, CARE_OF, HOME, SA, World

HA_UPDATE = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME


def test_a_binding_and_its_change() -> None:
    """RFC 6275 s10.3.1: the first waits for the check of the home address, the next do not."""
    world = World(optimises=False)
    world.register(CARE_OF[0])
    world.run(0.9)
    assert not world.bound
    world.run(1)
    assert world.bound == [CARE_OF[0]]
    start_ns = world.now_ns
    world.register(CARE_OF[1])
    world.run(0.05)
    assert world.bound == [CARE_OF[0], CARE_OF[1]]
    assert world.at_home_agent[HOME] == (CARE_OF[1],)
    assert world.now_ns - start_ns < 10**8
    assert len(world.all(Check)) == 1


def test_deregistration() -> None:
    world = World(optimises=False)
    world.register(CARE_OF[0])
    world.run(2)
    world.deregister()
    world.run(1)
    assert world.at_home_agent[HOME] == ()
    assert world.all(Deregistered)
    assert world.agent.bindings == ()
    assert world.node.care_of is None


def test_a_home_address_in_use() -> None:
    """Status 134 (s10.3.1)."""
    world = World(optimises=False, free=False)
    world.register(CARE_OF[0])
    world.run(3)
    (rejected,) = world.all(Rejected)
    assert isinstance(rejected, Rejected)
    assert rejected.code == Status.DUPLICATE_ADDRESS
    assert not world.agent.bindings


def test_silence() -> None:
    """s11.8: 1.5, 3, 6, 12, 24, 32 s apart, then the node gives up."""
    world = World(fate=lambda packet: (), optimises=False)
    world.register(CARE_OF[0])
    world.run(200)
    (gone,) = world.all(TimedOut)
    assert isinstance(gone, TimedOut)
    assert gone.attempts == 6


def test_renewal_and_expiry() -> None:
    world = World(optimises=False, tuning=Tuning(lifetime_s=60))
    world.register(CARE_OF[0])
    world.run(300)
    registered = world.all(Registered)
    assert len(registered) in (7, 8), "every 40 s"
    assert all(isinstance(r, Registered) and r.renewal for r in registered[1:])
    assert world.bound == [CARE_OF[0]]
    world.fate = lambda packet: ()
    world.run(100)
    assert world.all(Expired)
    bounds = [output for output in world.all(Bound) if isinstance(output, Bound)]
    assert bounds[-1].reason is Removal.EXPIRED


def test_a_clock_that_is_wrong() -> None:
    """Status 144 tells the home agent's time (RFC 4285 s6)."""
    world = World(optimises=False, clock_apart_s=-5000.0)
    world.restart_home_agent()
    world.register(CARE_OF[0])
    world.run(3)
    assert world.bound == [CARE_OF[0]]
    refused = [r.status for r in world.all(Refused) if isinstance(r, Refused)]
    assert refused == [Status.ID_MISMATCH]


def test_a_node_that_restarts() -> None:
    """It starts at any sequence number; status 135 tells it the last one (s11.7.1)."""
    world = World(optimises=False)
    world.register(CARE_OF[0])
    world.run(2)
    fresh = World(optimises=False, seed=1)
    last = world.agent.bindings[0].sequence
    fresh.node._sequence = (last - 10) & 0xFFFF
    fresh.agent, fresh.now_ns = world.agent, world.now_ns
    fresh.register(CARE_OF[1])
    fresh.run(3)
    assert fresh.bound == [CARE_OF[1]]
    refused = [r.status for r in fresh.all(Refused) if isinstance(r, Refused)]
    assert refused == [Status.SEQUENCE_OUT_OF_WINDOW]


def test_a_home_agent_that_restarts() -> None:
    """It takes no update from before its start, and the next one of the node."""
    recorded: list[Packet] = []
    world = World(optimises=False)
    world.fate = lambda packet: recorded.append(packet) or (0.01,)  # type: ignore[func-returns-value]
    world.register(CARE_OF[0])
    world.run(2)
    world.restart_home_agent()
    for packet in recorded:
        if packet.destination == AGENT:
            world.caches(world.agent.receive(packet, world.agents_now()), "agent")
    assert not world.agent.bindings
    assert not world.checks
    world.register(CARE_OF[1])
    world.run(2)
    assert world.at_home_agent[HOME] == (CARE_OF[1],)


class Signed:
    """A home agent, and updates with the right key and whatever else."""

    def __init__(self, *, alone: bool = False, **changes: object) -> None:
        self.ns = 5 * 10**9
        self.sequence = 100
        self.agent = HomeAgent(
            AGENT,
            (Subscriber(HOME, (SA,), care_of_networks=(IPv6Network("2001:db8:a::/48"),)),),
            started=Instant(0, 10**18),
            check_addresses=False,
            **changes,  # type: ignore[arg-type]
        )

    def say(
        self,
        *options: Option,
        source: IPv6Address = CARE_OF[0],
        care_of: IPv6Address | None = None,
        home: IPv6Address | None = HOME,
        units: int = 100,
        flags: UpdateFlag = HA_UPDATE,
        stamp: bool = True,
    ) -> tuple[int, list[object]]:
        """The status of the answer, and the other outputs."""
        self.ns += 10**8
        self.sequence += 1
        now = Instant(self.ns, 10**18 + self.ns)
        bid = find(options, BindingId)
        bound = care_of or (bid.care_of if bid and bid.care_of else None) or source
        assert isinstance(bound, IPv6Address)
        if stamp:
            options = (*options, ReplayProtection(ids.from_unix_ns(now.unix_ns)))
        if care_of is not None:
            options = (AlternateCareOf(care_of), *options)
        update = BindingUpdate(self.sequence, flags, units, options)
        header = sign(update, SA, bound, HOME)
        outputs = self.agent.receive(Packet(header, source, AGENT, home=home), now)
        answers = [o.packet for o in outputs if isinstance(o, SendPacket)]
        status = -1
        if answers:
            answer = decode(answers[0].header)
            assert isinstance(answer, BindingAcknowledgement)
            status = answer.status
            assert answers[0].via == (source if home is not None else None)
        return status, [o for o in outputs if not isinstance(o, SendPacket)]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.INVALID_CARE_OF, {"care_of": CARE_OF[1]}),
        (Status.INVALID_CARE_OF, {"source": IPv6Address("fe80::1")}),
        (Status.INVALID_CARE_OF, {"source": AGENT}),
        (Status.PROHIBITED, {"source": IPv6Address("2001:db8:ffff::1")}),
        (Status.ID_REQUIRED, {"stamp": False}),
        (Status.UNSPECIFIED, {"source": HOME, "home": None, "care_of": CARE_OF[0]}),
    ],
)
def test_authentic_updates_that_are_refused(status: Status, said: dict[str, object]) -> None:
    signed = Signed()
    assert signed.say(**said)[0] == status  # type: ignore[arg-type]
    assert not signed.agent.bindings
    assert signed.say()[0] == Status.ACCEPTED, "the next is as good as ever"


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (Status.UNSPECIFIED, (NonceIndices(1, 2),)),
        (Status.MALFORMED_BID, (Unknown(35, bytes(5)),)),
        (Status.BID_PROHIBITED, (BindingId(0),)),
        (Status.BULK_PROHIBITED, (BindingId(1), BindingId(2))),
    ],
)
def test_options_that_are_refused(status: Status, options: tuple[Option, ...]) -> None:
    assert Signed().say(*options)[0] == status


def test_another_nodes_care_of_address() -> None:
    signed = Signed()
    other = IPv6Address("2001:db8:1::65")
    signed.agent = HomeAgent(
        AGENT,
        (Subscriber(HOME, (SA,)), Subscriber(other, (SA,))),
        started=Instant(0, 10**18),
        check_addresses=False,
    )
    assert signed.say()[0] == Status.ACCEPTED
    now = Instant(signed.ns + 10**9, 10**18 + signed.ns + 10**9)
    update = BindingUpdate(1, HA_UPDATE, 9, (ReplayProtection(ids.from_unix_ns(now.unix_ns)),))
    packet = Packet(sign(update, SA, CARE_OF[0], other), CARE_OF[0], AGENT, home=other)
    outputs = signed.agent.receive(packet, now)
    assert any(isinstance(o, Refused) and o.status == Status.PROHIBITED for o in outputs)


def test_several_bindings() -> None:
    """RFC 5648: beside each other, one taken back, all replaced."""
    signed = Signed()
    assert signed.say()[0] == Status.ACCEPTED
    status, _ = signed.say(BindingId(1, care_of=CARE_OF[1]), source=CARE_OF[1])
    assert status == Status.NON_BID_BINDING_EXISTS
    both = HA_UPDATE | UpdateFlag.OVERWRITE
    for bid, flags in ((1, both), (2, HA_UPDATE), (3, HA_UPDATE)):
        option = BindingId(bid, care_of=CARE_OF[bid])
        assert signed.say(option, source=CARE_OF[bid], flags=flags)[0] == Status.ACCEPTED
    assert [b.bid for b in signed.agent.bindings] == [1, 2, 3]
    assert signed.say(BindingId(2), source=CARE_OF[3], units=0)[0] == Status.ACCEPTED
    assert [b.bid for b in signed.agent.bindings] == [1, 3]
    status, (bound,) = signed.say(BindingId(4, care_of=CARE_OF[3]), source=CARE_OF[3], flags=both)
    assert isinstance(bound, Bound)
    assert bound.reason is Removal.OVERWRITTEN
    assert [b.care_of for b in signed.agent.bindings] == [CARE_OF[3]]
    assert signed.say(units=0)[0] == Status.ACCEPTED
    assert not signed.agent.bindings
    assert Signed(several=False).say(BindingId(1, care_of=CARE_OF[0]))[0] == Status.BID_PROHIBITED


def test_a_full_cache() -> None:
    signed = Signed(tuning=Tuning(maximum_bindings=0))
    assert signed.say()[0] == Status.RESOURCES


def test_what_the_kernel_refused() -> None:
    """Status 130, and what was before stands again."""
    signed = Signed()
    signed.say()
    (before,) = signed.agent.bindings
    _, (bound,) = signed.say(source=CARE_OF[1])
    assert isinstance(bound, Bound)
    now = Instant(signed.ns, 10**18 + signed.ns)
    (send,) = signed.agent.withdraw(bound, now)
    assert isinstance(send, SendPacket)
    answer = decode(send.packet.header)
    assert isinstance(answer, BindingAcknowledgement)
    assert answer.status == Status.RESOURCES
    assert signed.agent.bindings == (before,)
    assert signed.agent.withdraw(bound, now) == ()


def test_unsigned_updates_are_met_with_silence() -> None:
    """Nothing is said to whoever does not have the key, and nothing changes."""
    signed = Signed()
    header = BindingUpdate(1, HA_UPDATE, 100).encode()
    for packet in (
        Packet(header, CARE_OF[0], AGENT, home=HOME),
        Packet(header, CARE_OF[0], AGENT, home=IPv6Address("2001:db8:1::99")),
        Packet(b"\x3b\0", CARE_OF[0], AGENT, home=HOME),
        Packet(replace(BindingUpdate(1, HA_UPDATE, 1), flags=UpdateFlag(0)).encode(), HOME, AGENT),
    ):
        (discarded,) = signed.agent.receive(packet, Instant(10**10, 10**18 + 10**10))
        assert isinstance(discarded, Discarded)


def test_a_type_that_is_not_known() -> None:
    """One Binding Error a second to one address (s9.2, s9.3.3)."""
    signed = Signed()
    packet = Packet(b"\x3b\0\x30\0\0\0\0\0", CARE_OF[0], AGENT)
    sent = 0
    for step in range(30):
        now = Instant(10**10 + step * 10**8, 10**18)
        outputs = signed.agent.receive(packet, now)
        sent += sum(isinstance(output, SendPacket) for output in outputs)
    assert sent == 3


def test_addresses_that_cannot_be() -> None:
    world = World(optimises=False)
    for wrong in (HOME, IPv6Address("fe80::1"), IPv6Address("ff02::1"), IPv6Address("::")):
        with pytest.raises(LocalError):
            world.node.register(wrong, world.now())
