"""PANA messages as octets: every rule of RFC 5191 s5.5-8 that needs no session to be checked."""

from __future__ import annotations

import struct

import pytest

from mpa_hil.errors import DecodeError
from mpa_hil.pana.message import KINDS, Avp, Message, decode, encode_avps, unsigned
from mpa_hil.pana.numbers import (
    MAX_AVPS,
    MAX_MESSAGE_OCTETS,
    AvpCode,
    Flag,
    MessageType,
    ResultCode,
    TerminationCause,
)
from mpa_hil.pana.relay import parse_pac_information

R, START, C, A, P, IP, E = (
    Flag.REQUEST,
    Flag.START,
    Flag.COMPLETE,
    Flag.REAUTHENTICATION,
    Flag.PING,
    Flag.IP_RECONFIGURATION,
    Flag.PREAUTHENTICATION,
)
T = MessageType
EAP = Avp(AvpCode.EAP_PAYLOAD, bytes.fromhex("0100000501"))
AUTH = Avp(AvpCode.AUTH, bytes(16))
NONCE = Avp(AvpCode.NONCE, bytes(20))
KEY = unsigned(AvpCode.KEY_ID, 1)
OK = unsigned(AvpCode.RESULT_CODE, ResultCode.SUCCESS)
NO = unsigned(AvpCode.RESULT_CODE, ResultCode.AUTHENTICATION_REJECTED)
LIFE = unsigned(AvpCode.SESSION_LIFETIME, 3600)
CAUSE = unsigned(AvpCode.TERMINATION_CAUSE, TerminationCause.LOGOUT)
PRF = unsigned(AvpCode.PRF_ALGORITHM, 5)
INTEGRITY = unsigned(AvpCode.INTEGRITY_ALGORITHM, 12)
ENCRYPTION = unsigned(AvpCode.ENCRYPTION_ALGORITHM, 1)
VEIL = Avp(AvpCode.ENCRYPTION_ENCAP, bytes(12))
WHERE = Avp(AvpCode.PAC_INFORMATION, bytes((192, 0, 2, 1, 2, 204)))
INNER = Avp(AvpCode.RELAYED_MESSAGE, bytes(16))


def octets(type_: int, flags: int, *avps: Avp, session: int = 7, sequence: int = 9) -> bytes:
    body = encode_avps(avps)
    return struct.pack("!HHHHII", 0, 16 + len(body), flags, type_, session, sequence) + body


GENUINE = {
    "PCI[E]": octets(T.CLIENT_INITIATION, E, ENCRYPTION, session=0, sequence=0),
    "PCI": octets(T.CLIENT_INITIATION, 0, session=0, sequence=0),
    "PAR[SIE]": octets(T.AUTH, R | START | IP | E, PRF, PRF, INTEGRITY, INTEGRITY, ENCRYPTION),
    "PAN[S]": octets(T.AUTH, START, PRF, INTEGRITY, ENCRYPTION),
    "PAR": octets(T.AUTH, R, NONCE, EAP),
    "PAN": octets(T.AUTH, 0, NONCE, EAP),
    "PAR[C]": octets(T.AUTH, R | C, OK, EAP, KEY, LIFE, AUTH),
    "PAR[CE]": octets(T.AUTH, R | C | E, VEIL, OK, EAP, KEY, AUTH),
    "PAR[CI]": octets(T.AUTH, R | C | IP, NO),
    "PAN[C]": octets(T.AUTH, C, KEY, AUTH),
    "PTR": octets(T.TERMINATION, R, CAUSE, AUTH),
    "PTA": octets(T.TERMINATION, 0, AUTH),
    "PNR[P]": octets(T.NOTIFICATION, R | P, AUTH),
    "PNA[PE]": octets(T.NOTIFICATION, P | E, AUTH),
    "PNR[A]": octets(T.NOTIFICATION, R | A),
    "PRY": octets(T.RELAY, 0, WHERE, INNER, session=0, sequence=0),
}


@pytest.mark.parametrize("name", GENUINE)
def test_every_message_survives_the_codec(name: str) -> None:
    message = decode(GENUINE[name])
    assert message.name == name
    assert message.encode() == GENUINE[name]


BROKEN = {
    "nothing": b"",
    "15 octets": bytes(15),
    "length too small": GENUINE["PTA"][:2] + b"\0\x10" + GENUINE["PTA"][4:],
    "length too great": GENUINE["PTA"][:2] + b"\1\0" + GENUINE["PTA"][4:],
    "octets behind": GENUINE["PTA"] + bytes(4),
    "longer than any": octets(T.AUTH, R, Avp(AvpCode.EAP_PAYLOAD, bytes(MAX_MESSAGE_OCTETS))),
    "unknown type": octets(6, R),
    "type 0": octets(0, 0),
    "PCI as request": octets(T.CLIENT_INITIATION, R, session=0, sequence=0),
    "PCI with session": octets(T.CLIENT_INITIATION, 0, session=1, sequence=0),
    "PCI with sequence": octets(T.CLIENT_INITIATION, 0, session=0, sequence=1),
    "PCI with EAP": octets(T.CLIENT_INITIATION, 0, EAP, session=0, sequence=0),
    "PCI with S": octets(T.CLIENT_INITIATION, START, session=0, sequence=0),
    "PRY as request": octets(T.RELAY, R, WHERE, INNER, session=0, sequence=0),
    "PRY with session": octets(T.RELAY, 0, WHERE, INNER, session=1, sequence=0),
    "PRY without address": octets(T.RELAY, 0, INNER, session=0, sequence=0),
    "PRY without message": octets(T.RELAY, 0, WHERE, session=0, sequence=0),
    "S and C": octets(T.AUTH, R | START | C, PRF, INTEGRITY),
    "ping PAR": octets(T.AUTH, R | P, EAP),
    "PAN with I": octets(T.AUTH, IP, EAP),
    "PTR with S": octets(T.TERMINATION, R | START, CAUSE),
    "PNR A and P": octets(T.NOTIFICATION, R | A | P),
    "PNR neither": octets(T.NOTIFICATION, R),
    "PTR without cause": octets(T.TERMINATION, R, AUTH),
    "PTR cause not first": octets(T.TERMINATION, R, AUTH, CAUSE),
    "AUTH not last": octets(T.NOTIFICATION, R | P, AUTH, VEIL),
    "AUTH twice": octets(T.NOTIFICATION, R | P, AUTH, AUTH),
    "veil without AUTH": octets(T.NOTIFICATION, R | P, VEIL),
    "EAP twice": octets(T.AUTH, R, EAP, EAP),
    "EAP in PNR": octets(T.NOTIFICATION, R | P, EAP),
    "EAP of three octets": octets(T.AUTH, R, Avp(AvpCode.EAP_PAYLOAD, bytes(3))),
    "nonce of 7": octets(T.AUTH, R, Avp(AvpCode.NONCE, bytes(7)), EAP),
    "nonce of 257": octets(T.AUTH, R, Avp(AvpCode.NONCE, bytes(257)), EAP),
    "nonce in the first": octets(T.AUTH, R | START, PRF, INTEGRITY, NONCE),
    "algorithms later": octets(T.AUTH, R, PRF, EAP),
    "two PRFs in answer": octets(T.AUTH, START, PRF, PRF, INTEGRITY),
    "key before the end": octets(T.AUTH, R, KEY, EAP, AUTH),
    "result before the end": octets(T.AUTH, R, OK, EAP),
    "last without result": octets(T.AUTH, R | C, EAP),
    "result 3": octets(T.AUTH, R | C, unsigned(AvpCode.RESULT_CODE, 3)),
    "success unprotected": octets(T.AUTH, R | C, OK, EAP, LIFE),
    "success without EAP": octets(T.AUTH, R | C, OK, KEY, LIFE, AUTH),
    "success for no time": octets(T.AUTH, R | C, OK, EAP, KEY, AUTH),
    "key without AUTH": octets(T.AUTH, C, KEY),
    "result in PAN": octets(T.AUTH, C, OK),
    "key id of 3": octets(T.AUTH, C, Avp(AvpCode.KEY_ID, bytes(3)), AUTH),
    "unknown AVP": octets(T.AUTH, R, Avp(99, bytes(4)), EAP),
    "AVP 0": octets(T.AUTH, R, Avp(0, bytes(4)), EAP),
    "vendor's AVP": GENUINE["PNR[P]"][:16] + struct.pack("!HHHHI", 1, 0x8000, 12, 0, 9) + bytes(12),
    "padding not zero": octets(T.AUTH, R, Avp(AvpCode.EAP_PAYLOAD, b"\1\0\0\5\1"))[:-1] + b"\1",
    "no padding": octets(T.AUTH, R, EAP)[:2]
    + struct.pack("!H", len(octets(T.AUTH, R, EAP)) - 3)
    + octets(T.AUTH, R, EAP)[4:-3],
    "AVP beyond the end": octets(T.AUTH, R, EAP)[:20] + b"\0\xff" + octets(T.AUTH, R, EAP)[22:],
    "half an AVP": octets(T.TERMINATION, 0)[:2]
    + b"\0\x14"
    + octets(T.TERMINATION, 0)[4:]
    + b"abcd",
    "too many AVPs": octets(T.AUTH, R | START, *[PRF] * (MAX_AVPS + 1)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_rule_is_refused(name: str) -> None:
    broken = BROKEN[name]
    with pytest.raises(DecodeError) as caught:
        decode(broken)
    assert caught.value.where == "PANA message"


def test_reserved_fields_and_unknown_flags_are_ignored() -> None:
    """RFC 5191 s6.2 and s6.3."""
    plain = GENUINE["PTA"]
    odd = bytearray(plain)
    odd[0:2] = b"\xab\xcd"
    odd[5] |= 0xFF
    odd[4] |= 0x01
    odd[18:20] = b"\x7f\xff"
    odd[22:24] = b"\x12\x34"
    assert decode(bytes(odd)) == decode(plain)


def test_the_occurrence_table_is_the_rfcs() -> None:
    """RFC 5191 figure 4, line by line; RFC 6786 adds the last two."""
    columns = ("PCI", "PAR", "PAN", "PTR", "PTA", "PNR", "PNA")
    table = {
        AvpCode.AUTH: "0 1 1 1 1 1 1",
        AvpCode.EAP_PAYLOAD: "0 1 1 0 0 0 0",
        AvpCode.INTEGRITY_ALGORITHM: "0 + 1 0 0 0 0",
        AvpCode.KEY_ID: "0 1 1 0 0 0 0",
        AvpCode.NONCE: "0 1 1 0 0 0 0",
        AvpCode.PRF_ALGORITHM: "0 + 1 0 0 0 0",
        AvpCode.RESULT_CODE: "0 1 0 0 0 0 0",
        AvpCode.SESSION_LIFETIME: "0 1 0 0 0 0 0",
        AvpCode.TERMINATION_CAUSE: "0 0 0 1 0 0 0",
        AvpCode.ENCRYPTION_ENCAP: "0 1 1 1 1 1 1",
        AvpCode.ENCRYPTION_ALGORITHM: "+ + 1 0 0 0 0",
    }
    kinds = {kind.name: kind for kind in KINDS.values()}
    for code, line in table.items():
        for name, often in zip(columns, line.split(), strict=True):
            expected = {"0": 0, "1": 1, "+": MAX_AVPS}[often]
            assert kinds[name].most.get(code, 0) == expected, (name, code)
    assert kinds["PTR"].needs == {AvpCode.TERMINATION_CAUSE}


def test_a_message_longer_than_peers_accept_is_not_made() -> None:
    with pytest.raises(ValueError, match="longer than peers accept"):
        Message(T.AUTH, R, 1, 1, (Avp(AvpCode.EAP_PAYLOAD, bytes(MAX_MESSAGE_OCTETS)),)).encode()


@pytest.mark.parametrize("value", [bytes(5), bytes(7), bytes(6), bytes(18), b"\1" * 17])
def test_addresses_of_neither_family_or_without_port_are_refused(value: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_pac_information(value)
