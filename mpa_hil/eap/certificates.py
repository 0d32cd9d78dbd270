"""Who a TLS server is and whether it is the right one, by its certificate (sans-IO).

`cryptography` is imported inside the functions, because the import alone costs seconds in the
guest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

_CRL_BEGIN = b"-----BEGIN X509 CRL-----"

VERIFICATION_ERRORS = {
    2: "its issuer is unknown",
    3: "there is no revocation list of its issuer",
    7: "its signature is wrong",
    9: "it is not valid yet",
    10: "it has expired",
    12: "its issuer's revocation list has expired",
    18: "it is self-signed",
    19: "its root is none of the given authorities",
    20: "its issuer is none of the given authorities",
    21: "its issuer is none of the given authorities",
    23: "it is revoked",
    24: "its issuer may not issue certificates",
    26: "it is not for servers",
    66: "its key is too weak",
    68: "its signature's digest is too weak",
}
"""OpenSSL's verification codes in words (x509_vfy.h); those that users meet."""


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The dNSName entries of its subjectAltName; none when that cannot be read."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def subject(certificate: x509.Certificate) -> str:
    """Whom it names, as Peer-Id or Server-Id (RFC 5216 s5.2): the alternative name, or the CN."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    names: list[str] = []
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names += extension.value.get_values_for_type(x509.RFC822Name)
        names += extension.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        names.clear()
    try:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        common = []
    names += [value for attribute in common if isinstance(value := attribute.value, str)]
    name = names[0] if names else ""
    return "".join(c if c.isprintable() else "?" for c in name)


def within(names: Sequence[str], domains: Sequence[str]) -> bool:
    """Whether one of a certificate's DNS names equals or lies below one of the domains.

    A wildcard name counts as the domain that it is for: ``*.home.example`` is below
    ``home.example``. Names are compared as ASCII without regard to case; labels are whole.
    """
    wanted = [_labels(domain) for domain in domains]
    for name in names:
        labels = _labels(name.removeprefix("*."))
        if any(labels[-len(domain) :] == domain for domain in wanted):
            return True
    return False


def _labels(name: str) -> list[str]:
    return name.lower().rstrip(".").split(".")


def load_crls(pem: bytes) -> list[x509.CertificateRevocationList]:
    """The revocation lists in a PEM text.

    Raises:
        ValueError: one cannot be read.
    """
    from cryptography import x509

    parts = pem.split(_CRL_BEGIN)[1:]
    if pem and not parts:
        raise ValueError("no PEM revocation list")
    return [x509.load_pem_x509_crl(_CRL_BEGIN + part) for part in parts]
