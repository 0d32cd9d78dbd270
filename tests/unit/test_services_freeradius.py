"""FreeRADIUS' configuration, as text, and its log."""

from __future__ import annotations

import dataclasses
import re

import pytest

from radios.errors import LocalError
from rigs.services import freeradius as radius
from rigs.services.certificates import Credentials

SECRET = "0123456789abcdef"
NAS = radius.Client("nas", "10.1.0.0/24", SECRET)
TLS = radius.EapTls(b"CA\n", Credentials(b"CERT\n", b"KEY\n", 1), ("home.example",))
HOME = radius.RadiusConfig(clients=(NAS,), eap_tls=TLS)
SERVER = radius.HomeServer("home", "10.0.0.2", "fedcba9876543210")
VISITED = radius.RadiusConfig(clients=(NAS,), routes=(radius.Route("Home.Example", (SERVER,)),))


def conf(config: radius.RadiusConfig) -> str:
    return radius.files(config, "/work/aaa")["radiusd.conf"].decode()


def block(text: str, head: str) -> str:
    """The text of the block that begins with `head`, up to its closing brace."""
    start = re.search(rf"^( *){re.escape(head)} \{{$", text, re.MULTILINE)
    assert start, head
    end = text.index(f"\n{start[1]}}}\n", start.start())
    return text[start.start() : end]


@pytest.mark.parametrize("config", [HOME, VISITED])
def test_braces_match_and_every_client_must_sign(config: radius.RadiusConfig) -> None:
    text = conf(config)
    assert text.count("{") == text.count("}")
    client = block(text, "client nas")
    assert "ipaddr = 10.1.0.0/24" in client
    assert "require_message_authenticator = yes" in client
    assert f'secret = "{SECRET}"' in client


def test_a_home_server_does_eap_tls_afresh_each_time() -> None:
    eap = block(conf(HOME), "eap")
    assert "default_eap_type = tls" in eap
    assert re.search(r"cache \{\s+enable = no\s+\}", eap)
    assert 'tls_max_version = "1.2"' in eap
    assert "check_crl = no" in eap
    assert "auto_chain = no" in eap
    assert "check_cert_cn" not in eap
    assert "home_server" not in conf(HOME)


def test_its_files_go_with_it() -> None:
    files = radius.files(HOME, "/work/aaa")
    assert files["ca.pem"] == b"CA\n"
    assert files["server.key"] == b"KEY\n"
    crl = dataclasses.replace(TLS, crl=b"CRL\n", max_version="1.3", check_identity=True)
    config = dataclasses.replace(HOME, eap_tls=crl)
    assert radius.files(config, "/work/aaa")["ca.pem"] == b"CA\nCRL\n"
    eap = block(conf(config), "eap")
    assert "check_crl = yes" in eap
    assert 'tls_max_version = "1.3"' in eap
    assert 'check_cert_cn = "%{User-Name}"' in eap


def test_a_visited_server_proxies_by_realm_and_loads_no_eap() -> None:
    text = conf(VISITED)
    assert "eap {" not in text
    assert 'secret = "fedcba9876543210"' in block(text, "home_server home")
    assert r"&User-Name =~ /@Home\.Example$/i" in text
    assert '&Proxy-To-Realm := "home.example"' in text
    assert "realm home.example {" in text
    assert "!&proxy-reply:Message-Authenticator" in block(text, "post-auth")
    assert "&Proxy-State[3]" in text


def test_few_dictionaries_are_read() -> None:
    lines = radius.files(HOME, "/x")["dictionaries/dictionary"].decode().splitlines()
    assert 5 < len(lines) < 20


def test_secrets_are_fresh_and_do_not_show() -> None:
    assert radius.new_secret() != radius.new_secret()
    assert SECRET not in repr(HOME)
    assert "fedcba" not in repr(VISITED)


def with_secret(secret: str) -> radius.RadiusConfig:
    return dataclasses.replace(HOME, clients=(dataclasses.replace(NAS, secret=secret),))


@pytest.mark.parametrize(
    "secret",
    ["hunter2", "x" * 15 + '"', "a${b}c4567890123456", "x" * 15 + "\n", "é" * 16, "%" * 16],
)
def test_secrets_that_cannot_be_configured_are_refused_untold(secret: str) -> None:
    with pytest.raises(LocalError, match="secret") as caught:
        conf(with_secret(secret))
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (dataclasses.replace(HOME, eap_tls=None), "neither serves nor proxies"),
        (dataclasses.replace(HOME, clients=()), "no clients"),
        (dataclasses.replace(HOME, clients=(NAS, NAS)), "share a name"),
        (dataclasses.replace(HOME, port=0), "no UDP port"),
        (dataclasses.replace(HOME, address="nowhere"), "nowhere"),
        (dataclasses.replace(HOME, max_proxies=0), "max_proxies"),
        (dataclasses.replace(HOME, clients=(radius.Client("a b", "10.0.0.1", SECRET),)), "name"),
        (dataclasses.replace(HOME, clients=(radius.Client("a", "10.0.0", SECRET),)), "10.0.0"),
        (dataclasses.replace(HOME, routes=(radius.Route("home.example", (SERVER,)),)), "twice"),
        (dataclasses.replace(VISITED, routes=(radius.Route("x", ()),)), "no home server"),
        (
            dataclasses.replace(VISITED, routes=(radius.Route('x"} evil {', (SERVER,)),)),
            "is not a realm",
        ),
    ],
)
def test_what_cannot_be_is_refused(config: radius.RadiusConfig, complaint: str) -> None:
    with pytest.raises(LocalError, match=complaint) as caught:
        conf(config)
    assert caught.value.remedy


STAMP = "Mon Nov 23 10:40:39 2026 : Auth: "


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (
            "(4) Login OK: [mn@home.example] (from client any port 0 cli 02-00-00-00-00-01)",
            radius.Verdict(True, "mn@home.example", "", "any"),
        ),
        (
            "(5)   Login incorrect (realm unknown): [mn@other.example] (from client ap port 0)",
            radius.Verdict(False, "mn@other.example", "realm unknown", "ap"),
        ),
        (
            "(2) Login incorrect (eap_tls: (TLS) alert: unknown CA): [mn] (from client a port 0)",
            radius.Verdict(False, "mn", "eap_tls: (TLS) alert: unknown CA", "a"),
        ),
        (
            "(3) Login OK: [mn/<via Auth-Type = eap>] (from client a port 0)",
            radius.Verdict(True, "mn", "", "a"),
        ),
    ],
)
def test_verdicts_are_read_from_the_log(line: str, verdict: radius.Verdict) -> None:
    assert radius.parse_verdict(STAMP + line) == verdict


@pytest.mark.parametrize(
    "line", ["Info: Ready to process requests", "(5) Invalid user (x): [mn] (from client a port 0)"]
)
def test_other_lines_are_no_verdict(line: str) -> None:
    assert radius.parse_verdict(STAMP + line) is None
