"""The AA's information service: question, answer, a long list in parts, and what goes wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from discovery_samples import A1, A, B, networks, realms
from hypothesis import given, settings
from hypothesis import strategies as st

from mpa_hil.discovery import wire
from mpa_hil.discovery.description import CandidateNetwork, Source
from mpa_hil.discovery.information import (
    ANSWER_ROOM,
    Answer,
    Failed,
    InformationClient,
    InformationService,
    InformationSettings,
    Obtained,
    Query,
    SendQuery,
    Status,
    decode,
)
from mpa_hil.errors import DecodeError, LocalError

S = 10**9


def dice() -> Callable[[int], bytes]:
    """Random octets that are not."""
    numbers = itertools.count(1)
    return lambda count: next(numbers).to_bytes(count, "big")


def client(realm: str = "a.example", **settings: float) -> InformationClient:
    return InformationClient(realm, dice(), InformationSettings(**settings))  # type: ignore[arg-type]


def many(count: int) -> list[CandidateNetwork]:
    """Networks of 8 points each."""
    return [
        CandidateNetwork(
            f"n{n}.example",
            tuple(replace(A1, bssid=f"02:00:00:01:{n:02x}:{m:02x}") for m in range(8)),
            A.aa,
        )
        for n in range(count)
    ]


def obtain(
    asker: InformationClient, service: InformationService, near: str | None = None
) -> tuple[Obtained | Failed, int]:
    """Ask until there is a list or none; with the number of questions."""
    outputs = asker.ask(5 * S, near=near)
    for count in itertools.count(1):
        (output,) = outputs
        if not isinstance(output, SendQuery):
            return output, count - 1
        answer = service.answer(output.octets)
        assert answer is not None
        assert len(answer) <= ANSWER_ROOM
        outputs = asker.receive(answer, 6 * S)
    raise AssertionError


def test_an_agent_vouches_for_itself_and_speaks_of_others() -> None:
    """R29: a server is queried for access points, routers and authentication servers."""
    found, asked = obtain(client("a.example"), InformationService([A, B]))
    assert isinstance(found, Obtained)
    assert asked == 1
    assert [(each.network, each.source, each.learnt_ns) for each in found.learnt] == [
        (A, Source.OWN_AA, 5 * S),
        (B, Source.OTHER_AA, 5 * S),
    ]


@pytest.mark.parametrize("count", [1, 3, 7, 16, 20])
def test_a_long_list_comes_in_parts(count: int) -> None:
    found, asked = obtain(client(), InformationService(many(count)))
    assert isinstance(found, Obtained)
    assert [each.network for each in found.learnt] == many(count)[: wire.MAX_NETWORKS]
    assert (asked > 1) == (count > 3)


def test_what_is_near_comes_first() -> None:
    service = InformationService([A, *many(3), B], {A1.bssid: ["b.example", "n2.example"]})
    found, _ = obtain(client(), service, near=A1.bssid)
    assert isinstance(found, Obtained)
    names = [each.network.realm for each in found.learnt]
    assert names == ["b.example", "n2.example", "a.example", "n0.example", "n1.example"]


def test_only_what_is_wanted_is_told() -> None:
    asker = client()
    (query,) = asker.ask(0, realms=["b.example", "z.example"])
    assert isinstance(query, SendQuery)
    answer = InformationService([A, B]).answer(query.octets)
    assert answer is not None
    (found,) = asker.receive(answer, 0)
    assert isinstance(found, Obtained)
    assert [each.network.realm for each in found.learnt] == ["b.example"]


def test_a_network_too_large_loses_points_not_its_agents() -> None:
    points = tuple(replace(A1, bssid=f"02:00:00:00:0c:{n:02x}", ssid=bytes(32)) for n in range(32))
    found, _ = obtain(client(), InformationService([replace(B, points=points)]))
    assert isinstance(found, Obtained)
    assert found.learnt[0].network.aa == B.aa
    assert 12 <= len(found.learnt[0].network.points) < 32


def test_nothing_known_is_said() -> None:
    assert obtain(client(), InformationService([]))[0] == Failed("nothing known")


def test_silence_ends_the_wait() -> None:
    asker = client(timeout_s=2)
    assert asker.next_deadline() is None
    asker.ask(5 * S)
    assert asker.next_deadline() == 7 * S
    assert asker.expire(7 * S - 1) == ()
    assert asker.expire(7 * S) == (Failed("no answer in time"),)
    assert (asker.expire(8 * S), asker.next_deadline(), asker.busy) == ((), None, False)


def test_other_answers_are_passed_over() -> None:
    """An answer repeats its question's token and place in the list; a late one is nobody's."""
    asker = client()
    (query,) = asker.ask(0)
    assert isinstance(query, SendQuery)
    asked = decode(query.octets)
    good = Answer(asked.token, Status.OK, 1, 0, (B,))
    for other in (
        replace(good, token=asked.token + 1),
        replace(good, start=1, total=2),
    ):
        assert asker.receive(other.encode(), 0) == ()
    assert asker.receive(query.octets, 0) == ()  # reflected
    assert asker.busy
    assert isinstance(asker.receive(good.encode(), 0)[0], Obtained)
    assert asker.receive(good.encode(), 0) == ()


def test_a_new_question_forgets_the_old() -> None:
    asker = client()
    (old,) = asker.ask(0)
    (new,) = asker.ask(1)
    service = InformationService([B])
    assert isinstance(old, SendQuery)
    assert isinstance(new, SendQuery)
    assert asker.receive(service.answer(old.octets) or b"", 2) == ()
    assert isinstance(asker.receive(service.answer(new.octets) or b"", 2)[0], Obtained)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([b"\x01\x02"], "message of 2 octets"),
        ([Answer(1, Status.UNWILLING).encode()], "unwilling"),
        ([Answer(1, Status.OK, 1).encode()], "too large"),
        (
            [
                Answer(1, Status.OK, 3, 0, (A,)).encode(),
                Answer(1, Status.OK, 2, 1, (B,)).encode(),
            ],
            "changed",
        ),
    ],
)
def test_what_ends_without_a_list(answers: list[bytes], reason: str) -> None:
    asker = client()
    asker.ask(0)
    outputs: tuple[object, ...] = ()
    for answer in answers:
        outputs = asker.receive(answer, 0)
    (failed,) = outputs
    assert isinstance(failed, Failed)
    assert reason in failed.reason
    assert not asker.busy


@pytest.mark.parametrize(
    ("near", "wanted"), [("x", []), ("03:00:00:00:00:01", []), (None, ["a b"]), (None, ["a"] * 17)]
)
def test_what_cannot_be_asked(near: str | None, wanted: list[str]) -> None:
    with pytest.raises(LocalError):
        client().ask(0, near=near, realms=wanted)


def test_the_service_answers_questions_only() -> None:
    service = InformationService([B])
    assert service.answer(b"") is None
    assert service.answer(Answer(1, Status.OK, 1, 0, (B,)).encode()) is None
    answer = service.answer(Query(1, start=5).encode())
    assert answer is not None
    assert decode(answer) == Answer(1, Status.NOTHING_KNOWN)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x02\x01\0\0\0\1" + bytes(9),
        b"\x01\x03\0\0\0\1" + bytes(9),
        b"\x01\x01\0\0\0\1",
        Query(1, room=10).encode(),
        Query(1, start=16).encode(),
        Query(1, near="01:00:5e:00:00:01").encode(),
        Query(1, realms=("A",)).encode(),
        Query(1, realms=("a.example",)).encode()[:-1],
        Query(1, realms=("a",) * 17).encode(),
        Answer(1, Status.OK, 1, 0, (B,)).encode()[:-1],
        Answer(1, Status.OK, 0, 0, (B,)).encode(),
        Answer(1, Status.OK, 17, 0, (B,)).encode(),
        b"\x01\x02\0\0\0\1\x09\0\0\x01",
    ],
)
def test_broken_messages_are_refused(octets: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(octets)


tokens = st.integers(0, 2**32 - 1)


@settings(max_examples=50)
@given(
    st.builds(
        Query,
        tokens,
        st.integers(64, 65535),
        st.integers(0, 15),
        st.none() | st.just(A1.bssid),
        st.lists(realms, max_size=16).map(tuple),
    )
    | st.lists(networks, max_size=4).flatmap(
        lambda some: st.builds(
            Answer, tokens, st.sampled_from(Status), st.just(9), st.integers(0, 5), st.just(some)
        ).map(lambda answer: replace(answer, networks=tuple(some)))
    )
)
def test_messages_survive_the_wire(message: Query | Answer) -> None:
    assert decode(message.encode()) == message
