"""Each EAP method against a server in memory: keys agree, and neither side is fooled."""

from __future__ import annotations

import hmac
import os
from datetime import UTC, datetime, timedelta

import pytest
from eap_servers import (
    GPSK_KEY,
    PASSWORD,
    PEER_NAME,
    SERVER_NAME,
    GpskServer,
    Server,
    TlsServer,
    TtlsServer,
    ca,
    converse,
    server_context,
    server_credentials,
    settings,
)

from mpa_hil.eap import gpsk_messages
from mpa_hil.eap.eap_gpsk import EapGpsk
from mpa_hil.eap.eap_tls import EapTls
from mpa_hil.eap.eap_ttls import EapTtls
from mpa_hil.eap.gpsk_messages import OpCode, Proof
from mpa_hil.eap.interface import Cause, EapOutput, Failure, Success
from mpa_hil.eap.method import Method
from mpa_hil.eap.peer import EapPeer
from mpa_hil.eap.settings import GpskSettings, MsChapV2, Pap
from mpa_hil.errors import LocalError
from rigs.services.certificates import LabCa

VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


def run(method: Method, server: Server) -> EapOutput:
    return converse(EapPeer((method,), PEER_NAME, os.urandom), server)[0]


def won(method: Method, server: Server) -> Success:
    outcome = run(method, server).outcome
    assert isinstance(outcome, Success), outcome
    assert outcome.msk == server.msk
    assert len(outcome.msk) == len(outcome.emsk) == 64
    assert outcome.msk != outcome.emsk
    return outcome


def lost(method: Method, server: Server) -> Failure:
    outcome = run(method, server).outcome
    assert isinstance(outcome, Failure), outcome
    assert server.msk is None
    return outcome


@VERSIONS
@pytest.mark.parametrize("fragment", [64, 300, 1020, 1300])
def test_eap_tls_in_fragments_of_any_size(version: str, fragment: int) -> None:
    method = EapTls(settings(fragment_octets=fragment))
    outcome = won(method, TlsServer(version, packet_octets=fragment))
    assert (outcome.peer_id, outcome.server_id) == (PEER_NAME, SERVER_NAME)
    assert outcome.session_id[0] == 13
    assert len(outcome.session_id) == 65
    assert version in outcome.detail
    assert outcome.msk.hex() not in repr(outcome)


@VERSIONS
def test_a_session_goes_on_and_gives_fresh_keys(version: str) -> None:
    method = EapTls(settings())
    first, second = won(method, TlsServer(version)), won(method, TlsServer(version))
    assert (first.resumed, second.resumed) == (False, True)
    assert second.server_id == SERVER_NAME
    assert len({first.msk, second.msk, first.emsk, second.emsk}) == 4
    assert first.session_id != second.session_id
    without = EapTls(settings(resumption=False))
    assert not any(won(without, TlsServer(version)).resumed for _ in range(2))


@VERSIONS
def test_a_session_is_dropped_when_its_server_would_be_refused_now(version: str) -> None:
    """RFC 9190 s5.7: resumption must not outlive the certificate."""
    method = EapTls(settings())
    won(method, TlsServer(version))
    store = method._identity._store
    store.set_time(datetime.now(UTC).replace(tzinfo=None) + timedelta(days=400))
    assert method._identity.resumable() is None


@VERSIONS
def test_a_failed_session_is_not_offered_again(version: str) -> None:
    method = EapTls(settings())
    won(method, TlsServer(version))
    assert method._identity.resumable() is not None

    def fail(packet: bytes) -> bytes:
        return bytes((4, packet[1], 0, 4)) if packet[0] == 3 else packet

    peer = EapPeer((method,), PEER_NAME, os.urandom)
    output, _ = converse(peer, TlsServer(version), fail)
    # With TLS 1.3 the server has given its protected word, so the forged Failure is not believed.
    assert isinstance(output.outcome, Failure) == (version == "1.2")
    assert (method._identity.resumable() is None) == (version == "1.2")


@VERSIONS
def test_a_server_of_another_authority_is_refused(version: str) -> None:
    other = LabCa(datetime.now(UTC), "somebody else")
    failure = lost(EapTls(settings(ca=other.certificate)), TlsServer(version))
    assert failure.cause is Cause.SERVER_UNTRUSTED
    assert "authorities" in failure.reason


@VERSIONS
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("aaa.home.example", True),
        ("home.example", True),
        ("*.home.example", True),
        ("AAA.Home.Example", True),
        ("aaa.home.example.evil.example", False),
        ("aaahome.example", False),
        ("example", False),
        ("home.example.", True),
    ],
)
def test_the_servers_name_must_lie_in_the_domain(version: str, name: str, right: bool) -> None:
    context = server_context(server_credentials(name), version)
    method = EapTls(settings())
    if right:
        assert won(method, TlsServer(context=context)).server_id == name
        return
    failure = lost(method, TlsServer(context=context))
    assert failure.cause is Cause.SERVER_UNTRUSTED
    assert name in failure.reason


@VERSIONS
def test_a_clients_certificate_makes_no_server(version: str) -> None:
    context = server_context(ca().client("aaa.home.example"), version)
    failure = lost(EapTls(settings()), TlsServer(context=context))
    assert failure.cause is Cause.SERVER_UNTRUSTED


@VERSIONS
def test_an_expired_server_is_refused(version: str) -> None:
    past = LabCa(datetime.now(UTC) - timedelta(days=200))
    context = server_context(past.server(SERVER_NAME), version)
    failure = lost(EapTls(settings(ca=past.certificate)), TlsServer(context=context))
    assert failure.reason.endswith("it has expired")


@VERSIONS
def test_a_revoked_server_is_refused(version: str) -> None:
    authority = LabCa(datetime.now(UTC))
    good, bad = authority.server(SERVER_NAME), authority.server(SERVER_NAME)
    authority.revoke(bad)
    method = EapTtls(
        settings(ca=authority.certificate, crl=authority.crl()), Pap(PEER_NAME, PASSWORD)
    )

    class Tunnel(TtlsServer):
        def __init__(self, credentials: object) -> None:
            TlsServer.__init__(self, context=server_context(credentials, version))  # type: ignore[arg-type]
            self.proof, self.proved = None, False

    assert won(method, Tunnel(good)).server_id == SERVER_NAME
    failure = lost(method, Tunnel(bad))
    assert failure.cause is Cause.SERVER_UNTRUSTED
    assert failure.reason.endswith("it is revoked")


@VERSIONS
def test_a_peer_of_another_authority_is_told_so(version: str) -> None:
    stranger = LabCa(datetime.now(UTC)).client(PEER_NAME)
    method = EapTls(settings(certificate=stranger.certificate, key=stranger.key))
    failure = lost(method, TlsServer(version))
    assert failure.cause is Cause.REJECTED
    assert "alert" in failure.reason


@pytest.mark.parametrize("last", [b"\1", b"\0\0", b"hello"])
def test_tls_1_3_ends_with_one_zero_octet_and_no_other(last: bytes) -> None:
    failure = lost(EapTls(settings()), TlsServer("1.3", last=last))
    assert failure.cause is Cause.PROTOCOL


def test_tls_1_3_does_not_succeed_without_the_servers_protected_word() -> None:
    """RFC 9190 s2.5: an EAP-Success before the commitment is nobody's."""
    peer = EapPeer((EapTls(settings()),), PEER_NAME, os.urandom)
    output, _ = converse(peer, TlsServer("1.3", last=b""))
    assert output.outcome is None
    assert "Success while the peer may fail" in output.discarded


@VERSIONS
@pytest.mark.parametrize("inner", [Pap, MsChapV2])
def test_eap_ttls(version: str, inner: type[Pap | MsChapV2]) -> None:
    method = EapTtls(settings(certificate=b"", key=b""), inner(PEER_NAME, PASSWORD))
    outcome = won(method, TtlsServer(version))
    assert (outcome.method, outcome.peer_id) == ("EAP-TTLS", PEER_NAME)
    assert outcome.session_id[0] == 21
    wrong = EapTtls(settings(), inner(PEER_NAME, PASSWORD + "?"))
    assert lost(wrong, TtlsServer(version)).cause is Cause.REJECTED


@VERSIONS
@pytest.mark.parametrize("proof", [b"", b"\0S=" + b"0" * 40, b"S="])
def test_a_server_that_does_not_know_the_password_is_refused(version: str, proof: bytes) -> None:
    method = EapTtls(settings(), MsChapV2(PEER_NAME, PASSWORD))
    peer = EapPeer((method,), PEER_NAME, os.urandom)
    outcome = converse(peer, TtlsServer(version, proof))[0].outcome
    assert isinstance(outcome, Failure)
    assert outcome.cause is Cause.SERVER_UNTRUSTED


def test_no_password_leaves_before_the_server_is_verified() -> None:
    other = LabCa(datetime.now(UTC), "rogue")
    for version in ("1.2", "1.3"):
        server = TtlsServer(version)
        method = EapTtls(settings(ca=other.certificate), Pap(PEER_NAME, PASSWORD))
        assert lost(method, server).cause is Cause.SERVER_UNTRUSTED
        assert not server.established


@pytest.mark.parametrize("suite", [1, 2])
def test_eap_gpsk(suite: int) -> None:
    method = EapGpsk(GpskSettings(GPSK_KEY, PEER_NAME, ciphersuites=(suite,)))
    outcome = won(method, GpskServer())
    assert (outcome.peer_id, outcome.server_id) == (PEER_NAME, SERVER_NAME)
    assert outcome.session_id[0] == 51
    assert len(outcome.session_id) == 17
    wrong = EapGpsk(GpskSettings(GPSK_KEY[::-1], PEER_NAME, ciphersuites=(suite,)))
    failure = lost(wrong, GpskServer())
    assert failure == Failure(Cause.REJECTED, "the server refused: authentication failure")


def test_gpsk_refuses_another_server_and_unknown_ciphersuites_with_nak() -> None:
    named = EapGpsk(GpskSettings(GPSK_KEY, PEER_NAME, "aaa.other.example"))
    failure = lost(named, GpskServer())
    assert failure.cause is Cause.NO_METHOD
    assert "aaa.home.example" in failure.reason
    short = EapGpsk(GpskSettings(GPSK_KEY[:16], PEER_NAME))
    assert lost(short, GpskServer(suites=(2, 3))).cause is Cause.NO_METHOD


def test_settings_that_cannot_be_are_refused() -> None:
    for changes in (
        {"ca": b"no PEM"},
        {"domains": ()},
        {"domains": ("",)},
        {"certificate": b""},
        {"key": b"no PEM"},
        {"key": server_credentials().key},
        {"crl": b"no PEM"},
    ):
        with pytest.raises(LocalError):
            EapTls(settings(**changes))
    for bad in (
        GpskSettings(bytes(15), "mn"),
        GpskSettings(bytes(32), ""),
        GpskSettings(bytes(32), "m" * 255),
        GpskSettings(bytes(16), "mn", ciphersuites=(2,)),
        GpskSettings(bytes(32), "mn", ciphersuites=(9,)),
    ):
        with pytest.raises(LocalError):
            EapGpsk(bad)


def test_secrets_are_in_no_representation() -> None:
    for value in (
        settings(),
        Pap("mn", "secret word"),
        MsChapV2("mn", "secret word"),
        GpskSettings(b"secret word 1234", "mn"),
    ):
        assert "secret word" not in repr(value)
        assert "PRIVATE KEY" not in repr(value)


def test_gpsk_3_must_answer_this_very_run() -> None:
    """A MAC by somebody with the key is not enough: each field is that of GPSK-2 (RFC 5433 s10)."""
    for spoilt in ("rand_peer", "rand_server", "server_id", "suite"):
        server = GpskServer()

        def spoil(packet: bytes, server: GpskServer = server, spoilt: str = spoilt) -> bytes:
            if packet[0] != 1 or packet[5] != OpCode.GPSK_3:
                return packet
            proof = gpsk_messages.decode(packet[5:])
            assert isinstance(proof, Proof)
            assert server.keys is not None
            fields = {n: getattr(proof, n) for n in ("rand_peer", "rand_server", "server_id")}
            fields |= {"suite": proof.suite}
            fields[spoilt] = bytes(len(fields[spoilt]))
            body = gpsk_messages.signed_part(**fields) + gpsk_messages.NO_PAYLOAD
            mac = hmac.digest(server.keys.sk, body, "sha256")
            wrong = Proof(**fields, payload=b"", signed=body, mac=mac)
            return packet[:5] + gpsk_messages.encode(wrong)

        method = EapGpsk(GpskSettings(GPSK_KEY, PEER_NAME))
        output, _ = converse(EapPeer((method,), PEER_NAME, os.urandom), server, spoil)
        assert output.outcome is None
        assert "does not answer" in output.discarded


@VERSIONS
def test_ms_chap_v2_takes_no_success_before_the_server_proved_the_password(version: str) -> None:
    method = EapTtls(settings(), MsChapV2(PEER_NAME, PASSWORD))
    server = TtlsServer(version)
    peer = EapPeer((method,), PEER_NAME, os.urandom)

    def forge(packet: bytes) -> bytes:
        if server.proved and packet[0] == 1:
            return bytes((3, packet[1] - 1, 0, 4))
        return packet

    output, _ = converse(peer, server, forge)
    assert output.outcome is None
    assert "Success while the peer may fail" in output.discarded


@VERSIONS
def test_requests_that_do_not_fit_the_fragments_are_dropped(version: str) -> None:
    method = EapTls(settings(fragment_octets=200))
    server = TlsServer(version)
    peer = EapPeer((method,), PEER_NAME, os.urandom)
    dropped = []
    peer.receive(bytes((1, 7, 0, 5, 1)))
    packet = server.start()
    outcome, fragments, more = None, 0, False
    for _ in range(40):
        # Only an acknowledgement may come while this side has fragments left; a start never again.
        for data in (b"\x20", b"\x00octets", b"\x40more", b"\x01", b"") if more else ():
            forged = bytes((1, packet[1] ^ 0x80, 0, 5 + len(data), 13)) + data
            dropped.append(peer.receive(forged).discarded)
        output = peer.receive(packet)
        outcome = output.outcome
        if output.response is None:
            break
        more = bool(len(output.response) > 6 and output.response[5] & 0x40)
        fragments += more
        packet = server.answer(output.response)
    assert isinstance(outcome, Success)
    assert outcome.msk == server.msk
    assert fragments > 2
    assert len(dropped) > 10
    assert all(dropped)


def test_a_server_may_refuse_a_certificate_without_an_alert() -> None:
    """As FreeRADIUS 3.2.1 does; before the peer has shown one it may not (RFC 3748 s4.2)."""
    for after, believed in ((1, False), (2, True)):
        peer = EapPeer((EapTls(settings()),), PEER_NAME, os.urandom)
        server = TlsServer("1.2", packet_octets=4000)
        peer.receive(bytes((1, 7, 0, 5, 1)))
        packet = server.start()
        for _ in range(after):
            response = peer.receive(packet).response
            assert response is not None
            packet = server.answer(response)
        output = peer.receive(bytes((4, response[1], 0, 4)))
        assert isinstance(output.outcome, Failure) == believed
