"""What the rigs configure for EAP beyond EAP-TLS: EAP-TTLS in FreeRADIUS, GPSK in hostapd."""

from __future__ import annotations

import dataclasses

import pytest

from radios.errors import LocalError
from rigs.services import freeradius as radius
from rigs.services import hostapd_eap
from rigs.services.certificates import Credentials

SECRET = "0123456789abcdef"
NAS = radius.Client("nas", "10.1.0.0/24", SECRET)
MN = radius.User("mn@home.example", "p4ss-word")
TLS = radius.EapTls(b"CA\n", Credentials(b"CERT\n", b"KEY\n", 1), ("home.example",))


def conf(**changes: object) -> dict[str, bytes]:
    tls = dataclasses.replace(TLS, **changes)  # type: ignore[arg-type]
    return radius.files(radius.RadiusConfig(clients=(NAS,), eap_tls=tls), "/work/aaa")


def test_no_users_no_tunnel() -> None:
    text = conf()["radiusd.conf"].decode()
    assert "ttls" not in text
    assert "mschap" not in text
    assert "server inner" not in text
    assert "persist_dir" not in text


def test_users_get_a_tunnel_and_a_server_inside() -> None:
    text = conf(ttls_users=(MN, radius.User("other", "x")), first_method="ttls")["radiusd.conf"]
    assert text.count(b"{") == text.count(b"}")
    assert b"default_eap_type = ttls" in text
    assert b"virtual_server = inner" in text
    assert b'if (&User-Name == "mn@home.example") {' in text
    assert b'elsif (&User-Name == "other") {' in text
    assert b'&Cleartext-Password := "p4ss-word"' in text


def test_versions_and_sessions() -> None:
    files = conf(min_version="1.3", max_version="1.3", session_cache=True)
    assert b'tls_min_version = "1.3"' in files["radiusd.conf"]
    assert b"persist_dir = ${raddbdir}/sessions" in files["radiusd.conf"]
    assert "sessions/.keep" in files


@pytest.mark.parametrize(
    "changes",
    [
        {"min_version": "1.3"},
        {"first_method": "ttls"},
        {"ttls_users": (radius.User('mn"; reject', "x"),)},
        {"ttls_users": (radius.User("mn", "%{User-Name}"),)},
        {"ttls_users": (radius.User("mn", 'a"b'),)},
        {"ttls_users": (MN, MN)},
    ],
)
def test_what_cannot_be_configured_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        conf(**changes)


KEYS = hostapd_eap.EapServerConfig(
    (NAS,), (hostapd_eap.KeyUser("mn@home.example", bytes(range(32))),), "aaa.home.example"
)


def test_hostapd_as_an_eap_server() -> None:
    files = hostapd_eap.files(KEYS, "/work/eap")
    assert b"driver=none\n" in files["hostapd.conf"]
    assert b"eap_user_file=/work/eap/users\n" in files["hostapd.conf"]
    assert files["users"] == f'"mn@home.example" GPSK {bytes(range(32)).hex()}\n'.encode()
    assert files["clients"] == f"10.1.0.0/24 {SECRET}\n".encode()
    assert "000102" not in repr(KEYS)


@pytest.mark.parametrize(
    "changes",
    [
        {"server_id": "two\nlines"},
        {"users": (hostapd_eap.KeyUser('mn" TLS', bytes(32)),)},
        {"users": (hostapd_eap.KeyUser("mn", bytes(15)),)},
        {"clients": (radius.Client("nas", "10.1.0.0/24", "short"),)},
    ],
)
def test_what_hostapd_would_misread_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        hostapd_eap.files(dataclasses.replace(KEYS, **changes), "/x")  # type: ignore[arg-type]
