"""EAP servers in memory: real TLS, real keys, and no network; the peer's other side in pure tests.

Each is one session: `start` gives the first request of its method, `answer` takes a response and
gives the next packet. What they lack against a real server is only that they are never asked for
an identity; `begin` does that first step.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from mpa_hil.eap import codec, gpsk_keys, gpsk_messages, mschapv2, tls_frames, ttls_avps
from mpa_hil.eap.codec import Code, MethodType, Packet
from mpa_hil.eap.gpsk_messages import Offer, OpCode, Proof
from mpa_hil.eap.interface import EapOutput, Peer
from mpa_hil.eap.settings import TlsSettings
from mpa_hil.eap.ttls_avps import MICROSOFT, Avp
from mpa_hil.errors import DecodeError
from rigs.services.certificates import Credentials, LabCa

SERVER_NAME = "aaa.home.example"
PEER_NAME = "mn@home.example"
PASSWORD = "correct horse"
GPSK_KEY = bytes(range(32))


@functools.cache
def ca() -> LabCa:
    """The authority of everything here; its keys are made once."""
    return LabCa(datetime.now(UTC))


@functools.cache
def server_credentials(name: str = SERVER_NAME) -> Credentials:
    return ca().server(name)


@functools.cache
def peer_credentials() -> Credentials:
    return ca().client(PEER_NAME)


def settings(**changes: object) -> TlsSettings:
    """A peer's TLS settings that fit `TlsServer`."""
    own = peer_credentials()
    values: dict[str, object] = {
        "ca": ca().certificate,
        "domains": ("home.example",),
        "certificate": own.certificate,
        "key": own.key,
    }
    return TlsSettings(**(values | changes))  # type: ignore[arg-type]


class Server:
    """What all have in common: packets, identifiers, the end."""

    kind = 0

    def __init__(self) -> None:
        self.identifier = 7
        self.msk: bytes | None = None
        self.ended = False

    def start(self) -> bytes:
        return self.request(self.first())

    def first(self) -> bytes:
        raise NotImplementedError

    def process(self, data: bytes) -> bytes:
        """The next packet, for the Type-Data of a response."""
        raise NotImplementedError

    def answer(self, response: bytes) -> bytes:
        try:
            packet = codec.decode(response)
        except DecodeError:
            return self.failure()
        if packet.type != self.kind or packet.identifier != self.identifier:
            return self.failure()
        return self.process(packet.data)

    def request(self, data: bytes) -> bytes:
        self.identifier = (self.identifier + 1) % 256
        return codec.encode(Packet(Code.REQUEST, self.identifier, self.kind, data))

    def success(self, msk: bytes) -> bytes:
        self.msk, self.ended = msk, True
        return codec.encode(Packet(Code.SUCCESS, self.identifier))

    def failure(self) -> bytes:
        self.ended = True
        return codec.encode(Packet(Code.FAILURE, self.identifier))


def server_context(credentials: Credentials, version: str, *, resume: bool = True) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    number = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}[version]
    context.set_min_proto_version(number)
    context.set_max_proto_version(number)
    context.set_tmp_ecdh(ec.SECP256R1())
    context.use_certificate(x509.load_pem_x509_certificate(credentials.certificate))
    context.use_privatekey(load_pem_private_key(credentials.key, None))  # type: ignore[arg-type]
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(crypto.X509.from_cryptography(x509.load_pem_x509_certificate(ca().certificate)))
    context.set_session_id(b"test")
    if not resume:
        context.set_options(SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return context


@functools.cache
def shared_context(version: str, asks: bool) -> SSL.Context:
    context = server_context(server_credentials(), version)
    if asks:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *a: bool(a[4]))
    return context


class TlsServer(Server):
    """EAP-TLS.

    Args:
        last: what a TLS 1.3 server says at its end; RFC 9190 has one zero octet.
    """

    kind = int(MethodType.TLS)
    label = b"client EAP encryption"

    def __init__(
        self,
        version: str = "1.3",
        *,
        context: SSL.Context | None = None,
        packet_octets: int = 1020,
        last: bytes = b"\0",
    ) -> None:
        super().__init__()
        asks = self.kind == MethodType.TLS
        self.connection = SSL.Connection(context or shared_context(version, asks), None)
        self.connection.set_accept_state()
        self.joiner = tls_frames.Joiner()
        self.cutter = tls_frames.Cutter(0, packet_octets)
        self.last = last
        self.established = self.said_last = self.refused = False

    def first(self) -> bytes:
        return bytes((tls_frames.Flags.START,))

    def process(self, data: bytes) -> bytes:
        try:
            frame = tls_frames.decode(data)
            if self.cutter.inside:
                return self.request(self.cutter.next())
            message = self.joiner.add(frame)
        except (DecodeError, tls_frames.TooMuch):
            return self.failure()
        if message is None:
            return self.request(self.cutter.first(b""))
        if self.refused:
            return self.failure()
        return self.take(message)

    def take(self, message: bytes) -> bytes:
        plaintext = b""
        if message:
            self.connection.bio_write(message)
        try:
            if not self.established:
                self.connection.do_handshake()
                self.established = True
            plaintext = self.connection.recv(65536)
        except SSL.WantReadError:
            pass
        except SSL.Error:
            self.refused = True
            return self.say(b"")
        return self.inside(plaintext)

    def inside(self, plaintext: bytes) -> bytes:
        if not self.established:
            return self.say(b"")
        if self.connection.get_protocol_version_name() == "TLSv1.3" and not self.said_last:
            self.said_last = True
            return self.say(self.last)
        octets = self.outgoing()
        return self.request(self.cutter.first(octets)) if octets else self.success(self.keys())

    def say(self, plaintext: bytes) -> bytes:
        if plaintext:
            self.connection.sendall(plaintext)
        return self.request(self.cutter.first(self.outgoing()))

    def outgoing(self) -> bytes:
        octets = b""
        try:
            while True:
                octets += self.connection.bio_read(65536)
        except SSL.WantReadError:
            return octets

    def keys(self) -> bytes:
        if self.connection.get_protocol_version_name() == "TLSv1.3":
            label, context = b"EXPORTER_EAP_TLS_Key_Material", bytes((self.kind,))
            return self.connection.export_keying_material(label, 128, context)[:64]
        return self.connection.export_keying_material(self.label, 128)[:64]


class TtlsServer(TlsServer):
    """EAP-TTLS with PAP and MS-CHAP-V2 for one user.

    Args:
        proof: replaces the server's MS-CHAP2-Success.
    """

    kind = int(MethodType.TTLS)
    label = b"ttls keying material"

    def __init__(self, version: str = "1.3", proof: bytes | None = None) -> None:
        super().__init__(version)
        self.proof = proof
        self.proved = False

    def inside(self, plaintext: bytes) -> bytes:
        if self.proved:
            return self.success(self.keys())
        if not plaintext:
            octets = self.outgoing()
            return self.request(self.cutter.first(octets))
        if len(plaintext) < 8:
            return self.failure()
        avps = {(a.vendor, a.code): a.value for a in ttls_avps.decode(plaintext)}
        assert avps[0, 1] == PEER_NAME.encode()
        if (0, 2) in avps:
            right = avps[0, 2].rstrip(b"\0") == PASSWORD.encode()
            return self.success(self.keys()) if right else self.failure()
        seed = self.connection.export_keying_material(b"ttls challenge", 17)
        assert avps[MICROSOFT, 11] == seed[:16]
        response = avps[MICROSOFT, 25]
        assert response[0] == seed[16]
        hashed = mschapv2.password_hash(PASSWORD)
        own, proof = response[2:18], response[26:]
        if proof != mschapv2.nt_response(seed[:16], own, PEER_NAME, hashed):
            error = b"\0E=691 R=0"
            return self.say(ttls_avps.encode([Avp(2, error, MICROSOFT)]))
        self.proved = True
        said = mschapv2.authenticator_response(seed[:16], own, PEER_NAME, hashed, proof)
        value = self.proof if self.proof is not None else seed[16:] + said.encode()
        return self.say(ttls_avps.encode([Avp(26, value, MICROSOFT)]))


class GpskServer(Server):
    """EAP-GPSK."""

    kind = int(MethodType.GPSK)

    def __init__(self, key: bytes = GPSK_KEY, suites: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        self.key = key
        listed = b"".join(number.to_bytes(6, "big") for number in suites)
        self.offer = Offer(SERVER_NAME.encode(), os.urandom(32), listed)
        self.keys: gpsk_keys.Keys | None = None

    def first(self) -> bytes:
        return gpsk_messages.encode(self.offer)

    def process(self, data: bytes) -> bytes:
        if data[0] != OpCode.GPSK_2 or self.keys is not None:
            done = data[0] == OpCode.GPSK_4 and self.keys is not None
            return self.success(self.keys.msk) if done and self.keys else self.failure()
        at = 1 + 2 + len(PEER_NAME) + 2 + len(self.offer.server_id)
        rand_peer = data[at : at + 32]
        head = gpsk_messages.answer(PEER_NAME.encode(), self.offer, rand_peer, b"")[:-2]
        if not data[1:].startswith(head):
            return self.failure()  # RFC 5433 s10: what GPSK-2 repeats is not what GPSK-1 said.
        at += 64 + 2 + len(self.offer.suites)
        chosen = data[at : at + 6]
        suite = gpsk_keys.CIPHERSUITES.get(int.from_bytes(chosen, "big"))
        if suite is None:
            return self.failure()
        text = rand_peer + PEER_NAME.encode() + self.offer.rand_server + self.offer.server_id
        self.keys = gpsk_keys.derive(suite, self.key, text)
        if suite.mac(self.keys.sk, data[1 : at + 8]) != data[at + 8 :]:
            return self.request(gpsk_messages.encode(gpsk_messages.Fail(2)))
        body = (
            gpsk_messages.signed_part(
                rand_peer, self.offer.rand_server, self.offer.server_id, chosen
            )
            + gpsk_messages.NO_PAYLOAD
        )
        proof = Proof(
            rand_peer,
            self.offer.rand_server,
            self.offer.server_id,
            chosen,
            b"",
            body,
            suite.mac(self.keys.sk, body),
        )
        return self.request(gpsk_messages.encode(proof))


def identity_request(identifier: int = 7) -> bytes:
    """EAP-Request/Identity."""
    return codec.encode(Packet(Code.REQUEST, identifier, MethodType.IDENTITY))


def converse(
    peer: Peer,
    server: Server,
    meddle: Callable[[bytes], bytes] | None = None,
    meddle_back: Callable[[bytes], bytes] | None = None,
) -> tuple[EapOutput, list[bytes]]:
    """Let them talk until somebody ends or falls silent.

    Args:
        meddle: is given each packet to the peer, and says what the peer gets.
        meddle_back: the same for each response of the method.

    Returns:
        the last output of the peer, and the packets that it got.
    """
    seen: list[bytes] = []
    assert peer.receive(identity_request(server.identifier)).response is not None
    packet = server.start()
    while True:
        if meddle is not None:
            packet = meddle(packet)
        seen.append(packet)
        output = peer.receive(packet)
        if output.outcome is not None or output.response is None:
            return output, seen
        response = output.response
        packet = server.answer(response if meddle_back is None else meddle_back(response))
