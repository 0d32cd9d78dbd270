"""Reading what a home agent has written down of its bindings, sans-IO: with suspicion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mpa_hil.mobility.interface import NS_PER_S, Instant


class Unreadable(ValueError):
    """A record that is not what was written."""


class Recorded:
    """One JSON object."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def number(self, name: str) -> int:
        """A whole number.

        Raises:
            Unreadable: it is none.
        """
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unreadable(f"{name}: {value!r}")
        return value

    def text(self, name: str) -> str:
        """A text.

        Raises:
            Unreadable: it is none.
        """
        value = self._values.get(name)
        if not isinstance(value, str):
            raise Unreadable(f"{name}: {value!r}")
        return value

    def each(self, name: str) -> Iterator[Recorded]:
        """The objects in a list.

        Raises:
            Unreadable: it is none.
        """
        value = self._values.get(name)
        if not isinstance(value, list | tuple):
            raise Unreadable(f"{name}: {value!r}")
        for entry in value:
            if not isinstance(entry, Mapping):
                raise Unreadable(f"{name}: {entry!r}")
            yield Recorded(entry)


def expiry(unix_ns: int, life_s: int, now: Instant) -> int:
    """A moment of the calendar on the clock that lifetimes run on: no later than `life_s` from now,
    whatever became of the calendar."""
    return now.monotonic_ns + min(unix_ns - now.unix_ns, life_s * NS_PER_S)


def calendar(monotonic_ns: int, now: Instant) -> int:
    """The other way round."""
    return now.unix_ns + monotonic_ns - now.monotonic_ns
