"""The cache of candidate networks: by place, by trust, for a time; and as a file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from discovery_samples import A1, B1, B2, A, B, at, learnt, networks
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mpa_hil.discovery import files, memory
from mpa_hil.discovery.cache import (
    MAX_ENTRIES,
    MAX_PLACES,
    MAX_UNVOUCHED_POINTS,
    Cache,
    Nearness,
    Place,
)
from mpa_hil.discovery.description import (
    CandidateNetwork,
    Learnt,
    PointOfAttachment,
    Source,
    Trust,
)
from mpa_hil.errors import DecodeError, LocalError, MachineError
from mpa_hil.mobility.interface import Instant

AT_A1 = Place(A1.bssid, A1.ssid)
AT_A2 = Place("02:00:00:00:0a:02", A1.ssid)
ELSEWHERE = Place("02:00:00:00:0e:01", b"cafe")
S = 10**9
B3 = PointOfAttachment("b3", b"operator-b", "02:00:00:00:0b:03", 2462)
C = CandidateNetwork("c.example", (replace(B3, bssid="02:00:00:00:0c:01"),), (at("10.3.0.1"),))
D = CandidateNetwork("d.example", (replace(B3, bssid="02:00:00:00:0d:01"),), (at("10.4.0.1"),))
UNVOUCHED = [source for source in Source if source.trust is Trust.UNAUTHENTICATED]


def cache_of(*known: Learnt, place: Place | None = None) -> Cache:
    cache = Cache()
    cache.learn(known, place)
    return cache


def realms(cache: Cache, place: Place = AT_A1, limit: int | None = None, s: float = 1) -> list[str]:
    return [each.network.realm for each in cache.candidates(round(s * S), place, limit)]


def test_more_than_one_network_is_kept_and_the_best_come_first() -> None:
    """R30: parameters of more than one in a cache, narrowed to several."""
    cache = cache_of(learnt(A), learnt(B), learnt(C), learnt(D, Source.LAB_FILE))
    assert realms(cache) == ["d.example", "b.example", "c.example"]
    assert realms(cache, limit=2) == ["d.example", "b.example"]
    assert [each.network.realm for each in cache.networks(S)][-1] == "c.example"


def test_the_network_that_we_are_in_is_no_candidate() -> None:
    cache = cache_of(learnt(A), learnt(B))
    assert realms(cache) == ["b.example"]
    assert realms(cache, AT_A2) == ["b.example"]  # another point of the same SSID
    here = cache.here(S, AT_A2)
    assert here is not None
    assert here.network.realm == "a.example"
    assert cache.here(S, ELSEWHERE) is None


def test_what_lacks_an_agent_or_a_point_is_no_candidate() -> None:
    cache = cache_of(learnt(replace(B, aa=())), learnt(replace(C, points=())))
    assert realms(cache) == []
    cache.learn([learnt(replace(B, points=()), Source.DNS)])
    assert realms(cache) == ["b.example"]


def test_near_before_far() -> None:
    """The cache is kept per place: what was learnt here is near here."""
    cache = cache_of(learnt(B))
    cache.learn([learnt(C)], AT_A2)
    cache.learn([learnt(D)], AT_A1)
    assert realms(cache) == ["d.example", "c.example", "b.example"]
    found = cache.candidates(S, AT_A1)
    assert [each.nearness for each in found] == [
        Nearness.HERE,
        Nearness.SAME_NETWORK,
        Nearness.ANYWHERE,
    ]
    assert realms(cache, ELSEWHERE) == ["b.example", "c.example", "d.example"]


def test_each_thing_is_believed_for_its_time() -> None:
    """R31: time-bound."""
    cache = cache_of(learnt(replace(B, lifetime_s=300)), learnt(replace(C, lifetime_s=60), at_s=30))
    assert cache.next_deadline() == 90 * S
    assert realms(cache, s=89.9) == ["b.example", "c.example"]
    assert realms(cache, s=90) == ["b.example"]
    assert cache.candidates(100 * S, AT_A1)[0].network.lifetime_s == 200
    cache.expire(90 * S)
    assert cache.next_deadline() == 300 * S
    cache.expire(300 * S)
    assert cache.next_deadline() is None
    assert not list(cache.entries(0))


def test_the_same_source_corrects_itself() -> None:
    cache = cache_of(learnt(B))
    cache.learn([learnt(replace(B, aa=(at("10.2.0.9"),)), at_s=1)])
    assert cache.candidates(2 * S, AT_A1)[0].network.aa == (at("10.2.0.9"),)


@pytest.mark.parametrize("liar", UNVOUCHED)
def test_a_liar_adds_points_and_changes_nothing(liar: Source) -> None:
    """A8, R28: no AA, CA, AR, identity, SSID or channel learnt under authentication changes."""
    cache = cache_of(learnt(B))
    evil = at("10.66.0.1")
    lie = CandidateNetwork(
        realm="b.example",
        points=(replace(B1, ssid=b"evil", frequency_mhz=5745, akms=()), B3),
        aa=(evil,),
        ca=(evil,),
        ar=(evil,),
        aa_identity="evil.example",
        name="evil",
        lifetime_s=86_400,
    )
    cache.learn([learnt(lie, liar, at_s=1)], AT_A1)
    (found,) = cache.candidates(2 * S, AT_A1)
    assert found.network == replace(B, points=(B1, B2, B3), lifetime_s=298)
    assert found.vouched_points == {B1.bssid, B2.bssid}
    assert found.trust is Trust.OWN


@pytest.mark.parametrize("liar", UNVOUCHED)
def test_a_liar_cannot_say_that_we_are_there(liar: Source) -> None:
    cache = cache_of(learnt(B))
    here = (replace(B3, ssid=A1.ssid), replace(B3, bssid=A1.bssid))
    cache.learn([learnt(CandidateNetwork("b.example", here), liar)], AT_A1)
    assert realms(cache) == ["b.example"]
    assert cache.here(S, AT_A1) is None


@pytest.mark.parametrize("liar", UNVOUCHED)
def test_a_liar_cannot_take_points_away(liar: Source) -> None:
    cache = cache_of(learnt(B, at_s=1))
    cache.learn([learnt(CandidateNetwork("aaa.example", (B1, B2), (at("10.66.0.1"),)), liar)])
    (found,) = cache.candidates(2 * S, AT_A1)
    assert (found.network.realm, found.network.points) == ("b.example", B.points)


@pytest.mark.parametrize("liar", UNVOUCHED)
def test_a_liar_cannot_crowd_out_what_is_known(liar: Source) -> None:
    cache = cache_of(learnt(B))
    crowd = [
        CandidateNetwork(
            f"a{n}.example",
            (replace(B3, bssid=f"02:00:00:00:aa:{n:02x}"),),
            (at("10.66.0.1"),),
            lifetime_s=86_400,
        )
        for n in range(2 * MAX_ENTRIES)
    ]
    cache.learn([learnt(each, liar) for each in crowd], AT_A1)
    cache.learn([learnt(each, liar) for each in crowd])
    assert realms(cache, limit=1) == ["b.example"]
    assert len(list(cache.entries(S))) == 2 * MAX_ENTRIES


@pytest.mark.parametrize("liar", UNVOUCHED)
def test_a_liar_adds_few_points(liar: Source) -> None:
    """Each would take a place in wpa_supplicant's key cache from a point that there is."""
    crowd = tuple(replace(B3, bssid=f"02:00:00:00:aa:{n:02x}") for n in range(32))
    cache = cache_of(learnt(B))
    cache.learn([learnt(CandidateNetwork("b.example", crowd), liar)], AT_A1)
    (found,) = cache.candidates(S, AT_A1)
    assert found.network.points[:2] == B.points
    assert len(found.network.points) == len(B.points) + MAX_UNVOUCHED_POINTS
    alone = cache_of(learnt(replace(B, points=crowd), liar))
    assert len(alone.candidates(S, AT_A1)[0].network.points) == len(crowd)


def test_who_knows_best_is_believed() -> None:
    """The order of trust: configured, the network's own AA, another's AA, nobody's word."""
    order = [Source.LAB_FILE, Source.OWN_AA, Source.OTHER_AA, Source.ANQP]
    said = {source: at(f"10.2.0.{n + 10}") for n, source in enumerate(order)}
    cache = Cache()
    for late, source in enumerate(order):
        cache.learn([learnt(replace(B, aa=(said[source],)), source, at_s=late)])
    for source in order:
        assert cache.candidates(5 * S, AT_A1)[0].network.aa == (said[source],)
        cache.forget("b.example", source)
    assert realms(cache) == []


def test_the_identity_goes_with_its_agent() -> None:
    """A name that another source gave must not be asked of this source's agent."""
    cache = cache_of(learnt(replace(B, aa=()), Source.LAB_FILE))
    cache.learn([learnt(replace(B, aa_identity=""), Source.OWN_AA)])
    assert cache.candidates(S, AT_A1)[0].network.server_identity == "b.example"


def test_a_point_claimed_twice_stays_with_the_first_of_equals() -> None:
    cache = cache_of(learnt(C, Source.ANQP), learnt(replace(D, points=C.points), Source.ANQP, 1))
    assert realms(cache) == ["c.example"]


def test_the_cache_is_bounded() -> None:
    cache = cache_of(learnt(B))
    for n in range(3 * MAX_PLACES):
        cache.learn([learnt(C)], Place(f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}", b"x"))
    assert len(list(cache.entries(S))) == MAX_PLACES
    assert "b.example" in realms(cache)


sources = st.sampled_from(Source)
places = st.sampled_from([None, AT_A1, AT_A2, ELSEWHERE])
learning = st.lists(st.tuples(networks, sources, st.integers(0, 200), places), max_size=4)


@settings(max_examples=50, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(learning, learning)
def test_nothing_unvouched_ever_changes_what_is_vouched(
    first: list[tuple[CandidateNetwork, Source, int, Place | None]],
    second: list[tuple[CandidateNetwork, Source, int, Place | None]],
) -> None:
    cache = Cache()
    for network, source, s, place in first:
        cache.learn([learnt(network, source, s)], place)
    before = {each.network.realm: each for each in cache.networks(0, AT_A1)}
    told = [each for each in second if each[1].trust is Trust.UNAUTHENTICATED]
    for network, source, s, place in told:
        # The same realms too, so that there is something to attack.
        for realm in {network.realm, *before}:
            cache.learn([learnt(replace(network, realm=realm), source, s)], place)
    after = {each.network.realm: each for each in cache.networks(0, AT_A1)}
    for realm, candidate in before.items():
        if candidate.trust is Trust.UNAUTHENTICATED or not candidate.network.aa:
            continue  # an agent that nobody knew may be added
        now = after[realm]
        assert now.trust is candidate.trust
        assert now.vouched_points == candidate.vouched_points
        assert (now.network.aa, now.network.aa_identity) == (
            candidate.network.aa,
            candidate.network.aa_identity,
        )
        for bssid in candidate.vouched_points:
            assert now.network.point(bssid) == candidate.network.point(bssid)


# --- what a restart leaves -----------------------------------------------------------------------

NOW = Instant(100 * S, 1_800_000_000 * S)


def test_what_was_learnt_outlives_a_restart() -> None:
    """Ages count on: the calendar goes on while the monotonic clock starts anew."""
    cache = cache_of(learnt(C, Source.LAB_FILE), learnt(A, at_s=90))
    cache.learn([learnt(B, at_s=40)], AT_A1)
    later = Instant(7 * S, NOW.unix_ns + 20 * S)
    again = memory.load(memory.dump(cache, NOW), later)
    assert {
        (each.place, each.learnt.network.realm, each.learnt.learnt_ns // S)
        for each in again.entries(7 * S)
    } == {(AT_A1, "b.example", 7 - 80), (None, "a.example", 7 - 30)}
    much_later = Instant(7 * S, NOW.unix_ns + 86_400 * S)
    assert not list(memory.load(memory.dump(cache, NOW), much_later).entries(0))


def test_a_calendar_set_back_makes_nothing_immortal() -> None:
    """F10: what claims to be from the future counts as learnt now."""
    cache = cache_of(learnt(B, at_s=99))
    back = Instant(50 * S, NOW.unix_ns - 31_536_000 * S)
    (entry,) = memory.load(memory.dump(cache, NOW), back).entries(50 * S)
    assert entry.learnt.learnt_ns == 50 * S


@settings(max_examples=30)
@given(learning)
def test_a_cache_survives_its_file(
    known: list[tuple[CandidateNetwork, Source, int, Place | None]],
) -> None:
    cache = Cache()
    for network, source, s, place in known:
        cache.learn([learnt(network, source, s)], place)
    now = Instant(0, NOW.unix_ns)
    again = memory.load(memory.dump(cache, now), now)
    expected = {
        (each.place, each.learnt.network, each.learnt.source)
        for each in cache.entries(0)
        if each.learnt.source is not Source.LAB_FILE
    }
    assert {
        (each.place, each.learnt.network, each.learnt.source) for each in again.entries(0)
    } == expected


def test_a_file_cannot_speak_for_the_lab_file() -> None:
    octets = memory.dump(cache_of(learnt(B, at_s=99)), NOW).replace(b"own-aa", b"lab-file")
    with pytest.raises(DecodeError, match="lab file"):
        memory.load(octets, NOW)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "networks"
    assert not list(files.load(path, NOW).entries(0))
    files.save(path, cache_of(learnt(B, at_s=90)), NOW)
    files.save(path, cache_of(learnt(B, at_s=95)), NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["networks"]
    assert len(list(files.load(path, NOW).entries(NOW.monotonic_ns))) == 1
    path.chmod(0o620)
    with pytest.raises(LocalError, match="chmod 600"):
        files.load(path, NOW)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "networks"
    path.write_bytes(b"{}")
    path.chmod(0o600)
    with pytest.raises(DecodeError, match="remove the file"):
        files.load(path, NOW)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(MachineError):
        files.load(link, NOW)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(LocalError):
        files.load(tmp_path / "pipe", NOW)
    with pytest.raises(MachineError):
        files.save(tmp_path / "none" / "networks", Cache(), NOW)
