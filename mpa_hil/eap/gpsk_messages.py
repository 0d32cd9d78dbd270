"""EAP-GPSK's messages as octets (RFC 5433 s9), sans-IO: what a peer reads and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mpa_hil.eap.gpsk_keys import SUITE_OCTETS
from mpa_hil.errors import DecodeError

RAND_OCTETS = 32
MAX_ID_OCTETS = 254
"""RFC 5433 s5."""
_LENGTH_OCTETS = 2


class OpCode(IntEnum):
    """RFC 5433 s9.1."""

    GPSK_1 = 1
    GPSK_2 = 2
    GPSK_3 = 3
    GPSK_4 = 4
    FAIL = 5
    PROTECTED_FAIL = 6


FAILURES = {1: "PSK not found", 2: "authentication failure", 3: "authorization failure"}
"""RFC 5433 s9.3."""


@dataclass(frozen=True, slots=True)
class Offer:
    """GPSK-1: the server names itself and its ciphersuites."""

    server_id: bytes
    rand_server: bytes
    suites: bytes
    """CSuite_List as it came, for GPSK-2 repeats it."""

    def specifiers(self) -> tuple[int, ...]:
        """The numbers of the suites that are the IETF's; a vendor's is too large to be one."""
        octets = self.suites
        ends = range(SUITE_OCTETS, len(octets) + 1, SUITE_OCTETS)
        return tuple(int.from_bytes(octets[end - SUITE_OCTETS : end], "big") for end in ends)


@dataclass(frozen=True, slots=True)
class Proof:
    """GPSK-3: the server proves that it has the key."""

    rand_peer: bytes
    rand_server: bytes
    server_id: bytes
    suite: bytes
    payload: bytes
    """Protected data; nothing is defined for it, so it is not looked into."""
    signed: bytes
    """What the MAC covers."""
    mac: bytes


@dataclass(frozen=True, slots=True)
class Fail:
    """GPSK-Fail, or with a MAC GPSK-Protected-Fail."""

    code: int
    mac: bytes | None = None

    @property
    def signed(self) -> bytes:
        """What the MAC covers."""
        return self.code.to_bytes(4, "big")


Message = Offer | Proof | Fail


def decode(data: bytes) -> Message:
    """Read the Type-Data of a request.

    Raises:
        DecodeError: not one of the messages that a server sends, or not as RFC 5433 has it.
    """
    if not data:
        raise _error("no OP-Code")
    reader = _Reader(data[1:])
    if data[0] == OpCode.GPSK_1:
        offer = Offer(reader.identity(), reader.take(RAND_OCTETS), reader.counted())
        if not offer.suites or len(offer.suites) % SUITE_OCTETS:
            raise _error(f"a ciphersuite list of {len(offer.suites)} octets")
        reader.end()
        return offer
    if data[0] == OpCode.GPSK_3:
        fields = (
            reader.take(RAND_OCTETS),
            reader.take(RAND_OCTETS),
            reader.identity(),
            reader.take(SUITE_OCTETS),
            reader.counted(),
        )
        return Proof(*fields, signed=reader.taken(), mac=reader.rest())
    if data[0] == OpCode.FAIL:
        fail = Fail(int.from_bytes(reader.take(4), "big"))
        reader.end()
        return fail
    if data[0] == OpCode.PROTECTED_FAIL:
        return Fail(int.from_bytes(reader.take(4), "big"), reader.rest())
    raise _error(f"OP-Code {data[0]}")


def encode(message: Message) -> bytes:
    """A server's message as Type-Data: for servers in tests, and for what a peer sends back."""
    if isinstance(message, Offer):
        return (
            bytes((OpCode.GPSK_1,))
            + _counted(message.server_id)
            + message.rand_server
            + _counted(message.suites)
        )
    if isinstance(message, Proof):
        return (
            bytes((OpCode.GPSK_3,))
            + signed_part(message.rand_peer, message.rand_server, message.server_id, message.suite)
            + _counted(message.payload)
            + message.mac
        )
    code = OpCode.FAIL if message.mac is None else OpCode.PROTECTED_FAIL
    return bytes((code,)) + message.signed + (message.mac or b"")


def signed_part(rand_peer: bytes, rand_server: bytes, server_id: bytes, suite: bytes) -> bytes:
    """What GPSK-3's MAC covers, up to its protected data."""
    return rand_peer + rand_server + _counted(server_id) + suite


def answer(peer_id: bytes, offer: Offer, rand_peer: bytes, suite: bytes) -> bytes:
    """GPSK-2 without OP-Code and MAC: what the MAC covers. It carries no protected data."""
    return (
        _counted(peer_id)
        + _counted(offer.server_id)
        + rand_peer
        + offer.rand_server
        + _counted(offer.suites)
        + suite
        + _counted(b"")
    )


NO_PAYLOAD = bytes(_LENGTH_OCTETS)
"""GPSK-4 without OP-Code and MAC: protected data of no octets."""


class _Reader:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, count: int) -> bytes:
        part = self._octets[self._at : self._at + count]
        if len(part) < count:
            raise _error(f"{len(part)} octets where {count} must be")
        self._at += count
        return part

    def counted(self) -> bytes:
        return self.take(int.from_bytes(self.take(_LENGTH_OCTETS), "big"))

    def identity(self) -> bytes:
        octets = self.counted()
        if len(octets) > MAX_ID_OCTETS:
            raise _error(f"an identity of {len(octets)} octets")
        return octets

    def taken(self) -> bytes:
        return self._octets[: self._at]

    def rest(self) -> bytes:
        part = self._octets[self._at :]
        if not part:
            raise _error("no MAC")
        self._at = len(self._octets)
        return part

    def end(self) -> None:
        if self._at < len(self._octets):
            raise _error(f"{len(self._octets) - self._at} octets too many")


def _counted(octets: bytes) -> bytes:
    return len(octets).to_bytes(_LENGTH_OCTETS, "big") + octets


def _error(what: str) -> DecodeError:
    return DecodeError(what, where="EAP-GPSK message")
