"""Protected signalling, fuzzed: the datagram, its values, and both ends behind a good MAC."""

from __future__ import annotations

import random
from ipaddress import ip_address

from fuzzing import fuzz

from mpa_hil.keys import Key, Usage
from mpa_hil.mobility.interface import Discarded, Endpoint, Instant
from mpa_hil.signalling.client import Answer, Client
from mpa_hil.signalling.message import MAC_OCTETS, Message, Protocol, decode
from mpa_hil.signalling.server import Reply, Request, Server
from mpa_hil.signalling.values import Values, encode

KEY = Key(Usage.MN_AR, bytes(range(20)), bytes(range(64)), 1, 2, b"")
MN = Endpoint(ip_address("192.0.2.7"), 40000)
NOW = Instant(10**9, 10**18)
PAIRS = ((1, b"\x0a\0\0\1"), (2, b""), (3, bytes(16)), (200, b"?" * 40))


def server() -> Server:
    made = Server(Protocol.TUNNEL, random.Random(1).randbytes)
    made.add_key(KEY)
    return made


def dialogue() -> list[bytes]:
    """A STALE answer, a request, a WORKING answer and an answer."""
    agent, client = server(), Client(KEY, Protocol.TUNNEL, random.Random(2).randbytes)
    said = []
    stale = agent.receive(client.request(1, PAIRS), MN, NOW)
    assert isinstance(stale, Reply)
    client.answer(stale.datagram)
    asked = client.request(1, PAIRS)
    request = agent.receive(asked, MN, NOW)
    working = agent.receive(asked, MN, NOW)
    assert isinstance(request, Request)
    assert isinstance(working, Reply)
    said += [stale.datagram, asked, working.datagram]
    return [*said, agent.answer(request.token, 1, PAIRS, NOW)]


def test_datagrams() -> None:
    def encoded(message: Message) -> bytes:
        return message.encode() + bytes(MAC_OCTETS)

    fuzz("signalling", decode, dialogue(), encode=encoded)


def test_values() -> None:
    corpus = [encode(PAIRS), b"", encode([(1, bytes(300))])]
    fuzz("signalling values", Values.decode, corpus, encode=lambda values: values.encode())


def test_an_agent_acts_on_nothing_that_was_changed() -> None:
    agent = server()
    genuine = dialogue()

    def receive(octets: bytes) -> Request | Reply | Discarded:
        received = agent.receive(octets, MN, NOW)
        assert not isinstance(received, Request) or octets in genuine
        return received

    fuzz("signalling agent", receive, genuine, total=True)


def test_a_client_believes_nothing_that_was_changed() -> None:
    genuine = dialogue()
    client = Client(KEY, Protocol.TUNNEL, random.Random(2).randbytes)
    for _ in range(2):
        client.request(1, PAIRS)

    def answer(octets: bytes) -> Answer | None:
        found = client.answer(octets)
        assert found is None or octets in genuine
        return found

    fuzz("signalling client", answer, genuine, total=True)
