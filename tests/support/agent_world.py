"""An authentication agent with mobile nodes, recipients of keys and an AAA server around it.

PANA, the service and key delivery are real on both sides; EAP and AAA are toys that have what the
agent needs of them. The clock is a number; nothing waits.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from pana_pair import MS, QUICK, S, at, endpoint

from mpa_hil.authentication.agent import AuthenticationAgent
from mpa_hil.authentication.outputs import AgentOutput, AskAaa, SendAnswer, ToRecipient
from mpa_hil.authentication.service import SERVICE_PORT, KeyStates, Question, Seal, ServiceClient
from mpa_hil.authentication.settings import AgentSettings, Recipient
from mpa_hil.eap.codec import Code, MethodType, Packet, decode, encode
from mpa_hil.key_delivery import holder as h
from mpa_hil.keys import Usage, address_identifier, bssid_identifier
from mpa_hil.mobility.interface import Discarded, Endpoint, Instant, Send
from mpa_hil.pana.interface import EapPacket, Established, PanaOutput
from mpa_hil.pana.numbers import PANA_PORT
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.settings import PaaSettings, PacSettings
from mpa_hil.radius import interface as radius

AA, REALM = "aa@b.example", "b.example"
AA_AT = endpoint("10.2.0.1")
CA, AR = ip_address("10.2.0.2"), ip_address("10.2.0.1")
POINTS = ("02:00:00:00:0b:01", "02:00:00:00:0b:02")
STATION = "02:00:00:00:00:01"
RECIPIENTS = (
    Recipient("ca.b.example", Usage.MN_CA, (address_identifier(CA),)),
    Recipient("ar.b.example", Usage.MN_AR, (address_identifier(AR),)),
    *(
        Recipient(f"ep{n}.b.example", Usage.PMK, (bssid_identifier(point),))
        for n, point in enumerate(POINTS, 1)
    ),
)

Fault = Callable[[bytes, random.Random], list[tuple[int, bytes]]]


def prompt(datagram: bytes, dice: random.Random) -> list[tuple[int, bytes]]:
    """A wire of 5 ms each way."""
    return [(5 * MS, datagram)]


def msk_of(identity: str, nonce: bytes) -> bytes:
    return hashlib.sha512(b"toy" + identity.encode() + nonce).digest()


@dataclass
class Node:
    """A mobile node: PANA, toy EAP, questions."""

    world: World
    identity: str = "mn@home.example"
    address: Endpoint = field(default_factory=lambda: endpoint("10.1.0.7"))
    settings: PacSettings = field(default_factory=lambda: PacSettings(timing=QUICK))

    def __post_init__(self) -> None:
        self.pac = Pac(AA_AT, self.settings, self.world.dice.randbytes, self.world.now)
        self.said: list[PanaOutput] = []
        self.answers: list[bytes | KeyStates] = []
        self.client: ServiceClient | None = None
        self.nonce = b""
        self.world.nodes.append(self)

    def does(self, outputs: tuple[PanaOutput, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.world.send(output.datagram, self.address, output.destination)
                continue
            self.said.append(output)
            if isinstance(output, EapPacket):
                self._eap(decode(output.packet))
            elif isinstance(output, Established):
                seal = Seal(output.session.sa, REALM, self.world.dice.randbytes)
                self.client = ServiceClient(seal)

    def _eap(self, packet: Packet) -> None:
        now = self.world.now
        if packet.code is Code.SUCCESS:
            self.does(self.pac.eap_succeeded(msk_of(self.identity, self.nonce), now))
        elif packet.code is Code.FAILURE:
            self.does(self.pac.eap_failed(now))
        else:
            data = self.identity.encode() if packet.type == MethodType.IDENTITY else b"answer"
            if packet.type != MethodType.IDENTITY:
                self.nonce = packet.data
            answer = Packet(Code.RESPONSE, packet.identifier, packet.type, data)
            self.does(self.pac.eap_response(encode(answer), now))

    def receive(self, datagram: bytes, source: Endpoint) -> None:
        if source.port == SERVICE_PORT:
            assert self.client is not None
            answer = self.client.receive(datagram)
            if answer is not None:
                self.answers.append(answer)
        else:
            self.does(self.pac.receive(datagram, source, self.world.now))

    def authenticate(self, seconds: float = 2.0) -> None:
        self.does(self.pac.start(self.world.now))
        self.world.run(seconds)

    def ask(self, question: Question, seconds: float = 2.0) -> bytes | KeyStates:
        """Ask once; the answer, which must come."""
        assert self.client is not None
        datagram = self.client.ask(question, self.world.now)
        before = len(self.answers)
        self.world.send(datagram, self.address, Endpoint(AA_AT.address, SERVICE_PORT))
        self.world.run(seconds)
        assert len(self.answers) == before + 1
        return self.answers[-1]

    @property
    def session_id(self) -> int:
        assert self.pac.session is not None
        return self.pac.session.session_id


@dataclass
class Box:
    """A recipient of keys; it can be away, or unwilling."""

    holder: h.Holder
    up: bool = True
    failure: str = ""
    steps: list[h.Apply | h.Release] = field(default_factory=list)
    seen: list[h.Seen] = field(default_factory=list)

    def does(self, outputs: tuple[h.Output, ...], now: Instant) -> bytes:
        queue, octets = list(outputs), b""
        while queue:
            output = queue.pop(0)
            if isinstance(output, h.Transmit):
                octets += output.octets
            elif isinstance(output, h.Apply | h.Release):
                self.steps.append(output)
                queue += self.holder.done(self.failure, now)
            elif isinstance(output, h.Seen):
                self.seen.append(output)
        return octets

    @property
    def secrets(self) -> set[bytes]:
        return {key.install.secret for key in self.holder.keys}


@dataclass
class World:
    """All of it."""

    settings: AgentSettings = field(
        default_factory=lambda: AgentSettings(AA, REALM, RECIPIENTS, pana=PaaSettings(timing=QUICK))
    )
    fault: Fault = prompt
    seed: str = "world"
    verdict: str = ""
    """What the AAA server says to everybody: empty, `reject`, `silent`."""
    timeout_s: int | None = None
    termination: radius.Termination = radius.Termination.DEFAULT
    user_name: bytes | None = None
    aaa_ns: int = 10 * MS

    def __post_init__(self) -> None:
        self.dice = random.Random(f"agent world {self.seed}")
        self.now_ns = 1000 * S
        self.nodes: list[Node] = []
        self.said: list[AgentOutput] = []
        self.records: dict[int, dict[str, object]] = {}
        self.asked = 0
        self.wire: list[tuple[bytes, Endpoint, Endpoint]] = []
        self.boxes = {
            recipient.name: Box(
                h.Holder(
                    h.Terms(
                        recipient.name,
                        AA,
                        frozenset((recipient.usage,)),
                        frozenset(recipient.peers),
                    )
                )
            )
            for recipient in self.settings.recipients
        }
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.start_agent()

    @property
    def now(self) -> Instant:
        return at(self.now_ns)

    # --- the agent

    def start_agent(self) -> None:
        """Start it, or start it anew with what it had written down."""
        self.agent = AuthenticationAgent(
            self.settings,
            lambda pana: Paa(pana, self.dice.randbytes, self.now),
            self.dice.randbytes,
        )
        for record in list(self.records.values()):
            self.agent.restore(record, self.now)
        for name, box in self.boxes.items():
            if box.up:
                self.connect(name)

    def connect(self, name: str) -> None:
        """A recipient's connection comes up."""
        box = self.boxes[name]
        box.up = True
        box.does(box.holder.connected(self.now), self.now)
        self.does(self.agent.recipient_connected(name, self.now))

    def cut(self, name: str) -> None:
        """... and breaks."""
        box = self.boxes[name]
        box.up = False
        box.holder.disconnected()
        self.does(self.agent.recipient_lost(name, self.now))

    def does(self, outputs: tuple[AgentOutput, ...]) -> None:
        for session_id, record in self.agent.changes(self.now):
            if record is None:
                self.records.pop(session_id, None)
            else:
                self.records[session_id] = record.values()
        for output in outputs:
            if isinstance(output, Send):
                self.send(output.datagram, AA_AT, output.destination)
            elif isinstance(output, SendAnswer):
                source = Endpoint(AA_AT.address, SERVICE_PORT)
                self.send(output.datagram, source, output.destination)
            elif isinstance(output, ToRecipient):
                box = self.boxes[output.recipient]
                if box.up:
                    back = box.does(box.holder.receive(output.octets, self.now), self.now)
                    self.does(self.agent.recipient_received(output.recipient, back, self.now))
            else:
                if isinstance(output, AskAaa):
                    self._ask(output)
                self.said.append(output)

    def _ask(self, output: AskAaa) -> None:
        """The AAA server: one challenge, then its verdict."""
        self.asked += 1
        ask = output.ask
        packet = decode(ask.eap)
        identity = ask.identity.decode()
        outcome: radius.Outcome
        token, number = output.session_id, (packet.identifier + 1) % 256
        if self.verdict == "silent":
            outcome = radius.Unreachable(token, "no server answered")
        elif not identity.endswith("@home.example") or self.verdict == "reject":
            failure = encode(Packet(Code.FAILURE, packet.identifier))
            server = radius.Decider.SERVER
            outcome = radius.Refused(
                token, failure, "Access-Reject", server, "go away", None, "aaa", False
            )
        elif packet.type == MethodType.IDENTITY:
            nonce = self.dice.randbytes(8)
            request = encode(Packet(Code.REQUEST, number, MethodType.TLS, nonce))
            continuation = radius.Continuation(0, nonce)
            outcome = radius.Challenged(token, request, continuation, None, "", "aaa", 1, 1)
        else:
            assert ask.continuation is not None
            assert ask.continuation.state is not None
            outcome = radius.Accepted(
                token,
                encode(Packet(Code.SUCCESS, packet.identifier)),
                msk_of(identity, ask.continuation.state),
                self.timeout_s,
                self.termination,
                (),
                self.user_name,
                "",
                "aaa",
                1,
                1,
            )
        agent = self.agent

        def answer() -> None:
            if agent is self.agent:
                self.does(agent.aaa_answered(outcome, self.now))

        self.later(self.aaa_ns, answer)

    # --- the wire and time

    def later(self, delay_ns: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now_ns + delay_ns, self._count, action))

    def send(self, datagram: bytes, source: Endpoint, destination: Endpoint) -> None:
        self.wire.append((datagram, source, destination))
        for delay_ns, octets in self.fault(datagram, self.dice):
            self.inject(octets, source, destination, delay_ns)

    def inject(
        self, octets: bytes, source: Endpoint, destination: Endpoint, delay_ns: int = 0
    ) -> None:
        def arrive() -> None:
            if destination == AA_AT:
                self.does(self.agent.receive(octets, source, self.now))
            elif destination.address == AA_AT.address and destination.port == SERVICE_PORT:
                self.does(self.agent.receive_question(octets, source, self.now))
            else:
                for node in self.nodes:
                    if node.address == destination:
                        node.receive(octets, source)

        self.later(delay_ns, arrive)

    def run(self, seconds: float) -> None:
        """Let things happen for some time."""
        until_ns = self.now_ns + round(seconds * S)
        for _ in range(200_000):
            moments = [self.agent.next_deadline()]
            moments += [node.pac.next_deadline() for node in self.nodes]
            moments += [box.holder.next_deadline() for box in self.boxes.values()]
            moments += [self._events[0][0]] if self._events else []
            moment = min((each for each in moments if each is not None), default=until_ns)
            if moment > until_ns or (moment == until_ns and not self._events):
                self.now_ns = max(self.now_ns, until_ns)
                return
            self.now_ns = max(self.now_ns, moment)
            while self._events and self._events[0][0] <= self.now_ns:
                heapq.heappop(self._events)[2]()
            for node in self.nodes:
                node.does(node.pac.expire(self.now))
            self.does(self.agent.expire(self.now))
            for name, box in self.boxes.items():
                back = box.does(box.holder.expire(self.now), self.now)
                if box.up and back:
                    self.does(self.agent.recipient_received(name, back, self.now))
        raise AssertionError("this never comes to rest")

    # --- looking at it

    def of(self, *kinds: type) -> list[AgentOutput]:
        return [output for output in self.said if isinstance(output, kinds)]

    def nothing_installed(self) -> bool:
        return not any(box.holder.keys for box in self.boxes.values())

    def complaints(self) -> list[Discarded]:
        return [o for o in self.said if isinstance(o, Discarded) and o.security]


def neighbour(number: int) -> Endpoint:
    """A source address in network A."""
    return Endpoint(ip_address(f"10.1.{number // 250}.{number % 250 + 1}"), PANA_PORT)
