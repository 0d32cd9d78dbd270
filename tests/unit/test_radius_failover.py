"""Several RADIUS servers: retransmission, fail-over, dead time, revival, lost connections."""

from __future__ import annotations

import itertools
import random
from hashlib import md5
from typing import Any

from radius_peers import (
    EAP_RESPONSE,
    SECRET,
    TLS,
    Octets,
    Responder,
    at,
    client_settings,
    reject,
    server,
)

from mpa_hil.mobility.interface import Instant
from mpa_hil.radius.client import RadiusClient
from mpa_hil.radius.interface import (
    Accepted,
    Ask,
    Challenged,
    Continuation,
    Output,
    Refused,
    ServerDown,
    ServerUp,
    Transmit,
    Unreachable,
)
from mpa_hil.radius.packet import decode

ASK = Ask(EAP_RESPONSE, b"mn@home.example")


class Wire:
    """Runs a client against servers in memory, on a clock of its own."""

    def __init__(self, *servers: Any, **tuning: Any) -> None:
        self.settings = client_settings(*servers, **tuning)
        self.client = RadiusClient(self.settings, Octets(1))
        self.now = at(0)
        self.silent: set[int] = set()
        self.responders = [Responder() for _ in self.settings.servers]
        self.sent: list[tuple[float, Transmit]] = []
        self.told: list[tuple[float, Output]] = []

    def ask(self, token: object, question: Ask = ASK) -> None:
        self.take(self.client.request(token, question, self.now))

    def take(self, outputs: tuple[Output, ...]) -> None:
        """Carry out what the client wants; servers answer at once, unless they are silent."""
        for output in outputs:
            if not isinstance(output, Transmit):
                self.told.append((self.now.monotonic_ns / 1e9, output))
                continue
            self.sent.append((self.now.monotonic_ns / 1e9, output))
            if output.lane.server in self.silent:
                continue
            answer = self.responders[output.lane.server].answer(output.packet)
            self.take(self.client.receive(answer, output.lane, self.now))

    def run(self, until_s: float) -> None:
        while (due := self.client.next_deadline()) is not None and due <= at(until_s)[0]:
            assert due >= self.now.monotonic_ns
            self.now = Instant(due, due)
            self.take(self.client.expire(self.now))
        self.now = at(until_s)

    def outcomes(self) -> list[Output]:
        return [output for _, output in self.told]

    def to(self, index: int) -> list[tuple[float, Transmit]]:
        return [(when, t) for when, t in self.sent if t.lane.server == index]


ONE, TWO, THREE = server("one", 1), server("two", 2), server("three", 3)


def test_one_silent_server_is_asked_until_time_is_up() -> None:
    """RFC 5080 s2.2.1: doubling intervals with jitter, the same octets each time."""
    wire = Wire(ONE)
    wire.silent = {0}
    wire.ask("mn")
    wire.run(60)
    assert len({t.packet for _, t in wire.sent}) == 1
    times = [when for when, _ in wire.sent]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    for gap, nominal in zip(gaps, (1, 2, 4, 8, 8), strict=False):
        assert 0.8 * nominal <= gap <= 1.25 * nominal
    assert not all(gap == round(gap) for gap in gaps), "jitter"
    down, gone = wire.outcomes()
    assert isinstance(down, ServerDown)
    assert isinstance(gone, Unreachable)
    assert wire.told[-1][0] == 30
    assert gone.reason == f"no answer in time: one ({len(times)} transmissions)"
    assert wire.client.outstanding == 0
    assert wire.client.next_deadline() is None


def test_an_answer_to_a_retransmission() -> None:
    wire = Wire(ONE)
    wire.silent = {0}
    wire.ask("mn")
    wire.run(0.5)
    wire.silent = set()
    wire.run(1.5)
    (output,) = wire.outcomes()
    assert isinstance(output, Accepted)
    assert output.attempts == 2
    assert 0.9e9 <= output.round_trip_ns <= 1.1e9


def test_a_silent_server_is_left_after_three_attempts_and_avoided() -> None:
    wire = Wire(ONE, TWO)
    wire.silent = {0}
    wire.ask("first")
    wire.run(20)
    down, accepted = wire.outcomes()
    assert down == ServerDown("one", "silent to 3 transmissions")
    assert isinstance(accepted, Accepted)
    assert accepted.server == "two"
    assert accepted.attempts == 4
    assert len(wire.to(0)) == 3
    assert 6 < wire.told[0][0] < 8
    (_, again), (_, original) = wire.to(1)[0], wire.to(0)[0]
    assert again.packet[4:20] != original.packet[4:20], "a new request to a new server"
    wire.ask("second")
    assert len(wire.to(0)) == 3
    assert isinstance(wire.outcomes()[-1], Accepted)


def test_the_crowd_moves_when_the_first_finds_out() -> None:
    """Requests that wait for a server which another found dead do not finish their attempts."""
    wire = Wire(ONE, TWO)
    wire.silent = {0}
    for number in range(50):
        wire.run(number * 0.13)
        wire.ask(number)
    wire.run(12)
    accepted = [output for output in wire.outcomes() if isinstance(output, Accepted)]
    assert len(accepted) == 50
    assert sum(isinstance(o, ServerDown) for o in wire.outcomes()) == 1
    assert max(when for when, _ in wire.to(0)) < 8


def test_a_dead_server_is_tried_by_one_request_with_one_transmission() -> None:
    wire = Wire(ONE, TWO, dead_time_s=30)
    wire.silent = {0}
    wire.ask("first")
    wire.run(45)
    before = len(wire.to(0))
    for token in ("a", "b", "c"):
        wire.ask(token)
    assert len(wire.to(0)) == before + 1
    wire.run(60)
    assert len(wire.to(0)) == before + 1
    assert sum(isinstance(output, Accepted) for output in wire.outcomes()) == 4
    assert sum(isinstance(output, ServerDown) for output in wire.outcomes()) == 1
    wire.silent = set()
    wire.run(120)
    wire.ask("back")
    assert wire.outcomes()[-2] == ServerUp("one")
    answer = wire.outcomes()[-1]
    assert isinstance(answer, Accepted)
    assert answer.server == "one"


def test_status_server_finds_out_instead_of_a_user() -> None:
    """RFC 5997: probes have an identifier and authenticator of their own each time."""
    wire = Wire(server("one", 1, status_server=True), TWO)
    wire.silent = {0}
    wire.ask("first")
    wire.run(60)
    probes = [t.packet for _, t in wire.to(0) if t.packet[0] == 12]
    assert 8 <= len(probes) <= 12
    assert len({p[4:20] for p in probes}) == len(probes)
    assert all(decode(p).signed_at == 22 for p in probes)
    wire.ask("second")
    assert [t.packet[0] for _, t in wire.to(0)].count(1) == 3
    wire.responders[0] = reject()  # whatever it says, it lives
    wire.silent = set()
    wire.run(70)
    assert wire.outcomes()[-1] == ServerUp("one")
    wire.run(80)
    assert wire.client.next_deadline() is None
    wire.ask("third")
    assert isinstance(wire.outcomes()[-1], Refused)


def test_a_probe_may_be_answered_without_a_message_authenticator() -> None:
    """As FreeRADIUS does; but not with a wrong one, nor may anything else."""
    wire = Wire(server("one", 1, status_server=True), TWO)
    wire.silent = {0}
    wire.ask("first")
    wire.run(20)
    _, probe = wire.to(0)[-1]
    assert probe.packet[0] == 12
    head = bytes((2, probe.packet[1], 0, 20))
    wrong = head[:3] + bytes((38,))
    signature = bytes((80, 18)) + bytes(16)
    seal = md5(wrong + probe.packet[4:20] + signature + SECRET).digest()
    wire.take(wire.client.receive(wrong + seal + signature, probe.lane, wire.now))
    assert type(wire.outcomes()[-1]).__name__ == "Discarded"
    seal = md5(head + probe.packet[4:20] + SECRET).digest()
    wire.take(wire.client.receive(head + seal, probe.lane, wire.now))
    assert wire.outcomes()[-1] == ServerUp("one")


def test_a_server_that_dies_again_has_one_chain_of_probes() -> None:
    wire = Wire(server("one", 1, status_server=True), TWO)
    for start in (0, 20, 40):
        wire.run(start)
        wire.silent = {0}
        wire.ask(start)
        wire.run(start + 14)
        wire.silent = set()
        wire.run(start + 20)
    wire.silent = {0}
    wire.ask("last")
    wire.run(70)
    before = len(wire.to(0))
    wire.run(120)
    assert 9 <= len(wire.to(0)) - before <= 12
    assert sum(isinstance(output, ServerUp) for output in wire.outcomes()) == 3


def test_probes_do_not_multiply_when_a_server_dies_before_the_next_one_is_due() -> None:
    wire = Wire(server("one", 1, status_server=True), attempts_per_server=1, probe_interval_s=20)
    for start in (0, 5):
        wire.silent = {0}
        wire.ask(start)
        wire.run(start + 1.5)
        wire.silent = set()
        wire.run(start + 4)
    wire.silent = {0}
    wire.ask("last")
    wire.run(220)
    assert [type(o).__name__ for o in wire.outcomes()].count("ServerUp") == 2
    assert 8 <= sum(t.packet[0] == 12 for _, t in wire.sent) <= 12


def test_all_dead_is_no_reason_not_to_ask() -> None:
    wire = Wire(ONE, TWO, THREE)
    wire.silent = {0, 1, 2}
    wire.ask("first")
    wire.run(40)
    gone = wire.outcomes()[-1]
    assert isinstance(gone, Unreachable)
    assert "one, two, three" in gone.reason
    wire.ask("second")
    wire.run(45)
    wire.silent = {0, 1}
    wire.run(70)
    assert isinstance(wire.outcomes()[-1], Accepted)


def test_every_server_has_its_turn_again_while_all_are_dead() -> None:
    wire = Wire(ONE, TWO)
    wire.silent = {0, 1}
    wire.ask("mn")
    wire.run(20)
    wire.silent = {1}
    wire.run(30)
    answer = wire.outcomes()[-1]
    assert isinstance(answer, Accepted)
    assert answer.server == "one"


def test_a_conversation_stays_with_its_server() -> None:
    wire = Wire(ONE, TWO)
    wire.ask("mn", Ask(EAP_RESPONSE, b"mn", Continuation(1, b"state")))
    assert [t.lane.server for _, t in wire.sent] == [1]


def test_loss_alone_does_not_move_a_conversation() -> None:
    """Others get answers from that server, so it lives, and only it may know the State."""
    wire = Wire(ONE, TWO)
    wire.silent = {0}
    wire.ask("mn", Ask(EAP_RESPONSE, b"mn", Continuation(0, b"state")))
    for second in range(1, 14):
        wire.run(second)
        wire.silent = set()
        wire.ask(("other", second))
        wire.silent = {0}
    assert not wire.to(1)
    wire.silent = set()
    wire.run(30)
    answer = wire.outcomes()[-1]
    assert isinstance(answer, Accepted)
    assert answer.token == "mn"
    assert answer.server == "one"


def test_loss_alone_moves_a_first_request() -> None:
    wire = Wire(ONE, TWO)
    wire.silent = {0}
    wire.ask("mn")
    for second in range(1, 9):
        wire.run(second)
        wire.silent = set()
        wire.ask(("other", second))
        wire.silent = {0}
    answers = [o for o in wire.outcomes() if isinstance(o, Accepted) and o.token == "mn"]
    assert [answer.server for answer in answers] == ["two"]
    assert not any(isinstance(output, ServerDown) for output in wire.outcomes())


def test_a_conversation_moves_when_its_server_is_dead_and_says_so() -> None:
    wire = Wire(ONE, TWO)
    wire.silent = {0}
    wire.responders[1] = reject()
    wire.ask("mn", Ask(EAP_RESPONSE, b"mn", Continuation(0, b"state")))
    wire.run(10)
    output = wire.outcomes()[-1]
    assert isinstance(output, Refused)
    assert output.moved


def test_a_late_answer_of_the_server_that_was_left_is_dropped() -> None:
    wire = Wire(ONE, TWO)
    wire.silent = {0}
    wire.ask("mn")
    wire.run(10)
    _, first = wire.to(0)[0]
    wire.take(wire.client.receive(Responder().answer(first.packet), first.lane, at(11)))
    assert [type(o).__name__ for o in wire.outcomes()] == ["ServerDown", "Accepted", "Discarded"]


# Streams


def test_a_stream_is_not_retransmitted_on() -> None:
    wire = Wire(server("one", 1, transport=TLS), TWO)
    wire.silent = {0}
    wire.ask("mn")
    wire.run(60)
    assert len(wire.to(0)) == 1
    answer = wire.outcomes()[-1]
    assert isinstance(answer, Accepted)
    assert answer.server == "two"
    assert 6 < wire.told[0][0] < 8


def test_a_single_silent_stream() -> None:
    wire = Wire(server("one", 1, transport=TLS))
    wire.silent = {0}
    wire.ask("mn")
    wire.run(60)
    assert len(wire.sent) == 1
    assert isinstance(wire.outcomes()[-1], Unreachable)
    assert wire.told[-1][0] == 30


def test_a_connection_that_cannot_be_made() -> None:
    wire = Wire(server("one", 1, transport=TLS), TWO)
    wire.silent = {0}
    wire.ask("mn")
    (_, first) = wire.sent[0]
    wire.take(wire.client.lane_lost(first.lane, "connection refused", at(0.1)))
    down, answer = wire.outcomes()
    assert down == ServerDown("one", "connection refused")
    assert isinstance(answer, Accepted)
    assert wire.client.lane_lost(first.lane, "again", at(0.2)) == ()


def test_a_connection_that_breaks_is_made_anew_once() -> None:
    wire = Wire(server("one", 1, transport=TLS), TWO)
    wire.ask("before")
    wire.silent = {0}
    wire.ask("mn")
    lost = wire.sent[-1][1].lane
    wire.take(wire.client.lane_lost(lost, "reset", at(0)))
    assert wire.sent[-1][1].lane not in (lost, wire.sent[-2][1].lane)
    assert wire.sent[-1][1].lane.server == 0
    wire.take(wire.client.lane_lost(wire.sent[-1][1].lane, "reset", at(0)))
    answer = wire.outcomes()[-1]
    assert isinstance(answer, Accepted)
    assert answer.server == "two"


def test_a_request_that_breaks_connections_goes_elsewhere() -> None:
    """Others are answered on each of them, so the server lives; it is this request's fault."""
    wire = Wire(server("one", 1, transport=TLS), TWO)
    wire.ask("before")
    wire.silent = {0}
    wire.ask("mn")
    for number in range(2):
        lane = wire.to(0)[-1][1].lane
        wire.silent = set()
        wire.ask(("other", number))
        wire.silent = {0}
        lost = [t.lane for _, t in wire.to(0) if t.packet[4:20] == wire.sent[-1][1].packet[4:20]]
        assert lost == [lane]
        wire.take(wire.client.lane_lost(lane, "reset", wire.now))
    answer = wire.outcomes()[-1]
    assert isinstance(answer, Accepted)
    assert (answer.token, answer.server) == ("mn", "two")


def test_the_last_connection_breaks() -> None:
    wire = Wire(server("one", 1, transport=TLS))
    wire.silent = {0}
    wire.ask("mn")
    wire.take(wire.client.lane_lost(wire.sent[0][1].lane, "refused", at(0)))
    down, gone = wire.outcomes()
    assert isinstance(down, ServerDown)
    assert gone == Unreachable("mn", "refused: one (1 transmission)")


# Chaos


def test_every_request_has_one_outcome_whatever_the_servers_do() -> None:
    """Servers that lose, die and come back; also a count of what is left over."""
    for seed in range(30):
        dice = random.Random(seed)
        servers = [
            server(f"s{n}", n + 1, status_server=dice.random() < 0.5)
            for n in range(dice.randrange(1, 4))
        ]
        wire = Wire(*servers)
        for step in range(120):
            wire.run(step * 0.7)
            wire.silent = {n for n in range(len(servers)) if dice.random() < 0.4}
            wire.ask(step)
        wire.silent = set()
        wire.run(400)
        ends = [
            output.token
            for output in wire.outcomes()
            if isinstance(output, Accepted | Challenged | Refused | Unreachable)
        ]
        assert sorted(ends, key=int) == list(range(120))
        assert wire.client.outstanding == 0
        wire.run(500)
        assert wire.client.next_deadline() is None
