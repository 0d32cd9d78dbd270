"""The pass-through authenticator (RFC 3748 s2.3, after RFC 4137 s6), sans-IO.

It reads no method: it keeps the order of requests and responses, and leaves every decision to the
kind of the AAA server's message (RFC 3579 s2.6.3). What contradicts itself ends without access.
"""

from __future__ import annotations

from mpa_hil.eap.codec import (
    HEADER_OCTETS,
    Code,
    MethodType,
    Packet,
    decode,
    decode_identity,
    encode,
)
from mpa_hil.eap.interface import (
    MSK_OCTETS,
    AaaReply,
    Ignored,
    Random,
    Refused,
    Succeeded,
    ToAaa,
    ToPeer,
)
from mpa_hil.errors import DecodeError

MAX_ROUND_TRIPS = 100
"""Challenges passed on in one session; more are an AAA server or peer that does not end."""

_NAKS = (MethodType.NAK, MethodType.EXPANDED)


class PassThrough:
    """See `interface.Authenticator`."""

    __slots__ = ("_at_aaa", "_ended", "_identifier", "_kind", "_random", "_rounds", "identity")

    def __init__(self, random: Random) -> None:
        self.identity = ""
        self._random = random
        self._identifier = 0
        self._kind = 0
        self._at_aaa = False
        self._ended = True
        self._rounds = 0

    def start(self) -> bytes:
        """See `interface.Authenticator.start`."""
        self.identity = ""
        self._identifier = self._random(1)[0]
        self._kind = MethodType.IDENTITY
        self._at_aaa = self._ended = False
        self._rounds = 0
        return encode(Packet(Code.REQUEST, self._identifier, MethodType.IDENTITY))

    def response(self, packet: bytes) -> ToAaa | Refused | Ignored:
        """See `interface.Authenticator.response`."""
        if self._ended:
            return Ignored("no authentication under way")
        try:
            message = decode(packet)
        except DecodeError as error:
            return Ignored(error.what)
        if message.code is not Code.RESPONSE:
            return Ignored("not a response")
        if message.identifier != self._identifier:
            return Ignored("not the answer to the last request")
        if self._at_aaa:
            return Ignored("the last request is answered already")
        if message.type != self._kind and not (self.identity and message.type in _NAKS):
            return Ignored(f"type {message.type} does not answer type {self._kind}")
        if not self.identity:
            try:
                self.identity = decode_identity(message.data)
            except DecodeError as error:
                return self._refuse(error.what)
        self._at_aaa = True
        length = HEADER_OCTETS + 1 + len(message.data)  # without what a lower layer padded
        return ToAaa(packet[:length], self.identity)

    def from_aaa(
        self, reply: AaaReply, packet: bytes | None, msk: bytes | None = None
    ) -> ToPeer | Succeeded | Refused | Ignored:
        """See `interface.Authenticator.from_aaa`."""
        if self._ended or not self._at_aaa:
            return Ignored("nothing was asked")
        message = None
        if packet is not None:
            try:
                message = decode(packet)
            except DecodeError as error:
                return self._refuse(f"the AAA server's EAP packet: {error.what}")
        code = message.code if message is not None else None
        if reply is AaaReply.REJECT:
            own = packet if code is Code.FAILURE else None
            return self._refuse("the AAA server rejected the peer", own)
        if reply is AaaReply.ACCEPT:
            if packet is None or code is not Code.SUCCESS:
                # The peer would know of no success, so it would not use the session either.
                return self._refuse("the AAA server accepted the peer without EAP-Success")
            if msk is None or len(msk) != MSK_OCTETS:
                return self._refuse("the AAA server accepted the peer without its keys")
            self._ended = True
            return Succeeded(packet, msk)
        if packet is None or message is None or code is not Code.REQUEST:
            return self._refuse("a challenge without an EAP request")
        if message.identifier == self._identifier:
            return self._refuse("the AAA server used an identifier twice")
        self._rounds += 1
        if self._rounds > MAX_ROUND_TRIPS:
            return self._refuse(f"more than {MAX_ROUND_TRIPS} requests")
        self._identifier, self._kind, self._at_aaa = message.identifier, message.type, False
        return ToPeer(packet)

    def unreachable(self) -> Refused:
        """See `interface.Authenticator.unreachable`."""
        return self._refuse("no AAA server answered")

    def _refuse(self, reason: str, packet: bytes | None = None) -> Refused:
        self._ended = True
        return Refused(packet or encode(Packet(Code.FAILURE, self._identifier)), reason)
