"""PANA under attack: rows A2-A5 of the project's table, and F3 as far as it is PANA's."""

from __future__ import annotations

import random
from collections.abc import Callable

import campaign
import fuzzing
from pana_pair import MS, QUICK, Fault, Pair, S, at, endpoint, lossy, prompt

from mpa_hil.mobility.interface import Send
from mpa_hil.pana.interface import Discarded, Established, Rejected
from mpa_hil.pana.message import Avp, DecodeError, Message, decode, unsigned
from mpa_hil.pana.numbers import AvpCode, Flag, MessageType, ResultCode
from mpa_hil.pana.paa import Paa
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.pac_table import PacState
from mpa_hil.pana.settings import (
    MANDATORY,
    STRONG,
    PaaSettings,
    PacSettings,
    Retransmission,
    Timing,
)

ELSEWHERE = endpoint("203.0.113.66", 6666)


def whole_dialogue(seed: str = "dialogue") -> Pair:
    """Everything that a session can say."""
    pair = Pair(seed=seed)
    pair.authenticate()
    for verb in ("ping", "reauthenticate", "became_serving", "terminate"):
        pair.run(2)
        pair.pac_does(getattr(pair.pac, verb)(pair.now))
    pair.run(2)
    return pair


def test_a2_forged_messages_are_dropped_and_the_session_lives() -> None:
    """Bad AUTH, wrong numbers, wrong session, flags: no answer but to what is authentic."""
    dice = campaign.dice("A2")
    pair = Pair(seed="A2")
    pair.authenticate()
    pair.pac_does(pair.pac.ping(pair.now))
    pair.run(2)
    session = pair.pac.session
    assert session is not None
    genuine = [octets for *_, octets in pair.wire]
    known = set(genuine)
    sequence = pair.pac.conversation.next_out if pair.pac.conversation else 0
    for _ in range(campaign.runs(100_000)):
        octets = bytearray(dice.choice(genuine))
        if dice.random() < 0.7:
            octets[8:12] = session.session_id.to_bytes(4, "big")
            octets[12:16] = ((sequence + dice.randrange(-2, 3)) % 2**32).to_bytes(4, "big")
        if dice.random() < 0.5:
            octets[4] ^= 1 << dice.randrange(8)
        for _ in range(dice.randrange(3)):
            octets[dice.randrange(len(octets))] ^= 1 << dice.randrange(8)
        forged = bytes(octets)
        if forged in known:
            continue
        source = pair.pac_at if dice.random() < 0.5 else ELSEWHERE
        for outputs in (
            pair.paa.receive(forged, source, pair.now),
            pair.pac.receive(forged, pair.paa_at, pair.now),
        ):
            for output in outputs:
                assert isinstance(output, Discarded) or _is_first_answer(output), output
    pair.run(1)
    pair.pac_does(pair.pac.ping(pair.now))
    pair.run(1)
    assert pair.agree()
    assert pair.pac.session == session
    assert pair.paa.session_count == 1


def _is_first_answer(output: object) -> bool:
    """The stateless answer to a PCI, which anybody may have."""
    return isinstance(output, Send) and decode(output.datagram).name.startswith("PAR[S")


def test_a3_recorded_dialogues_make_nothing() -> None:
    """Sent again to the same agent, later, and to another: no session, no state, no keys."""
    dice = campaign.dice("A3")
    recorded = whole_dialogue()
    there = [octets for _, _, where, octets in recorded.wire if where == recorded.paa_at]
    back = [octets for _, _, where, octets in recorded.wire if where == recorded.pac_at]
    for number in range(campaign.runs(10_000)):
        same = number % 2 == 0
        paa = recorded.paa if same else Paa(PaaSettings(), dice.randbytes, recorded.now)
        source = recorded.pac_at if dice.random() < 0.5 else ELSEWHERE
        now = at(recorded.now_ns + number * dice.randrange(2) * S)
        for octets in there:
            for output in paa.receive(octets, source, now):
                assert isinstance(output, Discarded) or _harmless(output, recorded, there)
        assert paa.session_count == 0
        pac = Pac(recorded.paa_at, PacSettings(timing=QUICK), dice.randbytes, now)
        pac.start(now)
        for octets in back:
            outputs = pac.receive(octets, recorded.paa_at, now)
            assert not any(isinstance(output, Established) for output in outputs)
        assert pac.session is None


def _harmless(output: object, recorded: Pair, there: list[bytes]) -> bool:
    """The stateless answer, or the last answer of the ended session to where that was."""
    if not isinstance(output, Send):
        return False
    return _is_first_answer(output) or (
        output.destination == recorded.pac_at and decode(output.datagram).name == "PTA"
    )


def spoofs(pair: Pair, dice: random.Random) -> list[tuple[bytes, bool]]:
    """What somebody who reads along may inject to end it before there are keys."""
    seen = [message for message in map(_decoded, (o for *_, o in pair.wire)) if message]
    numbered = [message for message in seen if message.session_id]
    last = numbered[-1] if numbered else Message(MessageType.AUTH, 0, 1, 1)
    session, step = last.session_id, dice.randrange(0, 3)
    sequence = (last.sequence + step) % 2**32
    e = int(Flag.PREAUTHENTICATION)
    request, complete = int(Flag.REQUEST), int(Flag.COMPLETE)
    junk = Avp(AvpCode.AUTH, dice.randbytes(16))
    result = unsigned(AvpCode.RESULT_CODE, ResultCode(dice.randrange(3)))
    eap = Avp(AvpCode.EAP_PAYLOAD, bytes((dice.choice((3, 4)), dice.randrange(256), 0, 4)))
    key = unsigned(AvpCode.KEY_ID, 1)
    life = unsigned(AvpCode.SESSION_LIFETIME, 2**32 - 1)
    cause = unsigned(AvpCode.TERMINATION_CAUSE, dice.choice((1, 4, 8)))
    auth, termination, notification = (
        MessageType.AUTH,
        MessageType.TERMINATION,
        MessageType.NOTIFICATION,
    )
    messages = [
        (Message(auth, request | complete | e, session, sequence, (result, eap)), False),
        (Message(auth, request | complete | e, session, sequence, (result,)), False),
        (
            Message(
                auth,
                request | complete | e,
                session,
                sequence,
                (unsigned(AvpCode.RESULT_CODE, 0), eap, key, life, junk),
            ),
            False,
        ),
        (Message(termination, request | e, session, sequence, (cause,)), False),
        (Message(termination, request | e, session, sequence, (cause, junk)), True),
        (Message(termination, e, session, sequence), True),
        (Message(auth, complete | e, session, sequence, (key, junk)), True),
        (Message(auth, complete | e, session, sequence), True),
        (Message(notification, request | int(Flag.PING) | e, session, sequence), False),
        (Message(notification, int(Flag.PING), session, sequence), True),
        (Message(auth, request | e, session, sequence, (eap,)), False),
        (Message(auth, e, session, sequence, (eap,)), True),
    ]
    return [(message.encode(), to_paa) for message, to_paa in messages]


def _decoded(octets: bytes) -> Message | None:
    try:
        return decode(octets)
    except DecodeError:
        return None


def test_a4_spoofed_ends_before_the_keys_never_authorise() -> None:
    """At each step of an authentication: it goes on, or it ends cleanly on both sides."""
    dice = campaign.dice("A4")
    ended = 0
    for step in range(12):
        for _ in range(campaign.runs(200)):
            pair = Pair(seed=f"A4 {step} {dice.random()}")
            pair.pac_does(pair.pac.start(pair.now))
            for _ in range(step):
                pair.step(pair.now_ns + S)
            octets, to_paa = dice.choice(spoofs(pair, dice))
            if to_paa:
                pair.inject(octets, pair.pac_at, pair.paa_at)
            else:
                pair.inject(octets, pair.paa_at, pair.pac_at)
            pair.run(70)
            session = pair.pac.session
            if session is None:
                ended += 1
                assert not pair.of(pair.pac_said, Established)
                assert pair.pac.state is PacState.CLOSED
                assert not pair.paa_sessions()
                assert pair.paa.half_open_count == 0
                continue
            assert pair.agree(), (step, octets.hex())
            assert session.lifetime_s == pair.lifetime_s
    assert ended, "no spoof ever had any effect: they cannot all have been on time"


Edit = Callable[[Message], Message]


def edited(name: str, edit: Edit) -> Fault:
    """A wire on which somebody changes the messages of a name."""

    def fault(datagram: bytes, to_paa: bool, dice: random.Random) -> list[tuple[int, bytes]]:
        message = decode(datagram)
        if message.name.startswith(name):
            datagram = edit(message).encode()
        return [(5 * MS, datagram)]

    return fault


def downgrades() -> list[tuple[str, str, Edit]]:
    """Message to edit, what is done to it, and how."""

    def only_weak(message: Message) -> Message:
        weak = (MANDATORY.prf, MANDATORY.integrity)
        kept = tuple(
            avp
            for avp in message.avps
            if avp.code == AvpCode.ENCRYPTION_ALGORITHM or int.from_bytes(avp.value, "big") in weak
        )
        return _with(message, avps=kept)

    def choose_weak(message: Message) -> Message:
        avps = (
            unsigned(AvpCode.PRF_ALGORITHM, MANDATORY.prf),
            unsigned(AvpCode.INTEGRITY_ALGORITHM, MANDATORY.integrity),
            unsigned(AvpCode.ENCRYPTION_ALGORITHM, 1),
        )
        return _with(message, avps=avps)

    def no_encryption(message: Message) -> Message:
        kept = tuple(avp for avp in message.avps if avp.code != AvpCode.ENCRYPTION_ALGORITHM)
        return _with(message, avps=kept)

    def swap_e(message: Message) -> Message:
        return _with(message, flags=message.flags ^ Flag.PREAUTHENTICATION)

    def swap_i(message: Message) -> Message:
        return _with(message, flags=message.flags ^ Flag.IP_RECONFIGURATION)

    def other_order(message: Message) -> Message:
        return _with(message, avps=tuple(reversed(message.avps)))

    return [
        ("PAR[S", "only the weak pair on offer", only_weak),
        ("PAN[S", "the weak pair chosen", choose_weak),
        ("PAR[S", "no encryption on offer", no_encryption),
        ("PAN[S", "no encryption chosen", no_encryption),
        ("PAR[S", "E bit", swap_e),
        ("PAN[S", "E bit", swap_e),
        ("PCI", "E bit", swap_e),
        ("PAR[S", "I bit", swap_i),
        ("PAR[S", "order of preference", other_order),
    ]


def _with(
    message: Message, *, flags: int | None = None, avps: tuple[Avp, ...] | None = None
) -> Message:
    return Message(
        message.type,
        message.flags if flags is None else flags,
        message.session_id,
        message.sequence,
        message.avps if avps is None else avps,
    )


def test_a5_downgrades_are_refused_by_the_auth_check() -> None:
    """What is edited on the way in the first exchange goes into the keys, so they differ."""
    dice = campaign.dice("A5")
    cases = downgrades()
    for number in range(campaign.runs(200)):
        name, what, edit = cases[number % len(cases)]
        pair = Pair(fault=edited(name, edit), seed=f"A5 {dice.random()}")
        pair.authenticate(70)
        assert not pair.of(pair.pac_said, Established), what
        assert not pair.of(pair.paa_said, Established), what
        assert pair.pac.session is None
        assert pair.paa.session_count == 0
        assert pair.complaints(), what


def test_a5_taking_the_announcement_away_gains_nothing() -> None:
    """A PCI is in no key; without its announcement the agent offers its best alone."""

    def bare(message: Message) -> Message:
        return _with(message, avps=())

    pair = Pair(fault=edited("PCI", bare))
    pair.authenticate()
    session = pair.pac.session
    assert session is not None
    assert session.sa.suite == STRONG


def test_a5_a_refusal_cannot_be_forged_after_eaps_success() -> None:
    """The client knows the key by then, so what carries no AUTH does not count."""
    pair = Pair()
    pair.pac_does(pair.pac.start(pair.now))
    pair.run_until(lambda: pair.peer.done == 3)
    conversation = pair.pac.conversation
    assert conversation is not None
    pair.pac_does(pair.pac.eap_succeeded(bytes(64), pair.now))
    forged = Message(
        MessageType.AUTH,
        int(Flag.REQUEST | Flag.COMPLETE | Flag.PREAUTHENTICATION),
        conversation.session_id,
        conversation.next_in or 0,
        (unsigned(AvpCode.RESULT_CODE, 1), Avp(AvpCode.EAP_PAYLOAD, b"\4\3\0\4")),
    )
    pair.pac_does(pair.pac.receive(forged.encode(), pair.paa_at, pair.now))
    assert not pair.of(pair.pac_said, Rejected)
    assert pair.pac.state is not PacState.CLOSED


def test_f3_bad_wires_lead_to_agreement_or_to_a_clean_end() -> None:
    """Loss 1-50 %, duplicates, reordering, up to 500 ms of delay, damage."""
    dice = campaign.dice("F3")
    complete = undamaged = 0
    for number in range(campaign.runs(1_000)):
        loss = dice.uniform(0.01, 0.5)
        flips = dice.choice((0.0, 0.0, 0.01))
        pair = Pair(
            PacSettings(timing=QUICK, piggyback=dice.random() < 0.7),
            PaaSettings(timing=QUICK),
            fault=lossy(loss, dice.uniform(0, 0.3), dice.choice((0, 20, 500)), flips),
            seed=f"F3 {number}",
            think_ns=dice.choice((0, 30 * MS, 700 * MS)),
        )
        pair.authenticate(0)
        pair.run_until(lambda pair=pair: not pair.pac.started or pair.pac.session, 70)  # type: ignore[misc]
        pair.fault = prompt
        pair.run(70)
        undamaged += not flips
        if pair.pac.session is not None:
            assert pair.agree(), number
            complete += not flips
        else:
            assert not pair.paa_sessions(), number
            assert pair.ends(pair.pac_said), number
        assert pair.paa.half_open_count == 0, number
        assert pair.paa.session_count == (pair.pac.session is not None), number
    assert complete >= 0.97 * undamaged, f"{complete} of {undamaged}"


def test_losing_three_in_ten_both_ways_always_completes() -> None:
    """Where attempts do not run out: with ten, as RFC 5191 has it, an exchange in 800 fails."""
    dice = campaign.dice("30 % loss")
    patient = Timing(pci=QUICK.pci, request=Retransmission(0.2, 2, 40, 0), floor_s=0.05)
    for number in range(campaign.runs(1_000)):
        pair = Pair(
            PacSettings(timing=patient),
            PaaSettings(timing=patient),
            fault=lossy(0.3, 0.1, 20),
            seed=f"30 {number}",
            think_ns=dice.choice((0, 30 * MS)),
        )
        pair.pac_does(pair.pac.start(pair.now))
        pair.run_until(pair.agree, 60)


def test_machines_survive_each_others_noise() -> None:
    """Mutated messages of a running authentication, at every step of it."""
    recorded = [octets for *_, octets in whole_dialogue().wire]
    noise = fuzzing.mutations("PANA in the middle", recorded, campaign.runs(20_000))
    pair = Pair(seed="noise 0")
    pair.pac_does(pair.pac.start(pair.now))
    for number, octets in enumerate(noise):
        pair.inject(octets, pair.paa_at, pair.pac_at)
        pair.inject(octets, pair.pac_at, pair.paa_at)
        pair.step(pair.now_ns + S)
        if number % 100 == 99:
            pair.run(70)
            assert pair.agree() or pair.pac.session is None
            pair = Pair(seed=f"noise {number}")
            pair.pac_does(pair.pac.start(pair.now))
