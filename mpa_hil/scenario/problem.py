"""One thing that is wrong with a lab, and small questions that several checks ask."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_HEX = re.compile(r"[0-9A-Fa-f]+")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_REALM = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+"
)

NAME_LIMIT = 10
"""Octets in a name: interface names made from it must stay within Linux's 15."""


class Problem(NamedTuple):
    """Dotted key, what is wrong with its value, what to write instead."""

    key: str
    what: str
    remedy: str


def is_hex(text: str) -> bool:
    """Hexadecimal digits and nothing else."""
    return _HEX.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """A name fit for hosts, interfaces and file names."""
    return len(text) <= NAME_LIMIT and _NAME.fullmatch(text) is not None


def is_realm(text: str) -> bool:
    """A realm in the form of a domain name with at least one dot (RFC 7542 s2.2)."""
    return len(text) <= 253 and _REALM.fullmatch(text) is not None


def bad_name(key: str, text: str) -> Iterator[Problem]:
    """The problem with a name, if there is one."""
    if not is_name(text):
        yield Problem(
            key,
            f"'{text}' cannot be a name",
            f"a letter, then letters, digits, - and _; {NAME_LIMIT} characters at most",
        )


def bad_mac(key: str, text: str) -> Iterator[Problem]:
    """The problem with a MAC address of a station or AP, if there is one."""
    remedy = "six octets in hexadecimal such as 02:00:00:00:0a:01"
    if _MAC.fullmatch(text) is None:
        yield Problem(key, f"'{text}' is not a MAC address", remedy)
    elif int(text[:2], 16) & 1:
        yield Problem(
            key,
            f"{text} is a group address (multicast bit set)",
            f"make the first octet even, for example {int(text[:2], 16) & 0xFE:02x}{text[2:]}",
        )
    elif not int(text.replace(":", ""), 16):
        yield Problem(key, f"{text} is the zero address", remedy)


def repeated(items: Iterable[tuple[str, str]], kind: str) -> Iterator[Problem]:
    """Problems for values that occur more than once; items are (key, value)."""
    seen: dict[str, str] = {}
    for key, value in items:
        if value in seen:
            yield Problem(
                key, f"{kind} {value} is taken by {seen[value]}", f"give each its own {kind}"
            )
        seen.setdefault(value, key)
