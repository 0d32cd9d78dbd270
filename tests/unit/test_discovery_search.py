"""What is asked where the node is, and what the answers add."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from discovery_samples import A1, B1, A, B, at, learnt

from mpa_hil.discovery import nearby
from mpa_hil.discovery.cache import Cache, Place
from mpa_hil.discovery.description import CandidateNetwork, Source, Trust
from mpa_hil.discovery.nearby import Told
from mpa_hil.discovery.search import (
    MAX_SSIDS,
    MAX_STRANGERS,
    AskAnqp,
    AskName,
    AskReport,
    Search,
)
from radios.neighbor_report import NeighborReport

S = 10**9
HERE = Place(A1.bssid, A1.ssid)
STRANGER = NeighborReport("02:00:00:00:0c:01", 0, 81, 11, 7, b"operator-c")


def search_of(*networks: CandidateNetwork, source: Source = Source.LAB_FILE) -> Search:
    cache = Cache()
    cache.learn(learnt(each, source) for each in networks)
    return Search(cache)


def realms(search: Search, s: int = 1) -> list[str]:
    return [each.network.realm for each in search.candidates(s * S)]


def test_the_access_point_is_asked_for_every_ssid_but_our_own() -> None:
    """R29: discovery starts when movement is imminent, by asking."""
    search = search_of(A, B)
    assert set(search.look(HERE, S)) == {
        AskAnqp(HERE.bssid),
        AskReport(b"operator-b"),
        AskReport(B.points[1].ssid),
    }
    assert realms(search) == ["b.example"]


def test_a_look_is_bounded() -> None:
    crowd = [
        CandidateNetwork(
            f"n{n}.example",
            (replace(B1, ssid=f"n{n}".encode(), bssid=f"02:00:00:00:cc:{n:02x}"),),
            B.aa,
        )
        for n in range(40)
    ]
    search = search_of(A, *crowd)
    assert len(search.look(HERE, S)) == 1 + MAX_SSIDS
    strangers = [replace(STRANGER, bssid=f"02:00:00:00:dd:{n:02x}") for n in range(40)]
    assert len(search.reported(strangers, S, S)) == MAX_STRANGERS
    assert search.reported(strangers, S, S) == ()


def test_from_a_stranger_to_a_candidate() -> None:
    """R26, R27: report, then ANQP for its operator, then DNS for the agent."""
    search = search_of(A)
    search.look(HERE, S)
    assert search.reported([STRANGER], S, S) == (AskAnqp(STRANGER.bssid),)
    told = Told(domain_names=("c.example",))
    question = AskName("c.example", "aa.c.example")
    assert search.told(STRANGER.bssid, told, S, S) == (AskReport(b"operator-c"), question)
    assert realms(search) == []
    search.named(question, [ip_address("10.3.0.1")], S)
    (found,) = search.candidates(S)
    assert found.network.aa == (at("10.3.0.1"),)
    assert found.network.server_identity == "aa.c.example"
    assert found.network.points[0].frequency_mhz == 2462
    assert found.trust is Trust.UNAUTHENTICATED


def test_an_access_point_speaks_for_itself_only_where_it_was_reported() -> None:
    search = search_of(A)
    search.look(HERE, S)
    search.told("02:00:00:00:0e:0e", Told(domain_names=("evil.example",)), S, S)
    assert {each.network.realm for each in search.cache.networks(S)} == {"a.example"}


def test_nothing_is_asked_twice() -> None:
    search = search_of(A)
    search.look(HERE, S)
    question = search.reported([STRANGER], S, S)
    assert question
    assert search.reported([STRANGER], S, S) == ()
    search.look(HERE, 2 * S)
    assert search.reported([STRANGER], 2 * S, 2 * S) == question


def test_what_an_element_reports_counts_as_reported() -> None:
    search = search_of(A, B)
    search.look(HERE, S)
    report = nearby.report_of(B1)
    assert report is not None
    assert search.told(HERE.bssid, Told(reports=(report, STRANGER)), S, S) == (
        AskAnqp(STRANGER.bssid),
    )


def test_a_description_without_an_agent_asks_for_it_by_its_name() -> None:
    search = search_of(A)
    search.look(HERE, S)
    asked = search.told(HERE.bssid, Told(networks=(replace(B, aa=()),)), S, S)
    assert AskName("b.example", "aa.b.example") in asked
    search.named(AskName("b.example", "aa.b.example"), [ip_address("127.0.0.1")], S)
    assert realms(search) == []  # an address of nobody


def test_neighbours_are_asked_for_as_soon_as_their_network_is_known() -> None:
    """R26: the access point's element tells of B; its 802.11k report may know more of B."""
    search = search_of(A)
    assert search.look(HERE, S) == (AskAnqp(HERE.bssid),)
    asked = search.told(HERE.bssid, Told(networks=(B,)), S, S)
    assert asked == tuple(AskReport(point.ssid) for point in B.points)
    assert search.told(HERE.bssid, Told(networks=(B,)), S, S) == ()
    crowd = CandidateNetwork(
        "c.example",
        tuple(
            replace(B1, ssid=b"c%d" % n, bssid=f"02:00:00:00:cc:{n:02x}") for n in range(MAX_SSIDS)
        ),
        B.aa,
    )
    assert len(search.told(HERE.bssid, Told(networks=(crowd,)), S, S)) == MAX_SSIDS - len(asked)


def test_the_agent_where_we_are_is_asked_for_by_name_unless_it_is_known() -> None:
    """RFC 5192 or DNS: no other network is asked about, and the access point is not."""
    search = search_of(replace(A, aa=()), replace(B, aa=()))
    question = AskName("a.example", "aa.a.example")
    assert search.here(HERE, S) == (question,)
    search.named(question, [ip_address("10.1.0.1")], S)
    assert search.here(HERE, S) == ()
    assert search_of(A).here(HERE, S) == ()
    assert search_of().here(HERE, S) == ()


def test_a_name_never_overrides_what_was_vouched_for() -> None:
    """A8: poisoned DNS."""
    search = search_of(A, B)
    search.look(HERE, S)
    search.named(AskName("b.example", "aa.b.example"), [ip_address("10.66.0.1")], S)
    assert search.candidates(S)[0].network.aa == B.aa


def test_a_lease_names_the_agents_of_where_we_are() -> None:
    """RFC 5192: those of the network that gave the lease, of no other."""
    search = search_of(replace(A, aa=()), B)
    search.leased([ip_address("10.1.0.9")], HERE, S, lifetime_s=60)
    here = search.cache.here(S, HERE)
    assert here is not None
    assert here.network.aa == (at("10.1.0.9"),)
    assert here.expires_ns == 61 * S
    lost = Place("02:00:00:00:0e:01", b"cafe")
    before = list(search.cache.entries(S))
    search.leased([ip_address("10.1.0.7")], lost, S, lifetime_s=60)
    assert list(search.cache.entries(S)) == before


def test_nowhere_there_are_no_candidates() -> None:
    assert search_of(A, B).candidates(S) == ()
