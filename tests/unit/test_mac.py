"""HMAC with its key prepared, against the standard library's."""

from __future__ import annotations

import hmac

import pytest

from mpa_hil.mac import Mac


@pytest.mark.parametrize("digest", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("size", [0, 1, 16, 63, 64, 65, 200])
def test_the_standard_library_says_the_same(digest: str, size: int) -> None:
    key = bytes(range(200))[:size]
    mac = Mac(key, digest)
    for message in (b"", b"abc", bytes(1000), b"abc"):  # once more: nothing stays of a message
        assert mac.digest(message) == hmac.digest(key, message, digest)
