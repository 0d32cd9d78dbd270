"""The agent's answer to a PCI: no state, no lever, and nobody else can use it (RFC 5191 s4.1)."""

from __future__ import annotations

import random

import pytest
from pana_pair import MS, QUICK, Pair, S, at, endpoint

from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.pana.interface import Discarded, Established, Outputs, SessionStarted
from mpa_hil.pana.message import Message, decode, unsigned
from mpa_hil.pana.numbers import AvpCode, Flag, MessageType
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.settings import MANDATORY, STRONG, PaaSettings, PacSettings

VICTIM = endpoint("192.0.2.99", 5555)
ANNOUNCED = Message(
    MessageType.CLIENT_INITIATION,
    int(Flag.PREAUTHENTICATION),
    0,
    0,
    (unsigned(AvpCode.ENCRYPTION_ALGORITHM, 1),),
).encode()
BARE = Message(MessageType.CLIENT_INITIATION, 0, 0, 0).encode()


def agent(settings: PaaSettings | None = None) -> Paa:
    return Paa(settings or PaaSettings(timing=QUICK), random.Random("agent").randbytes, at(0))


def sent(outputs: Outputs) -> list[bytes]:
    return [output.datagram for output in outputs if isinstance(output, Send)]


def answer_to(par: bytes, source: Endpoint = VICTIM) -> bytes:
    """The PAN[S] that a client gives."""
    pac = Pac(endpoint("198.51.100.1"), PacSettings(unsolicited=True), bytes, at(0))
    (octets,) = sent(pac.receive(par, pac.paa, at(0)))
    return octets


@pytest.mark.parametrize("pci", [ANNOUNCED, BARE])
def test_a_flood_of_pcis_leaves_nothing_behind(pci: bytes) -> None:
    paa = agent()
    before = paa._store.sessions, paa._store.half_open, paa._store._deadlines
    for number in range(2000):
        (octets,) = sent(paa.receive(pci, endpoint("10.0.0.1", 1024 + number), at(number)))
        assert len(octets) <= 3 * len(pci)
    assert (paa.session_count, paa.half_open_count, paa.next_deadline()) == (0, 0, None)
    assert [len(table) for table in before] == [0, 0, 0]
    assert not paa._openings._cookies._spent[0]
    assert not paa._openings._cookies._spent[1]


def test_who_asks_with_more_octets_is_offered_more() -> None:
    paa = agent()
    (full,) = sent(paa.receive(ANNOUNCED, VICTIM, at(0)))
    (bare,) = sent(paa.receive(BARE, VICTIM, at(0)))
    assert (len(full), len(bare)) == (76, 40)
    assert decode(full).numbers(AvpCode.PRF_ALGORITHM) == [STRONG.prf, MANDATORY.prf]
    assert decode(bare).numbers(AvpCode.PRF_ALGORITHM) == [STRONG.prf]
    assert decode(bare).numbers(AvpCode.ENCRYPTION_ALGORITHM) == []


def test_no_eap_and_no_retransmission_in_the_first_request() -> None:
    paa = agent()
    (octets,) = sent(paa.receive(ANNOUNCED, VICTIM, at(0)))
    assert decode(octets).value(AvpCode.EAP_PAYLOAD) is None
    assert sent(paa.expire(at(3600 * S))) == []


def test_the_same_question_gets_the_same_answer_until_it_is_used() -> None:
    paa = agent()
    (first,) = sent(paa.receive(ANNOUNCED, VICTIM, at(0)))
    (again,) = sent(paa.receive(ANNOUNCED, VICTIM, at(2 * S)))
    (other,) = sent(paa.receive(ANNOUNCED, endpoint("192.0.2.98", 5555), at(2 * S)))
    assert first == again
    assert decode(first).session_id != decode(other).session_id
    outputs = paa.receive(answer_to(first), VICTIM, at(3 * S))
    assert isinstance(outputs[0], SessionStarted)


@pytest.mark.parametrize("seconds", [0, 29, 45])
def test_an_answer_is_recognised_within_a_period(seconds: int) -> None:
    paa = agent()
    (par,) = sent(paa.receive(ANNOUNCED, VICTIM, at(20 * S)))
    outputs = paa.receive(answer_to(par), VICTIM, at((20 + seconds) * S - 10 * S))
    assert isinstance(outputs[0], SessionStarted)


def test_an_answer_that_comes_too_late_or_from_elsewhere_makes_no_session() -> None:
    paa = agent()
    (par,) = sent(paa.receive(ANNOUNCED, VICTIM, at(0)))
    pan = answer_to(par)
    for source in (endpoint("192.0.2.98", 5555), endpoint("192.0.2.99", 5556)):
        (word,) = paa.receive(pan, source, at(1))
        assert isinstance(word, Discarded)
        assert word.security
    (word,) = paa.receive(pan, VICTIM, at(70 * S))
    assert isinstance(word, Discarded)
    assert paa.session_count == 0
    (word,) = agent(PaaSettings()).receive(pan, VICTIM, at(1)) or (None,)
    other = Paa(PaaSettings(), random.Random("another agent").randbytes, at(0))
    (word,) = other.receive(pan, VICTIM, at(1))
    assert isinstance(word, Discarded)
    assert other.session_count == 0


def test_any_changed_bit_of_the_numbers_makes_no_session() -> None:
    paa = agent()
    (par,) = sent(paa.receive(ANNOUNCED, VICTIM, at(0)))
    pan = answer_to(par)
    for bit in range(8 * 8, 16 * 8):
        broken = bytearray(pan)
        broken[bit // 8] ^= 1 << bit % 8
        paa.receive(bytes(broken), VICTIM, at(1))
    assert paa.session_count == 0
    paa.receive(pan, VICTIM, at(2))
    assert paa.session_count == 1


def test_a_choice_that_was_not_offered_makes_no_session() -> None:
    paa = agent()
    (bare,) = sent(paa.receive(BARE, VICTIM, at(0)))
    message = decode(bare)
    avps = (
        unsigned(AvpCode.PRF_ALGORITHM, MANDATORY.prf),
        unsigned(AvpCode.INTEGRITY_ALGORITHM, MANDATORY.integrity),
    )
    flags = int(Flag.START)
    for chosen in (avps, avps[:1], ()):
        pan = Message(MessageType.AUTH, flags, message.session_id, message.sequence, chosen)
        (word,) = paa.receive(pan.encode(), VICTIM, at(1))
        assert isinstance(word, Discarded)
    assert paa.session_count == 0


def test_a_recorded_answer_opens_no_second_session() -> None:
    """Not even after the first has ended, and not as long as the secret lives."""
    paa = agent()
    (par,) = sent(paa.receive(ANNOUNCED, VICTIM, at(0)))
    pan = answer_to(par)
    paa.receive(pan, VICTIM, at(1))
    paa.drop(decode(par).session_id)
    for second in range(0, 120, 5):
        paa.receive(pan, VICTIM, at(second * S + 2))
        assert paa.session_count == 0
    (fresh,) = sent(paa.receive(ANNOUNCED, VICTIM, at(121 * S)))
    assert fresh != par


def test_a_client_gets_another_session_when_the_last_is_over() -> None:
    paa = agent()
    ids = set()
    for _ in range(32):
        (par,) = sent(paa.receive(ANNOUNCED, VICTIM, at(0)))
        paa.receive(answer_to(par), VICTIM, at(1))
        ids.add(decode(par).session_id)
        paa.drop(decode(par).session_id)
    assert len(ids) == 32
    (word,) = paa.receive(ANNOUNCED, VICTIM, at(2))
    assert isinstance(word, Discarded)
    assert sent(paa.receive(ANNOUNCED, VICTIM, at(70 * S)))


def test_admission_is_asked_first_and_about_the_client() -> None:
    asked: list[Endpoint] = []

    def admit(source: Endpoint, now: Instant) -> bool:
        asked.append(source)
        return source.port != 1

    paa = agent(PaaSettings(admit=admit, admit_session=lambda source, now: source.port != 2))
    (word,) = paa.receive(b"\0\0\0\0\0\0\0\1 and no more", endpoint("10.0.0.1", 1), at(0))
    assert word == Discarded("not admitted", endpoint("10.0.0.1", 1))
    (par,) = sent(paa.receive(ANNOUNCED, endpoint("10.0.0.1", 2), at(0)))
    (word,) = paa.receive(answer_to(par), endpoint("10.0.0.1", 2), at(0))
    assert word == Discarded("no room for another session", endpoint("10.0.0.1", 2))
    assert [source.port for source in asked] == [1, 2]


def test_a_pci_of_a_client_being_authenticated_is_ignored_until_that_is_stale() -> None:
    """RFC 5191 s4.1 and s5.5; and a client that lost its memory need not wait for a timeout."""
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run(0.018)
    assert pair.paa.half_open_count == 1
    assert not sent(pair.paa.receive(BARE, pair.pac_at, pair.now))
    pair.pac = Pac(pair.paa_at, pair.pac_settings, random.Random("reborn").randbytes, pair.now)
    pair.authenticate(20)
    assert pair.agree()
    assert len(pair.of(pair.paa_said, Established)) == 1
    assert pair.paa.session_count == 1


def test_forged_first_requests_do_not_stop_a_client() -> None:
    """Anybody can send one in the agent's name; the client answers each and waits who goes on."""
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    for number in range(20):
        forged = Message(
            MessageType.AUTH,
            int(Flag.REQUEST | Flag.START | Flag.PREAUTHENTICATION),
            1000 + number,
            5,
            (unsigned(AvpCode.PRF_ALGORITHM, 2), unsigned(AvpCode.INTEGRITY_ALGORITHM, 7)),
        ).encode()
        pair.inject(forged, pair.paa_at, pair.pac_at, number * MS)
    pair.run(3)
    assert pair.agree()


def test_an_agent_that_knows_only_rfc_5191_is_asked_without_announcement() -> None:
    pac = Pac(endpoint("198.51.100.1"), PacSettings(timing=QUICK), bytes, at(0))
    (first,) = sent(pac.start(at(0)))
    due = pac.next_deadline()
    assert due is not None
    (second,) = sent(pac.expire(at(due)))
    assert (len(first), len(second)) == (28, 16)
