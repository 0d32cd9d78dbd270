"""Sessions between the project's own client and agent, phase by phase (RFC 5191 s4, RFC 5873)."""

from __future__ import annotations

import pytest
from pana_pair import MS, QUICK, UNIX_NS, Fault, Pair, S, endpoint, lossy, prompt

from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Instant, Send
from mpa_hil.pana.association import Suite
from mpa_hil.pana.interface import (
    AddressChanged,
    Answered,
    BecameServing,
    Changed,
    EndCause,
    Ended,
    Established,
    Lost,
    Rejected,
    SessionStarted,
)
from mpa_hil.pana.message import decode
from mpa_hil.pana.numbers import AvpCode, Encryption, Flag, ResultCode, TerminationCause
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.pac_table import PacState
from mpa_hil.pana.settings import MANDATORY, STRONG, PaaSettings, PacSettings, Timing

ROUND = ["PAR[E]", "PAN[E]"]
RELAY = endpoint("203.0.113.9")


def pair_v6() -> Pair:
    return Pair(pac_at=endpoint("2001:db8:1::7", 50000), paa_at=endpoint("2001:db8:2::1"))


def pair_relayed() -> Pair:
    settings = PaaSettings(timing=QUICK, relays=frozenset({RELAY.address}))
    return Pair(paa_settings=settings, relay_at=RELAY)


def established(pair: Pair | None = None) -> Pair:
    pair = pair or Pair()
    pair.authenticate()
    assert pair.agree()
    pair.wire.clear()
    return pair


def drop_first(name: str, times: int = 1) -> Fault:
    """A wire that loses the first messages of a name."""
    left = [times]

    def fault(datagram: bytes, to_paa: bool, dice: object) -> list[tuple[int, bytes]]:
        if decode(datagram).name == name and left[0]:
            left[0] -= 1
            return []
        return [(5 * MS, datagram)]

    return fault


# --- authentication and authorisation phase


@pytest.mark.parametrize("make", [Pair, pair_v6])
def test_a_session_comes_about_as_in_the_rfcs_figure(make: type[Pair]) -> None:
    """RFC 5191 figure 1 with EAP piggybacked, and the E bit of RFC 5873 figure 1."""
    pair = make()
    pair.authenticate()
    assert pair.names() == [
        "PCI[E]",
        "PAR[SE]",
        "PAN[SE]",
        *ROUND * 3,
        "PAR[CE]",
        "PAN[CE]",
    ]
    assert pair.agree()
    (mine,) = pair.of(pair.pac_said, Established)
    (theirs,) = pair.of(pair.paa_said, Established)
    assert isinstance(mine, Established)
    assert isinstance(theirs, Established)
    assert mine.session.sa == theirs.session.sa
    assert mine.session.sa.suite == Suite(STRONG.prf, STRONG.integrity, Encryption.AES128_CTR)
    assert (mine.session.pac_nonce, mine.session.paa_nonce) == (
        theirs.session.pac_nonce,
        theirs.session.paa_nonce,
    )
    assert mine.session.lifetime_s == 3600
    assert theirs.session.pac == pair.pac_at
    assert mine.session.paa == pair.paa_at
    assert not pair.complaints()
    nonces = [decode(o).value(AvpCode.NONCE) is not None for *_, o in pair.wire]
    assert nonces == [False] * 3 + [True, True] + [False] * 6
    auths = [decode(o).value(AvpCode.AUTH) is not None for *_, o in pair.wire]
    assert auths == [False] * 9 + [True, True]


def test_sequence_numbers_go_up_by_one_and_answers_repeat_them() -> None:
    """RFC 5191 s5.2."""
    pair = Pair()
    pair.authenticate()
    numbers = [decode(octets).sequence for *_, octets in pair.wire]
    assert numbers[0] == 0
    requests, answers = numbers[1::2], numbers[2::2]
    assert requests == answers
    assert requests == list(range(requests[0], requests[0] + len(requests)))


def test_without_the_e_bit_it_is_ordinary_authentication() -> None:
    pair = Pair(pac_settings=PacSettings(timing=QUICK, preauthentication=False))
    pair.authenticate()
    assert pair.agree()
    assert not any("E" in name.partition("[")[2] for name in pair.names())


def test_an_agent_without_preauthentication_ends_the_negotiation() -> None:
    """RFC 5873 s3: S without E is discarded, and the client gives up in the end."""
    pair = Pair(paa_settings=PaaSettings(timing=QUICK, preauthentication=False))
    pair.authenticate(61)
    assert set(pair.names()) == {"PCI[E]", "PAR[S]"}
    assert pair.of(pair.pac_said, Ended) == [Ended(0, EndCause.STALLED, None, False)]


def test_an_agent_for_preauthentication_only_ignores_others() -> None:
    pair = Pair(
        pac_settings=PacSettings(timing=QUICK, preauthentication=False),
        paa_settings=PaaSettings(timing=QUICK, serving=False),
    )
    pair.authenticate(5)
    assert set(pair.names()) == {"PCI"}


@pytest.mark.parametrize("suites", [(MANDATORY,), (STRONG,), (MANDATORY, STRONG)])
def test_the_client_takes_its_best_suite_on_offer(suites: tuple[Suite, ...]) -> None:
    pair = Pair(pac_settings=PacSettings(timing=QUICK, suites=suites))
    pair.authenticate()
    assert pair.agree()
    session = pair.pac.session
    assert session is not None
    assert session.sa.suite.integrity == suites[0].integrity


def test_a_client_that_finds_nothing_acceptable_stays_silent() -> None:
    pair = Pair(
        pac_settings=PacSettings(timing=QUICK, suites=(STRONG,)),
        paa_settings=PaaSettings(timing=QUICK, suites=(MANDATORY,)),
    )
    pair.authenticate(5)
    assert set(pair.names()) == {"PCI[E]", "PAR[SE]"}
    assert pair.complaints()


def test_eap_may_go_in_requests_of_the_client() -> None:
    """RFC 5191 figure 1, without piggybacking."""
    pair = Pair(pac_settings=PacSettings(timing=QUICK, piggyback=False))
    pair.authenticate()
    assert pair.agree()
    assert pair.names()[3:] == ["PAR[E]", "PAN[E]"] * 6 + ["PAR[CE]", "PAN[CE]"]
    assert not pair.complaints()


def test_a_slow_eap_peer_answers_later() -> None:
    """RFC 5609 s7.3, EAP_RESP_TIMEOUT: the answer goes without EAP, EAP follows in a request."""
    pair = Pair(
        pac_settings=PacSettings(timing=QUICK, eap_response_s=0.02), think_ns=300 * MS, rounds=2
    )
    pair.authenticate(3)
    assert pair.agree()
    assert pair.names()[3:7] == ["PAR[E]", "PAN[E]", "PAR[E]", "PAN[E]"]
    assert not pair.complaints()


def test_the_agent_may_start() -> None:
    """RFC 5191 s4.1, PAA-initiated session."""
    pair = Pair(pac_settings=PacSettings(timing=QUICK, unsolicited=True))
    pair.paa_does(pair.paa.invite(pair.pac_at, pair.now, preauthentication=True))
    pair.run(1)
    assert pair.agree()
    assert pair.names()[:2] == ["PAR[SE]", "PAN[SE]"]


def test_an_unasked_client_does_not_answer() -> None:
    pair = Pair()
    pair.paa_does(pair.paa.invite(pair.pac_at, pair.now, preauthentication=True))
    pair.run(1)
    assert pair.names() == ["PAR[SE]"]
    assert pair.paa.session_count == 0


@pytest.mark.parametrize(
    ("verdict", "code", "authenticated"),
    [
        ("refuse", ResultCode.AUTHENTICATION_REJECTED, False),
        ("refuse service", ResultCode.AUTHORIZATION_REJECTED, True),
    ],
)
def test_a_refusal_ends_the_session(verdict: str, code: ResultCode, authenticated: bool) -> None:
    """RFC 5191 s4.1: protected if and only if EAP gave a key."""
    pair = Pair(verdict=verdict)
    pair.authenticate()
    refusals = [*pair.of(pair.pac_said, Rejected), *pair.of(pair.paa_said, Rejected)]
    assert [(r.code, r.authenticated) for r in refusals if isinstance(r, Rejected)] == [
        (code, authenticated)
    ] * 2
    assert pair.pac.state is PacState.CLOSED
    assert pair.paa.session_count == 0


def test_success_without_a_key_is_no_success() -> None:
    """RFC 5609 s6.1, Authorize(): no PANA SA, no service."""
    pair = Pair(verdict="keyless")
    pair.authenticate()
    assert not pair.of(pair.paa_said, Established)
    assert not pair.of(pair.pac_said, Established)
    (word,) = pair.of(pair.pac_said, Rejected)
    assert isinstance(word, Rejected)
    assert word.code is ResultCode.AUTHORIZATION_REJECTED
    assert pair.paa.session_count == 0


def test_an_eap_timeout_at_the_agent_is_silent() -> None:
    """RFC 5191 s4.1; the client's own timer cleans up."""
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: len(pair.of(pair.paa_said, SessionStarted)) == 1)
    (session_id,) = pair.servers
    pair.fault = lambda datagram, to_paa, dice: []
    pair.run_until(lambda: not pair._arriving)
    said = pair.paa.eap_timed_out(session_id, pair.now)
    assert not [output for output in said if isinstance(output, Send)]
    assert pair.paa.session_count == 0
    pair.run(61)
    assert pair.pac.state is PacState.CLOSED


def test_ip_reconfiguration_is_told() -> None:
    pair = established(Pair(paa_settings=PaaSettings(timing=QUICK, ip_reconfiguration=True)))
    session = pair.pac.session
    assert session is not None
    assert session.ip_reconfiguration


def test_starting_twice_is_a_mistake() -> None:
    pair = Pair()
    pair.pac.start(pair.now)
    with pytest.raises(LocalError):
        pair.pac.start(pair.now)


def test_a_client_can_start_again_after_the_end() -> None:
    pair = established()
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(1)
    assert pair.pac.session is None
    pair.authenticate()
    assert pair.agree()


def test_stopping_before_there_are_keys_needs_no_words() -> None:
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run(0.012)
    pair.wire.clear()
    pair.pac_does(pair.pac.terminate(pair.now))
    assert not pair.wire
    assert pair.pac.next_deadline() is None


# --- access phase


def test_a_ping_is_answered_from_either_side_and_not_too_often() -> None:
    """RFC 5191 s4.2."""
    pair = established()
    session = pair.pac.session
    assert session is not None
    for _ in range(3):
        pair.pac_does(pair.pac.ping(pair.now))
        pair.paa_does(pair.paa.ping(session.session_id, pair.now))
        pair.run(0.1)
    assert pair.names() == ["PNR[PE]", "PNR[PE]", "PNA[PE]", "PNA[PE]"]
    assert Answered(session.session_id, 10 * MS) in pair.pac_said
    assert Answered(session.session_id, 10 * MS) in pair.paa_said
    pair.run(1)
    pair.pac_does(pair.pac.ping(pair.now))
    assert len(pair.names()) == 5


def test_arrival_converts_the_session() -> None:
    """RFC 5873 s3: PNR and PNA with P and without E, and no E from then on."""
    pair = established()
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.run(0.1)
    assert pair.names() == ["PNR[P]", "PNA[P]"]
    for said in (pair.pac_said, pair.paa_said):
        (word,) = pair.of(said, BecameServing)
        assert isinstance(word, BecameServing)
        assert not word.session.preauthentication
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(1)
    assert pair.agree()
    assert not any("E" in name.partition("[")[2] for name in pair.names())


def test_arrival_in_the_middle_of_authentication_is_told_at_its_end() -> None:
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run(0.02)
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.run(1)
    assert pair.names()[-2:] == ["PNR[P]", "PNA[P]"]
    assert pair.of(pair.paa_said, BecameServing)


def test_conversion_survives_what_is_under_way_with_the_e_bit_set() -> None:
    """The agent's ping and the client's notification cross, and the answer is lost once."""
    pair = established()
    session = pair.pac.session
    assert session is not None
    pair.fault = drop_first("PNA[P]")
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.run_until(lambda: bool(pair.of(pair.paa_said, BecameServing)))
    pair.paa_does(pair.paa.ping(session.session_id, pair.now))
    pair.run(5)
    assert pair.of(pair.pac_said, BecameServing)
    assert pair.of(pair.paa_said, Answered)
    assert pair.agree()


def test_a_new_address_is_taken_from_an_authentic_message() -> None:
    """RFC 5191 s5.6."""
    pair = established()
    before = pair.pac_at
    pair.pac_at = endpoint("203.0.113.44", 40999)
    pair.pac_does(pair.pac.address_changed(pair.now))
    pair.run(0.1)
    (word,) = pair.of(pair.paa_said, AddressChanged)
    assert isinstance(word, AddressChanged)
    assert (word.before, word.session.pac) == (before, pair.pac_at)
    pair.run(2)
    pair.paa_does(pair.paa.ping(word.session.session_id, pair.now))
    pair.run(1)
    assert len(pair.of(pair.paa_said, Answered)) == 1


def test_a_new_address_in_the_middle_of_reauthentication() -> None:
    pair = established()
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(0.012)
    pair.pac_at = endpoint("203.0.113.44", 40999)
    pair.pac_does(pair.pac.address_changed(pair.now))
    pair.run(5)
    assert pair.agree()
    session = pair.pac.session
    assert session is not None
    assert session.key_id == 2


def test_a_client_that_moves_before_its_last_answer_arrives_is_established() -> None:
    """The answer to the last request is lost, and what comes next is a ping from elsewhere."""
    pair = Pair(fault=drop_first("PAN[CE]", times=99))
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: pair.pac.session is not None)
    pair.fault = prompt
    pair.pac_at = endpoint("203.0.113.44", 40999)
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.run(0.1)
    assert pair.agree()
    (session_id,) = pair.paa_sessions()
    theirs = pair.paa.session(session_id)
    assert theirs is not None
    assert theirs.pac == pair.pac_at
    assert not theirs.preauthentication
    assert pair.paa.half_open_count == 0


# --- re-authentication phase


@pytest.mark.parametrize("conceal", [False, True])
def test_reauthentication_renews_key_and_lifetime(conceal: bool) -> None:
    """RFC 5191 figure 2; with `conceal`, EAP goes encrypted (RFC 6786)."""
    pair = established(
        Pair(PacSettings(timing=QUICK, conceal=conceal), PaaSettings(timing=QUICK, conceal=conceal))
    )
    before = pair.pac.session
    pair.run(100)
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(1)
    assert pair.names() == ["PNR[AE]", "PNA[AE]", *ROUND * 3, "PAR[CE]", "PAN[CE]"]
    after = pair.pac.session
    assert before is not None
    assert after is not None
    assert pair.agree()
    assert (before.key_id, after.key_id) == (1, 2)
    assert before.session_id == after.session_id
    assert before.sa.auth_key != after.sa.auth_key
    assert after.expires_ns - before.expires_ns > 99 * S
    decoded = [decode(octets) for *_, octets in pair.wire]
    assert all(message.value(AvpCode.AUTH) for message in decoded)
    plain = [m for m in decoded if m.name == "PAR[E]" and m.value(AvpCode.EAP_PAYLOAD)]
    assert bool(plain) is not conceal
    assert not pair.complaints()


def test_the_agent_renews_too() -> None:
    pair = established()
    (session_id,) = pair.paa_sessions()
    pair.paa_does(pair.paa.reauthenticate(session_id, pair.now))
    pair.run(1)
    assert pair.names()[:2] == ROUND
    assert pair.agree()
    renewed = pair.of(pair.paa_said, Established)[-1]
    assert isinstance(renewed, Established)
    assert renewed.reauthentication


@pytest.mark.parametrize("lead_ms", [0, 2, 7])
def test_both_sides_renewing_at_once_renew_once(lead_ms: int) -> None:
    """RFC 5191 s4.3's race: the client discards requests until its own is answered."""
    pair = established()
    (session_id,) = pair.paa_sessions()
    pair.paa_does(pair.paa.reauthenticate(session_id, pair.now))
    pair.run(lead_ms / 1000)
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(10)
    assert pair.agree()
    session = pair.pac.session
    assert session is not None
    assert session.key_id >= 2


def test_both_renew_by_themselves_when_told_when() -> None:
    timing = Timing(pci=QUICK.pci, request=QUICK.request, reauthenticate_at=0.8)
    pair = established(Pair(pac_settings=PacSettings(timing=timing), lifetime_s=100))
    pair.run(200)
    assert pair.agree()
    assert len(pair.of(pair.pac_said, Established)) == 3


def test_a_ping_under_way_does_not_lose_a_reauthentication() -> None:
    """RFC 5609 stops the ping's timer here, after which the next request has a wrong number."""
    pair = established()
    (session_id,) = pair.paa_sessions()
    pair.fault = drop_first("PNR[PE]")
    pair.paa_does(pair.paa.ping(session_id, pair.now))
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(10)
    assert pair.agree()
    session = pair.pac.session
    assert session is not None
    assert session.key_id == 2


def test_a_reauthentication_that_fails_ends_the_session() -> None:
    """RFC 5191 s4.3."""
    pair = established()
    pair.verdict = "refuse"
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(2)
    assert pair.pac.session is None
    assert not pair.paa_sessions()
    (word,) = pair.of(pair.pac_said, Rejected)
    assert isinstance(word, Rejected)
    assert word.authenticated


# --- termination phase, and other ends


def test_the_client_terminates() -> None:
    pair = established()
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(1)
    assert pair.names() == ["PTR[E]", "PTA[E]"]
    (word,) = pair.of(pair.paa_said, Ended)
    assert isinstance(word, Ended)
    assert (word.cause, word.termination) == (
        EndCause.TERMINATED_BY_PEER,
        TerminationCause.LOGOUT,
    )
    assert pair.paa.session_count == 0
    assert pair.paa.next_deadline() is None or not pair.paa.expire(pair.now)


@pytest.mark.parametrize("conceal", [False, True])
def test_the_agent_terminates(conceal: bool) -> None:
    pair = established(Pair(paa_settings=PaaSettings(timing=QUICK, conceal=conceal)))
    (session_id,) = pair.paa_sessions()
    pair.paa_does(pair.paa.terminate(session_id, TerminationCause.ADMINISTRATIVE, pair.now))
    pair.run(1)
    (word,) = pair.of(pair.pac_said, Ended)
    assert isinstance(word, Ended)
    assert word.termination is TerminationCause.ADMINISTRATIVE
    assert pair.pac.state is PacState.CLOSED


def test_a_lost_last_answer_is_repeated_after_the_end() -> None:
    """RFC 5609 closes at once; then the other side would ask in vain for minutes."""
    pair = established()
    pair.fault = drop_first("PTA[E]", times=2)
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(5)
    assert pair.of(pair.pac_said, Ended)
    assert not pair.of(pair.pac_said, Lost)
    assert pair.paa.session_count == 0


def test_both_terminating_at_once_both_end() -> None:
    pair = established()
    pair.fault = lossy(0.3)
    (session_id,) = pair.paa_sessions()
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.paa_does(pair.paa.terminate(session_id, TerminationCause.ADMINISTRATIVE, pair.now))
    pair.run(20)
    assert pair.of(pair.pac_said, Ended)
    assert pair.of(pair.paa_said, Ended)


def test_a_session_lives_as_long_as_granted() -> None:
    """RFC 5191 s5.7; on the clock that does not step."""
    pair = established(Pair(lifetime_s=50))
    pair.run(48)
    assert pair.agree()
    pair.run(3)
    for said in (pair.pac_said, pair.paa_said):
        (word,) = pair.of(said, Ended)
        assert isinstance(word, Ended)
        assert word.cause is EndCause.EXPIRED
    assert pair.pac.next_deadline() is None


def test_a_peer_that_is_gone_is_lost_after_all_attempts() -> None:
    pair = established()
    (session_id,) = pair.paa_sessions()
    pair.fault = lambda datagram, to_paa, dice: []
    pair.paa_does(pair.paa.ping(session_id, pair.now))
    pair.run(60)
    assert Lost(session_id, 10) in pair.paa_said
    assert len(pair.names()) == 10
    assert pair.paa.session(session_id) is None


# --- relay


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_a_relay_stands_between(address: str) -> None:
    """RFC 6345 s2, both ways, through all phases."""
    pair = pair_relayed()
    pair.pac_at = endpoint(address, 40716)
    pair.authenticate()
    assert pair.agree()
    (session_id,) = pair.paa_sessions()
    session = pair.paa.session(session_id)
    assert session is not None
    assert (session.pac, session.relay) == (pair.pac_at, RELAY)
    to_paa = [octets for _, _, where, octets in pair.wire if where == pair.paa_at]
    assert {decode(octets).name for octets in to_paa} == {"PRY"}
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(1)
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(1)
    assert pair.paa.session_count == 0
    assert not pair.complaints()


def test_a_relay_that_is_not_known_is_not_heard() -> None:
    pair = Pair(relay_at=RELAY)
    pair.authenticate(2)
    assert set(pair.names()) == {"PCI[E]", "PRY"}
    assert pair.complaints()


# --- outliving a restart


def restarted(pair: Pair, later_s: float = 1.0) -> Pair:
    """The agent's process dies and another takes up what was written; clocks start anew."""
    (session_id,) = pair.paa_sessions()
    written = pair.paa.preserve(session_id, pair.now)
    assert written is not None
    pair.now_ns += round(later_s * S)
    pair.paa = Paa(pair.paa_settings, pair.dice.randbytes, pair.now)
    assert pair.paa.restore(written, pair.now) is not None
    return pair


@pytest.mark.parametrize("make", [Pair, pair_v6, pair_relayed])
def test_a_session_outlives_its_agent(make: type[Pair]) -> None:
    pair = restarted(established(make()))
    assert pair.agree()
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.run(1)
    assert pair.of(pair.pac_said, BecameServing)
    pair.pac_does(pair.pac.reauthenticate(pair.now))
    pair.run(1)
    assert pair.agree()
    session = pair.pac.session
    assert session is not None
    assert session.key_id == 2
    pair.pac_does(pair.pac.terminate(pair.now))
    pair.run(1)
    assert pair.paa.session_count == 0


def test_a_request_answered_just_before_the_restart_does_not_break_the_session() -> None:
    pair = established()
    (session_id,) = pair.paa_sessions()
    pair.pac_does(pair.pac.ping(pair.now))
    pair.run(1)
    written = pair.paa.preserve(session_id, pair.now)
    for _ in range(3):
        pair.run(1)
        pair.pac_does(pair.pac.ping(pair.now))
    pair.run(1)
    assert written is not None
    pair.paa = Paa(pair.paa_settings, pair.dice.randbytes, pair.now)
    pair.paa.restore(written, pair.now)
    pair.pac_does(pair.pac.ping(pair.now))
    pair.run(1)
    assert len(pair.of(pair.pac_said, Answered)) == 5
    assert pair.agree()


def test_a_session_whose_time_is_over_is_not_taken_up() -> None:
    """Neither by waiting, nor does a clock that was set back lengthen it."""
    pair = established(Pair(lifetime_s=100))
    (session_id,) = pair.paa_sessions()
    written = pair.paa.preserve(session_id, pair.now)
    assert written is not None
    pair.paa.drop(session_id)
    late = pair.now_ns + 100 * S
    assert pair.paa.restore(written, Instant(late, UNIX_NS + late)) is None
    back = pair.paa.restore(written, Instant(pair.now_ns, UNIX_NS - 10_000 * S))
    assert back is not None
    assert back.expires_ns == pair.now_ns + 100 * S
    assert pair.paa.restore(written, pair.now) is None


def test_changes_worth_writing_are_told() -> None:
    pair = established()
    pair.paa_said.clear()
    pair.pac_does(pair.pac.ping(pair.now))
    pair.run(1)
    pair.pac_does(pair.pac.became_serving(pair.now))
    pair.run(1)
    assert len(pair.of(pair.paa_said, Changed)) == 2


def test_flags_of_requests_and_answers_agree() -> None:
    pair = established()
    pair.pac_does(pair.pac.ping(pair.now))
    pair.run(1)
    request, answer = (decode(octets) for *_, octets in pair.wire)
    assert request.flags & ~Flag.REQUEST == answer.flags
