"""Rows A4, A9 and F3 at the mobile node: whatever happens to what is said, the node either has the
very keys that the access points have, or it has none and says why."""

from __future__ import annotations

import dataclasses
import random

import pytest
from campaign import dice, runs
from pana_pair import MS, endpoint
from preparation_world import World, network

from mpa_hil.authentication.service import KeyState
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.message import Avp, Message, decode
from mpa_hil.pana.numbers import PANA_PORT, AvpCode, Flag, MessageType
from mpa_hil.preauthentication.interface import Failed, Prepared, Serving
from mpa_hil.preauthentication.link import At

B = network(1)
BSSIDS = [point.bssid for point in B.points]
DEADLINE_S = 30.0
R, C = int(Flag.REQUEST), int(Flag.COMPLETE)


def whole_or_nothing(world: World) -> bool:
    """True: prepared, with the same keys at both ends; False: failed, with none; else an error."""
    done, failed = len(world.of(Prepared)), len(world.of(Failed))
    assert done + failed == 1, (done, failed)
    if done:
        (prepared,) = world.of(Prepared)
        assert isinstance(prepared, Prepared)
        assert prepared.ready >= 1
        assert sum(world.agreed(bssid) for bssid in BSSIDS) >= prepared.ready
        return True
    assert not world.supplicant
    assert not world.mn.machines
    return False


def test_f3_a_bad_wire_costs_time_or_the_preparation_and_nothing_else() -> None:
    """Loss, doubles, overtaking and damage, up to a half of all that is sent."""
    chance = dice("F3 preparation")
    done = 0
    for number in range(runs(1000)):
        loss, damage = chance.uniform(0.01, 0.5), chance.choice((0.0, 0.02, 0.2))
        slowest_ms = chance.choice((5, 50, 500))

        def fault(
            octets: bytes,
            roll: random.Random,
            loss: float = loss,
            damage: float = damage,
            slowest_ms: int = slowest_ms,
        ) -> list[tuple[int, bytes]]:
            arriving = []
            for _ in range(1 + (roll.random() < 0.1)):
                if roll.random() >= loss:
                    changed = bytearray(octets)
                    if roll.random() < damage:
                        changed[roll.randrange(len(changed))] ^= 1 << roll.randrange(8)
                    arriving.append((roll.randint(1, slowest_ms) * MS, bytes(changed)))
            return arriving

        world = World(B, seed=f"F3 {number}", fault=fault)
        world.does(world.mn.prepare([B], world.now, deadline_s=DEADLINE_S, hold_s=600))
        world.run(DEADLINE_S + 10)
        done += whole_or_nothing(world)
    assert done > runs(1000) * 0.7  # a wire that loses half of it now and then is too slow


def refusal(genuine: Message, kind: int) -> bytes:
    """What somebody on the path may say instead of the agent, with all that he can see."""
    if kind == 0:
        value = (1).to_bytes(4, "big")
        avps = (Avp(AvpCode.RESULT_CODE, value), Avp(AvpCode.EAP_PAYLOAD, b"\4\0\0\4"))
        flags = genuine.flags | R | C
        return Message(MessageType.AUTH, flags, genuine.session_id, genuine.sequence, avps).encode()
    if kind == 1:
        avps = (Avp(AvpCode.TERMINATION_CAUSE, (4).to_bytes(4, "big")),)
        flags = R | int(Flag.PREAUTHENTICATION)
        kind_ = MessageType.TERMINATION
        return Message(kind_, flags, genuine.session_id, genuine.sequence, avps).encode()
    if kind == 2:
        value = (0).to_bytes(4, "big")
        avps = (Avp(AvpCode.RESULT_CODE, value), Avp(AvpCode.EAP_PAYLOAD, b"\3\0\0\4"))
        flags = genuine.flags | R | C
        return Message(MessageType.AUTH, flags, genuine.session_id, genuine.sequence, avps).encode()
    avps = (Avp(AvpCode.EAP_PAYLOAD, b"\4\0\0\4"),)
    return Message(MessageType.AUTH, R, genuine.session_id, genuine.sequence, avps).encode()


@pytest.mark.parametrize("step", range(5))
def test_a4_a_forged_end_at_any_step_never_leads_to_half_a_success(step: int) -> None:
    chance = dice(f"A4 preparation {step}")
    for number in range(runs(200)):
        world = World(B, seed=f"A4 {step} {number}")
        kind, count = chance.randrange(4), 0
        genuine_to_node = world._to_node

        def between(
            source: Endpoint,
            datagram: bytes,
            destination: Endpoint,
            world: World = world,
            kind: int = kind,
            genuine: object = genuine_to_node,
        ) -> None:
            nonlocal count
            if source.port == PANA_PORT:
                if count == step:
                    forged = refusal(decode(datagram), kind)
                    world.later(0, lambda: world._at_node(forged, source, destination))
                count += 1
            genuine(source, datagram, destination)  # type: ignore[operator]

        world._to_node = between  # type: ignore[method-assign]
        world.does(world.mn.prepare([B], world.now, deadline_s=DEADLINE_S, hold_s=600))
        world.run(DEADLINE_S + 70)
        assert count > step or step > 3
        whole_or_nothing(world)


def test_a9_an_agent_that_is_not_what_it_was_said_to_be_gets_nowhere() -> None:
    """Its realm, its points of attachment, or its place are another's."""
    chance = dice("A9 preparation")
    for number in range(runs(50)):
        world = World(B, seed=f"A9 {number}")
        agent = world.agent(B.realm)
        told = B
        lie = chance.randrange(3)
        if lie == 0:
            agent.realm = f"n{chance.randrange(2, 99)}.example"
        elif lie == 1:
            agent.states = dict.fromkeys(BSSIDS, KeyState.UNKNOWN)
        else:
            world.agents[endpoint("198.51.9.9")] = dataclasses.replace(agent)
            told = dataclasses.replace(B, realm="other.example")
        world.does(world.mn.prepare([told], world.now, deadline_s=3, hold_s=600))
        world.run(10)
        assert not whole_or_nothing(world)
        assert not world.supplicant
        world.does(world.mn.link(At(BSSIDS[0]), world.now))
        world.run(5)
        assert not world.of(Serving)
