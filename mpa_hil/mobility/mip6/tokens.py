"""What a correspondent remembers of its tests: keys and nonces, and nothing of who was tested.

Each nonce comes with a node key of its own (s5.2.7), so one index names both.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from mpa_hil.mobility.interface import NS_PER_S
from mpa_hil.mobility.mip6.messages import TOKEN_OCTETS
from mpa_hil.mobility.mip6.numbers import MAX_NONCE_LIFETIME_S, NONCE_INTERVAL_S

NODE_KEY_OCTETS = 20
NONCE_OCTETS = 8
_HOME, _CARE_OF = b"\0", b"\1"


@dataclass(frozen=True, slots=True)
class _Nonce:
    index: int
    key: bytes = field(repr=False)
    value: bytes = field(repr=False)
    made_ns: int


class Tokens:
    """Makes keygen tokens and makes them again.

    Args:
        random: so many octets that nobody can guess.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._nonces: dict[int, _Nonce] = {}
        self._index = int.from_bytes(random(2), "big")

    def home(self, address: IPv6Address, now_ns: int) -> tuple[int, bytes]:
        """Index and token for a home address (s5.2.5)."""
        return self._make(address, _HOME, now_ns)

    def care_of(self, address: IPv6Address, now_ns: int) -> tuple[int, bytes]:
        """Index and token for a care-of address."""
        return self._make(address, _CARE_OF, now_ns)

    def home_again(self, address: IPv6Address, index: int, now_ns: int) -> bytes | None:
        """The token made with this index, or None when it is too old."""
        return self._again(address, _HOME, index, now_ns)

    def care_of_again(self, address: IPv6Address, index: int, now_ns: int) -> bytes | None:
        """The token made with this index, or None when it is too old."""
        return self._again(address, _CARE_OF, index, now_ns)

    def forget(self) -> None:
        """Take no token any more that was made until now (s5.2.8)."""
        self._nonces.clear()

    def _make(self, address: IPv6Address, kind: bytes, now_ns: int) -> tuple[int, bytes]:
        nonce = self._nonces.get(self._index)
        if nonce is None or now_ns - nonce.made_ns >= NONCE_INTERVAL_S * NS_PER_S:
            self._expire(now_ns)
            self._index = (self._index + 1) & 0xFFFF
            key, value = self._random(NODE_KEY_OCTETS), self._random(NONCE_OCTETS)
            nonce = self._nonces[self._index] = _Nonce(self._index, key, value, now_ns)
        return nonce.index, _token(nonce, address, kind)

    def _again(self, address: IPv6Address, kind: bytes, index: int, now_ns: int) -> bytes | None:
        nonce = self._nonces.get(index)
        if nonce is None or now_ns - nonce.made_ns >= MAX_NONCE_LIFETIME_S * NS_PER_S:
            return None
        return _token(nonce, address, kind)

    def _expire(self, now_ns: int) -> None:
        limit_ns = MAX_NONCE_LIFETIME_S * NS_PER_S
        for index in [n.index for n in self._nonces.values() if now_ns - n.made_ns >= limit_ns]:
            del self._nonces[index]


def _token(nonce: _Nonce, address: IPv6Address, kind: bytes) -> bytes:
    return hmac.digest(nonce.key, address.packed + nonce.value + kind, "sha1")[:TOKEN_OCTETS]
