"""The authentication agent's parts by themselves: admission, states, records, journal, service."""

from __future__ import annotations

import asyncio
import os
import random
import re
import stat
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from mpa_hil.authentication import states
from mpa_hil.authentication.admission import Admission, AdmissionSettings, RateLimiter
from mpa_hil.authentication.journal import Journal
from mpa_hil.authentication.record import DecodeError, Record
from mpa_hil.authentication.states import Cue, State
from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Instant

DOCS = Path(__file__).parents[2] / "docs"
RANDOM = random.Random("authentication parts").randbytes


def at(seconds: float) -> Instant:
    return Instant(int(seconds * NS_PER_S), 0)


def source(number: int, version: int = 4) -> Endpoint:
    base = "10.1.0.0" if version == 4 else "2001:db8::"
    return Endpoint(ip_address(base) + number, 716)


# --- admission


def test_a_source_has_a_rate_and_a_burst() -> None:
    gate = Admission(AdmissionSettings(initiations_per_s=2, initiations_burst=4), RANDOM)
    assert [gate.admit(source(1), at(100)) for _ in range(6)] == [True] * 4 + [False] * 2
    assert gate.admit(source(2), at(100)), "others are not held back by it"
    assert [gate.admit(source(1), at(101)) for _ in range(3)] == [True, True, False]
    assert gate.turned_away["too many initiations"] == 3


def test_an_ipv6_source_is_its_network() -> None:
    gate = Admission(AdmissionSettings(initiations_burst=4), RANDOM)
    assert sum(gate.admit(source(number, 6), at(1)) for number in range(10)) == 4


def test_only_known_networks_when_configured() -> None:
    known = (ip_network("10.1.0.0/16"), ip_network("2001:db8::/32"))
    gate = Admission(AdmissionSettings(known), RANDOM)
    assert gate.admit(source(1), at(1))
    assert gate.admit(source(1, 6), at(1))
    assert not gate.admit(Endpoint(ip_address("10.2.0.1"), 716), at(1))


def test_a_flood_from_everywhere_takes_nothing_from_one_who_asks_seldom() -> None:
    """A1: 40,000 spoofed sources within a second, and the genuine one always has its token; memory
    is what it was at the beginning."""
    dice = random.Random("A1")
    limiter = RateLimiter(5, 10, 1 << 15, b"k" * 16)
    size = sum(len(table) for table in (*limiter._tokens, *limiter._seen_ns))
    for number in range(40_000):
        now_ns = 10**12 + number * 25_000
        limiter.take(dice.randbytes(4), now_ns)
        if number % 4000 == 0:
            assert limiter.take(b"mine", now_ns)
    assert size == sum(len(table) for table in (*limiter._tokens, *limiter._seen_ns))
    assert not all(limiter.take(b"flooder", now_ns) for _ in range(20))


def test_half_open_sessions_are_capped() -> None:
    gate = Admission(AdmissionSettings(half_open=3, half_open_per_source=2), RANDOM)
    for session in (1, 2):
        assert gate.admit_session(source(1), at(1))
        gate.started(session, source(1))
        gate.started(session, source(1))  # a re-authentication of the same session
    assert not gate.admit_session(source(1), at(1))
    assert gate.admit_session(source(2), at(1))
    gate.started(3, source(2))
    assert not gate.admit_session(source(3), at(1))
    gate.finished(1, at(1), failed=False)
    gate.finished(1, at(1), failed=False)
    assert gate.admit_session(source(1), at(1))


def test_who_fails_often_has_to_wait() -> None:
    gate = Admission(AdmissionSettings(failures=2, failures_s=60, remembered_sources=3), RANDOM)

    def fail(number: int, seconds: float) -> None:
        gate.started(100 + number, source(number))
        gate.finished(100 + number, at(seconds), failed=True)

    fail(1, 10)
    assert gate.admit_session(source(1), at(11))
    fail(1, 12)
    assert not gate.admit_session(source(1), at(13))
    assert not gate.admit(source(1), at(13))
    assert gate.admit(source(1), at(71))
    fail(1, 100)
    gate.started(5, source(1))
    gate.finished(5, at(101), failed=False)
    fail(1, 102)
    assert gate.admit_session(source(1), at(103)), "a success in between wipes the slate"
    fail(1, 104)
    for number in range(2, 6):
        fail(number, 105)
    assert gate.admit_session(source(1), at(106)), "only so many are remembered"


# --- states


def test_the_states_table_is_whole() -> None:
    """R111-R115: nothing but proof of the keys authorises, and what is over stays over."""
    leading_to_authorised = {
        cue for (_, cue), after in states.TRANSITIONS.items() if after is State.AUTHORISED
    }
    assert leading_to_authorised == {Cue.AUTHENTICATED, Cue.PROVED_HERE}
    for cue in Cue:
        assert states.follow(State.GONE, cue) is State.GONE
        assert states.follow(State.NONE, cue) in (State.NONE, State.HELD, State.AUTHORISED)
    assert states.follow(State.AUTHORISED, Cue.LEFT) is State.HELD
    assert states.follow(State.NONE, Cue.PROVED_HERE) is State.NONE


def test_the_diagram_in_the_docs_is_the_table() -> None:
    page = (DOCS / "authentication_agent.md").read_text(encoding="utf-8")
    (drawn,) = re.findall(r"```mermaid\n(stateDiagram-v2.*?)\n```", page, re.DOTALL)
    assert drawn == states.diagram()


# --- records and the journal

RECORD = Record(
    {"session_id": 7, "msk": "ab" * 64},
    "mn@home.example",
    State.HELD,
    "02:00:00:00:00:01",
    ("02:00:00:00:0b:01",),
    1_700_000_000_000_000_000,
)


def test_records_round_trip() -> None:
    assert Record.read(RECORD.values()) == RECORD
    assert "abab" not in repr(RECORD)


@pytest.mark.parametrize(
    "changes",
    [
        {"pana": 1},
        {"mobile_node": 5},
        {"mobile_node": "x" * 254},
        {"state": "gone"},
        {"state": None},
        {"station": "02:00"},
        {"station": 1},
        {"bssids": "02:00:00:00:0b:01"},
        {"bssids": ["x"]},
        {"bssids": ["02:00:00:00:0b:01"] * 40},
        {"number": -1},
        {"number": True},
        {"number": 1 << 64},
        {"more": 1},
    ],
)
def test_records_are_checked(changes: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        Record.read({**RECORD.values(), **changes})


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds each, and only a power failure would tell the difference."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: None)


def journal(path: Path) -> tuple[Journal, list[Record], str]:
    made = Journal(path)
    found = made.load()
    return made, [Record.read(record) for record in found.records], found.damage


def test_a_journal_gives_back_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "sas"
    made, records, damage = journal(path)
    assert (records, damage) == ([], "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "it holds keys"
    other = Record({}, "b@home.example", State.AUTHORISED, "", (), 0)
    made.write([(7, RECORD), (8, other)])
    made.write([(8, None), (9, None)])
    made.write([])
    made.close()
    made, records, damage = journal(path)
    assert (records, damage) == ([RECORD], "")
    made.write([(7, Record({}, "a@home.example", State.HELD, "", (), 1)), (8, other)])
    _, records, _ = journal(path)  # as after kill -9
    assert [record.mobile_node for record in records] == ["a@home.example", "b@home.example"]
    assert len(path.read_bytes().splitlines()) == 2


def test_a_journal_survives_every_cut(tmp_path: Path) -> None:
    """Power failed while it was appended to: everything before counts, nothing half."""
    path = tmp_path / "sas"
    made, _, _ = journal(path)
    made.write([(7, RECORD)])
    first = path.stat().st_size
    made.write([(7, None)])
    whole = path.read_bytes()
    for end in {*range(0, len(whole), 5), first - 1, first, len(whole) - 1, len(whole)}:
        path.write_bytes(whole[:end])
        made, records, damage = journal(path)
        made.close()
        assert not damage
        assert records == ([RECORD] if first <= end < len(whole) else [])


def test_a_damaged_journal_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sas"
    made, _, _ = journal(path)
    made.write([(7, RECORD), (8, RECORD)])
    whole = path.read_bytes()
    dice = random.Random("damage")
    for _ in range(200):
        octets = bytearray(whole)
        octets[dice.randrange(len(octets) - 1)] ^= 1 << dice.randrange(8)
        path.write_bytes(octets)
        made, records, damage = journal(path)
        made.close()
        assert (records == [] and damage) or records == [RECORD], "a cut line at most"
    assert path.with_suffix(".damaged").exists()


def test_a_journal_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "sas"
    made, _, _ = journal(path)
    for number in range(3000):
        made.write([(number % 3, RECORD)])
    assert len(path.read_bytes().splitlines()) <= 1003
    made.write([(0, None)])
    _, records, _ = journal(path)
    assert len(records) == 2


def test_a_journal_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    async def scenario() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def sync(descriptor: int) -> None:
            synced.append(descriptor)
            loop.call_soon_threadsafe(done.set)

        monkeypatch.setattr(os, "fdatasync", sync)
        made, _, _ = journal(tmp_path / "sas")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.run())
            for number in range(10):
                made.write([(number, RECORD)])
            await done.wait()
            task.cancel()

    asyncio.run(scenario())
    assert len(synced) == 1, "ten changes in one go"


def test_a_journal_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot be kept"):
        Journal(tmp_path / "nowhere" / "sas").load()
    with pytest.raises(LocalError, match="cannot be kept"):
        Journal(tmp_path).load()
