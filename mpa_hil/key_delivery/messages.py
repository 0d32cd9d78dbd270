"""Key delivery's messages as octets: compact, versioned, bounded. Sans-IO.

    octets 0-1          length of the whole message
    octet 2             version, 1
    octet 3             type
    octets 4-7          sequence number; an acknowledgement repeats the one that it answers
    then                by type; texts and octet strings of variable size have a length octet before

Numbers are in network byte order. Nothing may follow what a type asks for. The stream below
(TLS 1.3) gives secrecy, integrity, order and protection from replay.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NoReturn

from mpa_hil import errors
from mpa_hil.keys import NAME_OCTETS, Usage
from mpa_hil.light import light

VERSION = 1
MAX_OCTETS = 1024
"""Of a message; bounds what a stream makes us hold. A full `Held` has 809, the longest of all."""
NAMES_PER_MESSAGE = 40
"""Of a `Held`."""

_HEAD = struct.Struct("!HBBI")
_INSTALL = struct.Struct(f"!{NAME_OCTETS}sBIII")


class DecodeError(errors.DecodeError):
    """The octets are no key delivery message."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="key delivery")


class Kind(IntEnum):
    """The type octet."""

    HELLO = 1
    INSTALL = 2
    WITHDRAW = 3
    ACKNOWLEDGE = 4
    INVENTORY = 5
    HELD = 6
    PRESENCE = 7


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of each side: who speaks, and to whom it believes to speak."""

    sender: str
    addressee: str


@light
class Install:
    """Hold this key until its lifetime is over (AA to recipient). Idempotent by name."""

    name: bytes
    usage: Usage
    session_id: int
    key_id: int
    lifetime_ms: int
    """From the moment of sending; the recipient counts by its own monotonic clock."""
    recipient: str
    """The one box that it is for."""
    mobile_node: str
    """Identity (NAI) that the home network vouched for."""
    peer: bytes
    """What the key is bound to: an address, or a BSSID (`Key.peer`)."""
    station: bytes
    """MAC address of the MN, 6 octets; empty where the key is not for 802.11."""
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Forget this key (AA to recipient). Idempotent: an unknown name is acknowledged too."""

    name: bytes


@light
class Acknowledge:
    """What became of the message with this sequence number (recipient to AA)."""

    done: bool
    reason: str = ""
    """Why it was not done."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Say which keys you hold (AA to recipient)."""


@dataclass(frozen=True, slots=True)
class Held:
    """Names of held keys (recipient to AA), in as many messages as it takes."""

    names: tuple[bytes, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """The MN of this key is here, or has left: said by an access point (EP to AA), and passed on
    to whoever has the MN's traffic in hand (AA to AR), by the name of the key that each holds."""

    name: bytes
    present: bool


_DONE = Acknowledge(True)
_DONE_OCTETS = b"\1\0"
"""By far the most frequent body of an answer, and what it means."""

Message = Hello | Install | Withdraw | Acknowledge | Inventory | Held | Presence


def encode(sequence: int, message: Message) -> bytes:
    """A message as octets.

    Raises:
        errors.LocalError: a value that does not fit into its field.
    """
    kind, body = _body(message)
    length = _HEAD.size + len(body)
    if length > MAX_OCTETS:
        raise errors.LocalError(f"a key delivery message of {length} octets")
    return _HEAD.pack(length, VERSION, kind, sequence) + body


def _body(message: Message) -> tuple[Kind, bytes]:
    match message:
        case Install():
            fixed = _INSTALL.pack(
                _name(message.name),
                message.usage,
                message.session_id,
                message.key_id,
                message.lifetime_ms,
            )
            variable = (
                message.recipient.encode(),
                message.mobile_node.encode(),
                message.peer,
                message.station,
                message.secret,
            )
            return Kind.INSTALL, fixed + b"".join([_sized(value) for value in variable])
        case Acknowledge():
            return Kind.ACKNOWLEDGE, bytes((message.done,)) + _sized(message.reason.encode())
        case Withdraw():
            return Kind.WITHDRAW, _name(message.name)
        case Presence():
            return Kind.PRESENCE, _name(message.name) + bytes((message.present,))
        case Held():
            if len(message.names) > NAMES_PER_MESSAGE:
                raise errors.LocalError(f"{len(message.names)} names in one message")
            names = b"".join(_name(name) for name in message.names)
            return Kind.HELD, bytes((message.last,)) + names
        case Inventory():
            return Kind.INVENTORY, b""
        case Hello():
            return Kind.HELLO, _sized(message.sender.encode()) + _sized(message.addressee.encode())


def _name(name: bytes) -> bytes:
    if len(name) != NAME_OCTETS:
        raise errors.LocalError(f"a key name of {len(name)} octets")
    return name


def _sized(value: bytes) -> bytes:
    if len(value) > 255:
        raise errors.LocalError(f"a field of {len(value)} octets")
    return bytes((len(value),)) + value


def decode(octets: bytes) -> tuple[int, Message]:
    """The sequence number and content of one whole message.

    Raises:
        DecodeError: it is none.
    """
    if len(octets) < _HEAD.size:
        _refuse(f"a message of {len(octets)} octets")
    length, version, kind, sequence = _HEAD.unpack_from(octets)
    if version != VERSION:
        _refuse(f"version {version}, not {VERSION}")
    if length != len(octets):
        _refuse(f"{len(octets)} octets where {length} are announced")
    if kind == Kind.ACKNOWLEDGE and octets[_HEAD.size :] == _DONE_OCTETS:
        return sequence, _DONE
    body = _Body(octets[_HEAD.size :])
    message: Message
    if kind == Kind.INSTALL:
        message = _install(body)
    elif kind == Kind.ACKNOWLEDGE:
        message = Acknowledge(body.truth(), body.text())
    elif kind == Kind.WITHDRAW:
        message = Withdraw(body.take(NAME_OCTETS))
    elif kind == Kind.PRESENCE:
        message = Presence(body.take(NAME_OCTETS), body.truth())
    elif kind == Kind.HELD:
        message = _held(body)
    elif kind == Kind.INVENTORY:
        message = Inventory()
    elif kind == Kind.HELLO:
        message = Hello(body.text(), body.text())
    else:
        _refuse(f"message type {kind}")
    body.end()
    return sequence, message


def _install(body: _Body) -> Install:
    name, usage, session_id, key_id, lifetime_ms = _INSTALL.unpack(body.take(_INSTALL.size))
    if usage not in Usage.__members__.values():
        _refuse(f"usage {usage}")
    recipient, mobile_node = body.text(), body.text()
    peer, station, secret = body.sized(), body.sized(), body.sized()
    if len(station) not in (0, 6):
        _refuse(f"a station address of {len(station)} octets")
    if len(secret) < 16:
        _refuse(f"a key of {len(secret)} octets")
    return Install(
        name,
        Usage(usage),
        session_id,
        key_id,
        lifetime_ms,
        recipient,
        mobile_node,
        peer,
        station,
        secret,
    )


def _held(body: _Body) -> Held:
    last = body.truth()
    count, rest = divmod(body.left, NAME_OCTETS)
    if rest or count > NAMES_PER_MESSAGE:
        _refuse(f"{body.left} octets of key names")
    return Held(tuple(body.take(NAME_OCTETS) for _ in range(count)), last)


class _Body:
    """Reads a message from front to back."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._octets) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            _refuse("a message that ends too early")
        self._at += count
        return self._octets[self._at - count : self._at]

    def sized(self) -> bytes:
        return self.take(self.take(1)[0])

    def text(self) -> str:
        try:
            return self.sized().decode()
        except UnicodeDecodeError:
            _refuse("a text that is not UTF-8")

    def truth(self) -> bool:
        value = self.take(1)[0]
        if value > 1:
            _refuse(f"{value} where 0 or 1 is needed")
        return bool(value)

    def end(self) -> None:
        if self.left:
            _refuse(f"{self.left} octets too many")


class Splitter:
    """Cuts a stream of octets into messages; holds less than one message between calls."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> list[tuple[int, Message]]:
        """The messages that are complete now.

        Raises:
            DecodeError: something is no message; the stream cannot be read on.
        """
        octets = self._rest + octets
        found = []
        at = 0
        while len(octets) - at >= 2:
            length = int.from_bytes(octets[at : at + 2], "big")
            if not _HEAD.size <= length <= MAX_OCTETS:
                _refuse(f"a message of {length} octets")
            if len(octets) - at < length:
                break
            found.append(decode(octets[at : at + length]))
            at += length
        self._rest = octets[at:]
        return found


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
