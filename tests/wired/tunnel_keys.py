"""Keys for both ends of a tunnel in tests."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mpa_hil.kernel.tunnel_plan import Esp, Plain, Protection, WireGuard

KINDS = ("plain", "esp", "wireguard")


def pair(kind: str) -> tuple[Protection, Protection]:
    """The router's and the node's side."""
    if kind == "esp":
        down, up = os.urandom(20), os.urandom(20)
        return Esp(0x1001, 0x2002, up, down), Esp(0x2002, 0x1001, down, up)
    if kind == "wireguard":
        secrets = [X25519PrivateKey.generate() for _ in range(2)]
        private = [secret.private_bytes_raw() for secret in secrets]
        public = [secret.public_key().public_bytes_raw() for secret in secrets]
        shared = os.urandom(32)
        router = WireGuard(private[0], public[1], shared, 51820, 51821)
        return router, WireGuard(private[1], public[0], shared, 51821, 51820, keepalive_s=25)
    return Plain(), Plain()
