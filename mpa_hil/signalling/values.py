"""The values in a signalling message: type, length, octets. Sans-IO.

A protocol numbers its own types. Types below 128 must be understood: a receiver that does not know
one refuses the request. Types from 128 on may be left unread.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from mpa_hil import errors
from mpa_hil.mobility.interface import Address

OPTIONAL = 128
"""From this type on a value may be left unread."""
MAXIMUM_VALUES = 64
"""In one message; more is nobody's honest message."""

Pair = tuple[int, bytes]


class ValuesError(errors.DecodeError):
    """The values are not what the protocol says."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="signalling values")


class Values:
    """The values of one message, to be taken out one by one; `done` refuses what is left.

    Every reader raises errors.DecodeError for a value that is missing, there twice, or malformed.
    """

    __slots__ = ("_pairs", "_taken")

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._pairs = tuple(pairs)
        self._taken: set[int] = set()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Values) and other._pairs == self._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Values({', '.join(f'{kind}: {len(value)}' for kind, value in self._pairs)})"

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All of them, in order."""
        return self._pairs

    @classmethod
    def decode(cls, octets: bytes) -> Values:
        """Raises errors.DecodeError for what is no list of values."""
        pairs: list[Pair] = []
        at, end = 0, len(octets)
        while at < end:
            if end - at < 3 or len(pairs) == MAXIMUM_VALUES:
                raise ValuesError("they do not end where they should")
            length = octets[at + 1] << 8 | octets[at + 2]
            if end - at - 3 < length:
                raise ValuesError(f"value {octets[at]} is cut off")
            pairs.append((octets[at], octets[at + 3 : at + 3 + length]))
            at += 3 + length
        return cls(pairs)

    def encode(self) -> bytes:
        """Their octets."""
        return encode(self._pairs)

    def all(self, kind: int) -> tuple[bytes, ...]:
        """Every value of this type."""
        self._taken.add(kind)
        return tuple(value for each, value in self._pairs if each == kind)

    def optional(self, kind: int, octets: int | None = None) -> bytes | None:
        """The one value of this type, None if it is absent.

        Args:
            octets: how long it must be.
        """
        found = self.all(kind)
        if not found:
            return None
        if len(found) > 1:
            raise ValuesError(f"value {kind} is there {len(found)} times")
        if octets is not None and len(found[0]) != octets:
            raise ValuesError(f"value {kind} has {len(found[0])} octets")
        return found[0]

    def one(self, kind: int, octets: int | None = None) -> bytes:
        """As `optional`, and it must be there."""
        value = self.optional(kind, octets)
        if value is None:
            raise ValuesError(f"value {kind} is missing")
        return value

    def number(self, kind: int, octets: int, default: int | None = None) -> int:
        """A number of this many octets."""
        value = self.optional(kind, octets)
        if value is not None:
            return int.from_bytes(value, "big")
        if default is None:
            raise ValuesError(f"value {kind} is missing")
        return default

    def text(self, kind: int, default: str | None = None) -> str:
        """A text in UTF-8."""
        value = self.optional(kind)
        if value is None and default is not None:
            return default
        try:
            return (self.one(kind) if value is None else value).decode()
        except UnicodeDecodeError:
            raise ValuesError(f"value {kind} is no text") from None

    def address(self, kind: int) -> Address:
        """An IPv4 or IPv6 address."""
        return address_in(kind, self.one(kind))

    def addresses(self, kind: int) -> tuple[Address, ...]:
        """Every address of this type."""
        return tuple(address_in(kind, value) for value in self.all(kind))

    def done(self) -> None:
        """Refuse values that nobody asked for, unless they may be left unread."""
        for kind, _ in self._pairs:
            if kind < OPTIONAL and kind not in self._taken:
                raise ValuesError(f"value {kind} is not known")


def encode(pairs: Iterable[Pair]) -> bytes:
    """Their octets.

    Raises:
        errors.LocalError: a type or a value that cannot be sent.
    """
    parts = []
    for kind, value in pairs:
        if not 0 <= kind <= 255 or len(value) > 0xFFFF:
            raise errors.LocalError(f"value {kind} of {len(value)} octets cannot be sent")
        parts.append(bytes((kind, len(value) >> 8, len(value) & 0xFF)) + value)
    if len(parts) > MAXIMUM_VALUES:
        raise errors.LocalError(f"{len(parts)} values in one message")
    return b"".join(parts)


def address_in(kind: int, value: bytes) -> IPv4Address | IPv6Address:
    """An address of 4 or 16 octets; errors.DecodeError for anything else."""
    if len(value) not in (4, 16):
        raise ValuesError(f"value {kind} is no address")
    return ip_address(value)
