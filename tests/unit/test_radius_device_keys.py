"""Keys of single stations for access points that ask by RADIUS; pyrad plays the access point."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from pyrad.packet import AccessAccept, AccessReject, AuthPacket
from radius_peers import SECRET, Octets, at, pyrad_dictionary

from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Discarded, Endpoint, Send
from mpa_hil.radius.device_keys import (
    AccessPoint,
    DeviceKeyAnswerer,
    KeyGiven,
    KeyOutput,
    KeyRefused,
    StationKey,
)

DICTIONARY = pyrad_dictionary()
POINT = AccessPoint("ap-b", ip_address("192.0.2.10"), SECRET)
SOURCE = Endpoint(POINT.address, 40000)
STATION, BSSID = "02:00:00:00:00:01", "02:00:00:00:0b:01"
PMK = bytes(range(32))
KEYS = {
    (STATION, BSSID): StationKey(pmk=PMK),
    (STATION, None): StationKey(passphrase="a pass phrase", lifetime_s=600),
}
ASKED: list[tuple[str, str | None, str | None]] = []


def find(station: str, bssid: str | None, ssid: str | None) -> StationKey | None:
    ASKED.append((station, bssid, ssid))
    return KEYS.get((station, bssid))


def answerer() -> DeviceKeyAnswerer:
    ASKED.clear()
    return DeviceKeyAnswerer([POINT], find, Octets())


def request(**attributes: Any) -> AuthPacket:
    """As hostapd 2.10 asks."""
    values = {
        "User_Name": "020000000001",
        "Called_Station_Id": "02-00-00-00-0B-01:operator b",
        "Calling_Station_Id": "02-00-00-00-00-01",
    }
    packet = AuthPacket(secret=SECRET, dict=DICTIONARY, **{**values, **attributes})
    packet.add_message_authenticator()
    return packet


def reply(asked: AuthPacket, outputs: tuple[KeyOutput, ...]) -> Any:
    send = outputs[0]
    assert isinstance(send, Send)
    assert send.destination == SOURCE
    packet = asked.CreateReply(packet=send.datagram)
    assert asked.VerifyReply(packet, send.datagram, enforce_ma=True)
    packet.request_authenticator = asked.authenticator
    return packet


def test_a_known_station_has_its_key() -> None:
    asked = request()
    outputs = answerer().receive(asked.RequestPacket(), SOURCE, at(0))
    answer = reply(asked, outputs)
    assert answer.code == AccessAccept
    assert answer["Tunnel-Password"] == [PMK.hex()]
    assert outputs[1:] == (KeyGiven("ap-b", STATION, BSSID),)
    assert ASKED == [(STATION, BSSID, "operator b")]


def test_a_pass_phrase_for_a_while() -> None:
    asked = request(Called_Station_Id="somewhere", User_Name="02-00-00-00-00-01")
    answer = reply(asked, answerer().receive(asked.RequestPacket(), SOURCE, at(0)))
    assert answer["Tunnel-Password"] == ["a pass phrase"]
    assert answer["Session-Timeout"] == [600]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"User_Name": "020000000002", "Calling_Station_Id": ""}, "no key for that station"),
        ({"Called_Station_Id": "02-00-00-00-0B-02:operator b"}, "no key for that station"),
        ({"User_Name": "mn@home.example"}, "no MAC address"),
        ({"User_Name": "020000000002"}, "two stations"),
        ({"EAP_Message": b"\x02\x01\x00\x05\x01"}, "asks for EAP"),
    ],
)
def test_everybody_else_is_rejected(attributes: dict[str, Any], reason: str) -> None:
    asked = request(**attributes)
    outputs = answerer().receive(asked.RequestPacket(), SOURCE, at(0))
    answer = reply(asked, outputs)
    assert answer.code == AccessReject
    assert 69 not in answer
    (said,) = outputs[1:]
    assert isinstance(said, KeyRefused)
    assert reason in said.reason


def test_a_duplicate_has_the_same_answer_and_asks_nobody() -> None:
    machine = answerer()
    octets = request().RequestPacket()
    first = machine.receive(octets, SOURCE, at(0))
    assert machine.receive(octets, SOURCE, at(5)) == first[:1]
    assert len(ASKED) == 1
    later = machine.receive(octets, SOURCE, at(11))
    assert len(ASKED) == 2
    assert later[0] != first[0], "another salt"


def test_what_is_remembered_is_bounded() -> None:
    machine = answerer()
    for _ in range(4200):
        machine.receive(request().RequestPacket(), SOURCE, at(0))
    assert len(machine._answers) <= 4096


def drop(octets: bytes, source: Endpoint = SOURCE) -> str:
    (output,) = answerer().receive(octets, source, at(0))
    assert isinstance(output, Discarded)
    return output.reason


def test_strangers_and_forgers_get_no_answer() -> None:
    octets = request().RequestPacket()
    assert "not from" in drop(octets, Endpoint(ip_address("192.0.2.11"), 40000))
    assert "wrong Message-Authenticator" in drop(octets[:-1] + bytes((octets[-1] ^ 1,)))
    plain = AuthPacket(secret=SECRET, dict=DICTIONARY, User_Name="020000000001")
    assert "no Message-Authenticator" in drop(plain.RequestPacket())
    assert "shorter" in drop(b"")
    assert "no request" in drop(bytes((2,)) + octets[1:])


def test_a_probe_and_a_proxy_are_served() -> None:
    asked = request()
    asked[33] = [b"by way of one", b"and another"]
    answer = reply(asked, answerer().receive(asked.RequestPacket(), SOURCE, at(0)))
    assert answer[33] == [b"by way of one", b"and another"]
    probe = request()
    probe.code = 12
    outputs = answerer().receive(probe.RequestPacket(), SOURCE, at(0))
    assert reply(probe, outputs).code == AccessAccept
    assert len(outputs) == 1
    assert not ASKED


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"pmk": PMK, "passphrase": "a pass phrase"},
        {"pmk": PMK[:31]},
        {"passphrase": "2 short"},
        {"passphrase": "x" * 64},
        {"passphrase": "no\nlines here"},
    ],
)
def test_what_is_no_key(key: dict[str, Any]) -> None:
    with pytest.raises(LocalError, match="not a station's key"):
        StationKey(**key)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(LocalError, match="one address"):
        DeviceKeyAnswerer([POINT, POINT], find, Octets())
    with pytest.raises(LocalError, match="without a secret"):
        DeviceKeyAnswerer([AccessPoint("x", POINT.address, b"")], find, Octets())


def test_nothing_secret_is_shown() -> None:
    shown = repr((StationKey(pmk=PMK), StationKey(passphrase="a pass phrase"), POINT))
    assert PMK.hex() not in shown
    assert "x01" not in shown
    assert "phrase" not in shown.replace("passphrase", "")
    assert "shared" not in shown
