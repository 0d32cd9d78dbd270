"""Two RADIUS servers for tests of the client: one in memory made of our codec, one made of pyrad.

The second shares no code with the client, so what both misunderstand alike shows.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from mpa_hil.mobility.interface import Endpoint, Instant
from mpa_hil.radius import numbers
from mpa_hil.radius.hiding import hide
from mpa_hil.radius.interface import ClientSettings, Server, Transport, Tuning
from mpa_hil.radius.numbers import Code
from mpa_hil.radius.packet import attribute, decode, eap_attributes, signed_answer

SECRET = b"a shared secret of tests"
RECV_KEY, SEND_KEY = bytes(range(32)), bytes(range(32, 64))
MSK = RECV_KEY + SEND_KEY
EAP_RESPONSE = bytes((2, 7, 0, 9, 1)) + b"mn@h"
EAP_REQUEST = bytes((1, 8, 0, 6, 13, 0x20))
EAP_SUCCESS = bytes((3, 8, 0, 4))
EAP_FAILURE = bytes((4, 8, 0, 4))
EPOCH_NS = 1_800_000_000 * 10**9


def at(seconds: float) -> Instant:
    """A moment of the tests' clock."""
    return Instant(round(seconds * 1e9), EPOCH_NS + round(seconds * 1e9))


class Octets:
    """Random octets that are the same in each run."""

    def __init__(self, seed: int = 0) -> None:
        import random

        self._dice = random.Random(seed)

    def __call__(self, count: int) -> bytes:
        return self._dice.randbytes(count)


def server(name: str = "one", last: int = 1, **changes: Any) -> Server:
    """A server of the client's list."""
    return Server(name, Endpoint(ip_address(f"192.0.2.{last}"), 1812), SECRET, **changes)


def client_settings(*servers: Server, **tuning: Any) -> ClientSettings:
    """Settings of a client of these servers, or of one."""
    return ClientSettings(
        servers or (server(),), "aa-b", (ip_address("198.51.100.7"),), tuning=Tuning(**tuning)
    )


TLS = Transport.TLS


def microsoft(kind: int, hidden: bytes) -> bytes:
    """One attribute of Microsoft's."""
    inner = bytes((kind, 2 + len(hidden))) + hidden
    return attribute(26, (311).to_bytes(4, "big") + inner)


def keys(
    authenticator: bytes,
    *,
    recv: bytes = RECV_KEY,
    send: bytes = SEND_KEY,
    salts: tuple[bytes, bytes] = (b"\x80\x01", b"\x80\x02"),
    secret: bytes = SECRET,
) -> bytes:
    """Both MPPE keys as a server hides them."""
    return microsoft(17, hide(recv, secret, authenticator, salts[0])) + microsoft(
        16, hide(send, secret, authenticator, salts[1])
    )


@dataclass
class Responder:
    """Answers a request as it is told to; the defaults make a good acceptance."""

    code: int = Code.ACCESS_ACCEPT
    eap: bytes = EAP_SUCCESS
    extra: bytes = b""
    with_keys: bool = True
    secret: bytes = SECRET
    seen: list[bytes] = field(default_factory=list)

    def answer(self, request: bytes) -> bytes:
        """The answer to an encoded request."""
        self.seen.append(request)
        asked = decode(request)
        body = eap_attributes(self.eap) + self.extra
        if self.with_keys and self.code == Code.ACCESS_ACCEPT:
            body += keys(asked.authenticator, secret=self.secret)
        return signed_answer(self.code, asked, body, self.secret)


def challenge(state: bytes = b"state", eap: bytes = EAP_REQUEST) -> Responder:
    """One that challenges."""
    return Responder(Code.ACCESS_CHALLENGE, eap, attribute(numbers.STATE, state))


def reject(extra: bytes = b"", eap: bytes = EAP_FAILURE) -> Responder:
    """One that rejects."""
    return Responder(Code.ACCESS_REJECT, eap, extra)


_DICTIONARY = """\
ATTRIBUTE User-Name 1 string
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE State 24 octets
ATTRIBUTE Class 25 octets
ATTRIBUTE Session-Timeout 27 integer
ATTRIBUTE Called-Station-Id 30 string
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Tunnel-Password 69 string has_tag,encrypt=2
ATTRIBUTE EAP-Message 79 octets
ATTRIBUTE Message-Authenticator 80 octets
VENDOR Microsoft 311
BEGIN-VENDOR Microsoft
ATTRIBUTE MS-MPPE-Send-Key 16 octets encrypt=2
ATTRIBUTE MS-MPPE-Recv-Key 17 octets encrypt=2
END-VENDOR Microsoft
"""


def pyrad_dictionary() -> Any:
    """The attributes that tests use, for pyrad."""
    from pyrad.dictionary import Dictionary

    return Dictionary(io.StringIO(_DICTIONARY))
