"""A mobile node that prepares, several candidate networks, and a wire that does what a test wants.

PANA is real on both sides, so are the keys and the questions for them; EAP is the toy of
`pana_pair`. The clock is a number; nothing waits.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pana_pair import MS, QUICK, S, ToyPeer, ToyServer, at, eap, endpoint, msk_of

from mpa_hil.authentication.service import (
    SERVICE_PORT,
    DecodeError,
    KeyState,
    Prepare,
    Seal,
    header,
)
from mpa_hil.discovery.description import CandidateNetwork, PointOfAttachment
from mpa_hil.eap.interface import Cause, EapOutput, Failure, Success
from mpa_hil.keys import MasterKey
from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.pana.interface import BecameServing, EapPacket, PanaOutput, SessionStarted
from mpa_hil.pana.numbers import ResultCode
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.settings import PaaSettings, PacSettings
from mpa_hil.preauthentication.actions import Means
from mpa_hil.preauthentication.interface import Install, Output, Over, Remove, Transmit
from mpa_hil.preauthentication.preparations import Preparations
from mpa_hil.preauthentication.settings import Settings

STATION = "02:00:00:00:00:aa"
ROUND_TRIP_NS = 10 * MS

Fault = Callable[[bytes, random.Random], Sequence[tuple[int, bytes]]]
"""Datagram, dice -> what arrives: delay in ns, and octets."""


def prompt(datagram: bytes, dice: random.Random) -> Sequence[tuple[int, bytes]]:
    return [(ROUND_TRIP_NS // 2, datagram)]


def lossy(loss: float) -> Fault:
    """Loses, doubles and overtakes."""

    def fault(datagram: bytes, dice: random.Random) -> Sequence[tuple[int, bytes]]:
        copies = 2 if dice.random() < 0.1 else 1
        kept = [datagram for _ in range(copies) if dice.random() >= loss]
        return [((5 + dice.randrange(10)) * MS, each) for each in kept]

    return fault


class Peer:
    """The toy as an EAP peer."""

    def __init__(self, rounds: int) -> None:
        self._toy = ToyPeer(rounds)

    def receive(self, packet: bytes) -> EapOutput:
        word = self._toy.receive(packet)
        if isinstance(word, bytes):
            return EapOutput(response=word)
        if word == "success":
            msk = msk_of(self._toy.run)
            return EapOutput(
                outcome=Success("EAP-TOY", msk, msk, b"toy", "mn@home", "aaa.home.example")
            )
        if word == "failure":
            return EapOutput(outcome=Failure(Cause.REJECTED, "the server sent EAP-Failure"))
        return EapOutput(discarded="tampered with")

    def lower_layer_accepted(self) -> EapOutput:
        return EapOutput()

    def lower_layer_rejected(self, reason: str) -> EapOutput:
        return EapOutput()


def point(network: int, number: int) -> PointOfAttachment:
    return PointOfAttachment(
        f"ap{network}-{number}",
        b"network%d" % network,
        f"02:00:00:{network:02x}:00:{number:02x}",
        2412,
    )


def network(number: int, points: int = 2, agents: int = 1) -> CandidateNetwork:
    return CandidateNetwork(
        f"n{number}.example",
        tuple(point(number, each) for each in range(points)),
        aa=tuple(endpoint(f"198.51.{number}.{each + 1}") for each in range(agents)),
    )


@dataclass
class Agent:
    """The agent of one network: a PAA, a toy EAP server behind it, and access points."""

    realm: str
    where: Endpoint
    paa: Paa
    rounds: int = 3
    verdict: str = "success"
    lifetime_s: int = 3600
    silent: bool = False
    deaf_to_questions: bool = False
    install_ns: int = 4 * MS
    states: dict[str, KeyState] = field(default_factory=dict)
    """Of points that do not simply take their key."""
    held: dict[str, bytes] = field(default_factory=dict)
    """PMK by BSSID, as the access points have them."""
    servers: dict[int, ToyServer] = field(default_factory=dict)
    said: list[PanaOutput] = field(default_factory=list)
    runs: int = 0
    number: int = 0

    @property
    def serving(self) -> int:
        return sum(isinstance(said, BecameServing) for said in self.said)


class World:
    """Everything, and the time."""

    def __init__(
        self, *networks: CandidateNetwork, seed: str = "world", fault: Fault = prompt, **tuning: int
    ) -> None:
        self.dice = random.Random(f"preparation {seed}")
        self.fault = fault
        self.now_ns = 1000 * S
        self.settings = Settings(STATION, **tuning)  # type: ignore[arg-type]
        means = Means(self.settings, self._pac, lambda: Peer(3), self.dice.randbytes)
        self.mn = Preparations(means)
        self.agents: dict[Endpoint, Agent] = {}
        for each in networks:
            for where in each.aa:
                paa = Paa(PaaSettings(timing=QUICK), self.dice.randbytes, self.now)
                self.agents[where] = Agent(each.realm, where, paa)
        self.said: list[Output] = []
        self.supplicant: dict[str, bytes] = {}
        self.refusing: dict[str, str] = {}
        """BSSIDs that the supplicant takes no key for, and why."""
        self.most_keys = 0
        self.sent = 0
        self.address = "192.0.2.7"
        self._ports: dict[str, int] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def now(self) -> Instant:
        return at(self.now_ns)

    def _pac(self, agent: Endpoint) -> Pac:
        return Pac(agent, PacSettings(timing=QUICK), self.dice.randbytes, self.now)

    def agent(self, realm: str) -> Agent:
        """The first agent of a network."""
        return next(agent for agent in self.agents.values() if agent.realm == realm)

    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._count, what))

    # --- the node's owner

    def does(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self.said.append(output)
            match output:
                case Transmit():
                    self._transmit(output)
                case Install():
                    results = {k.point.bssid: self._add(k.point.bssid, k.pmk) for k in output.keys}
                    self.later(MS, lambda o=output, r=results: self._installed(o.realm, r))  # type: ignore[misc]
                case Remove():
                    for each in output.points:
                        self.supplicant.pop(each.bssid, None)

    def _add(self, bssid: str, pmk: bytes) -> str:
        if bssid not in self.refusing:
            self.supplicant[bssid] = pmk
            self.most_keys = max(self.most_keys, len(self.supplicant))
        return self.refusing.get(bssid, "")

    def _installed(self, realm: str, results: dict[str, str]) -> None:
        self.does(self.mn.installed(realm, results, self.now))

    def _transmit(self, output: Transmit) -> None:
        self.sent += 1
        port = self._ports.setdefault(output.realm, 40000 + len(self._ports))
        source = endpoint(self.address, port)
        for delay_ns, octets in self.fault(output.datagram, self.dice):
            self.later(
                delay_ns,
                lambda o=octets: self._at_agent(output.destination, o, source),  # type: ignore[misc]
            )

    def _at_node(self, octets: bytes, source: Endpoint, destination: Endpoint) -> None:
        for realm, port in tuple(self._ports.items()):
            if endpoint(self.address, port) == destination:
                self.does(self.mn.receive(realm, octets, source, self.now))

    # --- the agents

    def _at_agent(self, where: Endpoint, octets: bytes, source: Endpoint) -> None:
        agent = next((a for e, a in self.agents.items() if e.address == where.address), None)
        if agent is None or agent.silent:
            return
        if where.port == SERVICE_PORT:
            self._question(agent, octets, source)
        else:
            self.agent_does(agent, agent.paa.receive(octets, source, self.now))

    def agent_does(self, agent: Agent, outputs: Sequence[PanaOutput]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._to_node(agent.where, output.datagram, output.destination)
                continue
            agent.said.append(output)
            if isinstance(output, SessionStarted):
                agent.runs += 1
                server = ToyServer(agent.rounds, agent.runs % 256, agent.verdict)
                agent.servers[output.session_id] = server
                asked = agent.paa.eap_request(output.session_id, server.first(), self.now)
                self.agent_does(agent, asked)
            elif isinstance(output, EapPacket):
                self.agent_does(agent, self._server_gets(agent, output))

    def _server_gets(self, agent: Agent, said: EapPacket) -> Sequence[PanaOutput]:
        server = agent.servers[said.session_id]
        word = server.receive(said.packet)
        if isinstance(word, bytes):
            return agent.paa.eap_request(said.session_id, word, self.now)
        if word == "success":
            packet, msk = eap(3, server.number), msk_of(server.run)
            return agent.paa.eap_succeeded(said.session_id, packet, msk, agent.lifetime_s, self.now)
        if word == "discard":
            return agent.paa.eap_discarded(said.session_id, self.now)
        code = ResultCode.AUTHENTICATION_REJECTED
        return agent.paa.eap_failed(said.session_id, eap(4, server.number), code, self.now)

    def _to_node(self, source: Endpoint, datagram: bytes, destination: Endpoint) -> None:
        for delay_ns, octets in self.fault(datagram, self.dice):
            self.later(delay_ns, lambda o=octets: self._at_node(o, source, destination))  # type: ignore[misc]

    def _question(self, agent: Agent, octets: bytes, source: Endpoint) -> None:
        if agent.deaf_to_questions:
            return
        try:
            session = agent.paa.session(header(octets).session_id)
            if session is None:
                return
            seal = Seal(session.sa, agent.realm, self.dice.randbytes)
            asked = seal.open_question(octets)
        except DecodeError:
            return
        assert isinstance(asked.question, Prepare)
        states = []
        for bssid in asked.question.bssids:
            state = agent.states.get(bssid, KeyState.INSTALLED)
            states.append((bssid, state))
            if state is KeyState.INSTALLED:
                agent.held[bssid] = MasterKey(session.sa, agent.realm).pmk(bssid).secret
        where = Endpoint(agent.where.address, SERVICE_PORT)
        answer = seal.states(asked.number, tuple(states))
        self.later(agent.install_ns, lambda: self._to_node(where, answer, source))

    # --- time

    def step(self, until_ns: int) -> bool:
        """The next thing that happens before `until_ns`, if any."""
        moments = [self.mn.next_deadline(), *(a.paa.next_deadline() for a in self.agents.values())]
        moments += [self._queue[0][0]] if self._queue else []
        moment = min((m for m in moments if m is not None), default=None)
        if moment is None or moment > until_ns:
            self.now_ns = max(self.now_ns, until_ns)
            return False
        self.now_ns = max(self.now_ns, moment)
        while self._queue and self._queue[0][0] <= self.now_ns:
            heapq.heappop(self._queue)[2]()
        self.does(self.mn.expire(self.now))
        for agent in self.agents.values():
            self.agent_does(agent, agent.paa.expire(self.now))
        return True

    def run(self, seconds: float) -> None:
        until_ns = self.now_ns + round(seconds * S)
        for _ in range(200_000):
            if not self.step(until_ns):
                return
        raise AssertionError("this never comes to rest")

    # --- looking at it

    def of(self, kind: type) -> list[Output]:
        return [output for output in self.said if isinstance(output, kind)]

    def agreed(self, bssid: str) -> bool:
        """Node and access point have the same key for this point."""
        mine = self.supplicant.get(bssid)
        return mine is not None and any(a.held.get(bssid) == mine for a in self.agents.values())

    @property
    def over(self) -> list[str]:
        return [output.realm for output in self.of(Over) if isinstance(output, Over)]
