"""X.509 for a lab: its CA, server and client certificates, revocation, and users' own files.

P-256 throughout: small chains and the cheapest handshake of the common choices. `cryptography` is
imported inside the functions, because the import alone costs seconds in the guest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from radios.errors import LocalError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

BACKDATED = dt.timedelta(days=2)
"""Start of validity before `now`: hosts of one lab may disagree about the date by a day."""
LEAF_LIFETIME = dt.timedelta(days=90)
CA_LIFETIME = dt.timedelta(days=365)
CRL_LIFETIME = dt.timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate with its private key, both PEM; `serial` identifies it for revocation."""

    certificate: bytes
    key: bytes = field(repr=False)
    serial: int


class LabCa:
    """The certificate authority of one lab, made fresh and held in memory only.

    Args:
        now: the date by the clock of the hosts that will check the certificates, with a time
            zone. In the guest that is the guest's clock.
        name: the CA's common name.
    """

    def __init__(self, now: dt.datetime, name: str = "mpa-hil lab CA") -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        if now.tzinfo is None:
            raise LocalError("the CA's date has no time zone", where="LabCa", remedy="give UTC")
        self._now = now.replace(microsecond=0)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._revoked: dict[int, dt.datetime] = {}
        public = self._key.public_key()
        self._certificate = self._sign(
            self._builder(self._name, public, CA_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
        )

    @property
    def certificate(self) -> bytes:
        """The CA certificate, PEM."""
        return _pem(self._certificate)

    def server(self, common_name: str, dns_names: Sequence[str] = ()) -> Credentials:
        """A TLS server's credentials; without `dns_names` the common name is the one DNS name."""
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        names = [_dns(name) for name in (dns_names or (common_name,))]
        return self._leaf(
            common_name, ExtendedKeyUsageOID.SERVER_AUTH, [x509.DNSName(name) for name in names]
        )

    def client(self, identity: str) -> Credentials:
        """A TLS client's credentials; `identity` is a network access identifier, `user@realm`."""
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        names = [x509.RFC822Name(identity)] if "@" in identity else []
        return self._leaf(identity, ExtendedKeyUsageOID.CLIENT_AUTH, names)

    def revoke(self, credentials: Credentials) -> None:
        """Put a certificate on the list that `crl` signs from now on."""
        self._revoked[credentials.serial] = self._now

    def crl(self) -> bytes:
        """The signed revocation list (RFC 5280 s5), PEM; empty lists are valid lists."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.serialization import Encoding

        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(self._now - BACKDATED)
            .next_update(self._now + CRL_LIFETIME)
            .add_extension(x509.CRLNumber(1 + len(self._revoked)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        for serial, when in sorted(self._revoked.items()):
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(when - BACKDATED)
                .build()
            )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _leaf(
        self, common_name: str, purpose: x509.ObjectIdentifier, names: Sequence[x509.GeneralName]
    ) -> Credentials:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(_name(common_name), key.public_key(), LEAF_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = self._sign(builder)
        return Credentials(
            certificate=_pem(certificate),
            key=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            serial=certificate.serial_number,
        )

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, lifetime: dt.timedelta
    ) -> x509.CertificateBuilder:
        from cryptography import x509

        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATED)
            .not_valid_after(self._now + lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(self._key, hashes.SHA256())


def load(
    certificate_file: str | Path, key_file: str | Path, *, now: dt.datetime | None = None
) -> Credentials:
    """Credentials from a user's own PEM files, checked before anything starts.

    Args:
        now: refuse a certificate that is not valid at this date; None does not look.

    Raises:
        LocalError: a file is absent, unreadable or not PEM, the key is encrypted or belongs to
            another certificate, or the certificate is not valid at `now`; names the file.
    """
    from cryptography.hazmat.primitives import serialization

    certificate_pem = _read(certificate_file)
    key_pem = _read(key_file)
    certificate = _parse(certificate_pem, certificate_file, now)
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise LocalError(
            "the private key is encrypted",
            where=str(key_file),
            remedy=f"openssl pkey -in {key_file} -out plain.key",
        ) from None
    except ValueError as error:
        raise LocalError(
            f"not a PEM private key ({_brief(error)})",
            where=str(key_file),
            remedy=f"`openssl pkey -in {key_file} -check` must accept it",
        ) from None
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise LocalError(
            f"the key does not belong to the certificate {certificate_file}",
            where=str(key_file),
            remedy="name the key that the certificate was issued for",
        )
    return Credentials(certificate_pem, key_pem, certificate.serial_number)


def load_ca(certificate_file: str | Path, *, now: dt.datetime | None = None) -> bytes:
    """A user's own CA certificate, PEM, checked as in `load`; also refuses one that is no CA."""
    from cryptography import x509

    pem = _read(certificate_file)
    certificate = _parse(pem, certificate_file, now)
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        is_ca = False
    if not is_ca:
        raise LocalError(
            "the certificate is not a CA's (no basic constraint CA:TRUE)",
            where=str(certificate_file),
            remedy="name the certificate of the authority that issued the others",
        )
    return pem


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LocalError(
            f"cannot read the certificate or key ({error.strerror})",
            where=str(path),
            remedy="check the path and its permissions; leave the key out of the lab file to "
            "have certificates made for the run",
        ) from None


def _parse(pem: bytes, path: str | Path, now: dt.datetime | None) -> x509.Certificate:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise LocalError(
            f"not a PEM certificate ({_brief(error)})",
            where=str(path),
            remedy=f"`openssl x509 -in {path} -noout -text` must accept it",
        ) from None
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now is not None and not start <= now <= end:
        state = "expired" if now > end else "not valid yet"
        raise LocalError(
            f"the certificate is {state}: valid {start:%Y-%m-%d} to {end:%Y-%m-%d}, "
            f"and the lab's date is {now:%Y-%m-%d}",
            where=str(path),
            remedy="renew it, or set the lab's date into that span",
        )
    return certificate


def _brief(error: Exception) -> str:
    text = str(error).partition("\n")[0].partition(". ")[0].strip()
    return text[:120] or type(error).__name__


def _dns(name: str) -> str:
    """`name` as it may stand in a DNS name of a certificate."""
    if not name or not name.isascii() or any(c.isspace() for c in name):
        raise LocalError(
            f"{name!r} is not a DNS name", where="certificate", remedy="ASCII letters, no spaces"
        )
    return name


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    if not 0 < len(common_name) <= 64:  # ub-common-name, RFC 5280 appendix A
        raise LocalError(
            f"a certificate's common name has 1 to 64 characters, {common_name!r} does not",
            where="certificate",
            remedy="shorten the identity or domain name",
        )
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)
