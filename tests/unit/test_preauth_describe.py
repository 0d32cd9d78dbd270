"""The question for networks as the mobile node's agent puts it: socket, liars, loss, and when."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest
from discovery_samples import A, B
from preparation_world import World, network

from mpa_hil.agents.preauth_describe import describe
from mpa_hil.authentication.service import SERVICE_PORT, Describe, Seal
from mpa_hil.discovery import asking, information
from mpa_hil.discovery.description import Learnt, Source
from mpa_hil.discovery.information import InformationService
from mpa_hil.errors import RemoteError
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.association import SecurityAssociation
from mpa_hil.preauthentication.interface import Prepared

REALM = A.realm
B1 = network(1)
AGENT = f"127.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}.7"
"""Of this process alone: the service's port is fixed."""

Answer = Callable[[bytes], list[bytes]]


def association() -> SecurityAssociation:
    world = World(B1)
    world.does(world.mn.prepare([B1], world.now, deadline_s=10, hold_s=300))
    world.run(1)
    askable = world.mn.machines[0].askable
    assert askable is not None
    return askable[1].sa


@contextlib.contextmanager
def agent(answer: Answer, elsewhere: Answer) -> Iterator[None]:
    """What listens at the agent's port, and what else answers, from another port."""
    loop = asyncio.get_running_loop()
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with (
        socket.socket(socket.AF_INET, kind) as opened,
        socket.socket(socket.AF_INET, kind) as other,
    ):
        opened.bind((AGENT, SERVICE_PORT))

        def readable() -> None:
            question, source = opened.recvfrom(2048)
            for octets in elsewhere(question):
                other.sendto(octets, source)
            for octets in answer(question):
                opened.sendto(octets, source)

        loop.add_reader(opened, readable)
        try:
            yield
        finally:
            loop.remove_reader(opened)


def nothing(datagram: bytes) -> list[bytes]:
    return []


def asked(
    sa: SecurityAssociation, answer: Answer, elsewhere: Answer = nothing
) -> tuple[Learnt, ...]:
    async def scenario() -> tuple[Learnt, ...]:
        with agent(answer, elsewhere):
            where = Endpoint(ip_address(AGENT), 716)
            return await describe(sa, REALM, where, near=A.points[0].bssid)

    return asyncio.run(scenario())


def truth(sa: SecurityAssociation, service: InformationService) -> Answer:
    seal = Seal(sa, REALM, random.Random(1).randbytes)

    def answer(datagram: bytes) -> list[bytes]:
        question = seal.open_question(datagram)
        assert isinstance(question.question, Describe)
        said = service.answer(question.question.query)
        assert said is not None
        return [seal.description(question.number, said)]

    return answer


def test_an_agent_tells_of_its_own_network_and_of_others() -> None:
    """R29: under the MPA-SA, so both ends are known."""
    sa = association()
    learnt = asked(sa, truth(sa, InformationService((A, B))))
    assert [(each.network, each.source) for each in learnt] == [
        (A, Source.OWN_AA),
        (B, Source.OTHER_AA),
    ]


def test_lies_and_loss_do_not_keep_the_answer_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "REPEAT_S", 0.01)
    sa = association()
    honest = truth(sa, InformationService((A, B)))
    count = 0

    def answer(datagram: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        (octets,) = honest(datagram)
        forged = octets[:-1] + bytes((octets[-1] ^ 1,))
        return [b"", b"junk", forged, datagram] if count < 3 else [forged, octets]

    assert {each.network for each in asked(sa, answer, elsewhere=honest)} == {A, B}
    assert count == 3


def test_an_unwilling_agent_and_a_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sa = association()
    with pytest.raises(RemoteError, match="nothing known"):
        asked(sa, truth(sa, InformationService(())))
    hasty = information.InformationSettings(timeout_s=0.05)
    monkeypatch.setattr(information, "InformationSettings", lambda: hasty)
    with pytest.raises(RemoteError, match="no answer in time"):
        asked(sa, nothing)


def test_nothing_is_asked_while_keys_are_asked_for() -> None:
    """The agent answers the last question only: another one would take the first one's answer."""
    world = World(B1)
    world.does(world.mn.prepare([B1], world.now, deadline_s=10, hold_s=300))
    seen = []
    for _ in range(200):
        told = bool(world.of(Prepared))
        (machine,) = world.mn.machines
        seen.append((told, machine.askable is not None))
        world.run(0.005)
    assert (False, False) in seen
    assert (True, True) in seen
    assert all(told == askable for told, askable in seen)
