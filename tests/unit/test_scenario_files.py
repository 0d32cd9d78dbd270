"""Certificates and keys that the user gives."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mpa_hil import scenario
from radios.errors import LocalError

TWO = Path(__file__).parents[2] / "lab_configs" / "two_domains.toml"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
KEYS = {
    "home.aaa.ca": "ca.pem",
    "home.aaa.cert": "server.pem",
    "home.aaa.key": "server.key",
    "mn.cert": "mn.pem",
    "mn.key": "mn.key",
}


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def issue(
    folder: Path, stem: str, issuer: str, signer: ec.EllipticCurvePrivateKey, days: int = 1
) -> ec.EllipticCurvePrivateKey:
    """Write a certificate and its key; the issuer may be another one's name."""
    key = signer if issuer == stem else ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name(stem))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 3 * DAY)
        .not_valid_after(NOW + days * DAY)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{stem}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{stem}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lab file's folder with a CA, a server's and an MN's certificate beside it."""
    ca = ec.generate_private_key(ec.SECP256R1())
    issue(tmp_path, "ca", "ca", ca)
    issue(tmp_path, "server", "ca", ca)
    issue(tmp_path, "mn", "ca", ca)
    (tmp_path / "lab.toml").write_bytes(TWO.read_bytes())
    return tmp_path


def load(folder: Path, **changed: str | None) -> scenario.Scenario:
    files = {**KEYS, **{key.replace("__", "."): value for key, value in changed.items()}}
    settings = [f"{key}={value}" for key, value in files.items() if value is not None]
    return scenario.load(folder / "lab.toml", settings)


def test_relative_paths_count_from_the_lab_file(folder: Path) -> None:
    files = scenario.certificate_files(load(folder))
    assert files == {key: folder / value for key, value in KEYS.items()}


def test_without_certificates_there_are_no_files() -> None:
    assert scenario.certificate_files(scenario.load(TWO)) == {}


@pytest.mark.parametrize(
    ("changed", "key", "what"),
    [
        ({"mn__key": None}, "mn.key", "missing beside the other certificate files"),
        ({"mn__cert": "nix.pem"}, "mn.cert", "nix.pem: No such file or directory"),
        ({"mn__cert": "."}, "mn.cert", "Is a directory"),
        ({"mn__cert": "mn.key"}, "mn.cert", "is no PEM certificate"),
        ({"home__aaa__ca": "lab.toml"}, "home.aaa.ca", "is no PEM certificate"),
        ({"mn__key": "mn.pem"}, "mn.key", "is no PEM private key"),
        ({"mn__key": "server.key"}, "mn.key", "does not belong to"),
        ({"home__aaa__ca": "mn.pem"}, "home.aaa.cert", "is not issued by"),
    ],
)
def test_refused(folder: Path, changed: dict[str, str | None], key: str, what: str) -> None:
    with pytest.raises(LocalError) as caught:
        load(folder, **changed)
    error = caught.value
    assert error.where.startswith(f"{folder / 'lab.toml'}: {key}")
    assert what in error.what
    assert "leave all five out" in error.remedy or "relative paths" in error.remedy


def test_expired(folder: Path) -> None:
    ca = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(ca, ec.EllipticCurvePrivateKey)
    issue(folder, "mn", "ca", ca, days=-1)
    with pytest.raises(LocalError, match="not now") as caught:
        load(folder)
    assert ": mn.cert" in caught.value.where


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable(folder: Path) -> None:
    (folder / "mn.key").chmod(0)
    with pytest.raises(LocalError, match="Permission denied") as caught:
        load(folder)
    assert "permissions" in caught.value.remedy
