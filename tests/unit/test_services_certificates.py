"""Lab certificates: what they are for, when they hold, and users' own files refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from radios.errors import LocalError
from rigs.services.certificates import Credentials, LabCa, load, load_ca

NOW = dt.datetime(2031, 5, 17, 12, 30, 15, 123456, tzinfo=dt.UTC)
CA = LabCa(NOW)
SERVER = CA.server("aaa.home.example", ["aaa.home.example", "radius.home.example"])
CLIENT = CA.client("mn@home.example")


def parsed(credentials: Credentials) -> x509.Certificate:
    return x509.load_pem_x509_certificate(credentials.certificate)


@pytest.mark.parametrize("credentials", [SERVER, CLIENT])
def test_the_ca_issued_it_and_it_holds_now_with_margin(credentials: Credentials) -> None:
    ca = x509.load_pem_x509_certificate(CA.certificate)
    certificate = parsed(credentials)
    certificate.verify_directly_issued_by(ca)
    assert certificate.serial_number == credentials.serial
    margin = dt.timedelta(days=1)
    assert certificate.not_valid_before_utc <= NOW - margin
    assert certificate.not_valid_after_utc >= NOW + margin
    assert ca.not_valid_after_utc > certificate.not_valid_after_utc
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_a_server_certificate_names_its_hosts() -> None:
    extensions = parsed(SERVER).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["aaa.home.example", "radius.home.example"]
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_client_certificate_names_its_identity() -> None:
    certificate = parsed(CLIENT)
    assert certificate.subject.rfc4514_string() == "CN=mn@home.example"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == ["mn@home.example"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_key_does_not_show_in_a_representation() -> None:
    assert "PRIVATE" not in repr(CLIENT)


def test_the_revocation_list_names_what_was_revoked() -> None:
    ca = LabCa(NOW)
    good, bad = ca.client("good@home.example"), ca.client("bad@home.example")
    assert len(x509.load_pem_x509_crl(ca.crl())) == 0
    ca.revoke(bad)
    crl = x509.load_pem_x509_crl(ca.crl())
    issuer = x509.load_pem_x509_certificate(ca.certificate).public_key()
    assert isinstance(issuer, ec.EllipticCurvePublicKey)
    assert crl.is_signature_valid(issuer)
    assert crl.get_revoked_certificate_by_serial_number(bad.serial) is not None
    assert crl.get_revoked_certificate_by_serial_number(good.serial) is None
    assert crl.next_update_utc is not None
    assert crl.last_update_utc < NOW < crl.next_update_utc


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(LocalError, match="1 to 64 characters"):
        CA.client(name)


def test_a_date_without_time_zone_is_refused() -> None:
    with pytest.raises(LocalError, match="time zone"):
        LabCa(NOW.replace(tzinfo=None))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "mn.pem").write_bytes(CLIENT.certificate)
    (tmp_path / "mn.key").write_bytes(CLIENT.key)
    return tmp_path / "mn.pem", tmp_path / "mn.key"


def test_a_users_own_pair_is_taken(pair: tuple[Path, Path]) -> None:
    assert load(*pair, now=NOW) == CLIENT


@pytest.mark.parametrize(
    ("days", "state"), [(-400, "not valid yet"), (400, "expired")], ids=["early", "late"]
)
def test_a_certificate_out_of_date_is_refused(
    pair: tuple[Path, Path], days: int, state: str
) -> None:
    with pytest.raises(LocalError, match=state) as caught:
        load(*pair, now=NOW + dt.timedelta(days=days))
    assert caught.value.where == str(pair[0])
    assert caught.value.remedy
    assert load(*pair).serial == CLIENT.serial


def test_absent_and_unreadable_files_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pem", tmp_path):
        with pytest.raises(LocalError, match="cannot read") as caught:
            load(path, pair[1])
        assert caught.value.where == str(path)


@pytest.mark.parametrize("junk", [b"", b"hello", CLIENT.certificate[:200], b"\xff" * 50])
def test_what_is_no_certificate_or_key_is_refused(pair: tuple[Path, Path], junk: bytes) -> None:
    for path, text in zip(pair, ("not a PEM certificate", "not a PEM private key"), strict=True):
        good = path.read_bytes()
        path.write_bytes(junk)
        with pytest.raises(LocalError, match=text) as caught:
            load(*pair)
        assert caught.value.where == str(path)
        path.write_bytes(good)


def test_a_key_of_another_certificate_is_refused(pair: tuple[Path, Path]) -> None:
    pair[1].write_bytes(SERVER.key)
    with pytest.raises(LocalError, match="does not belong"):
        load(*pair)


def test_an_encrypted_key_is_refused_with_the_command_that_mends_it(
    pair: tuple[Path, Path],
) -> None:
    key = serialization.load_pem_private_key(CLIENT.key, None)
    pair[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    with pytest.raises(LocalError, match="encrypted") as caught:
        load(*pair)
    assert caught.value.remedy.startswith("openssl pkey")


def test_a_ca_file_must_hold_a_ca(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "ca.pem").write_bytes(CA.certificate)
    assert load_ca(tmp_path / "ca.pem", now=NOW) == CA.certificate
    with pytest.raises(LocalError, match="not a CA's"):
        load_ca(pair[0])
