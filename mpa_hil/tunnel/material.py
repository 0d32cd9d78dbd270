"""What is derived from the MN-AR key for one tunnel. Sans-IO.

Both ends put in a nonce of their own, so a tunnel that is made anew under the same MN-AR key has
other keys: AES-GCM must never see a nonce twice under one key (RFC 4106 s10).
"""

from __future__ import annotations

import hmac

from mpa_hil.tunnel.interface import EspKeys

LEAVE_OCTETS = 20
_ESP_OCTETS = 20
"""AES-128 key and salt (RFC 4106 s8.1)."""
_LEAVE = b"MPAL"


def esp_keys(
    secret: bytes, node_nonce: bytes, router_nonce: bytes, to_node_spi: int, to_router_spi: int
) -> EspKeys:
    """Keys of both directions: HMAC-SHA256(MN-AR key, label | nonces | SPI), cut to 20 octets."""

    def key(label: bytes, spi: int) -> bytes:
        context = node_nonce + router_nonce + spi.to_bytes(4, "big")
        return hmac.digest(secret, label + context, "sha256")[:_ESP_OCTETS]

    return EspKeys(
        to_router_spi,
        to_node_spi,
        key(b"MPA PHT ESP from MN", to_router_spi),
        key(b"MPA PHT ESP to MN", to_node_spi),
    )


def preshared(secret: bytes, node_nonce: bytes, router_nonce: bytes) -> bytes:
    """WireGuard's preshared key, 32 octets: HMAC-SHA256(MN-AR key, label | nonces)."""
    return hmac.digest(secret, b"MPA PHT WireGuard" + node_nonce + router_nonce, "sha256")


def leave_key(secret: bytes) -> bytes:
    """What `leave_datagram` takes: HMAC-SHA256(MN-AR key, label)."""
    return hmac.digest(secret, b"MPA PHT leave", "sha256")


def leave_datagram(key: bytes, mac: bytes) -> bytes:
    """The end mark of the uplink, for the DISABLE with this MAC: the two ends know it, nobody else.

    It is no request: it comes the long way, behind all other packets, and may arrive after ARRIVED,
    when a request that was made before that would be too old.
    """
    return _LEAVE + hmac.digest(key, mac, "sha256")[: LEAVE_OCTETS - len(_LEAVE)]


def is_leave(datagram: bytes) -> bool:
    """Whether it may be an end mark, and no request."""
    return len(datagram) == LEAVE_OCTETS and datagram.startswith(_LEAVE)
