"""What an MN asks an AA under the MPA-SA: describe the network, prepare its PoAs. Sans-IO.

One UDP datagram each way on SERVICE_PORT of the AA; the MN repeats a question until it is answered:

    octets 0-3    "MPA" and version 1
    octets 4-15   session id, key id (4 octets each), then 0 from the MN or 1 from the AA, and zeros
    octets 16-23  number of the question: rises with each, an answer repeats it
    octets 24-35  nonce
    then          AES-256-GCM under a key for this direction, the first 24 octets authenticated

The plaintext is one octet of kind and what the kind takes:

    1 Describe    a query          answered in kind, both as in `mpa_hil.discovery.information`
    2 Prepare     MAC, BSSIDs      answered with (BSSID, state) pairs
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn

from mpa_hil import errors
from mpa_hil.keys import mac_octets
from mpa_hil.mobility.interface import Instant
from mpa_hil.pana.association import SecurityAssociation

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SERVICE_PORT = 7160
"""UDP, at the AA's address."""
MAX_POINTS = 32
"""In one `Prepare`: wpa_supplicant keeps no more PMKs."""

_MAGIC = b"MPA\1"
_HEAD = struct.Struct("!4sIIB3xQ")
_NONCE_OCTETS = 12
_TAG_OCTETS = 16
_KEY_OCTETS = 32
_MIN_OCTETS = _HEAD.size + _NONCE_OCTETS + 1 + _TAG_OCTETS
_FROM_MN, _FROM_AA = 0, 1


class DecodeError(errors.DecodeError):
    """The datagram is none of this service, or not authentic."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="agent service")


@dataclass(frozen=True, slots=True)
class Describe:
    """What is known of this network and its neighbours? (R27, R29)"""

    query: bytes
    """For `InformationService.answer`."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Put the PMKs for this station into these points of attachment (R86).

    Asked again with other BSSIDs, it adds them. The answer comes once the access points have their
    keys or have failed to take them; asking again before that does no harm.
    """

    station: str
    """MAC address that the MN will associate with."""
    bssids: tuple[str, ...] = ()
    """Empty: every point of attachment of the network."""


class KeyState(IntEnum):
    """What became of one point of attachment."""

    INSTALLED = 0
    """It holds the PMK: the 4-way handshake is all that is left."""
    PENDING = 1
    """Not yet confirmed, or the access point cannot be reached."""
    DECLINED = 2
    """It would not take the key."""
    UNKNOWN = 3
    """No such point of attachment here."""


Question = Describe | Prepare
KeyStates = tuple[tuple[str, KeyState], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, opened and authentic."""

    number: int
    question: Question


@dataclass(frozen=True, slots=True)
class Header:
    """What a datagram says in clear."""

    session_id: int
    key_id: int
    from_agent: bool
    number: int


def header(datagram: bytes) -> Header:
    """Which association a datagram claims to belong to; nothing is authentic yet.

    Raises:
        DecodeError: it is not of this service.
    """
    if len(datagram) < _MIN_OCTETS:
        _refuse(f"{len(datagram)} octets")
    magic, session_id, key_id, direction, number = _HEAD.unpack_from(datagram)
    if magic != _MAGIC or direction not in (_FROM_MN, _FROM_AA) or any(datagram[13:16]):
        _refuse("no message of this version")
    return Header(session_id, key_id, direction == _FROM_AA, number)


@dataclass(slots=True)
class Seal:
    """Seals and opens the datagrams of one MPA-SA, at either side.

    Args:
        sa: the association.
        realm: of the AA's network, bound into the keys.
        random: source of nonces (`os.urandom`).
    """

    sa: SecurityAssociation
    realm: str
    random: Callable[[int], bytes] = field(repr=False)
    _ciphers: dict[int, AESGCM] = field(default_factory=dict, repr=False)

    def question(self, number: int, question: Question) -> bytes:
        """The MN's datagram.

        Raises:
            errors.LocalError: more points of attachment than one question names, or no MAC.
        """
        if isinstance(question, Describe):
            return self._seal(_FROM_MN, number, b"\1" + question.query)
        if len(question.bssids) > MAX_POINTS:
            raise errors.LocalError(f"{len(question.bssids)} PoAs in one question")
        addresses = (question.station, *question.bssids)
        return self._seal(_FROM_MN, number, b"\2" + b"".join(map(mac_octets, addresses)))

    def description(self, number: int, octets: bytes) -> bytes:
        """The AA's answer to `Describe`."""
        return self._seal(_FROM_AA, number, b"\1" + octets)

    def states(self, number: int, states: KeyStates) -> bytes:
        """The AA's answer to `Prepare`."""
        pairs = (mac_octets(bssid) + bytes((state,)) for bssid, state in states)
        return self._seal(_FROM_AA, number, b"\2" + b"".join(pairs))

    def open_question(self, datagram: bytes) -> Asked:
        """What the MN asks.

        Raises:
            DecodeError: not of this association, not authentic, or no question.
        """
        number, plain = self._open(_FROM_MN, datagram)
        kind, rest = plain[0], plain[1:]
        if kind == 1:
            return Asked(number, Describe(rest))
        count, odd = divmod(len(rest), 6)
        if kind != 2 or odd or not 1 <= count <= MAX_POINTS + 1:
            _refuse(f"question {kind} with {len(rest)} octets")
        station, *bssids = (rest[at : at + 6].hex(":") for at in range(0, len(rest), 6))
        return Asked(number, Prepare(station, tuple(bssids)))

    def open_answer(self, datagram: bytes) -> tuple[int, bytes | KeyStates]:
        """The number of the question that is answered, and the answer: octets for
        `InformationClient.receive`, or the states of points of attachment.

        Raises:
            DecodeError: not of this association, not authentic, or no answer.
        """
        number, plain = self._open(_FROM_AA, datagram)
        kind, rest = plain[0], plain[1:]
        if kind == 1:
            return number, rest
        if kind != 2 or len(rest) % 7:
            _refuse(f"answer {kind} with {len(rest)} octets")
        pairs = [rest[at : at + 7] for at in range(0, len(rest), 7)]
        if any(pair[6] not in KeyState.__members__.values() for pair in pairs):
            _refuse("an unknown state of a point of attachment")
        return number, tuple((pair[:6].hex(":"), KeyState(pair[6])) for pair in pairs)

    def _seal(self, direction: int, number: int, plain: bytes) -> bytes:
        head = _HEAD.pack(_MAGIC, self.sa.session_id, self.sa.key_id, direction, number)
        nonce = self.random(_NONCE_OCTETS)
        return head + nonce + self._cipher(direction).encrypt(nonce, plain, head)

    def _open(self, direction: int, datagram: bytes) -> tuple[int, bytes]:
        from cryptography.exceptions import InvalidTag

        said = header(datagram)
        claimed = (said.session_id, said.key_id, int(said.from_agent))
        if claimed != (self.sa.session_id, self.sa.key_id, direction):
            _refuse("another association, or our own words")
        head, sealed_at = datagram[: _HEAD.size], _HEAD.size + _NONCE_OCTETS
        nonce, sealed = datagram[_HEAD.size : sealed_at], datagram[sealed_at:]
        try:
            return said.number, self._cipher(direction).decrypt(nonce, sealed, head)
        except InvalidTag:
            raise DecodeError("not authentic") from None

    def _cipher(self, direction: int) -> AESGCM:
        """Its own key for each direction, so nothing sent can be sent back (reflection)."""
        cipher = self._ciphers.get(direction)
        if cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            label = b"MPA service from AA" if direction else b"MPA service from MN"
            key = self.sa.derive(label, self.realm.encode(), _KEY_OCTETS)
            cipher = self._ciphers[direction] = AESGCM(key)
        return cipher


class ServiceClient:
    """The MN's side of one association: numbers the questions, knows the answers.

    The caller sends `ask`'s datagram, again and again the same one, until `receive` has the answer.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._number = 0

    def ask(self, question: Question, now: Instant) -> bytes:
        """A datagram for the AA's SERVICE_PORT; the question before it is given up."""
        # A restarted MN with a preserved association must not count from 1 again.
        self._number = max(self._number + 1, now.unix_ns)
        return self._seal.question(self._number, question)

    def receive(self, datagram: bytes) -> bytes | KeyStates | None:
        """The answer to the last question (see `Seal.open_answer`); None: it answers another.

        Raises:
            DecodeError: anything else.
        """
        number, answer = self._seal.open_answer(datagram)
        return answer if number == self._number else None


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
