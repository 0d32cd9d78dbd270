"""The tunnel protocol's decoders, and the router behind them, against octets of all kinds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TypeVar

import fuzzing
from tunnel_world import World

from mpa_hil.errors import MpaError
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.signalling.client import Client
from mpa_hil.signalling.message import Protocol
from mpa_hil.signalling.values import Pair, Values, encode
from mpa_hil.tunnel import messages as m
from mpa_hil.tunnel.flows import UDP, FlowChoice, Treat
from mpa_hil.tunnel.interface import Code, Kind, Protect, TunnelWish

V4, V6 = ip_address("10.2.0.7"), ip_address("2001:db8::7")
FLOWS = (
    FlowChoice(Treat.PASS, UDP, V4, 20000),
    FlowChoice(Treat.DROP, 6, peer=V6, peer_port=443),
    FlowChoice(Treat.BOTH),
)
PLAIN = TunnelWish(ip_address("192.0.2.7"), (V4,), b"\2\0\0\0\0\7", flows=FLOWS)
WIREGUARD = TunnelWish(V6, (V4, V6), b"\2\0\0\0\0\7", Protect.WIREGUARD, public=b"p" * 32, port=9)
ESP = TunnelWish(V6, (V6,), b"\2\0\0\0\0\7", Protect.ESP, bicast=True, advertise=False)
CREATES = (
    m.Create(PLAIN, b"n" * 16),
    m.Create(ESP, b"n" * 16, spi=4096, cookie=b"c" * 8),
    m.Create(WIREGUARD, b"n" * 16),
)
REFRESHES = (m.Refresh(V4, 60), m.Refresh(V6, 1, b"c" * 8))
GRANTS = (
    m.Grant(V4, V4, (V4, V6), 60, 1, 2, 3, True, 1480, b"\2\0\0\0\0\1"),
    m.Grant(V6, V6, (V6,), 60, 1, 2, 3, False, 1424, b"\2\0\0\0\0\1", b"n" * 16, 5000),
    m.Grant(V6, V6, (V6,), 60, 1, 2, 3, False, 1420, b"\2\0\0\0\0\1", b"n" * 16, 0, b"p" * 32, 7),
)
T = TypeVar("T")


def of_values(
    name: str,
    decode: Callable[[Values], T],
    encode_: Callable[[T], list[Pair]],
    corpus: Sequence[T],
) -> None:
    fuzzing.fuzz(
        name,
        lambda octets: decode(Values.decode(octets)),
        [encode(encode_(value)) for value in corpus],
        encode=lambda value: encode(encode_(value)),
    )


def test_create() -> None:
    of_values("tunnel create", m.decode_create, m.encode_create, CREATES)


def test_refresh() -> None:
    of_values("tunnel refresh", m.decode_refresh, m.encode_refresh, REFRESHES)


def test_grant() -> None:
    of_values("tunnel grant", m.decode_grant, m.encode_grant, GRANTS)


def test_refusal() -> None:
    corpus = [
        encode(m.encode_refusal(Code.QUOTA, "too many")),
        encode(m.encode_refusal(m.PROVE, cookie=b"c" * 8)),
    ]
    decode = m.decode_refusal
    fuzzing.fuzz("tunnel refusal", lambda octets: decode(Values.decode(octets)), corpus)


def test_an_mn_that_says_anything_under_its_key() -> None:
    """Authentic nonsense: it is refused or does what it says, and the router stays whole."""
    world = World("fuzz")
    node = world.node(7)
    client = Client(node.key, Protocol.TUNNEL, random.Random(3).randbytes)
    dice = random.Random("mpa-hil fuzz tunnel router")
    source = Endpoint(PLAIN.outer, 9)
    corpus = [encode(m.encode_create(create)) for create in CREATES]
    corpus += [encode(m.encode_refresh(refresh)) for refresh in REFRESHES] + [b""]
    client.answer(_answer(world, client.request(Kind.DELETE), source))  # the epoch is known now
    for octets in fuzzing.mutations("tunnel router", corpus, fuzzing.inputs() // 10):
        try:
            pairs = Values.decode(octets).pairs
            request = client.request(dice.choice((*Kind, 0, 99)), pairs)
        except MpaError:
            continue  # it cannot even be sent
        answer = _answer(world, request, source)
        assert client.answer(answer) is not None
        world.run(dice.choice((0, 0, 0.01, 3)))
        world.check_invariants()


def _answer(world: World, datagram: bytes, source: Endpoint) -> bytes:
    answers: list[bytes] = []
    world.to_router(datagram, source, answers.append)
    return answers[0]
