"""The information service end to end: the mobile node's questions at a real agent, sealed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agent_world import AA_AT, REALM, Node, World
from discovery_samples import A1, A, B

from mpa_hil.authentication.service import SERVICE_PORT
from mpa_hil.discovery.asking import Asking
from mpa_hil.discovery.description import CandidateNetwork, Source
from mpa_hil.discovery.information import Failed, InformationOutput, Obtained, SendQuery
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import Endpoint

MANY = tuple(
    CandidateNetwork(
        f"n{n}.example",
        tuple(replace(A1, bssid=f"02:00:00:01:{n:02x}:{m:02x}") for m in range(8)),
        A.aa,
    )
    for n in range(12)
)
S = 10**9


class Desk:
    """A node with an MPA-SA that asks; `lost` of its datagrams are lost, each second answer too."""

    def __init__(self, networks: tuple[CandidateNetwork, ...], lost: int = 0) -> None:
        fresh = World()
        self.world = World(settings=replace(fresh.settings, networks=networks))
        self.node = Node(self.world)
        self.node.authenticate()
        session = self.node.pac.session
        assert session is not None
        self.asking = Asking(session.sa, REALM, self.world.dice.randbytes)
        self.lost = lost
        self.sent = 0
        self.answers: list[bytes] = []
        self.said: list[InformationOutput] = []
        self.node.receive = self._receive  # type: ignore[method-assign]

    def _receive(self, datagram: bytes, source: Endpoint) -> None:
        if source.port == SERVICE_PORT:
            self.answers.append(datagram)
            self.does(self.asking.receive(datagram, self.world.now))

    def does(self, outputs: tuple[InformationOutput, ...]) -> None:
        for output in outputs:
            if not isinstance(output, SendQuery):
                self.said.append(output)
                continue
            self.sent += 1
            if self.sent > self.lost:
                agent = Endpoint(AA_AT.address, SERVICE_PORT)
                self.world.send(output.octets, self.node.address, agent)

    def run(self, seconds: float = 15) -> InformationOutput:
        """Until there is a list, or none."""
        self.does(self.asking.ask(self.world.now, near=A1.bssid))
        end_ns = self.world.now_ns + round(seconds * S)
        while not self.said and self.world.now_ns < end_ns:
            self.world.run(0.05)
            due_ns = self.asking.next_deadline()
            if due_ns is not None and due_ns <= self.world.now_ns:
                self.does(self.asking.expire(self.world.now))
        (said,) = self.said
        return said


def test_an_agent_tells_of_its_neighbours_under_the_association() -> None:
    """R27, R29: its own network and others, each with what the word is worth."""
    desk = Desk((A, B))
    said = desk.run()
    assert isinstance(said, Obtained)
    assert [(each.network, each.source) for each in said.learnt] == [
        (A, Source.OTHER_AA),
        (B, Source.OWN_AA),
    ]
    assert desk.sent == 1
    assert not desk.asking.busy
    assert desk.asking.next_deadline() is None
    # Nobody on the path reads it.
    assert not any(b"example" in octets for octets in desk.answers)


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_what_is_lost_is_asked_again(lost: int) -> None:
    desk = Desk(MANY, lost)
    said = desk.run()
    assert isinstance(said, Obtained)
    assert tuple(each.network for each in said.learnt) == MANY
    assert desk.sent == len(set(desk.answers)) + lost


def test_a_silent_agent_is_given_up() -> None:
    desk = Desk((A,), lost=1000)
    began_ns = desk.world.now_ns
    assert desk.run() == Failed("no answer in time")
    assert desk.world.now_ns - began_ns == pytest.approx(10 * S, rel=0.01)
    assert 5 <= desk.sent <= 10


def test_forged_and_replayed_answers_change_nothing() -> None:
    desk = Desk((A, B))
    desk.run()
    (genuine,) = desk.answers
    desk.does(desk.asking.ask(desk.world.now))
    for at in range(len(genuine)):
        forged = genuine[:at] + bytes((genuine[at] ^ 1,)) + genuine[at + 1 :]
        with pytest.raises(DecodeError):
            desk.asking.receive(forged, desk.world.now)
    assert desk.asking.receive(genuine, desk.world.now) == ()
    assert desk.asking.busy
