"""Carries EAP over RADIUS between this project's EAP peer and a real server, and nothing more.

Written against the RFCs for the tests alone, so that MSKs are compared with what the server says,
not with what the project's own RADIUS client understood.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mpa_hil.eap.authenticator import PassThrough
from mpa_hil.eap.interface import (
    AaaReply,
    Failure,
    Peer,
    Refused,
    Succeeded,
    Success,
    ToAaa,
    ToPeer,
)

CHALLENGE, ACCEPT, REJECT = 11, 2, 3
USER_NAME, NAS_ADDRESS, FRAMED_MTU, STATE, VENDOR, EAP, AUTHENTICATOR = 1, 4, 12, 24, 26, 79, 80
KINDS = {CHALLENGE: AaaReply.CHALLENGE, ACCEPT: AaaReply.ACCEPT, REJECT: AaaReply.REJECT}
MICROSOFT, SEND_KEY, RECV_KEY = 311, 16, 17


def socket_in(namespace: str) -> socket.socket:
    """A UDP socket inside a network namespace, for use from anywhere."""

    def make() -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if libc.setns(descriptor, 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        finally:
            os.close(descriptor)

    # A namespace is a thread's, so the thread that enters it is not used for anything else.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


@dataclass
class Way:
    """The way to one server, from inside a namespace."""

    socket: socket.socket
    server: tuple[str, int]
    secret: bytes
    identifier: int = 0
    timeout_s: float = 60.0

    def ask(self, eap: bytes, identity: str, state: bytes | None) -> tuple[int, Attributes, bytes]:
        """One Access-Request and its answer, whose Message-Authenticator is checked."""
        self.identifier = (self.identifier + 1) % 256
        pairs = [(USER_NAME, identity.encode()), (NAS_ADDRESS, bytes((127, 0, 0, 1)))]
        pairs += [(EAP, eap[at : at + 253]) for at in range(0, len(eap), 253)]
        pairs += [(STATE, state)] if state is not None else []
        pairs += [(AUTHENTICATOR, bytes(16))]
        body = b"".join(bytes((kind, 2 + len(value))) + value for kind, value in pairs)
        nonce = os.urandom(16)
        packet = struct.pack("!BBH", 1, self.identifier, 20 + len(body)) + nonce + body
        packet = packet[:-16] + hmac.digest(self.secret, packet, "md5")
        self.socket.settimeout(self.timeout_s)
        self.socket.sendto(packet, self.server)
        answer = self.socket.recv(4096)
        assert answer[1] == self.identifier
        attributes = Attributes.read(answer)
        blank = bytearray(answer)
        blank[4:20] = nonce
        blank[attributes.signature : attributes.signature + 16] = bytes(16)
        signature = answer[attributes.signature : attributes.signature + 16]
        assert hmac.digest(self.secret, bytes(blank), "md5") == signature
        return answer[0], attributes, nonce


@dataclass
class Attributes:
    """Of an answer."""

    eap: bytes = b""
    state: bytes | None = None
    keys: dict[int, bytes] = field(default_factory=dict)
    signature: int = 0

    @classmethod
    def read(cls, packet: bytes) -> Attributes:
        found = cls()
        at = 20
        while at < len(packet):
            kind, length = packet[at], packet[at + 1]
            value = packet[at + 2 : at + length]
            if kind == EAP:
                found.eap += value
            elif kind == STATE:
                found.state = value
            elif kind == AUTHENTICATOR:
                found.signature = at + 2
            elif kind == VENDOR and value[:4] == MICROSOFT.to_bytes(4, "big"):
                found.keys[value[4]] = value[6 : 4 + value[5]]
            at += length
        return found

    def msk(self, secret: bytes, nonce: bytes) -> bytes | None:
        """RFC 2548 s2.4: what the authenticator receives with, then what it sends with."""
        if not self.keys:
            return None
        return b"".join(_reveal(self.keys[kind], secret, nonce) for kind in (RECV_KEY, SEND_KEY))


def _reveal(value: bytes, secret: bytes, nonce: bytes) -> bytes:
    salt, hidden = value[:2], value[2:]
    plain, last = b"", nonce + salt
    for at in range(0, len(hidden), 16):
        block = hidden[at : at + 16]
        mask = hashlib.md5(secret + last).digest()
        plain += bytes(a ^ b for a, b in zip(block, mask, strict=True))
        last = block
    return plain[1 : 1 + plain[0]]


@dataclass
class Talk:
    """What became of one authentication."""

    outcome: Success | Failure | None = None
    server: Succeeded | Refused | None = None
    requests: int = 0
    """That the peer got, the first for its identity included."""
    largest: int = 0
    """Octets of the largest EAP packet of the peer."""
    packets: list[bytes] = field(default_factory=list)
    """To the peer."""
    discarded: list[str] = field(default_factory=list)

    @property
    def success(self) -> Success:
        assert isinstance(self.outcome, Success), self
        assert isinstance(self.server, Succeeded), self
        return self.outcome

    @property
    def failure(self) -> Failure:
        assert isinstance(self.outcome, Failure), self
        assert not isinstance(self.server, Succeeded), self
        return self.outcome


def talk(peer: Peer, way: Way) -> Talk:
    """One authentication from Identity to its end, through the pass-through authenticator."""
    relay = PassThrough(os.urandom)
    result = Talk()
    state: bytes | None = None
    packet: bytes | None = relay.start()
    while packet is not None:
        result.requests += 1
        result.packets.append(packet)
        output = peer.receive(packet)
        result.outcome = output.outcome or result.outcome
        if output.discarded:
            result.discarded.append(output.discarded)
        if output.response is None:
            break
        result.largest = max(result.largest, len(output.response))
        step = relay.response(output.response)
        assert isinstance(step, ToAaa), step
        code, attributes, nonce = way.ask(step.packet, step.identity, state)
        state = attributes.state
        msk = attributes.msk(way.secret, nonce) if code == ACCEPT else None
        answer = relay.from_aaa(KINDS[code], attributes.eap or None, msk)
        if isinstance(answer, ToPeer):
            packet = answer.packet
            continue
        assert isinstance(answer, Succeeded | Refused), answer
        result.server = answer
        result.packets.append(answer.packet)
        output = peer.receive(answer.packet)
        result.outcome = result.outcome or output.outcome
        if output.discarded:
            result.discarded.append(output.discarded)
        if result.outcome is None and isinstance(answer, Refused):
            # As PANA does: its last message has a result code besides the EAP packet.
            result.outcome = peer.lower_layer_rejected(answer.reason).outcome
        break
    return result
