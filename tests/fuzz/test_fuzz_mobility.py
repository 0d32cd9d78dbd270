"""Mobile IPv4 and hold messages, fuzzed."""

from __future__ import annotations

import hmac
from ipaddress import IPv4Address

from fuzzing import fuzz

from mpa_hil.agents import hold_protocol
from mpa_hil.agents.hold_protocol import HoldMessage, Kind
from mpa_hil.mobility.mip4.messages import (
    Extension,
    Flag,
    RegistrationReply,
    RegistrationRequest,
    decode,
)

HOME, AGENT, CARE_OF = (IPv4Address(f"10.0.0.{last}") for last in (10, 1, 77))
KEY = bytes(range(16))


def test_mobile_ipv4() -> None:
    extensions = (Extension(32, bytes(20)), Extension(131, b"mn@home"), Extension(0, b""))
    corpus = [
        RegistrationRequest(Flag(0x22), 300, HOME, AGENT, CARE_OF, 1 << 63, extensions).encode(),
        RegistrationReply(0, 300, HOME, AGENT, 7, extensions[:1]).encode(),
        RegistrationReply(133, 0, HOME, AGENT, 7).encode(),
    ]
    fuzz("mip4", decode, corpus, encode=lambda message: message.encode())


def test_hold_messages_behind_a_good_authenticator() -> None:
    """Somebody who has the key, and says nonsense."""

    def reseal_and_decode(octets: bytes) -> HoldMessage:
        return hold_protocol.decode(octets + hmac.digest(KEY, octets, "sha256"), KEY)

    body = slice(0, -32)
    corpus = [
        HoldMessage(Kind.HOLD, HOME, 1, 500).encode(KEY)[body],
        HoldMessage(Kind.RELEASE, HOME, 2, acknowledges=True, octets=9).encode(KEY)[body],
    ]
    fuzz("hold", reseal_and_decode, corpus, encode=lambda message: message.encode(KEY)[body])


def test_hold_messages_with_no_good_authenticator() -> None:
    genuine = HoldMessage(Kind.HOLD, HOME, 1, 500).encode(KEY)
    tally = fuzz("hold-forged", lambda octets: hold_protocol.decode(octets, KEY), [genuine])
    assert tally.accepted < tally.refused
