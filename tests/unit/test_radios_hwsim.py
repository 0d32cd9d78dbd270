"""What goes to the kernel for virtual radios, and what comes back from nl80211."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radios import genetlink, hwsim, nl80211
from radios.errors import LocalError, MachineError, RemoteError


def test_new_radio_is_encoded_as_the_kernel_reads_it() -> None:
    attributes = hwsim.new_radio_attributes("mn0", "02:00:00:00:00:10", interface=False)
    request = genetlink.encode_request(0x1C, hwsim.COMMAND_NEW_RADIO, attributes, 7)
    size, family, flags, sequence, port = struct.unpack_from("=IHHII", request)
    assert (size, family, flags, sequence, port) == (len(request), 0x1C, 0x5, 7, 0)
    command, version, reserved = struct.unpack_from("=BBH", request, 16)
    assert (command, version, reserved) == (4, 1, 0)
    assert genetlink.decode_attributes(request[20:]) == {
        9: struct.pack("=I", 1),
        16: b"",
        17: b"mn0\0",
        18: b"",
        22: bytes.fromhex("020000000010"),
    }


def test_an_attribute_is_padded_but_its_length_is_not() -> None:
    encoded = genetlink.encode_attributes([(17, b"ab\0"), (9, b"1234")])
    assert encoded == struct.pack("=HH", 7, 17) + b"ab\0\0" + struct.pack("=HH", 8, 9) + b"1234"


@given(st.lists(st.tuples(st.integers(1, 300), st.binary(max_size=50)), max_size=9))
def test_attributes_survive(attributes: list[tuple[int, bytes]]) -> None:
    encoded = genetlink.encode_attributes(attributes)
    assert genetlink.decode_attributes(encoded) == dict(attributes)


@given(st.binary())
def test_kernel_garbage_is_a_value_error_or_messages(data: bytes) -> None:
    for decode in (genetlink.decode_messages, genetlink.decode_attributes):
        try:
            decode(data)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("name", "address", "channels"),
    [
        ("phy3", "02:00:00:00:00:10", 1),
        ("a/b", "02:00:00:00:00:10", 1),
        ("", "02:00:00:00:00:10", 1),
        ("x" * 16, "02:00:00:00:00:10", 1),
        ("mn0", "03:00:00:00:00:10", 1),
        ("mn0", "00:00:00:00:00:00", 1),
        ("mn0", "02:00", 1),
        ("mn0", "02:00:00:00:00:10", 0),
    ],
)
def test_impossible_radios_are_refused(name: str, address: str, channels: int) -> None:
    with pytest.raises(LocalError):
        hwsim.new_radio_attributes(name, address, channels=channels)


def test_rx_rssi_is_an_unsigned_number() -> None:
    assert hwsim.encode_rx_rssi(-60) == "18446744073709551556"
    for outside in (0, -101, 5):
        with pytest.raises(LocalError):
            hwsim.encode_rx_rssi(outside)


@pytest.mark.parametrize("signal_dbm", range(-100, -9))
def test_level_adds_up_within_the_kernel_limits(signal_dbm: int) -> None:
    level = hwsim.level_for(signal_dbm)
    assert level.rx_rssi_dbm + level.transmit_power_dbm == signal_dbm
    assert 0 <= level.transmit_power_dbm <= 20
    hwsim.encode_rx_rssi(level.rx_rssi_dbm)


def test_level_out_of_reach() -> None:
    for outside in (-101, -9):
        with pytest.raises(LocalError):
            hwsim.level_for(outside)


def test_files_are_written_and_their_absence_is_explained(tmp_path: Path) -> None:
    folder = tmp_path / "ieee80211" / "mn0" / "hwsim"
    with pytest.raises(MachineError, match="mount_debugfs"):
        hwsim.set_group("mn0", 3, debugfs=tmp_path / "absent")
    folder.mkdir(parents=True)
    hwsim.set_rx_rssi("mn0", -1, debugfs=tmp_path)
    hwsim.set_group("mn0", 3, debugfs=tmp_path)
    assert (folder / "rx_rssi").read_text() == "18446744073709551615"
    assert (folder / "group").read_text() == "3"
    with pytest.raises(LocalError):
        hwsim.set_group("../../etc", 1, debugfs=tmp_path)
    with pytest.raises(LocalError):
        hwsim.set_group("mn0", -1, debugfs=tmp_path)


def test_commands() -> None:
    assert hwsim.transmit_power_command("wlan0", 5)[-2:] == ("fixed", "500")
    with pytest.raises(LocalError):
        hwsim.transmit_power_command("wlan0", 31)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EPERM, MachineError), (errno.ENODEV, MachineError), (errno.EINVAL, RemoteError)],
)
def test_kernel_errors(number: int, kind: type[Exception]) -> None:
    assert isinstance(genetlink.kernel_error(OSError(number, "text"), "phy 1"), kind)


class Attributes:
    """What pyroute2 hands over, as far as the decoders use it."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def get_attr(self, name: str, default: Any = None) -> Any:
        for key, value in self._values.items():
            if name.endswith(f"_{key}"):
                return value
        return default


def test_station_with_signed_and_unsigned_readings() -> None:
    info = Attributes(STA_INFO_SIGNAL=-40, STA_INFO_SIGNAL_AVG=216)
    message = Attributes(ATTR_MAC="02:00:00:00:01:00", ATTR_STA_INFO=info)
    sample = nl80211.decode_station(message, 5, 2412, -92)
    assert (sample.signal_dbm, sample.average_dbm, sample.snr_db) == (-40, -40, 52)
    assert nl80211.decode_station(Attributes(), 5, None, None).signal_dbm is None


def test_survey_noise_unknown_and_known() -> None:
    def survey(noise: int | None) -> nl80211.ChannelSurvey | None:
        info = Attributes(INFO_FREQUENCY=2412, INFO_NOISE=noise, INFO_IN_USE=True)
        return nl80211.decode_survey(Attributes(ATTR_SURVEY_INFO=info))

    for raw, expected in ((164, -92), (0, None), (None, None)):
        channel = survey(raw)
        assert channel is not None
        assert (channel.noise_dbm, channel.in_use) == (expected, True)
    assert nl80211.decode_survey(Attributes()) is None


def test_capabilities_of_a_split_dump_are_put_together() -> None:
    channels = [
        Attributes(ATTR_FREQ=2412),
        Attributes(ATTR_FREQ=2484, ATTR_DISABLED=True),
    ]
    (device,) = nl80211.decode_capabilities(
        [
            Attributes(ATTR_WIPHY=2, WIPHY_NAME="phy2", SCAN_SSIDS=4),
            Attributes(ATTR_WIPHY=2, WIPHY_BANDS=[Attributes(ATTR_FREQS=channels)]),
            Attributes(
                ATTR_WIPHY=2,
                CIPHER_SUITES=["WLAN_CIPHER_SUITE_CCMP", "AES_CMAC"],
                EXT_FEATURES="00:80:01",
                AKM_SUITES=struct.pack("=II", 0x000FAC01, 0x000FACFF),
                ROAM_SUPPORT="",
            ),
        ]
    )
    assert device.frequencies_mhz == (2412,)
    assert device.ciphers == ("CCMP", "BIP-CMAC-128")
    assert device.features == {"4way-handshake-station-psk", "4way-handshake-station-802.1x"}
    assert device.key_managements == ("802.1X", "000facff")
    assert device.roams_itself


def test_move_needs_one_target() -> None:
    with pytest.raises(LocalError):
        nl80211.move_phy(0)
    with pytest.raises(LocalError):
        nl80211.move_phy(0, pid=1, namespace="/run/netns/x")


def test_phys_from_sysfs(tmp_path: Path) -> None:
    assert nl80211.phys(tmp_path / "absent") == {}
    (tmp_path / "mn0").mkdir()
    (tmp_path / "mn0" / "index").write_text("3\n")
    assert nl80211.phys(tmp_path) == {"mn0": 3}
