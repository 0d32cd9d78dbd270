"""PANA messages and AVPs as octets (RFC 5191 s6-8, RFC 6345 s4-5, RFC 6786 s4-6), sans-IO.

The decoder holds a message against everything that can be said of it without knowing its session:
lengths, padding, flags, which AVPs may occur and where. AVPs nobody here knows make a message
invalid, as RFC 5191 s5.5 has it: PANA has no flag for AVPs that may be skipped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from mpa_hil import errors
from mpa_hil.light import light

from .association import SecurityAssociation
from .numbers import HEADER_OCTETS, MAX_AVPS, MAX_MESSAGE_OCTETS, AvpCode, Flag, MessageType

_HEADER: Final = struct.Struct("!HHHHII")
_AVP: Final = struct.Struct("!HHHH")
_UNSIGNED32: Final = struct.Struct("!I")
_AVP_HEADER_OCTETS: Final = 8
_VENDOR: Final = 0x8000
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")
"""By the value's length modulo 4."""

_R: Final = int(Flag.REQUEST)
_KNOWN_FLAGS: Final = sum(int(flag) for flag in Flag)
_START: Final = int(Flag.START)
_COMPLETE: Final = int(Flag.COMPLETE)
_NOTICE: Final = int(Flag.REAUTHENTICATION | Flag.PING)
_AUTH: Final = int(AvpCode.AUTH)
_ENCRYPTION_ENCAP: Final = int(AvpCode.ENCRYPTION_ENCAP)
_AUTH_TYPE: Final = int(MessageType.AUTH)
_NOTIFICATION_TYPE: Final = int(MessageType.NOTIFICATION)


class DecodeError(errors.DecodeError):
    """The octets are no valid PANA message; it is dropped in silence (RFC 5191 s5.5)."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="PANA message")


class Avp(NamedTuple):
    """One attribute; vendor-specific ones are none of ours."""

    code: int
    value: bytes


def unsigned(code: AvpCode, value: int) -> Avp:
    """An AVP of type Unsigned32."""
    return Avp(code, _UNSIGNED32.pack(value))


class Kind(NamedTuple):
    """What may be in one of the messages."""

    name: str
    flags: int
    """Flags that it may have besides R."""
    most: dict[int, int]
    """AVP code to how often it may occur."""
    needs: frozenset[int]


def _kind(
    name: str, flags: Flag, once: Iterable[AvpCode], more: Iterable[AvpCode], *needs: AvpCode
) -> Kind:
    most = {int(code): 1 for code in once} | {int(code): MAX_AVPS for code in more}
    return Kind(name, int(flags), most, frozenset(int(code) for code in needs))


_E: Final = Flag.PREAUTHENTICATION
_A: Final = AvpCode
_PROTECTED: Final = (_A.AUTH, _A.ENCRYPTION_ENCAP)
_ALGORITHMS: Final = (_A.PRF_ALGORITHM, _A.INTEGRITY_ALGORITHM, _A.ENCRYPTION_ALGORITHM)

KINDS: Final = {
    (MessageType.CLIENT_INITIATION, False): _kind("PCI", _E, (), (_A.ENCRYPTION_ALGORITHM,)),
    (MessageType.AUTH, True): _kind(
        "PAR",
        Flag.START | Flag.COMPLETE | Flag.IP_RECONFIGURATION | _E,
        (
            *_PROTECTED,
            _A.EAP_PAYLOAD,
            _A.KEY_ID,
            _A.NONCE,
            _A.RESULT_CODE,
            _A.SESSION_LIFETIME,
        ),
        _ALGORITHMS,
    ),
    (MessageType.AUTH, False): _kind(
        "PAN",
        Flag.START | Flag.COMPLETE | _E,
        (*_PROTECTED, *_ALGORITHMS, _A.EAP_PAYLOAD, _A.KEY_ID, _A.NONCE),
        (),
    ),
    (MessageType.TERMINATION, True): _kind(
        "PTR", _E, (*_PROTECTED, _A.TERMINATION_CAUSE), (), _A.TERMINATION_CAUSE
    ),
    (MessageType.TERMINATION, False): _kind("PTA", _E, _PROTECTED, ()),
    (MessageType.NOTIFICATION, True): _kind(
        "PNR", Flag.REAUTHENTICATION | Flag.PING | _E, _PROTECTED, ()
    ),
    (MessageType.NOTIFICATION, False): _kind(
        "PNA", Flag.REAUTHENTICATION | Flag.PING | _E, _PROTECTED, ()
    ),
    (MessageType.RELAY, False): _kind(
        "PRY",
        Flag(0),
        (_A.PAC_INFORMATION, _A.RELAYED_MESSAGE),
        (),
        _A.PAC_INFORMATION,
        _A.RELAYED_MESSAGE,
    ),
}
"""RFC 5191 figure 4 and s6.2, by message type and R flag, with what RFC 6345 and 6786 add."""

_BY_NUMBER: Final = {(int(type_), request * _R): kind for (type_, request), kind in KINDS.items()}
_OUTSIDE_SESSIONS: Final = (int(MessageType.CLIENT_INITIATION), int(MessageType.RELAY))
_LENGTHS: Final = {
    **dict.fromkeys(
        (
            int(_A.INTEGRITY_ALGORITHM),
            int(_A.KEY_ID),
            int(_A.PRF_ALGORITHM),
            int(_A.RESULT_CODE),
            int(_A.SESSION_LIFETIME),
            int(_A.TERMINATION_CAUSE),
            int(_A.ENCRYPTION_ALGORITHM),
        ),
        (4, 4),
    ),
    int(_A.AUTH): (12, 64),
    int(_A.EAP_PAYLOAD): (4, MAX_MESSAGE_OCTETS),
    int(_A.NONCE): (8, 256),
    int(_A.PAC_INFORMATION): (6, 18),
    int(_A.RELAYED_MESSAGE): (HEADER_OCTETS, MAX_MESSAGE_OCTETS),
    int(_A.ENCRYPTION_ENCAP): (_AVP_HEADER_OCTETS, MAX_MESSAGE_OCTETS),
}
"""Shortest and longest value; an EAP packet has at least its four-octet header (RFC 3748 s4)."""
CONCEALABLE: Final = frozenset(
    int(code) for code in (_A.EAP_PAYLOAD, _A.SESSION_LIFETIME, _A.TERMINATION_CAUSE)
)
"""What may stand in an Encryption-Encap AVP; the rest shall not (RFC 6786 s6.1)."""


@light
class Message:
    """One PANA message. `flags` are those this implementation knows, R among them."""

    type: int
    flags: int
    session_id: int
    sequence: int
    avps: tuple[Avp, ...] = ()

    @property
    def request(self) -> bool:
        """The R flag."""
        return bool(self.flags & _R)

    @property
    def name(self) -> str:
        """RFC 5191 s7's three letters, with the flags that tell messages apart."""
        bits = zip("SCAPIE", (0x4000, 0x2000, 0x1000, 0x0800, 0x0400, 0x0200), strict=True)
        letters = "".join(letter for letter, bit in bits if self.flags & bit)
        return _BY_NUMBER[self.type, self.flags & _R].name + (f"[{letters}]" if letters else "")

    def value(self, code: int) -> bytes | None:
        """The value of the first AVP with this code."""
        for kind, value in self.avps:
            if kind == code:
                return value
        return None

    def number(self, code: AvpCode) -> int | None:
        """The same for an Unsigned32."""
        value = self.value(code)
        return None if value is None else int.from_bytes(value, "big")

    def numbers(self, code: AvpCode) -> list[int]:
        """Every Unsigned32 with this code, in their order."""
        return [int.from_bytes(avp[1], "big") for avp in self.avps if avp[0] == code]

    def encode(self) -> bytes:
        """The UDP payload.

        Raises:
            ValueError: longer than `MAX_MESSAGE_OCTETS`.
        """
        body = encode_avps(self.avps)
        length = HEADER_OCTETS + len(body)
        if length > MAX_MESSAGE_OCTETS:
            raise ValueError(f"a PANA message of {length} octets is longer than peers accept")
        head = _HEADER.pack(0, length, self.flags, self.type, self.session_id, self.sequence)
        return head + body

    def sealed(self, sa: SecurityAssociation) -> bytes:
        """The UDP payload with an AUTH AVP added, which always comes last (RFC 5191 s5.4, s7)."""
        size = sa.auth_octets
        octets = Message(
            self.type,
            self.flags,
            self.session_id,
            self.sequence,
            (*self.avps, Avp(_AUTH, bytes(size))),
        ).encode()
        return octets[:-size] + sa.authenticator(octets)


def encode_avps(avps: Iterable[Avp]) -> bytes:
    """AVPs one after another, each padded to 32 bits (RFC 5191 s6.3)."""
    parts: list[bytes] = []
    pack, append = _AVP.pack, parts.append
    for code, value in avps:
        size = len(value)
        append(pack(code, 0, size, 0))
        append(value)
        if size & 3:
            append(_PADDING[size & 3])
    return b"".join(parts)


def decode(octets: bytes) -> Message:
    """Decode and check one UDP payload.

    Raises:
        DecodeError: see the module's first lines.
    """
    size = len(octets)
    if not HEADER_OCTETS <= size <= MAX_MESSAGE_OCTETS:
        raise DecodeError(f"{size} octets")
    _, length, flags, type_, session_id, sequence = _HEADER.unpack_from(octets)
    if length != size:
        raise DecodeError(f"says it has {length} octets, and has {size}")
    flags &= _KNOWN_FLAGS
    message = Message(type_, flags, session_id, sequence, tuple(decode_avps(octets, HEADER_OCTETS)))
    validate(message)
    return message


def decode_avps(octets: bytes, at: int = 0) -> list[Avp]:
    """The AVPs from octet `at` to the end.

    Raises:
        DecodeError: lengths that do not fit, padding other than zeros, too many, vendor's own.
    """
    avps: list[Avp] = []
    size = len(octets)
    unpack = _AVP.unpack_from
    while at < size:
        if size - at < _AVP_HEADER_OCTETS:
            raise DecodeError("octets after the last AVP")
        if len(avps) == MAX_AVPS:
            raise DecodeError(f"more than {MAX_AVPS} AVPs")
        code, flags, length, _ = unpack(octets, at)
        if flags & _VENDOR:
            raise DecodeError(f"AVP {code} of some vendor is not known here")
        at += _AVP_HEADER_OCTETS
        end = at + length
        if length & 3:
            padding = _PADDING[length & 3]
            following = end + len(padding)
            if octets[end:following] != padding and following <= size:
                raise DecodeError(f"AVP {code} is not padded with zeros")
        else:
            following = end
        if following > size:
            raise DecodeError(f"AVP {code} of {length} octets exceeds the message")
        avps.append(Avp(code, octets[at:end]))
        at = following
    return avps


def validate(message: Message) -> None:
    """Hold a message against the tables (RFC 5191 s5.5, s6.2, s7, s8).

    Raises:
        DecodeError: it breaks one of their rules.
    """
    kind = _BY_NUMBER.get((message.type, message.flags & _R))
    if kind is None:
        raise DecodeError(f"type {message.type} with flags {message.flags:#06x}")
    _validate_flags(message, kind)
    _validate_avps(message, kind)
    if message.type in _OUTSIDE_SESSIONS and (message.session_id or message.sequence):
        raise DecodeError(f"{kind.name} with a session or sequence")


def _validate_flags(message: Message, kind: Kind) -> None:
    flags = message.flags & ~_R
    if flags & ~kind.flags:
        raise DecodeError(f"{kind.name} with flags {message.flags:#06x}")
    if flags & _START and flags & _COMPLETE:
        raise DecodeError(f"{kind.name} is both first and last")
    if message.type == _NOTIFICATION_TYPE and (flags & _NOTICE) in (0, _NOTICE):
        raise DecodeError(f"{kind.name} needs exactly one of the A and P flags")


def _validate_avps(message: Message, kind: Kind) -> None:
    there: set[int] = set()
    most, lengths = kind.most, _LENGTHS
    for code, value in message.avps:
        if code not in most:
            raise DecodeError(f"AVP {code} has no place in {kind.name}")
        shortest, longest = lengths[code]
        if not shortest <= len(value) <= longest:
            raise DecodeError(f"AVP {code} of {len(value)} octets")
        if code in there and most[code] == 1:
            raise DecodeError(f"AVP {code} more than once in {kind.name}")
        there.add(code)
    if _AUTH in there and message.avps[-1][0] != _AUTH:
        raise DecodeError("AUTH is not the last AVP")
    concealed = _ENCRYPTION_ENCAP in there
    if concealed and _AUTH not in there:
        raise DecodeError("Encryption-Encap without AUTH")
    for code in kind.needs:
        if code not in there and not concealed:
            raise DecodeError(f"{kind.name} without AVP {code}")
    if message.type == _AUTH_TYPE:
        _validate_auth(message, kind, there, concealed)
    elif message.type == MessageType.TERMINATION:
        _validate_termination(message, concealed)


def _validate_termination(message: Message, concealed: bool) -> None:
    if not message.flags & _R:
        return
    first = _A.ENCRYPTION_ENCAP if concealed else _A.TERMINATION_CAUSE
    if message.avps[0][0] != first:
        raise DecodeError("Termination-Cause is not the first AVP")


def _validate_auth(message: Message, kind: Kind, there: set[int], concealed: bool) -> None:
    """Which AVPs belong to the first, to the last, and to the others (RFC 5191 s4.1, s5.7)."""
    flags = message.flags
    if flags & _START:
        if there - _OF_THE_FIRST:
            raise DecodeError(f"{kind.name}[S] with what belongs to later messages")
        return
    if not there.isdisjoint(_NEGOTIATION):
        raise DecodeError(f"{kind.name} names algorithms after the first exchange")
    if not flags & _COMPLETE:
        if not there.isdisjoint(_OF_THE_LAST):
            raise DecodeError(f"{kind.name} with what belongs to the last message")
        return
    if (_A.KEY_ID in there) and _AUTH not in there:
        raise DecodeError(f"{kind.name}[C] names a key without using it")
    if not flags & _R:
        return
    result = message.number(_A.RESULT_CODE)
    if result is None:
        raise DecodeError("PAR[C] without a result")
    if result > 2:
        raise DecodeError(f"result {result}")
    if result == 0:
        _validate_success(there, concealed)


def _validate_success(there: set[int], concealed: bool) -> None:
    if not {_A.KEY_ID, _AUTH} <= there:
        raise DecodeError("PAR[C] says success without a key")
    if not concealed and not {_A.EAP_PAYLOAD, _A.SESSION_LIFETIME} <= there:
        raise DecodeError("PAR[C] says success without EAP's word or without a lifetime")


_NEGOTIATION: Final = frozenset(int(code) for code in _ALGORITHMS)
_OF_THE_FIRST: Final = _NEGOTIATION | {int(_A.EAP_PAYLOAD)}
_OF_THE_LAST: Final = frozenset((int(_A.KEY_ID), int(_A.RESULT_CODE)))


def revealed(message: Message, concealed: bytes) -> Message:
    """The message with decrypted AVPs in the place of Encryption-Encap (RFC 6786 s5, s6.1).

    Raises:
        DecodeError: what was concealed makes no valid message, or must not be concealed.
    """
    inner = decode_avps(concealed)
    for avp in inner:
        if avp.code not in CONCEALABLE:
            raise DecodeError(f"AVP {avp.code} must not be encrypted")
    avps: list[Avp] = []
    for avp in message.avps:
        avps += inner if avp.code == _A.ENCRYPTION_ENCAP else (avp,)
    whole = Message(message.type, message.flags, message.session_id, message.sequence, tuple(avps))
    validate(whole)
    return whole
