"""A PANA client and agent with a wire between them that does what a test wants, and a toy EAP.

The clock is a number; nothing waits. The toy EAP method has what PANA needs of one: several round
trips, packets that are discarded when they were tampered with, and an MSK on both sides.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.pana.interface import (
    Discarded,
    EapPacket,
    Ended,
    Established,
    Lost,
    PanaOutput,
    Rejected,
    SessionStarted,
)
from mpa_hil.pana.message import decode
from mpa_hil.pana.numbers import PANA_PORT, ResultCode
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.relay import Relay
from mpa_hil.pana.settings import PaaSettings, PacSettings, Retransmission, Timing

S = 1_000_000_000
MS = 1_000_000
UNIX_NS = 1_700_000_000 * S
SECRET = b"what the toy's peer and server share"
QUICK = Timing(
    pci=Retransmission(0.2, 2, 0, 0), request=Retransmission(0.2, 2, 10, 0), floor_s=0.05
)

Fault = Callable[[bytes, bool, random.Random], list[tuple[int, bytes]]]
"""Datagram, whether it goes to the agent, dice -> what arrives: delay in ns, and octets."""


def endpoint(address: str, port: int = PANA_PORT) -> Endpoint:
    return Endpoint(ip_address(address), port)


def at(ns: int) -> Instant:
    return Instant(ns, UNIX_NS + ns)


def prompt(datagram: bytes, to_paa: bool, dice: random.Random) -> list[tuple[int, bytes]]:
    """A wire of 5 ms that does nothing else."""
    return [(5 * MS, datagram)]


def eap(code: int, identifier: int, data: bytes = b"") -> bytes:
    mac = hmac.digest(SECRET, bytes((code, identifier)) + data, "sha256")[:8] if data else b""
    return bytes((code, identifier)) + (4 + len(data) + len(mac)).to_bytes(2, "big") + data + mac


def understood(packet: bytes, code: int) -> tuple[int, bytes] | None:
    """Identifier and data of a packet that is not tampered with."""
    if len(packet) < 13 or packet[0] != code:
        return None
    data = packet[4:-8]
    return (packet[1], data) if eap(code, packet[1], data) == packet else None


def msk_of(run: int) -> bytes:
    return hashlib.sha512(b"toy MSK %d" % run).digest()


@dataclass
class ToyPeer:
    """The peer's side; knows how many rounds there are."""

    rounds: int
    run: int = 0
    done: int = 0

    def receive(self, packet: bytes) -> bytes | str:
        """A response, or `success`, `failure`, `discard`."""
        if len(packet) == 4 and packet[0] == 3:
            return "success" if self.done >= self.rounds else "discard"
        if len(packet) == 4 and packet[0] == 4:
            return "failure"
        parts = understood(packet, 1)
        if parts is None:
            return "discard"
        self.run, number = parts[1][1], parts[1][2]
        self.done = max(self.done, number + 1)
        return eap(2, parts[0], b"r" + parts[1][1:])


@dataclass
class ToyServer:
    """The server's side of one session."""

    rounds: int
    run: int
    verdict: str = "success"
    number: int = 0

    def first(self) -> bytes:
        return self._request()

    def _request(self) -> bytes:
        return eap(1, self.number, bytes((ord("q"), self.run, self.number)))

    def receive(self, packet: bytes) -> bytes | str:
        parts = understood(packet, 2)
        if parts is None or parts[0] != self.number:
            return "discard"
        self.number += 1
        return self._request() if self.number < self.rounds else self.verdict


@dataclass
class Pair:
    """Both machines, their owners, and what both said."""

    pac_settings: PacSettings = field(default_factory=lambda: PacSettings(timing=QUICK))
    paa_settings: PaaSettings = field(default_factory=lambda: PaaSettings(timing=QUICK))
    fault: Fault = prompt
    seed: str = "pair"
    rounds: int = 3
    verdict: str = "success"
    lifetime_s: int = 3600
    pac_at: Endpoint = field(default_factory=lambda: endpoint("192.0.2.7", 40716))
    paa_at: Endpoint = field(default_factory=lambda: endpoint("198.51.100.1"))
    relay_at: Endpoint | None = None
    """Where the agent's relay is, if there is one: the client then talks to that."""
    think_ns: int = 0
    """How long the EAP peer takes to respond."""

    def __post_init__(self) -> None:
        self.dice = random.Random(f"pana pair {self.seed}")
        self.now_ns = 1000 * S
        self.relay = None if self.relay_at is None else Relay(self.paa_at)
        self.pac = Pac(
            self.relay_at or self.paa_at, self.pac_settings, self.dice.randbytes, self.now
        )
        self.paa = Paa(self.paa_settings, self.dice.randbytes, self.now)
        self.peer = ToyPeer(self.rounds)
        self.servers: dict[int, ToyServer] = {}
        self.runs = 0
        self.pac_said: list[PanaOutput] = []
        self.paa_said: list[PanaOutput] = []
        self.wire: list[tuple[int, Endpoint, Endpoint, bytes]] = []
        """Every datagram as it was sent: time, source, destination, octets."""
        self._arriving: list[tuple[int, int, Endpoint, Endpoint, bytes]] = []
        self._thinking: list[tuple[int, bytes]] = []
        self._count = 0

    @property
    def now(self) -> Instant:
        return at(self.now_ns)

    # --- owners

    def pac_does(self, outputs: tuple[PanaOutput, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.send(output, self.pac_at)
                continue
            self.pac_said.append(output)
            if isinstance(output, EapPacket):
                self._peer_gets(output)

    def _peer_gets(self, output: EapPacket) -> None:
        if output.first:
            self.peer = ToyPeer(self.rounds)
        word = self.peer.receive(output.packet)
        if isinstance(word, bytes):
            if self.think_ns:
                self._thinking.append((self.now_ns + self.think_ns, word))
            else:
                self.pac_does(self.pac.eap_response(word, self.now))
        elif word == "success":
            msk = b"" if self.verdict == "keyless" else msk_of(self.peer.run)
            self.pac_does(self.pac.eap_succeeded(msk, self.now))
        elif word == "failure":
            self.pac_does(self.pac.eap_failed(self.now))
        else:
            self.pac_does(self.pac.eap_discarded(self.now))

    def paa_does(self, outputs: tuple[PanaOutput, ...]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self.send(output, self.paa_at)
                continue
            self.paa_said.append(output)
            if isinstance(output, SessionStarted):
                self.runs += 1
                server = ToyServer(self.rounds, self.runs % 256, self.verdict)
                self.servers[output.session_id] = server
                self.paa_does(self.paa.eap_request(output.session_id, server.first(), self.now))
            elif isinstance(output, EapPacket):
                self._server_gets(output)

    def _server_gets(self, output: EapPacket) -> None:
        session_id = output.session_id
        server = self.servers[session_id]
        word = server.receive(output.packet)
        if isinstance(word, bytes):
            self.paa_does(self.paa.eap_request(session_id, word, self.now))
        elif word == "success":
            self.paa_does(
                self.paa.eap_succeeded(
                    session_id, eap(3, server.number), msk_of(server.run), self.lifetime_s, self.now
                )
            )
        elif word == "keyless":
            self.paa_does(
                self.paa.eap_succeeded(session_id, eap(3, server.number), b"", 60, self.now)
            )
        elif word == "discard":
            self.paa_does(self.paa.eap_discarded(session_id, self.now))
        else:
            keyed = word == "refuse service"
            code = (
                ResultCode.AUTHORIZATION_REJECTED if keyed else ResultCode.AUTHENTICATION_REJECTED
            )
            self.paa_does(
                self.paa.eap_failed(
                    session_id,
                    eap(3 if keyed else 4, server.number),
                    code,
                    self.now,
                    msk=msk_of(server.run) if keyed else b"",
                )
            )

    # --- the wire

    def send(self, output: Send, source: Endpoint) -> None:
        self.wire.append((self.now_ns, source, output.destination, output.datagram))
        to_paa = output.destination == self.paa_at
        for delay_ns, octets in self.fault(output.datagram, to_paa, self.dice):
            self.inject(octets, source, output.destination, delay_ns)

    def inject(
        self, octets: bytes, source: Endpoint, destination: Endpoint, delay_ns: int = 0
    ) -> None:
        self._count += 1
        heapq.heappush(
            self._arriving, (self.now_ns + delay_ns, self._count, source, destination, octets)
        )

    def _arrive(self, source: Endpoint, destination: Endpoint, octets: bytes) -> None:
        if destination == self.paa_at:
            self.paa_does(self.paa.receive(octets, source, self.now))
        elif self.relay is not None and destination == self.relay_at:
            passed = self.relay.receive(octets, source)
            if isinstance(passed, Send):
                self.send(passed, destination)
        elif destination == self.pac_at:
            self.pac_does(self.pac.receive(octets, source, self.now))

    # --- time

    def _next_ns(self) -> int | None:
        moments = [self.pac.next_deadline(), self.paa.next_deadline()]
        moments += [self._arriving[0][0]] if self._arriving else []
        moments += [at for at, _ in self._thinking]
        return min((moment for moment in moments if moment is not None), default=None)

    def step(self, until_ns: int) -> bool:
        """The next thing that happens before `until_ns`, if any."""
        moment = self._next_ns()
        if moment is None or moment > until_ns:
            self.now_ns = max(self.now_ns, until_ns)
            return False
        self.now_ns = max(self.now_ns, moment)
        if self._arriving and self._arriving[0][0] <= self.now_ns:
            _, _, source, destination, octets = heapq.heappop(self._arriving)
            self._arrive(source, destination, octets)
        for thought in [thought for thought in self._thinking if thought[0] <= self.now_ns]:
            self._thinking.remove(thought)
            self.pac_does(self.pac.eap_response(thought[1], self.now))
        self.pac_does(self.pac.expire(self.now))
        self.paa_does(self.paa.expire(self.now))
        return True

    def run(self, seconds: float = 10.0) -> None:
        """Let things happen for some time."""
        until_ns = self.now_ns + round(seconds * S)
        for _ in range(100_000):
            if not self.step(until_ns):
                return
        raise AssertionError("this never comes to rest")

    def run_until(self, done: Callable[[], bool], seconds: float = 120.0) -> None:
        """Let things happen until `done`."""
        until_ns = self.now_ns + round(seconds * S)
        while not done():
            assert self.step(until_ns), "it did not come to that"

    def authenticate(self, seconds: float = 1.0) -> None:
        self.pac_does(self.pac.start(self.now))
        self.run(seconds)

    # --- looking at it

    @property
    def settled(self) -> bool:
        """Both sides say that there is a session, or both that there is none."""
        return (self.pac.session is None) == (not self.paa_sessions())

    def paa_sessions(self) -> list[int]:
        ids = {said.session.session_id for said in self.paa_said if isinstance(said, Established)}
        return [number for number in ids if self.paa.session(number) is not None]

    def agree(self) -> bool:
        """Both have the same session with the same keys."""
        mine = self.pac.session
        if mine is None:
            return False
        theirs = self.paa.session(mine.session_id)
        return theirs is not None and theirs.sa == mine.sa

    def of(self, side: list[PanaOutput], *kinds: type) -> list[PanaOutput]:
        return [said for said in side if isinstance(said, kinds)]

    def ends(self, side: list[PanaOutput]) -> list[PanaOutput]:
        return self.of(side, Ended, Lost, Rejected)

    def complaints(self) -> list[Discarded]:
        return [
            said
            for said in (*self.pac_said, *self.paa_said)
            if isinstance(said, Discarded) and said.security
        ]

    def names(self) -> list[str]:
        """What went over the wire, in the RFC's names."""
        return [decode(octets).name for _, _, _, octets in self.wire]


def lossy(loss: float, duplicates: float = 0.0, reorder_ms: int = 0, flips: float = 0.0) -> Fault:
    """A wire that loses, doubles, overtakes and damages."""

    def fault(datagram: bytes, to_paa: bool, dice: random.Random) -> list[tuple[int, bytes]]:
        arriving = []
        for _ in range(2 if dice.random() < duplicates else 1):
            if dice.random() < loss:
                continue
            octets = bytearray(datagram)
            if dice.random() < flips:
                octets[dice.randrange(len(octets))] ^= 1 << dice.randrange(8)
            arriving.append(((5 + dice.randrange(reorder_ms + 1)) * MS, bytes(octets)))
        return arriving

    return fault
