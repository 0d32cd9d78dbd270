"""Every decoder of configuration: its own protocol, DHCP of both families, frames, the journal."""

from __future__ import annotations

import json
import math
import random
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network

from configuration_world import AGENT_MAC, SERVER_MAC, World, mac_of
from fuzzing import fuzz

from mpa_hil.configuration import advertisement, protocol
from mpa_hil.configuration.acquisition import Lease
from mpa_hil.configuration.dhcp4 import message as dhcp4
from mpa_hil.configuration.dhcp6 import message as dhcp6
from mpa_hil.configuration.frames import arp_probe, broadcast_udp
from mpa_hil.configuration.frames6 import (
    NeighbourSolicited,
    multicast_udp,
    neighbour_advertisement,
    neighbour_solicitation,
)
from mpa_hil.configuration.heard import Heard, hear
from mpa_hil.configuration.interface import Code, Configuration, Method, Refused, Wish, duid_ll
from mpa_hil.configuration.record import HoldingRecord
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import Endpoint, Instant
from mpa_hil.signalling.client import Client
from mpa_hil.signalling.message import Protocol
from mpa_hil.signalling.server import Request, Server
from mpa_hil.signalling.values import Values, encode

MAC = mac_of(7)
NOW = Instant(10**12, 10**18)
RA = (
    b"\x86\0\0\0\x40\x80\x07\x08" + bytes(8)
    + b"\1\1" + SERVER_MAC
    + b"\3\4\x40\xc0" + b"\0\0\2\x58" * 2 + bytes(4) + IPv6Address("2001:db8:2::").packed
    + b"\5\1\0\0\0\0\5\xdc"
    + b"\x19\3\0\0\0\0\2\x58" + IPv6Address("2001:db8::53").packed
)  # fmt: skip
OFFER = dhcp4.Message(
    dhcp4.Operation.REPLY,
    0x01020304,
    MAC,
    dhcp4.Kind.OFFER,
    {1: b"\xff\xff\xff\0", 3: b"\x0a\2\0\1", 51: b"\0\0\2\x58", 54: b"\x0a\2\0\1", 6: bytes(600)},
    dhcp4.BROADCAST_FLAG,
    yours=IPv4Address("10.2.0.100"),
)
ASSOCIATION = dhcp6.Association(
    7, 100, 200, ((5, IPv6Address("2001:db8:2::9").packed + b"\0\0\0\x64\0\0\0\xc8"), (13, b"\0\0"))
)
REPLY = dhcp6.Message(
    dhcp6.Kind.REPLY,
    0x010203,
    ((1, duid_ll(MAC)), (2, duid_ll(SERVER_MAC)), ASSOCIATION.encode(), (23, bytes(32))),
)
WISHES = (
    Wish(Method.DHCPV4, MAC, b"\1" + MAC, hostname="mn", wanted=ip_address("10.2.0.7")),
    Wish(Method.IPV6, MAC, duid_ll(MAC), 9, decline=ip_address("2001:db8:2::9")),
    Wish(Method.STATELESS, MAC, b""),
)
GRANTED = Configuration(
    ip_interface("10.2.0.100/24"),
    ip_address("10.2.0.1"),
    SERVER_MAC,
    (ip_address("10.2.0.53"),),
    600,
    math.inf,
    (ip_network("10.2.0.0/24"),),
    ip_address("10.2.0.1"),
)
STATELESS = Configuration(
    ip_interface("2001:db8:2::1/64"),
    ip_address("fe80::1"),
    b"",
    (),
    600,
    600,
    (ip_network("2001:db8:2::/64"),),
    None,
    RA,
)


def test_requests() -> None:
    corpus = [encode(protocol.wish_values(wish)) for wish in WISHES]

    def again(wish: Wish) -> bytes:
        return encode(protocol.wish_values(wish))

    fuzz("configure", lambda o: protocol.wish_of(Values.decode(o)), corpus, encode=again)


def test_answers() -> None:
    corpus = [
        encode(protocol.configuration_values(GRANTED, stateless=False)),
        encode(protocol.configuration_values(STATELESS, stateless=True)),
    ]

    def again(configuration: Configuration) -> bytes:
        return encode(protocol.configuration_values(configuration, stateless=False))

    def read(octets: bytes) -> Configuration:
        return protocol.configuration_of(Values.decode(octets), MAC)

    fuzz("configured", read, corpus, encode=again)


def test_refusals() -> None:
    def read(octets: bytes) -> Refused:
        return protocol.refusal_of(Values.decode(octets))

    fuzz("refused", read, [encode(protocol.refusal_values(Code.QUOTA, "too much"))])


def test_dhcpv4() -> None:
    octets = OFFER.encode()
    overloaded = bytearray(octets)
    overloaded[240:] = b"\x35\1\2\x34\1\3\xff"
    overloaded[44:48] = b"\1\4\xff\xff"
    overloaded[48:53] = b"\xff\0\xff\0\0"
    corpus = [octets, bytes(overloaded)]
    fuzz("dhcpv4", dhcp4.decode, corpus, encode=lambda message: message.encode())


def test_dhcpv6() -> None:
    fuzz("dhcpv6", dhcp6.decode, [REPLY.encode()], encode=lambda message: message.encode())


def test_router_advertisements() -> None:
    fuzz("ra", advertisement.decode, [RA], encode=lambda said: said.octets)


def frames() -> list[bytes]:
    """One of each kind that the agent listens to."""
    solicited = NeighbourSolicited(AGENT_MAC, ip_address("fe80::7"), ip_address("fe80::9"))  # type: ignore[arg-type]
    ra_frame = bytearray(neighbour_advertisement(SERVER_MAC, solicited))
    ra_frame[18:20] = len(RA).to_bytes(2, "big")
    ra_frame[54:] = RA
    arp = bytearray(arp_probe(SERVER_MAC, IPv4Address("10.2.0.1")))
    arp[21] = 2
    return [
        broadcast_udp(SERVER_MAC, 67, 68, OFFER.encode()),
        multicast_udp(SERVER_MAC, dhcp6.ALL_SERVERS, (547, 546), REPLY.encode()),
        neighbour_solicitation(SERVER_MAC, IPv6Address("fe80::ca:1")),
        neighbour_advertisement(SERVER_MAC, solicited),
        bytes(ra_frame),
        bytes(arp),
    ]


def test_frames() -> None:
    def read(octets: bytes) -> Heard:
        return hear(octets)

    fuzz("frames", read, frames())


def test_an_agent_at_work_hears_anything() -> None:
    """In the midst of exchanges of every kind, from anybody on the link."""
    world = World()
    node, six = world.node(), world.node()
    ask = (
        (node, WISHES[0]),
        (six, Wish(Method.DHCPV6, mac_of(8), duid_ll(mac_of(8)), 7)),
        (six, Wish(Method.IPV6, mac_of(9), duid_ll(mac_of(9)), 7)),
    )
    for each, wish in ask:
        world.does(each, each.client.configure(wish, world.now))
        world.run(bound_s=0.2)
    world.server.alive = False

    def heard(octets: bytes) -> int:
        world.ns += 1000
        outputs = world.agent.heard(octets, world.now)
        due_ns = world.agent.next_deadline()
        if due_ns is not None and due_ns <= world.ns:
            outputs += world.agent.expire(world.now)
        return len(outputs)

    fuzz("configuration agent on its link", heard, frames(), total=True)


def test_an_agent_is_told_anything_by_who_has_a_key() -> None:
    world = World()
    node = world.node()
    world.configure(node)
    client = node.client._requester.client
    assert isinstance(client, Client)
    dice = random.Random("kinds")
    corpus = [encode(protocol.wish_values(wish)) for wish in WISHES]
    corpus += [encode(protocol.address_values(ip_address("10.2.0.100")))]

    def tell(octets: bytes) -> int:
        world.ns += 1_000_000
        try:
            values = Values.decode(octets).pairs
        except DecodeError:
            return 0
        if sum(len(value) + 3 for _, value in values) > 1000:
            return 0
        datagram = client.request(dice.choice((1, 1, 2, 3, 4, 9)), values)
        source = Endpoint(ip_address("192.0.2.9"), 1)
        world.inject(datagram, source)
        world.run(bound_s=0.05)
        world.told.clear()
        assert len(world.agent.holdings) <= world.settings.per_node
        assert len(world.server.leases) <= world.settings.per_node
        return 0

    fuzz("configuration agent and a hostile MN", tell, corpus, total=True)


def test_a_client_is_told_anything_by_who_has_its_key() -> None:
    """The agent itself gone wrong."""
    world = World()
    node = world.node()
    corpus = [
        encode(protocol.configuration_values(GRANTED, stateless=False)),
        encode(protocol.configuration_values(STATELESS, stateless=True)),
        encode(protocol.refusal_values(Code.LEASE_LOST, "gone")),
    ]
    server = Server(Protocol.CONFIGURATION, world.dice.randbytes)
    server.add_key(node.key)
    dice = random.Random("answers")

    def ask() -> Request | None:
        """A request of the client's that the server would act on."""
        outputs = node.client.configure(WISHES[0], world.now)
        for _ in range(2):
            for output in outputs:
                datagram = getattr(output, "datagram", None)
                received = server.receive(datagram, node.source, world.now) if datagram else None
                if isinstance(received, Request):
                    return received
                if received is not None and hasattr(received, "datagram"):
                    outputs = node.client.receive(received.datagram, world.now)
        return None

    def tell(octets: bytes) -> int:
        world.ns += 1_000_000
        request = ask()
        assert request is not None
        try:
            values = Values.decode(octets).pairs
        except DecodeError:
            return 0
        if sum(len(value) + 3 for _, value in values) > 1000:
            return 0
        answer = server.answer(request.token, dice.choice((1, 1, 2, 7)), values, world.now)
        return len(node.client.receive(answer, world.now))

    fuzz("configuration client and a hostile agent", tell, corpus, total=True)


def test_the_journal() -> None:
    lease = Lease(
        ip_interface("10.2.0.100/24"),
        ip_address("10.2.0.1"),
        SERVER_MAC,
        (ip_address("10.2.0.53"),),
        600.0,
        math.inf,
        NOW.monotonic_ns - 10**9,
        (ip_network("10.2.0.0/24"),),
        ip_address("10.2.0.1"),
        b"\0\3",
        RA,
    )
    record = HoldingRecord.of("mn@home.example", WISHES[0], lease, NOW)

    def read(octets: bytes) -> HoldingRecord:
        try:
            values = json.loads(octets)
        except (ValueError, RecursionError):
            raise DecodeError("no JSON", where="test") from None
        if not isinstance(values, dict):
            raise DecodeError("no object", where="test")
        return HoldingRecord.read(values, NOW)

    def again(found: HoldingRecord) -> bytes:
        return json.dumps(found.values()).encode()

    fuzz("configuration journal", read, [again(record)], encode=again)
