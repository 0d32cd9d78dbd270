"""The text that hostapd and wpa_supplicant read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radios.errors import LocalError
from rigs.services import hostapd, wpa_supplicant
from rigs.services.hostapd import HostapdConfig, Pmf, Psk, Radio, Radius

RADIO = Radio(ssid="operator-a", bssid="02:00:00:00:0a:01", channel=6)
PSK = Psk("ab" * 32)
RADIUS = Radius("10.1.0.2", "0123456789abcdef", own_address="10.1.0.1", nas_identifier="a1")
ENTERPRISE = HostapdConfig("wlan0", RADIUS, RADIO)
PERSONAL = HostapdConfig("wlan0", PSK, RADIO)


def lines(config: HostapdConfig) -> dict[str, str]:
    text = hostapd.text(config, "/work/ctl")
    return dict(line.split("=", 1) for line in text.splitlines())


def test_an_enterprise_network_asks_its_server() -> None:
    found = lines(replace(ENTERPRISE, bridge="br0", opportunistic_key_caching=True))
    assert found["driver"] == "nl80211"
    assert bytes.fromhex(found["ssid2"]) == b"operator-a"
    assert found["wpa_key_mgmt"] == "WPA-EAP WPA-EAP-SHA256"
    assert found["auth_server_addr"] == "10.1.0.2"
    assert found["auth_server_shared_secret"] == "0123456789abcdef"
    assert found["own_ip_addr"] == "10.1.0.1"
    assert found["bridge"] == "br0"
    assert (found["okc"], found["disable_pmksa_caching"], found["eap_reauth_period"]) == (
        "1",
        "0",
        "0",
    )


def test_a_personal_network_has_the_raw_key() -> None:
    found = lines(replace(PERSONAL, pmf=Pmf.OFF, pmksa_caching=False))
    assert found["wpa_psk"] == "ab" * 32
    assert found["wpa_key_mgmt"] == "WPA-PSK"
    assert found["ieee80211w"] == "0"
    assert found["disable_pmksa_caching"] == "1"
    assert "auth_server_addr" not in found


@pytest.mark.parametrize("pmf", list(Pmf))
def test_protected_management_frames(pmf: Pmf) -> None:
    assert lines(replace(ENTERPRISE, pmf=pmf))["ieee80211w"] == str(int(pmf))


def test_fast_transition_with_a_psk_needs_no_other_ap() -> None:
    found = lines(replace(PERSONAL, fast_transition=hostapd.FastTransition("a1b2")))
    assert "FT-PSK" in found["wpa_key_mgmt"]
    assert found["ft_psk_generate_local"] == "1"
    assert found["nas_identifier"] == "020000000a01"


def test_preauthentication_listens_where_told() -> None:
    found = lines(replace(ENTERPRISE, preauthentication_interfaces=("br0", "lan")))
    assert (found["rsn_preauth"], found["rsn_preauth_interfaces"]) == ("1", "br0 lan")


def test_an_open_network_has_no_keys() -> None:
    found = lines(replace(ENTERPRISE, security=None))
    assert not {"wpa", "wpa_psk", "auth_server_addr"} & found.keys()


def test_a_wired_port_has_no_radio() -> None:
    found = lines(replace(ENTERPRISE, radio=None))
    assert found["driver"] == "wired"
    assert not {"ssid2", "channel", "wpa"} & found.keys()


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (replace(ENTERPRISE, interface="a b"), "interface name"),
        (replace(ENTERPRISE, bridge="x\ny"), "interface name"),
        (replace(ENTERPRISE, radio=replace(RADIO, ssid="")), "SSID"),
        (replace(ENTERPRISE, radio=replace(RADIO, ssid="ä" * 17)), "SSID"),
        (replace(ENTERPRISE, radio=replace(RADIO, bssid="02:00")), "MAC"),
        (replace(ENTERPRISE, radio=replace(RADIO, country="germany")), "country"),
        (replace(ENTERPRISE, radio=replace(RADIO, beacon_interval_tu=1)), "beacon"),
        (replace(PERSONAL, security=Psk("hunter2")), "64 hexadecimal"),
        (replace(PERSONAL, radio=None), "wired port"),
        (replace(ENTERPRISE, security=replace(RADIUS, secret="a\nb")), "printable"),
        (replace(ENTERPRISE, security=replace(RADIUS, address="aaa")), "IP address"),
        (replace(PERSONAL, fast_transition=hostapd.FastTransition("xyz")), "mobility domain"),
        (replace(ENTERPRISE, fast_transition=hostapd.FastTransition("a1b2")), "PSK only"),
    ],
)
def test_what_hostapd_would_misread_is_refused(config: HostapdConfig, complaint: str) -> None:
    with pytest.raises(LocalError, match=complaint) as caught:
        hostapd.text(config, "/work/ctl")
    assert "hunter2" not in str(caught.value)


def supplicant(**changes: object) -> dict[str, str]:
    config = replace(wpa_supplicant.SupplicantConfig("wlan0"), **changes)  # type: ignore[arg-type]
    text = wpa_supplicant.text(config, "/work/ctl")
    return dict(line.split("=", 1) for line in text.splitlines())


def test_a_supplicant_has_a_control_socket_and_no_network() -> None:
    found = supplicant()
    assert found["ctrl_interface"] == "/work/ctl"
    assert (found["ap_scan"], found["okc"], found["fast_reauth"]) == ("1", "0", "0")
    assert "network" not in found
    assert supplicant(driver="wired")["ap_scan"] == "0"
    assert supplicant(opportunistic_key_caching=True)["okc"] == "1"
    assert supplicant(autoscan="periodic:5", country="DE")["autoscan"] == "periodic:5"


@pytest.mark.parametrize(
    "changes", [{"interface": "a b"}, {"country": "x\ny"}, {"autoscan": "periodic"}]
)
def test_what_the_supplicant_would_misread_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        supplicant(**changes)
