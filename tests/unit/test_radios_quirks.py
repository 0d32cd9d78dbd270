"""The notes on drivers: every shipped file is readable, and matching finds the right ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from radios import quirks
from radios.errors import LocalError


def test_every_shipped_note_is_complete() -> None:
    notes = quirks.load()
    assert len(notes) == len(list(quirks.NOTES.glob("*.toml"))) >= 9
    assert all(note.quirks for note in notes)


@pytest.mark.parametrize(
    ("driver", "word"),
    [
        ("mt7921e", "noise floor"),
        ("mt76x2u", "noise floor"),
        ("iwlwifi", "firmware watches"),
        ("ath11k_pci", "acknowledgements"),
        ("mac80211_hwsim", "rx_rssi"),
    ],
)
def test_drivers_are_matched(driver: str, word: str) -> None:
    assert any(word in quirk.what for quirk in quirks.quirks_of(driver))


def test_notes_about_everything_come_last() -> None:
    found = quirks.quirks_of("iwlwifi")
    assert found[-1:] == quirks.quirks_of("some_driver")


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "[match]\ndrivers = []\n[[quirk]]\n",
        "[match]\ndrivers = ['x']\n",
        "[match]\ndrivers = ['x']\n[[quirk]]\naffects = 'signal'\n",
        "[match]\ndrivers = ['x']\n[[quirk]]\naffects = 'smell'\nwhat = 'a'\ntriggers = 'b'\n"
        "workaround = 'c'\nsource = 'd'\n",
    ],
)
def test_broken_notes_name_their_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(LocalError, match=r"odd\.toml"):
        quirks.load(tmp_path)


def test_driver_of(tmp_path: Path) -> None:
    device = tmp_path / "phy0" / "device"
    device.mkdir(parents=True)
    (tmp_path / "drivers" / "iwlwifi").mkdir(parents=True)
    (device / "driver").symlink_to(tmp_path / "drivers" / "iwlwifi")
    assert quirks.driver_of("phy0", tmp_path) == "iwlwifi"
    assert quirks.driver_of("phy1", tmp_path) is None
