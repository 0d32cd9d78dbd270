"""What drivers and firmware are known to do wrong: the notes in `firmware_notes/`, typed.

One TOML file a driver: `[match] drivers` holds shell patterns for the kernel's driver name, each
`[[quirk]]` a fact with its effect on handover triggers, what to do, and who reported it.
"""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from radios.errors import LocalError

NOTES = Path(__file__).resolve().parent.parent / "firmware_notes"


class Affects(StrEnum):
    """What a quirk spoils."""

    SIGNAL = "signal"
    NOISE = "noise"
    EVENTS = "events"
    SCAN = "scan"
    MEDIUM = "medium"


@dataclass(frozen=True, slots=True)
class Quirk:
    """One known misbehaviour.

    Attributes:
        what: the fact.
        triggers: what it does to handover triggers.
        workaround: what to do.
        source: where it was reported or measured.
    """

    affects: Affects
    what: str
    triggers: str
    workaround: str
    source: str


@dataclass(frozen=True, slots=True)
class DriverNotes:
    """The notes of one file."""

    name: str
    drivers: tuple[str, ...]
    quirks: tuple[Quirk, ...]

    def match(self, driver: str) -> bool:
        """Whether these notes are about a driver of this name."""
        return any(fnmatch.fnmatchcase(driver, pattern) for pattern in self.drivers)


def load(folder: Path = NOTES) -> tuple[DriverNotes, ...]:
    """Every file of notes, by name.

    Raises:
        LocalError: a file that is not what this module describes, with its name.
    """
    return tuple(_parse(path) for path in sorted(folder.glob("*.toml")))


def quirks_of(driver: str, folder: Path = NOTES) -> tuple[Quirk, ...]:
    """What is known of a driver; notes about this very driver come before those about all."""
    matching = [notes for notes in load(folder) if notes.match(driver)]
    matching.sort(key=lambda notes: "*" in notes.drivers)
    return tuple(quirk for notes in matching for quirk in notes.quirks)


def driver_of(phy: str, class_folder: Path = Path("/sys/class/ieee80211")) -> str | None:
    """The kernel's name for the driver of a wireless device, None if there is no such device."""
    link = class_folder / phy / "device" / "driver"
    return link.resolve().name if link.exists() else None


def _parse(path: Path) -> DriverNotes:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        drivers = _strings(content["match"]["drivers"])
        quirks = tuple(_quirk(table) for table in content["quirk"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(
            f"these driver notes cannot be read: {type(error).__name__} {error}",
            where=str(path),
            remedy="compare with the other files in firmware_notes/",
        ) from error
    return DriverNotes(path.stem, drivers, quirks)


def _quirk(table: dict[str, Any]) -> Quirk:
    fields = {name: table[name] for name in ("what", "triggers", "workaround", "source")}
    unknown = table.keys() - fields.keys() - {"affects"}
    if unknown or not all(isinstance(value, str) and value for value in fields.values()):
        raise ValueError(f"unknown or empty fields in {table}")
    return Quirk(affects=Affects(table["affects"]), **fields)


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError(f"not a list of names: {value!r}")
    return tuple(value)
