"""HMAC (RFC 2104) under keys that are used again and again. Sans-IO.

`hmac.digest` sets the hash function up anew each time, which costs OpenSSL 3 more than the hash
over a short message does. Here the two halves that the key alone decides are kept.
"""

from __future__ import annotations

import hashlib
from typing import Final

_BLOCK_OCTETS: Final = 64
"""Of all the hash functions that are used here."""
_HASHES: Final = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256}
_INNER: Final = bytes(octet ^ 0x36 for octet in range(256))
_OUTER: Final = bytes(octet ^ 0x5C for octet in range(256))


class Mac:
    """Computes HMACs under one key.

    Args:
        key: as long as it likes.
        digest: md5, sha1 or sha256.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, digest: str) -> None:
        new = _HASHES[digest]
        if len(key) > _BLOCK_OCTETS:
            key = new(key).digest()
        key = key.ljust(_BLOCK_OCTETS, b"\0")
        self._inner = new(key.translate(_INNER))
        self._outer = new(key.translate(_OUTER))

    def digest(self, message: bytes) -> bytes:
        """The HMAC of a message, whole."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()
