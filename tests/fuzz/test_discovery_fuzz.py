"""What others tell of networks, fuzzed: descriptions, information service, 802.11k and u, DHCP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from discovery_samples import A1, A, B, learnt
from fuzzing import fuzz

from mpa_hil.discovery import dhcp, information, memory, names, nearby, wire
from mpa_hil.discovery.cache import Cache, Place
from mpa_hil.discovery.description import Source
from mpa_hil.discovery.information import Answer, InformationClient, InformationService, Query
from mpa_hil.mobility.interface import Instant
from radios import anqp, neighbor_report
from radios.anqp import AnqpError
from radios.neighbor_report import NeighborReport, ReportError
from radios.wpa_events import parse_event

NOW = Instant(10**12, 1_800_000_000 * 10**9)
REPORTS = tuple(filter(None, map(nearby.report_of, (*A.points, *B.points))))
AGENTS = b"\x0a\x02\x00\x01\x0a\x02\x00\x02"
NAMES = b"\x07example\x03com\x00\x07example\x03net\x00"
OPTIONS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "136": (dhcp.decode_agents, [AGENTS, AGENTS[:4]]),
    "40": (dhcp.decode_agents_6, [AGENTS * 2, AGENTS * 4]),
    "139": (dhcp.decode_mobility_servers, [b"\x01\x08" + AGENTS + b"\x02\x00"]),
    "54": (dhcp.decode_mobility_servers_6, [b"\x00\x01\x00\x10" + AGENTS * 2]),
    "140": (dhcp.decode_mobility_names, [b"\x01\x1a" + NAMES]),
    "55": (lambda o: dhcp.decode_mobility_names(o, version=6), [b"\x00\x01\x00\x1a" + NAMES]),
}
ELEMENTS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "domain-names": (anqp.domain_names, b"\x09a.example\x09b.example"),
    "nai-realms": (
        anqp.nai_realms,
        bytes.fromhex("01001500000c686f6d652e6578616d706c6501050d01050106"),
    ),
    "venue-urls": (anqp.venue_urls, b"\x13\x01http://x.example/1"),
}


def test_descriptions() -> None:
    corpus = [wire.encode(()), wire.encode((A,)), wire.encode((A, B))]
    tally = fuzz("descriptions", wire.decode, corpus, encode=wire.encode)
    assert tally.accepted > len(corpus)


def test_the_information_service() -> None:
    corpus = [
        Query(7, near=A1.bssid, realms=("a.example", "b.example")).encode(),
        Answer(7, information.Status.OK, 2, 0, (A, B)).encode(),
    ]
    fuzz("information", information.decode, corpus, encode=lambda message: message.encode())


def test_the_service_and_its_asker_take_everything() -> None:
    """Neither raises; an answer stays within its room, and at most one list comes of a question."""
    service = InformationService([A, B])

    def talk(octets: bytes) -> object:
        asker = InformationClient("a.example", lambda count: bytes(count))
        asker.ask(0)
        asker.receive(octets, 1)
        answer = service.answer(octets)
        assert answer is None or len(answer) <= information.ANSWER_ROOM
        return answer

    corpus = [Query(0).encode(), Answer(0, information.Status.OK, 2, 0, (A, B)).encode()]
    fuzz("information-service", talk, corpus, total=True)


def test_neighbour_reports() -> None:
    octets = neighbor_report.encode_elements(REPORTS)
    fuzz(
        "neighbour-reports",
        neighbor_report.decode_elements,
        [octets, b""],
        encode=neighbor_report.encode_elements,
        refusal=ReportError,
    )


def test_neighbour_events() -> None:
    event = (
        b"<3>RRM-NEIGHBOR-REP-RECEIVED bssid=02:00:00:00:0b:01 "
        b"info=0x18ff op_class=81 chan=6 phy_type=7 lci=0100 civic=0b00"
    )

    def match(octets: bytes) -> object:
        found = neighbor_report.from_event(parse_event(octets, 0), b"operator-b")
        return nearby.matched([found] if isinstance(found, NeighborReport) else [], [A, B])

    fuzz("neighbour-events", match, [event], total=True)


@pytest.mark.parametrize("name", ELEMENTS)
def test_anqp_elements(name: str) -> None:
    decode, genuine = ELEMENTS[name]
    fuzz(f"anqp-{name}", decode, [genuine], refusal=AnqpError)


def test_what_wpa_supplicant_says_of_elements() -> None:
    description = nearby.encode_element((A, B)).hex()
    reports = neighbor_report.encode_elements(REPORTS).hex()
    reply = (
        f"bssid={A1.bssid}\nanqp_domain_name=0161\nanqp[65280]={description}\nanqp[272]={reports}\n"
    )

    def told(octets: bytes) -> object:
        return nearby.told(anqp.parse_bss(octets.decode("utf-8", "replace")))

    fuzz("anqp-reply", told, [reply.encode()], total=True)


@pytest.mark.parametrize("name", OPTIONS)
def test_dhcp_options(name: str) -> None:
    decode, corpus = OPTIONS[name]
    fuzz(f"dhcp-{name}", decode, corpus)


def test_what_the_resolver_prints() -> None:
    printed = b"2001:db8::1     STREAM aa.b.example\n10.2.0.1        DGRAM\n"
    fuzz("getent", names.parse, [printed], total=True)


def test_remembered_networks() -> None:
    cache = Cache()
    cache.learn([learnt(A, Source.OWN_AA, 990), learnt(B, Source.ANQP, 990)])
    cache.learn([learnt(B, Source.DNS, 999)], Place(A1.bssid, A1.ssid))
    octets = memory.dump(cache, NOW)
    fuzz(
        "remembered",
        lambda octets: list(memory.load(octets, NOW).entries(NOW.monotonic_ns)),
        [octets],
    )
