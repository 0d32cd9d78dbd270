"""The networks that the mobile node's agent knows: configured, left out, discovered."""

from __future__ import annotations

from typing import Any

import pytest

from mpa_hil.agents.config import Fields
from mpa_hil.agents.networks import Networks
from radios.errors import LocalError
from radios.profile import EapTls, Pmf, RawPsk

TLS = {
    "identity": "mn@home.example",
    "ca_cert": "/ca",
    "client_cert": "/mn",
    "private_key": "/key",
    "server_domain": "home.example",
}
A1 = {"ssid": "operator-a", "bssid": "02:00:00:00:0a:01", "frequency_mhz": 2412, "pmf": 1}
B1 = {**A1, "ssid": "operator-b", "bssid": "02:00:00:00:0b:01", "frequency_mhz": 2437}
FOUND = {**B1, "network": "b1", "ssid": b'x "y\n'.hex(), "pmf": 2}


def networks(**changes: Any) -> Networks:
    config: dict[str, Any] = {"networks": {"a1": A1, "b1": B1}, "eap_tls": TLS, **changes}
    fields = Fields(config, "test")
    made = Networks(fields)
    fields.done()
    return made


def learn(known: Networks, **changes: Any) -> str:
    return known.learn(Fields({**FOUND, **changes}, "command"))


def test_it_begins_with_those_that_are_named_and_learns_the_rest() -> None:
    known = networks()
    assert set(known.profiles) == {"a1", "b1"}
    known.begin(["a1"])
    assert set(known.profiles) == {"a1"}
    assert learn(known, frequency_mhz=2462) == "b1"
    profile = known.profile("b1")
    assert (profile.ssid, profile.bssid, profile.pmf) == (
        b'x "y\n',
        B1["bssid"],
        Pmf.REQUIRED,
    )
    assert isinstance(profile.security, EapTls)
    assert known.frequency_mhz("b1") == 2462
    known.begin([])
    assert known.profile("b1").ssid == b"operator-b"


def test_what_is_known_keeps_its_meaning() -> None:
    """A8: an access point's word never replaces what the node was set up with."""
    known = networks()
    with pytest.raises(LocalError, match="known already"):
        learn(known)
    assert known.profile("b1").ssid == b"operator-b"


def test_without_credentials_nothing_is_learnt() -> None:
    keyed = {**A1, "psk": "00" * 32}
    config = Fields({"networks": {"a1": keyed}}, "test")
    known = Networks(config)
    assert isinstance(known.profile("a1").security, RawPsk)
    with pytest.raises(LocalError, match="eap_tls"):
        learn(known)
    assert set(known.profiles) == {"a1"}


@pytest.mark.parametrize(
    "wrong",
    [{"ssid": "zz"}, {"ssid": ""}, {"frequency_mhz": 1}, {"pmf": 3}, {"colour": "red"}],
)
def test_what_is_wrong_is_refused(wrong: dict[str, Any]) -> None:
    known = networks()
    known.begin(["a1"])
    with pytest.raises(LocalError):
        learn(known, **wrong)
    assert set(known.profiles) == {"a1"}
