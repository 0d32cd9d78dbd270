"""The algorithms under PANA: pseudo-random functions, message authentication, AES-CTR; sans-IO."""

from __future__ import annotations

import hmac
from typing import Final

from mpa_hil.mac import Mac

from .numbers import Integrity, Prf

_PRF_DIGEST: Final = {Prf.HMAC_SHA1: "sha1", Prf.HMAC_SHA2_256: "sha256"}
_PRF_OCTETS: Final = {Prf.HMAC_SHA1: 20, Prf.HMAC_SHA2_256: 32}
_INTEGRITY_DIGEST: Final = {Integrity.HMAC_SHA1_160: "sha1", Integrity.HMAC_SHA2_256_128: "sha256"}

KEY_OCTETS: Final = {Integrity.HMAC_SHA1_160: 20, Integrity.HMAC_SHA2_256_128: 32}
"""Length of PANA_AUTH_KEY, which the integrity algorithm decides (RFC 5191 s5.3; RFC 4868 s2.1)."""
AUTH_OCTETS: Final = {Integrity.HMAC_SHA1_160: 20, Integrity.HMAC_SHA2_256_128: 16}
"""Length of the AUTH AVP's value."""
ENCRYPTION_KEY_OCTETS: Final = 16
"""AES128_CTR (RFC 6786 s4.1)."""
_PRF_PLUS_BLOCKS: Final = 255
"""The block counter is one octet (RFC 7296 s2.13)."""


def keyed(prf: Prf, key: bytes) -> Mac:
    """A pseudo-random function with its key."""
    return Mac(key, _PRF_DIGEST[prf])


def prf_plus(prf: Prf, key: bytes | Mac, seed: bytes, length: int) -> bytes:
    """Expand `key` to `length` octets (prf+ of RFC 7296 s2.13, named by RFC 5191 s5.3).

    Args:
        key: or what `keyed` made of it, if several things come of one key.

    Raises:
        ValueError: more octets than 255 blocks hold.
    """
    size = _PRF_OCTETS[prf]
    mac = keyed(prf, key) if isinstance(key, bytes) else key
    blocks = -(-length // size)
    if blocks > _PRF_PLUS_BLOCKS:
        raise ValueError(f"prf+ yields at most {_PRF_PLUS_BLOCKS * size} octets, not {length}")
    out = previous = b""
    for number in range(1, blocks + 1):
        previous = mac.digest(previous + seed + bytes((number,)))
        out += previous
    return out[:length]


def authenticator(integrity: Integrity, key: bytes, message: bytes) -> bytes:
    """The AUTH AVP's value for a message whose own AUTH value is zero (RFC 5191 s5.4)."""
    value = hmac.digest(key, message, _INTEGRITY_DIGEST[integrity])
    return value[: AUTH_OCTETS[integrity]]


def counter_block(key_id: int, session_id: int, sequence: int) -> bytes:
    """The first counter block Ctr_1: flags of a 3-octet counter, nonce, one (RFC 6786 s4.1)."""
    nonce = b"".join(n.to_bytes(4, "big") for n in (key_id, session_id, sequence))
    return b"\x02" + nonce + (1).to_bytes(3, "big")


def aes_ctr(key: bytes, first_block: bytes, octets: bytes) -> bytes:
    """Encrypt or decrypt, which is the same in counter mode (RFC 6786 s4.1)."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    stream = Cipher(algorithms.AES(key), modes.CTR(first_block)).encryptor()
    return stream.update(octets) + stream.finalize()
