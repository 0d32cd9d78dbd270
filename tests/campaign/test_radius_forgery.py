"""Row A12: forged RADIUS answers, without Message-Authenticator, with Proxy-State: none counts.

The attacker sees every request and may send what he likes before the server answers, also what a
Blast-RADIUS attacker obtains: an acceptance with a good Response Authenticator (CVE-2024-3596).
"""

from __future__ import annotations

import hmac
import random
from hashlib import md5

from campaign import dice, runs
from radius_peers import (
    EAP_RESPONSE,
    EAP_SUCCESS,
    SECRET,
    Octets,
    Responder,
    at,
    client_settings,
    keys,
    microsoft,
    reject,
)

from mpa_hil.radius import numbers
from mpa_hil.radius.client import RadiusClient
from mpa_hil.radius.interface import Ask, Discarded, Refused, Transmit
from mpa_hil.radius.packet import attribute, decode, eap_attributes, signed_answer


def sealed(request: bytes, body: bytes, secret: bytes = SECRET, code: int = 2) -> bytes:
    """An answer whose Response Authenticator is good, as the collision attack makes it."""
    head = bytes((code, request[1])) + (20 + len(body)).to_bytes(2, "big")
    return head + md5(head + request[4:20] + body + secret).digest() + body


def forgery(request: bytes, rejection: bytes, chance: random.Random) -> bytes:
    """One forged acceptance, of the attacker's kinds."""
    guess = chance.randbytes(16)
    body = eap_attributes(EAP_SUCCESS) + keys(request[4:20], secret=guess)
    state = attribute(numbers.PROXY_STATE, chance.randbytes(chance.randrange(1, 250)))
    signature = attribute(numbers.MESSAGE_AUTHENTICATOR, chance.randbytes(16))
    kind = chance.randrange(8)
    if kind == 0:  # Blast-RADIUS: no signature, room for the collision in Proxy-State
        return sealed(request, body + state)
    if kind == 1:  # the same, without the room
        return sealed(request, body)
    if kind == 2:  # a signature out of the air under a good authenticator
        parts = [signature, body, state]
        chance.shuffle(parts)
        return sealed(request, b"".join(parts))
    if kind == 3:  # a guessed secret throughout
        return Responder(secret=guess).answer(request)
    if kind == 4:  # the server's rejection with another code
        return bytes((2,)) + rejection[1:]
    if kind == 5:  # the server's rejection, flipped somewhere
        octets = bytearray(rejection)
        octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
        octets[0] = 2
        return bytes(octets)
    if kind == 6:  # the server's signed rejection, made an acceptance with a good authenticator
        return sealed(request, rejection[20:] + body)
    # the request's own signature, reflected
    own = decode(request).first(numbers.MESSAGE_AUTHENTICATOR) or b""
    return sealed(request, attribute(numbers.MESSAGE_AUTHENTICATOR, own) + body)


def test_a12_no_forged_answer_counts() -> None:
    chance = dice("A12")
    client = RadiusClient(client_settings(), Octets(12))
    forged = runs(10_000)
    asked = 0
    while forged > 0:
        (sent,) = client.request(asked, Ask(EAP_RESPONSE, b"mn"), at(asked))
        assert isinstance(sent, Transmit)
        deadline = client.next_deadline()
        rejection = reject().answer(sent.packet)
        for _ in range(min(forged, 20)):
            octets = forgery(sent.packet, rejection, chance)
            (output,) = client.receive(octets, sent.lane, at(asked))
            assert isinstance(output, Discarded), octets.hex()
            assert output.security or "nobody" in output.reason
            forged -= 1
        assert client.outstanding == 1
        assert client.next_deadline() == deadline
        (output,) = client.receive(rejection, sent.lane, at(asked))
        assert isinstance(output, Refused), "the genuine answer still counts"
        asked += 1
    assert client.outstanding == 0


def test_a12_a_signed_answer_with_a_stuffed_proxy_state() -> None:
    """Even the server's own seal does not help an attribute that nobody sent."""
    chance = dice("A12 stuffing")
    client = RadiusClient(client_settings(), Octets(13))
    for number in range(runs(1_000)):
        (sent,) = client.request(number, Ask(EAP_RESPONSE, b"mn"), at(0))
        assert isinstance(sent, Transmit)
        asked = decode(sent.packet)
        parts = [
            eap_attributes(EAP_SUCCESS),
            keys(asked.authenticator),
            *(
                attribute(numbers.PROXY_STATE, chance.randbytes(chance.randrange(1, 200)))
                for _ in range(chance.randrange(1, 9))
            ),
        ]
        chance.shuffle(parts)
        answer = signed_answer(2, asked, b"".join(parts), SECRET)
        (output,) = client.receive(answer, sent.lane, at(0))
        assert isinstance(output, Discarded)
        assert "Proxy-State" in output.reason
        client.forget(number)


def test_a12_keys_that_were_tampered_with() -> None:
    """Behind a good seal (a proxy gone bad): a key that is not whole lets nobody in."""
    chance = dice("A12 keys")
    client = RadiusClient(client_settings(), Octets(14))
    refused = 0
    rows = runs(1_000)
    for number in range(rows):
        (sent,) = client.request(number, Ask(EAP_RESPONSE, b"mn"), at(0))
        assert isinstance(sent, Transmit)
        asked = decode(sent.packet)
        halves = [microsoft(kind, b"\x80" + chance.randbytes(49)) for kind in (16, 17)]
        body = eap_attributes(EAP_SUCCESS) + b"".join(halves)
        (output,) = client.receive(signed_answer(2, asked, body, SECRET), sent.lane, at(0))
        refused += isinstance(output, Refused)
    # A key of random octets passes for one when its length octet is right: once in 65,536.
    assert refused >= rows - 1


def test_hmac_is_what_is_checked() -> None:
    """So that the row above cannot pass by refusing everything."""
    client = RadiusClient(client_settings(), Octets(15))
    (sent,) = client.request(1, Ask(EAP_RESPONSE, b"mn"), at(0))
    assert isinstance(sent, Transmit)
    body = eap_attributes(EAP_SUCCESS) + keys(sent.packet[4:20])
    blank = attribute(numbers.MESSAGE_AUTHENTICATOR, bytes(16))
    head = bytes((2, sent.packet[1])) + (38 + len(body)).to_bytes(2, "big")
    signature = hmac.digest(SECRET, head + sent.packet[4:20] + blank + body, "md5")
    octets = sealed(sent.packet, attribute(numbers.MESSAGE_AUTHENTICATOR, signature) + body)
    (output,) = client.receive(octets, sent.lane, at(0))
    assert not isinstance(output, Discarded)
