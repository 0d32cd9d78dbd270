"""MS-CHAP-V2's arithmetic (RFC 2759 s8), as EAP-TTLS uses it (sans-IO).

MD4 and single DES are broken; here they run only inside a TLS tunnel whose server is verified.
"""

from __future__ import annotations

import hashlib
import hmac

from mpa_hil.eap.md4 import md4

CHALLENGE_OCTETS = 16
RESPONSE_OCTETS = 24
_SIGNING = b"Magic server to client signing constant"
_ONCE_MORE = b"Pad to make it do more than one iteration"


def password_hash(password: str) -> bytes:
    """NtPasswordHash: 16 octets that are as good as the password itself."""
    return md4(password.encode("utf-16-le"))


def nt_response(challenge: bytes, peer_challenge: bytes, user: str, hashed: bytes) -> bytes:
    """GenerateNTResponse: 24 octets that prove the password to the server.

    Args:
        challenge: the authenticator's, 16 octets.
        peer_challenge: the peer's own, 16 octets.
        user: as sent; a Windows domain before a backslash does not count.
        hashed: `password_hash` of the password.
    """
    block = _challenge_hash(challenge, peer_challenge, user)
    keys = hashed.ljust(21, b"\0")
    return b"".join(_des(keys[at : at + 7], block) for at in (0, 7, 14))


def authenticator_response(
    challenge: bytes, peer_challenge: bytes, user: str, hashed: bytes, response: bytes
) -> str:
    """GenerateAuthenticatorResponse: ``S=`` and 40 digits, by which the server proves itself."""
    digest = hashlib.sha1(md4(hashed) + response + _SIGNING).digest()
    block = _challenge_hash(challenge, peer_challenge, user)
    return "S=" + hashlib.sha1(digest + block + _ONCE_MORE).hexdigest().upper()


def same(expected: str, received: bytes) -> bool:
    """Whether a server's message begins with the expected response; takes the same time for any."""
    return hmac.compare_digest(expected.encode(), received[: len(expected)].upper())


def _challenge_hash(challenge: bytes, peer_challenge: bytes, user: str) -> bytes:
    name = user.rpartition("\\")[2].encode()
    return hashlib.sha1(peer_challenge + challenge + name).digest()[:8]


def _des(key: bytes, block: bytes) -> bytes:
    """DES of one block; the key's 56 bits are spread over 8 octets whose lowest bit is unused."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    bits = int.from_bytes(key, "big")
    spread = bytes(((bits >> shift) & 0x7F) << 1 for shift in range(49, -1, -7))
    # Three times the same key is single DES, which the library does not offer by itself.
    encryptor = Cipher(TripleDES(spread * 3), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()
