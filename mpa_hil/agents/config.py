"""Checked reading of an agent's configuration: every fault names its key.

Small on purpose: the validation library that the lab file goes through costs an agent in the guest
longer to import than everything else it does at its start.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from radios.errors import LocalError

_ABSENT = object()


class Fields:
    """A JSON object whose values are taken out one by one; `done` refuses what is left.

    Every method takes the key and, optionally, the default for when it is absent.

    Raises:
        LocalError: a value is missing, of the wrong kind, or out of range.
    """

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise LocalError("a JSON object is needed", where=where)
        self._values = dict(values)
        self._where = where

    def fault(self, key: str, what: str) -> LocalError:
        """The error for one key."""
        return LocalError(what, where=f"{self._where}, {key}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._take(key, default)
        if not isinstance(value, str) or not value:
            raise self.fault(key, "a text is needed")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of the choices; the first is the default."""
        value = self.text(key, choices[0])
        if value not in choices:
            raise self.fault(key, f"{value!r} is none of {', '.join(choices)}")
        return value

    def truth(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.fault(key, "true or false is needed")
        return value

    def integer(self, key: str, default: int | None, lowest: int, highest: int) -> int:
        """A whole number within bounds."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fault(key, "a whole number is needed")
        if not lowest <= value <= highest:
            raise self.fault(key, f"{value} is not between {lowest} and {highest}")
        return value

    def seconds(self, key: str, default: float) -> float:
        """A positive number."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self.fault(key, "a positive number of seconds is needed")
        return float(value)

    def number(self, key: str, default: float) -> float:
        """A number."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(key, "a number is needed")
        return float(value)

    def values(self, key: str) -> dict[str, object]:
        """An object whose values somebody else checks; an absent one is empty."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            raise self.fault(key, "a JSON object is needed")
        return dict(value)

    def address(self, key: str) -> IPv4Address:
        """An IPv4 address."""
        value = self.text(key)
        try:
            return IPv4Address(value)
        except ValueError:
            raise self.fault(key, f"{value!r} is no IPv4 address") from None

    def address6(self, key: str) -> IPv6Address:
        """An IPv6 address."""
        value = self.text(key)
        try:
            return IPv6Address(value)
        except ValueError:
            raise self.fault(key, f"{value!r} is no IPv6 address") from None

    def network6(self, key: str) -> IPv6Network:
        """An IPv6 network."""
        value = self.text(key)
        try:
            return IPv6Network(value)
        except ValueError:
            raise self.fault(key, f"{value!r} is no IPv6 network") from None

    def network(self, key: str) -> IPv4Network:
        """An IPv4 network."""
        value = self.text(key)
        try:
            return IPv4Network(value)
        except ValueError:
            raise self.fault(key, f"{value!r} is no IPv4 network") from None

    def key(self, key: str, lowest_octets: int) -> bytes:
        """A secret in hexadecimal digits; no error shows it."""
        value = self.text(key)
        try:
            secret = bytes.fromhex(value)
        except ValueError:
            raise self.fault(key, "hexadecimal digits are needed") from None
        if len(secret) < lowest_octets:
            raise self.fault(key, f"{len(secret)} octets are fewer than {lowest_octets}")
        return secret

    def each(self, key: str) -> Iterator[Fields]:
        """The objects in a list; an absent list is empty."""
        for number, entry in enumerate(self._list(key)):
            yield Fields(entry, f"{self._where}, {key}[{number}]")

    def has(self, key: str) -> bool:
        """Whether the key is there and not yet taken out."""
        return key in self._values

    def names(self) -> tuple[str, ...]:
        """The keys that are not yet taken out."""
        return tuple(map(str, self._values))

    def inner(self, key: str) -> Fields:
        """The object under a key."""
        return Fields(self._take(key, None), f"{self._where}, {key}")

    def items(self) -> Iterator[tuple[str, Fields]]:
        """All values, which must be objects, by key."""
        for key in tuple(self._values):
            yield str(key), self.inner(key)

    def integers(self, key: str) -> tuple[int, ...]:
        """The whole numbers in a list; an absent list is empty."""
        values = self._list(key)
        if not all(isinstance(value, int) for value in values):
            raise self.fault(key, "a list of whole numbers is needed")
        return tuple(value for value in values if isinstance(value, int))

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts in a list; an absent list is empty."""
        values = self._list(key)
        if not all(isinstance(value, str) and value for value in values):
            raise self.fault(key, "a list of texts is needed")
        return tuple(value for value in values if isinstance(value, str))

    def networks(self, key: str) -> tuple[IPv4Network, ...]:
        """The IPv4 networks in a list; an absent list is empty."""
        return tuple(each.network(name) for name, each in self._named(key))

    def networks6(self, key: str) -> tuple[IPv6Network, ...]:
        """The IPv6 networks in a list; an absent list is empty."""
        return tuple(each.network6(name) for name, each in self._named(key))

    def addresses6(self, key: str) -> tuple[IPv6Address, ...]:
        """The IPv6 addresses in a list; an absent list is empty."""
        return tuple(each.address6(name) for name, each in self._named(key))

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self._values:
            raise self.fault(str(key), "this key is not known")

    def _named(self, key: str) -> Iterator[tuple[str, Fields]]:
        """The entries of a list, each with a name that says where it is."""
        for number, entry in enumerate(self._list(key)):
            name = f"{key}[{number}]"
            yield name, Fields({name: entry}, self._where)

    def _list(self, key: str) -> list[object]:
        value = self._take(key, ())
        if not isinstance(value, list | tuple):
            raise self.fault(key, "a list is needed")
        return list(value)

    def _take(self, key: str, default: object) -> object:
        value = self._values.pop(key, _ABSENT)
        if value is not _ABSENT:
            return value
        if default is None:
            raise self.fault(key, "it is missing")
        return default
