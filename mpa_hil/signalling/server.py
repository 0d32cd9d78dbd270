"""The agent's end of protected signalling, under the keys of all its mobile nodes. Sans-IO.

An MN's request is acted on once, and only if no later one of that MN came before it. The same one
again gets the same answer again, or WORKING while there is none. Anything else that is authentic is
answered STALE; what is not authentic is not answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.light import light
from mpa_hil.mobility.interface import Discarded, Endpoint, Instant
from mpa_hil.signalling.client import NEXT_SEQUENCE, NamedSecret
from mpa_hil.signalling.message import (
    EPOCH_OCTETS,
    MAXIMUM_SEQUENCE,
    NAME_OCTETS,
    DirectionKeys,
    Flags,
    Message,
    Protocol,
    authentic,
    decode,
    direction_keys,
    mac_of,
)
from mpa_hil.signalling.values import Pair, Values, encode

_NS_PER_US = 1000


@light
class Reply:
    """Send this datagram to where the request came from."""

    datagram: bytes


@light
class Token:
    """Which request is answered; what `Server.answer` needs."""

    key: bytes
    message: Message
    mac: bytes
    arrived_ns: int


@light
class Request:
    """A new, authentic request. Answer it with `Server.answer`, at once or later."""

    key: bytes
    """The full name of the MN's key."""
    kind: int
    source: Endpoint
    token: Token = field(repr=False)

    @property
    def values(self) -> Values:
        """What it says.

        Raises:
            DecodeError: an authentic MN says nonsense.
        """
        return self.token.message.values()


@dataclass(slots=True)
class _Peer:
    """One MN's key and what came under it."""

    name: bytes
    secret: bytes = field(repr=False)
    keys: DirectionKeys = field(repr=False)
    epoch: int
    sequence: int = -1
    mac: bytes = b""
    """Of the last request acted on."""
    answer: bytes = b""
    """To it; empty while it is worked on."""


class Server:
    """All MNs of one agent, each found in one step.

    Args:
        protocol: what is spoken.
        random: source of epochs (`os.urandom`).
    """

    def __init__(self, protocol: Protocol, random: Callable[[int], bytes]) -> None:
        self._protocol = protocol
        self._random = random
        self._peers: dict[bytes, _Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def add_key(self, key: NamedSecret) -> None:
        """Serve an MN. A key that is served already goes on as it was.

        Raises:
            LocalError: another key has a name that begins alike.
        """
        short = key.name[:NAME_OCTETS]
        known = self._peers.get(short)
        if known is not None:
            if (known.name, known.secret) != (key.name, key.secret):
                raise LocalError("another key's name begins with the same octets")
            return
        # An epoch for each key and time that it is served: what was recorded before fits no more.
        epoch = int.from_bytes(self._random(EPOCH_OCTETS), "big") or 1
        keys = direction_keys(key.secret, key.name, self._protocol)
        self._peers[short] = _Peer(key.name, key.secret, keys, epoch)

    def remove_key(self, name: bytes) -> None:
        """Serve an MN no longer; requests under its key are then not even answered."""
        peer = self._peers.get(name[:NAME_OCTETS])
        if peer is not None and peer.name == name:
            del self._peers[name[:NAME_OCTETS]]

    def receive(
        self, datagram: bytes, source: Endpoint, now: Instant
    ) -> Request | Reply | Discarded:
        """Digest a datagram; whatever it holds, this raises nothing."""
        try:
            message = decode(datagram)
        except DecodeError as error:
            return Discarded(error.what, source)
        if message.protocol != self._protocol or message.flags & Flags.ANSWER:
            return Discarded("another protocol, or an answer", source)
        peer = self._peers.get(message.name)
        if peer is None:
            return Discarded("no such key", source)
        if not authentic(datagram, peer.keys.request):
            return Discarded("not authentic", source, security=True)
        mac = mac_of(datagram)
        if message.epoch == peer.epoch:
            if peer.sequence < message.sequence < MAXIMUM_SEQUENCE >> 1:
                peer.sequence, peer.mac, peer.answer = message.sequence, mac, b""
                token = Token(peer.name, message, mac, now.monotonic_ns)
                return Request(peer.name, message.kind, source, token)
            if mac == peer.mac:
                return Reply(peer.answer or _seal(peer, message, mac, Flags.WORKING))
        return Reply(_seal(peer, message, mac, Flags.STALE))

    def answer(self, token: Token, kind: int, values: Iterable[Pair], now: Instant) -> bytes:
        """The answer to a request, for where it came from; repeats of the request get it too.

        Returns:
            The datagram; empty if the key is no longer served.

        Raises:
            LocalError: it does not fit into one datagram.
        """
        peer = self._peers.get(token.key[:NAME_OCTETS])
        if peer is None or peer.name != token.key:
            return b""
        asked = token.message
        if asked.epoch != peer.epoch:  # withdrawn and given again meanwhile
            return b""
        held_us = (now.monotonic_ns - token.arrived_ns) // _NS_PER_US
        body = encode(values)
        datagram = _seal(peer, asked, token.mac, Flags(0), kind, held_us, body)
        if peer.mac == token.mac:
            # A repeat is answered at once: what its first answer took was not its time.
            peer.answer = datagram
        return datagram


def _seal(
    peer: _Peer,
    asked: Message,
    mac: bytes,
    flags: Flags,
    kind: int = 0,
    held_us: int = 0,
    body: bytes = b"",
) -> bytes:
    if flags & Flags.STALE:
        body = encode([(NEXT_SEQUENCE, (peer.sequence + 1).to_bytes(8, "big"))])
    answer = Message(
        asked.protocol,
        kind,
        Flags.ANSWER | flags,
        asked.name,
        peer.epoch,
        asked.sequence,
        held_us,
        body,
    )
    return answer.seal(peer.keys.answer, mac)
