"""Commands, quoting, redaction, events and replies of the wpa control interface."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radios import replies, wpa_events
from radios.errors import LocalError, MpaError
from radios.profile import EapTls, NetworkProfile, Open, Passphrase, Pmf, RawPsk
from radios.wpa_text import (
    command,
    mac_address,
    passphrase_value,
    redacted,
    ssid_value,
    string_value,
    unescape,
)


@pytest.mark.parametrize("bad", ["a\nTERMINATE", "a\0b", "a\rb", "\x7f", "", "\ud800"])
def test_command_refuses_what_would_break_out(bad: str) -> None:
    with pytest.raises(LocalError):
        command("SET_NETWORK", 0, "ssid", bad)


def test_command_refuses_misplaced_space_and_excess() -> None:
    with pytest.raises(LocalError, match="space"):
        command("SET_NETWORK", "0 psk", "ssid", "x")
    with pytest.raises(LocalError, match="octets"):
        command("SET", "x", "y" * 5000)
    assert command("SET_NETWORK", 0, "key_mgmt", "WPA-PSK FT-PSK") == (
        b"SET_NETWORK 0 key_mgmt WPA-PSK FT-PSK"
    )


@given(st.text())
def test_any_word_is_one_line_or_refused(word: str) -> None:
    try:
        datagram = command("SET", "name", word)
    except LocalError:
        return
    assert b"\n" not in datagram
    assert b"\0" not in datagram
    assert datagram.startswith(b"SET name ")


@given(st.binary(min_size=1, max_size=32))
def test_ssid_survives(ssid: bytes) -> None:
    assert bytes.fromhex(ssid_value(ssid)) == ssid


@given(st.binary(max_size=64))
def test_string_value_is_read_back_exactly(raw: bytes) -> None:
    value = string_value(raw)
    read = value[1:-1].encode() if value.startswith('"') else bytes.fromhex(value)
    assert read == raw
    command("SET_NETWORK", 0, "identity", value)


@pytest.mark.parametrize(
    ("datagram", "secret"),
    [
        (b'SET_NETWORK 0 psk "correct horse"', "horse"),
        (b"SET_NETWORK 0 private_key_passwd 7365637265", "7365637265"),
        (b"SET wpa_passphrase hunter22", "hunter22"),
        (b"PMKSA_ADD 0 02:00:00:00:00:01 aa bb 1 2 1 0", "bb"),
        (b"CTRL-RSP-PASSWORD-0:hunter22", "hunter22"),
        (b"ANYTHING " + b"ab" * 32, "abab"),
    ],
)
def test_secrets_are_redacted(datagram: bytes, secret: str) -> None:
    assert secret not in redacted(datagram)
    assert redacted(datagram).split()[0].split(":")[0] in datagram.decode()


def test_redaction_leaves_the_rest() -> None:
    assert redacted(b"SET_NETWORK 0 key_mgmt WPA-PSK") == "SET_NETWORK 0 key_mgmt WPA-PSK"


def test_mac_and_passphrase_checks() -> None:
    assert mac_address("02:AA:bb:00:00:01") == "02:aa:bb:00:00:01"
    for bad in ("02:aa:bb:00:00", "02:aa:bb:00:00:01 x", "", "02-aa-bb-00-00-01"):
        with pytest.raises(LocalError):
            mac_address(bad)
    for bad in ("short", "x" * 64, "caf\xe9caf\xe9"):
        with pytest.raises(LocalError):
            passphrase_value(bad)


def test_unescape() -> None:
    assert unescape(r"caf\xc3\xa9 \"x\" \\ \n\t\e") == b'caf\xc3\xa9 "x" \\ \n\t\x1b'


@pytest.mark.parametrize(
    ("text", "name", "address", "fields"),
    [
        (
            "<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=0 id_str=]",
            wpa_events.CONNECTED,
            "02:00:00:00:01:00",
            {"id": "0", "id_str": ""},
        ),
        (
            "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=3 locally_generated=1",
            wpa_events.DISCONNECTED,
            "02:00:00:00:01:00",
            {"bssid": "02:00:00:00:01:00", "reason": "3", "locally_generated": "1"},
        ),
        (
            "<3>CTRL-EVENT-SIGNAL-CHANGE above=0 signal=-70 noise=9999 txrate=54000",
            wpa_events.SIGNAL_CHANGE,
            None,
            {"above": "0", "signal": "-70", "noise": "9999", "txrate": "54000"},
        ),
        ("<3>AP-STA-CONNECTED 02:00:00:00:00:00", wpa_events.STATION_CONNECTED, None, {}),
        (
            "<3>SME: Trying to authenticate with 02:00:00:00:01:00 (SSID='a b' freq=2412 MHz)",
            wpa_events.AUTHENTICATING,
            "02:00:00:00:01:00",
            {"SSID": "a b", "freq": "2412"},
        ),
        (
            "<3>Trying to associate with 02:00:00:00:01:00 (SSID='ab' freq=2412 MHz)",
            wpa_events.ASSOCIATING,
            "02:00:00:00:01:00",
            {"SSID": "ab", "freq": "2412"},
        ),
        ("<3>Associated with 02:00:00:00:01:00", wpa_events.ASSOCIATED, "02:00:00:00:01:00", {}),
        (
            "<3>WPA: Key negotiation completed with 02:00:00:00:01:00 [PTK=CCMP GTK=CCMP]",
            wpa_events.KEYS_NEGOTIATED,
            "02:00:00:00:01:00",
            {"PTK": "CCMP", "GTK": "CCMP"},
        ),
        (
            '<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="x y" auth_failures=1 duration=10 reason=W',
            wpa_events.SSID_TEMP_DISABLED,
            None,
            {"id": "0", "ssid": "x y", "auth_failures": "1", "duration": "10", "reason": "W"},
        ),
        ("IFNAME=wlan0 <2>CTRL-EVENT-TERMINATING ", wpa_events.TERMINATING, None, {}),
    ],
)
def test_events(text: str, name: str, address: str | None, fields: dict[str, str]) -> None:
    event = wpa_events.parse_event(text.encode(), 7)
    assert (event.t_ns, event.name, dict(event.fields)) == (7, name, fields)
    if address:
        assert event.address == address
    assert wpa_events.is_event(text.encode())


@given(st.binary())
def test_event_parser_never_raises(datagram: bytes) -> None:
    event = wpa_events.parse_event(datagram, 0)
    assert event.address is None or len(event.address) == 17
    event.integer("signal")


@given(st.text())
def test_reply_parsers_never_raise(reply: str) -> None:
    replies.parse_status(reply)
    replies.parse_scan_results("header\n" + reply)
    replies.parse_bss(reply)
    replies.parse_networks("header\n" + reply)
    replies.parse_pmksa(reply)
    replies.parse_signal_poll(reply, 0, "")
    replies.parse_ap_status(reply)
    replies.parse_station(reply)


def test_scan_results() -> None:
    reply = (
        "bssid / frequency / signal level / flags / ssid\n"
        "02:00:00:00:01:00\t2412\t-40\t[WPA2-EAP-CCMP][ESS]\tcaf\\xc3\\xa9\n"
        "02:00:00:00:02:00\t2437\t-60\t[ESS]\t\nnonsense\n"
    )
    first, second = replies.parse_scan_results(reply)
    assert (first.ssid.decode(), first.flags) == ("café", ("WPA2-EAP-CCMP", "ESS"))
    assert (second.signal_dbm, second.frequency_mhz, second.ssid) == (-60, 2437, b"")


def test_pmksa_of_both_daemons() -> None:
    for heading in ("AA", "SPA"):
        reply = (
            f"Index / {heading} / PMKID / expiration (in seconds) / opportunistic\n"
            "1 02:00:00:00:01:00 00112233445566778899aabbccddeeff 43200 1\n"
        )
        (entry,) = replies.parse_pmksa(reply)
        assert entry.expires_s == 43200
        assert entry.opportunistic
        assert entry.pmkid == bytes.fromhex("00112233445566778899aabbccddeeff")


def test_signal_poll_with_and_without_noise() -> None:
    reply = "RSSI=-40\nLINKSPEED=54\nNOISE={}\nFREQUENCY=2412\nAVG_RSSI=-41\nAVG_BEACON_RSSI=-42"
    known = replies.parse_signal_poll(reply.format(-92), 5, "02:00:00:00:01:00")
    assert (known.signal_dbm, known.snr_db, known.beacon_average_dbm) == (-40, 52, -42)
    for unknown in (9999, 0, -256):
        sample = replies.parse_signal_poll(reply.format(unknown), 5, "")
        assert (sample.noise_dbm, sample.snr_db) == (None, None)


def test_station_and_end_of_list() -> None:
    station = replies.parse_station("02:00:00:00:00:00\nflags=[AUTH][AUTHORIZED]\nsignal=-30\n")
    assert station is not None
    assert station.authorized
    assert station.signal_dbm == -30
    assert replies.parse_station("") is None


TLS = EapTls("mn@home.example", "/ca", "/cert", "/key", "home.example")


def test_profile_fields() -> None:
    profile = NetworkProfile(
        b"lab", TLS, pmf=Pmf.OPTIONAL, scan_frequencies_mhz=(2412, 2437), proactive_key_caching=True
    )
    fields = dict(profile.fields())
    assert fields["key_mgmt"] == "WPA-EAP WPA-EAP-SHA256"
    assert fields["ssid"] == b"lab".hex()
    assert fields["scan_freq"] == "2412 2437"
    assert fields["domain_suffix_match"] == '"home.example"'
    assert fields["proactive_key_caching"] == "1"
    assert dict(NetworkProfile(b"x", Open(), pmf=Pmf.OFF).fields())["key_mgmt"] == "NONE"
    assert dict(NetworkProfile(b"x", RawPsk(bytes(32))).fields())["psk"] == "00" * 32


@pytest.mark.parametrize(
    "profile",
    [
        NetworkProfile(b"", Open()),
        NetworkProfile(b"x" * 33, Open()),
        NetworkProfile(None, Open()),
        NetworkProfile(None, Open(), wired=True),
        NetworkProfile(b"x", Passphrase("short")),
        NetworkProfile(b"x", RawPsk(bytes(31))),
        NetworkProfile(b"x", Open(), bssid="nonsense"),
        NetworkProfile(b"x", Open(), scan_frequencies_mhz=(1,)),
        NetworkProfile(b"x", Open(), extra=(("bad name", "1"),)),
        NetworkProfile(b"x", EapTls("i", "", "/c", "/k", "d")),
        NetworkProfile(b"x", EapTls("i", "/ca", "/c", "/k", "")),
    ],
)
def test_impossible_profiles_are_refused(profile: NetworkProfile) -> None:
    with pytest.raises(MpaError):
        profile.fields()


def test_secrets_are_not_in_a_repr() -> None:
    assert "hunter22" not in repr(NetworkProfile(b"x", Passphrase("hunter22hunter22")))
