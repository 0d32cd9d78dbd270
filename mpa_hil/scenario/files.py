"""Files that a lab file points to: certificates, keys, SSH keys. Refused before anything starts."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .model import Scenario
from .problem import Problem
from .source import Source

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

CERTIFICATES = ("home.aaa.ca", "home.aaa.cert", "home.aaa.key", "mn.cert", "mn.key")
"""Given all together or not at all: a lab's own CA cannot vouch for a foreign certificate."""
REMEDY = "openssl req and openssl x509 make PEM files; or leave all five out: the run makes its own"


def resolve(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario with every path absolute; relative ones count from the lab file's folder."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else str((folder / os.path.expanduser(path)).absolute())

    aaa, mn = scenario.home.aaa, scenario.mn
    replace = msgspec.structs.replace
    aaa = replace(aaa, ca=absolute(aaa.ca), cert=absolute(aaa.cert), key=absolute(aaa.key))
    return replace(
        scenario,
        home=replace(scenario.home, aaa=aaa),
        mn=replace(mn, cert=absolute(mn.cert), key=absolute(mn.key)),
        placements=tuple(
            replace(place, key=absolute(place.key), known_hosts=absolute(place.known_hosts))
            for place in scenario.placements
        ),
    )


def certificate_files(scenario: Scenario) -> dict[str, Path]:
    """The user's certificate files by lab key; empty when the run makes its own."""
    aaa, mn = scenario.home.aaa, scenario.mn
    values = (aaa.ca, aaa.cert, aaa.key, mn.cert, mn.key)
    return {
        key: Path(value)
        for key, value in zip(CERTIFICATES, values, strict=True)
        if value is not None
    }


def check(scenario: Scenario, source: Source) -> None:
    """Read every file and refuse what cannot serve.

    Raises:
        LocalError: naming lab file, key, the file and what is wrong with it.
    """
    for problem in _problems(scenario):
        raise source.error(*problem)


def _problems(scenario: Scenario) -> Iterator[Problem]:
    for place in scenario.placements:
        for field, value in (("key", place.key), ("known_hosts", place.known_hosts)):
            if value is not None:
                yield from _unreadable(f"host.{place.name}.{field}", Path(value))
    files = certificate_files(scenario)
    if not files:
        return
    for key in CERTIFICATES:
        if key not in files:
            yield Problem(key, "missing beside the other certificate files", REMEDY)
    for key, path in files.items():
        yield from _unreadable(key, path)
    yield from _certificates({key: path.read_bytes() for key, path in files.items()}, files)


def _unreadable(key: str, path: Path) -> Iterator[Problem]:
    try:
        path.read_bytes()
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the name.
        yield Problem(
            key,
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}",
            "relative paths count from the lab file's folder; check the name and its permissions",
        )


def _certificates(pem: dict[str, bytes], files: dict[str, Path]) -> Iterator[Problem]:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    parsed: dict[str, Certificate] = {}
    for key in ("home.aaa.ca", "home.aaa.cert", "mn.cert"):
        try:
            parsed[key] = x509.load_pem_x509_certificate(pem[key])
        except ValueError:
            yield Problem(key, f"{files[key]} is no PEM certificate", REMEDY)
    now = datetime.datetime.now(datetime.UTC)
    for key, certificate in parsed.items():
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not start <= now <= end:
            yield Problem(key, f"{files[key]} is valid from {start} to {end}, not now", REMEDY)
    for cert_key, private_key in (("home.aaa.cert", "home.aaa.key"), ("mn.cert", "mn.key")):
        try:
            private = serialization.load_pem_private_key(pem[private_key], password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            yield Problem(
                private_key, f"{files[private_key]} is no PEM private key without password", REMEDY
            )
            continue
        if private.public_key() != parsed[cert_key].public_key():
            yield Problem(
                private_key, f"{files[private_key]} does not belong to {files[cert_key]}", REMEDY
            )
        try:
            parsed[cert_key].verify_directly_issued_by(parsed["home.aaa.ca"])
        except (ValueError, TypeError, InvalidSignature):
            yield Problem(
                cert_key, f"{files[cert_key]} is not issued by {files['home.aaa.ca']}", REMEDY
            )
