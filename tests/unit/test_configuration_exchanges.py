"""The agent's DHCP exchanges and what it hears and says on the link, message by message."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface

import pytest

from mpa_hil.configuration import advertisement
from mpa_hil.configuration.acquisition import Acquired, Failed, Lease, Output, Transmit
from mpa_hil.configuration.acquisition6 import Acquisition6
from mpa_hil.configuration.advertisement import Advertisement, Prefix
from mpa_hil.configuration.dhcp4 import message as dhcp4
from mpa_hil.configuration.dhcp4.exchange import Dhcp4Timing, Exchange, Leased
from mpa_hil.configuration.dhcp4.numbers import Option
from mpa_hil.configuration.dhcp6 import message as dhcp6
from mpa_hil.configuration.dhcp6.exchange import Dhcp6Timing
from mpa_hil.configuration.frames import Udp4, arp_probe, broadcast_udp, checksum, decode4
from mpa_hil.configuration.frames6 import (
    NeighbourAdvertised,
    NeighbourSolicited,
    RouterAdvertised,
    Udp6,
    decode6,
    link_local,
    neighbour_advertisement,
    neighbour_solicitation,
    router_solicitation,
)
from mpa_hil.configuration.interface import Code, Method, Wish, duid_ll, ethernet_client_id
from mpa_hil.configuration.link import Link
from mpa_hil.configuration.reports import AgentSettings
from mpa_hil.configuration.routers import Routers
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import NS_PER_S, Instant

MAC, AGENT, SERVER = b"\2\0\0\0\0\7", b"\2\0\0\0\xca\0", b"\2\0\0\0\xdc\0"
NOW = Instant(10**12, 10**18)
WISH = Wish(Method.DHCPV4, MAC, ethernet_client_id(MAC), hostname="mn")
WISH6 = Wish(Method.IPV6, MAC, duid_ll(MAC), 7)
OFFERED = IPv4Address("10.2.0.100")
ADDRESS6, ROUTER6 = IPv6Address("2001:db8:2::9"), IPv6Address("fe80::1")
OPTIONS = {
    int(Option.SERVER_ID): b"\x0a\2\0\1",
    int(Option.SUBNET_MASK): b"\xff\xff\xff\0",
    int(Option.LEASE_TIME): b"\0\0\2\x58",
}


def sent(output: object) -> dhcp4.Message:
    assert isinstance(output, Transmit)
    datagram = decode4(output.frame)
    assert isinstance(datagram, Udp4)
    assert (datagram.source_port, datagram.port) == (68, 67)
    return dhcp4.decode(datagram.payload)


def selecting() -> tuple[Exchange, dhcp4.Message]:
    """An exchange that has sent DISCOVER, and the OFFER that it waits for."""
    exchange = Exchange(WISH, AGENT, random.Random(1).randbytes)
    (first,) = exchange.begin(NOW)
    discover = sent(first)
    assert discover.kind is dhcp4.Kind.DISCOVER
    assert discover.flags == dhcp4.BROADCAST_FLAG
    assert discover.options[Option.CLIENT_ID] == WISH.client_id
    assert discover.mac == MAC
    offer = replace(
        discover,
        operation=dhcp4.Operation.REPLY,
        kind=dhcp4.Kind.OFFER,
        yours=OFFERED,
        options=OPTIONS,
    )
    return exchange, offer


def requesting() -> tuple[Exchange, dhcp4.Message]:
    """One that has sent REQUEST, and its ACK."""
    exchange, offer = selecting()
    (output,) = exchange.receive(offer, NOW)
    request = sent(output)
    assert request.kind is dhcp4.Kind.REQUEST
    assert request.address(Option.REQUESTED_ADDRESS) == OFFERED
    assert request.options[Option.SERVER_ID] == OPTIONS[Option.SERVER_ID]
    return exchange, replace(offer, kind=dhcp4.Kind.ACK)


def without(option: Option) -> dict[int, bytes]:
    return {number: value for number, value in OPTIONS.items() if number != option}


@pytest.mark.parametrize(
    "change",
    [
        {"xid": 77},
        {"mac": SERVER},
        {"operation": dhcp4.Operation.REQUEST},
        {"kind": dhcp4.Kind.ACK},
        {"yours": IPv4Address(0)},
        {"yours": IPv4Address("224.0.0.9")},
        {"options": without(Option.SERVER_ID)},
        {"options": without(Option.SUBNET_MASK)},
    ],
)
def test_no_offer_of_ours(change: dict[str, object]) -> None:
    exchange, offer = selecting()
    due_ns = exchange.next_deadline()
    assert exchange.receive(replace(offer, **change), NOW) == ()  # type: ignore[arg-type]
    assert exchange.next_deadline() == due_ns
    assert len(exchange.receive(offer, NOW)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"xid": 77},
        {"yours": IPv4Address("10.2.0.101")},
        {"options": without(Option.LEASE_TIME)},
        {"options": {**OPTIONS, Option.LEASE_TIME: bytes(4)}},
        {"options": {**OPTIONS, Option.SUBNET_MASK: b"\xff\0\xff\0"}},
        {"options": without(Option.SERVER_ID)},
        {"kind": dhcp4.Kind.NAK, "options": {Option.SERVER_ID: b"\x0a\2\0\2"}},
    ],
)
def test_no_acknowledgement_of_ours(change: dict[str, object]) -> None:
    exchange, ack = requesting()
    assert exchange.receive(replace(ack, **change), NOW) == ()  # type: ignore[arg-type]
    (leased,) = exchange.receive(ack, NOW)
    assert isinstance(leased, Leased)
    assert (leased.lease.lease_s, leased.lease.renew_s) == (600, 300)
    assert exchange.next_deadline() is None


def test_lease_times() -> None:
    exchange, ack = requesting()
    infinite = {**OPTIONS, int(Option.LEASE_TIME): b"\xff" * 4}
    (leased,) = exchange.receive(replace(ack, options=infinite), NOW)
    assert isinstance(leased, Leased)
    assert math.isinf(leased.lease.lease_s)
    exchange, ack = requesting()
    soon = {**OPTIONS, int(Option.RENEWAL_TIME): b"\0\0\0\x3c"}
    (leased,) = exchange.receive(replace(ack, options=soon), NOW)
    assert isinstance(leased, Leased)
    assert leased.lease.renew_s == 60


def test_refused_it_begins_again_but_not_for_ever() -> None:
    exchange, ack = requesting()
    for _ in range(Dhcp4Timing().restarts):
        nak = replace(ack, kind=dhcp4.Kind.NAK, yours=IPv4Address(0))
        (output,) = exchange.receive(nak, NOW)
        discover = sent(output)
        assert discover.kind is dhcp4.Kind.DISCOVER
        offer = replace(ack, kind=dhcp4.Kind.OFFER, xid=discover.xid)
        exchange.receive(offer, NOW)
        ack = replace(offer, kind=dhcp4.Kind.ACK)
    (failed,) = exchange.receive(replace(ack, kind=dhcp4.Kind.NAK), NOW)
    assert isinstance(failed, Failed)
    assert failed.code is Code.SERVER_REFUSED


def test_the_question_to_an_exhausted_server_is_not_taken_for_its_answer() -> None:
    """A server that was busy answers everything at once: OFFER, then the question's NAK."""
    exchange, offer = selecting()
    due_ns = exchange.next_deadline()
    assert due_ns is not None
    later = Instant(due_ns, NOW.unix_ns)
    discover, question = map(sent, exchange.expire(later))
    assert discover.xid == offer.xid != question.xid
    assert Option.SERVER_ID not in question.options
    exchange.receive(offer, later)
    nak = replace(offer, kind=dhcp4.Kind.NAK, xid=question.xid)
    assert exchange.receive(nak, later) == ()
    (leased,) = exchange.receive(replace(offer, kind=dhcp4.Kind.ACK), later)
    assert isinstance(leased, Leased)


def test_renewal_looks_like_a_reboot() -> None:
    exchange = Exchange(WISH, AGENT, random.Random(1).randbytes)
    (output,) = exchange.renew(OFFERED, NOW)
    request = sent(output)
    assert request.client == IPv4Address(0)
    assert Option.SERVER_ID not in request.options
    assert request.flags == dhcp4.BROADCAST_FLAG
    nak = replace(request, operation=dhcp4.Operation.REPLY, kind=dhcp4.Kind.NAK, options={})
    (failed,) = exchange.receive(nak, NOW)
    assert isinstance(failed, Failed)
    assert failed.code is Code.LEASE_LOST


def test_options_that_spill_over() -> None:
    message = dhcp4.Message(
        dhcp4.Operation.REPLY, 1, MAC, dhcp4.Kind.ACK, {int(Option.DNS): bytes(range(256)) * 2}
    )
    assert dhcp4.decode(message.encode()) == message
    octets = bytearray(message.encode())
    octets[240:] = b"\x35\1\5\x34\1\3\xff"
    octets[108:113] = b"\6\4\1\2\3"  # file field, read first ...
    octets[108:115] = b"\6\4\1\2\3\4\xff"
    octets[44:51] = b"\6\4\5\6\7\x08\xff"  # ... then the server's name
    said = dhcp4.decode(bytes(octets))
    assert [str(each) for each in said.addresses(Option.DNS)] == ["1.2.3.4", "5.6.7.8"]


# --- IPv6


def advertised(*, managed: bool = False, lifetime_s: int = 1800, autonomous: bool = True) -> bytes:
    flags = 0x80 if managed else 0
    prefix = IPv6Address("2001:db8:2::").packed
    times = b"\0\0\2\x58" * 2 + bytes(4)
    return (
        bytes((134, 0, 0, 0, 64, flags))
        + lifetime_s.to_bytes(2, "big")
        + bytes(8)
        + bytes((3, 4, 64, 0xC0 if autonomous else 0x80))
        + times
        + prefix
    )


def router(**said: bool | int) -> RouterAdvertised:
    octets = advertised(**said)  # type: ignore[arg-type]
    return RouterAdvertised(ROUTER6, SERVER, advertisement.decode(octets))


def way(wish: Wish = WISH6, routers: Routers | None = None) -> Acquisition6:
    dice = random.Random(1).randbytes
    return Acquisition6(wish, AGENT, dice, Dhcp6Timing(), routers or Routers())


def sent6(output: Output) -> dhcp6.Message:
    assert isinstance(output, Transmit)
    datagram = decode6(output.frame)
    assert isinstance(datagram, Udp6)
    assert datagram.source == link_local(AGENT)
    return dhcp6.decode(datagram.payload)


def offered(message: dhcp6.Message, kind: dhcp6.Kind, *inner: tuple[int, bytes]) -> dhcp6.Message:
    association = dhcp6.Association(7, 0, 0, inner)
    options = ((1, WISH6.client_id), (2, duid_ll(SERVER)), association.encode())
    return dhcp6.Message(kind, message.xid, options)


LEASED = (5, ADDRESS6.packed + b"\0\0\0\x64\0\0\0\xc8")
NONE = (13, b"\0\2no addresses")
NO_BINDING = (13, b"\0\3no binding")


def test_stateless_at_once_where_the_router_is_known() -> None:
    routers = Routers()
    routers.heard(router(), NOW)
    (acquired,) = way(routers=routers).begin(NOW)
    assert isinstance(acquired, Acquired)
    lease = acquired.lease
    assert lease.address == IPv6Interface("2001:db8:2::ff:fe00:7/64")
    assert (lease.router, lease.router_mac, lease.server) == (ROUTER6, SERVER, None)
    assert lease.ra == advertised()
    assert (lease.life_s, lease.renew_s) == (600, 300)


def test_an_old_advertisement_is_asked_for_anew() -> None:
    routers = Routers()
    routers.heard(router(), NOW)
    later = Instant(NOW.monotonic_ns + 31 * NS_PER_S, NOW.unix_ns)
    asking = way(routers=routers)
    (output,) = asking.begin(later)
    assert isinstance(output, Transmit)
    assert output.frame == router_solicitation(AGENT)
    (acquired,) = asking.receive(router(), later)
    assert isinstance(acquired, Acquired)


def test_a_router_that_is_one_no_longer() -> None:
    routers = Routers()
    routers.heard(router(), NOW)
    routers.heard(router(lifetime_s=0), NOW)
    assert routers.fresh(NOW) is None
    asking = way(routers=routers)
    asking.begin(NOW)
    assert asking.receive(router(lifetime_s=0), NOW) == ()


def test_no_prefix_to_make_an_address_from() -> None:
    asking = way()
    asking.begin(NOW)
    (failed,) = asking.receive(router(autonomous=False), NOW)
    assert isinstance(failed, Failed)
    assert failed.code is Code.UNSUPPORTED


def leased6() -> tuple[Acquisition6, Lease]:
    asking = way()
    asking.begin(NOW)
    (output,) = asking.receive(router(managed=True), NOW)
    solicit = sent6(output)
    assert solicit.kind is dhcp6.Kind.SOLICIT
    (output,) = asking.receive(offered(solicit, dhcp6.Kind.ADVERTISE, LEASED), NOW)
    request = sent6(output)
    assert request.kind is dhcp6.Kind.REQUEST
    assert request.option(dhcp6.Option.SERVER_ID) == duid_ll(SERVER)
    stranger = replace(request, options=((1, b"\0\3other"), (2, duid_ll(SERVER))))
    assert asking.receive(offered(stranger, dhcp6.Kind.ADVERTISE, LEASED), NOW) == ()
    assert asking.receive(replace(stranger, kind=dhcp6.Kind.REPLY), NOW) == ()
    wrong = offered(replace(request, xid=request.xid ^ 1), dhcp6.Kind.REPLY, LEASED)
    assert asking.receive(wrong, NOW) == ()
    (acquired,) = asking.receive(offered(request, dhcp6.Kind.REPLY, LEASED), NOW)
    assert isinstance(acquired, Acquired)
    return asking, acquired.lease


def test_stateful_where_the_advertisement_says_so() -> None:
    asking, lease = leased6()
    assert lease.address == IPv6Interface("2001:db8:2::9/64")
    assert (lease.life_s, lease.renew_s) == (200, 50)
    assert lease.server == ROUTER6
    (release,) = asking.release(lease)
    assert sent6(release).kind is dhcp6.Kind.RELEASE


@pytest.mark.parametrize("inner", [NO_BINDING, (5, bytes(24)), (5, SERVER * 4)])
def test_stateful_and_not_renewed(inner: tuple[int, bytes]) -> None:
    asking, lease = leased6()
    (output,) = asking.renew(lease, NOW)
    renew = sent6(output)
    assert renew.kind is dhcp6.Kind.RENEW
    (failed,) = asking.receive(offered(renew, dhcp6.Kind.REPLY, inner), NOW)
    assert isinstance(failed, Failed)
    assert failed.code is Code.LEASE_LOST


def test_stateful_renewed() -> None:
    asking, lease = leased6()
    later = Instant(NOW.monotonic_ns + 50 * NS_PER_S, NOW.unix_ns)
    (output,) = asking.renew(lease, later)
    (acquired,) = asking.receive(offered(sent6(output), dhcp6.Kind.REPLY, LEASED), later)
    assert isinstance(acquired, Acquired)
    assert acquired.lease == replace(lease, since_ns=later.monotonic_ns)


def test_stateful_and_exhausted_another_server_is_waited_for() -> None:
    asking = way(replace(WISH6, method=Method.DHCPV6))
    asking.begin(NOW)
    (output,) = asking.receive(router(), NOW)
    solicit = sent6(output)
    assert asking.receive(offered(solicit, dhcp6.Kind.ADVERTISE, NONE), NOW) == ()
    due_ns = asking.next_deadline()
    assert due_ns is not None
    assert due_ns - NOW.monotonic_ns == NS_PER_S // 4
    (failed,) = asking.expire(Instant(due_ns, NOW.unix_ns))
    assert failed == Failed(Code.POOL_EXHAUSTED, "no addresses")


def test_solicited_in_vain() -> None:
    asking = way()
    outputs = asking.begin(NOW)
    for _ in range(2):
        due_ns = asking.next_deadline()
        assert due_ns is not None
        outputs += asking.expire(Instant(due_ns, NOW.unix_ns))
    due_ns = asking.next_deadline()
    assert due_ns is not None
    (failed,) = asking.expire(Instant(due_ns, NOW.unix_ns))
    assert [type(each) for each in outputs] == [Transmit] * 3
    assert isinstance(failed, Failed)
    assert failed.code is Code.NO_ROUTER


def test_advertisements_are_read_as_they_are() -> None:
    said = advertisement.decode(advertised(managed=True))
    network = said.prefixes[0].network
    assert said.managed
    assert said.prefixes == (Prefix(network, True, True, 600, 600),)
    assert said.valid_s(IPv6Address("2001:db8:3::1")) == 0
    long = Advertisement(False, False, 1800, (Prefix(network.supernet(), True, True, 60, 60),))
    assert long.address_for(MAC) is None
    for octets in (b"", advertised()[:-1], b"\x85" + advertised()[1:], advertised() + b"\1\0"):
        with pytest.raises(DecodeError):
            advertisement.decode(octets)


# --- frames


def test_checksums() -> None:
    """Of a whole that contains its own checksum the sum is 0 (RFC 1071)."""
    frame = broadcast_udp(AGENT, 68, 67, b"odd")
    assert checksum(frame[14:34]) == 0
    pseudo = frame[26:34] + bytes((0, 17)) + frame[38:40]
    assert checksum(pseudo + frame[34:]) == 0
    solicited = NeighbourSolicited(SERVER, ROUTER6, link_local(AGENT))
    for frame in (
        router_solicitation(AGENT),
        neighbour_solicitation(AGENT, ADDRESS6),
        neighbour_advertisement(AGENT, solicited),
    ):
        length = len(frame) - 54
        pseudo = frame[22:54] + length.to_bytes(4, "big") + bytes((0, 0, 0, 58))
        assert checksum(pseudo + frame[54:]) == 0
        assert frame[21] == 255
    assert arp_probe(AGENT, OFFERED)[28:32] == bytes(4)


def test_the_agent_answers_for_its_own_address_and_no_other() -> None:
    link = Link(AgentSettings(), AGENT, random.Random(1).randbytes)
    assert len(link.begin()) == 1
    only = AgentSettings(methods=frozenset({Method.DHCPV4}))
    assert Link(only, AGENT, random.Random(1).randbytes).begin() == ()
    asked = neighbour_solicitation(SERVER, link_local(AGENT))
    answer = link.heard(asked, NOW)
    assert isinstance(answer, Transmit)
    assert decode6(answer.frame) == NeighbourAdvertised(link_local(AGENT), AGENT)
    assert answer.frame[:6] == SERVER
    assert link.heard(neighbour_solicitation(SERVER, ADDRESS6), NOW) is None
    unspecified = asked[:22] + bytes(16) + asked[38:]  # somebody checks whether he may have it
    assert link.heard(unspecified, NOW) is None


def test_what_comes_from_beyond_the_link_is_not_heard() -> None:
    frame = bytearray(neighbour_solicitation(SERVER, link_local(AGENT)))
    frame[21] = 254
    with pytest.raises(DecodeError):
        decode6(bytes(frame))
