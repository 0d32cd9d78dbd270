"""Mobile IPv6, fuzzed: the decoder, and the three machines behind good checksums."""

from __future__ import annotations

import random
from dataclasses import replace

from fuzzing import fuzz, mutations

from mpa_hil.mobility.mip6.authentication import authorize, binding_key, sign
from mpa_hil.mobility.mip6.bindings import SendPacket
from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    Packet,
    decode,
)
from mpa_hil.mobility.mip6.numbers import UpdateFlag
from mpa_hil.mobility.mip6.options import (
    AlternateCareOf,
    BindingId,
    NonceIndices,
    RefreshAdvice,
    ReplayProtection,
)
from tests.support.mip6_world import AGENT, CARE_OF, CN, HOME, SA, World

UPDATE = BindingUpdate(7, UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME, 100)
CORPUS = [
    BindingRefreshRequest().encode(),
    HomeTestInit(b"homecook").encode(),
    CareOfTestInit(b"carecook").encode(),
    HomeTest(5, b"homecook", b"hometokn").encode(),
    CareOfTest(6, b"carecook", b"caretokn").encode(),
    sign(
        replace(UPDATE, options=(BindingId(3, care_of=CARE_OF[0]), ReplayProtection(1 << 63))),
        SA,
        CARE_OF[0],
        HOME,
    ),
    sign(replace(UPDATE, options=(AlternateCareOf(CARE_OF[0]),)), SA, CARE_OF[0], HOME),
    authorize(
        replace(UPDATE, options=(NonceIndices(1, 2),)), binding_key(b"h" * 8), CARE_OF[0], CN
    ),
    sign(BindingAcknowledgement(0, 7, 100, options=(RefreshAdvice(50),)), SA, CARE_OF[0], HOME),
    BindingError(1, HOME).encode(),
]
MACHINE_INPUTS = 2000
"""Each goes through three machines, which costs more than decoding."""


def test_mobility_headers() -> None:
    def decoded_twice(octets: bytes) -> object:
        message = decode(octets)
        assert decode(message.encode()) == message
        return message

    fuzz("mip6", decoded_twice, CORPUS)


def test_machines_raise_nothing() -> None:
    """Whatever comes, from wherever, a bound node stays where it is and nobody is amplified."""
    world = World()
    world.register(CARE_OF[0])
    world.run(3)
    dice = random.Random("mpa-hil fuzz mip6 machines")
    addresses = (AGENT, CN, HOME, *CARE_OF)
    for octets in mutations("mip6-machines", CORPUS, MACHINE_INPUTS):
        packet = Packet(
            octets,
            dice.choice(addresses),
            dice.choice(addresses),
            home=dice.choice((None, HOME)),
            via=dice.choice((None, CARE_OF[0])),
        )
        world.now_ns += 1_000_000
        answers = [
            *world.agent.receive(packet, world.agents_now()),
            *world.correspondent.receive(packet, world.now()),
        ]
        sent = [a.packet for a in answers if isinstance(a, SendPacket)]
        assert all(len(each.header) <= len(octets) + 24 for each in sent)
        world.node.receive(packet, world.now())
        world.optimiser.receive(packet, world.now())
    assert [b.care_of for b in world.agent.bindings] == [CARE_OF[0]]
    assert [b.care_of for b in world.correspondent.bindings] == [CARE_OF[0]]
    assert world.node.care_of == CARE_OF[0]
