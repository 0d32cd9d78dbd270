"""The cache as octets for a file: what was learnt outlives a restart of the node. Sans-IO.

JSON, for people to read; times on the calendar, since a monotonic clock starts anew. What the lab
file says is not kept: the file is read again anyway.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from mpa_hil import errors
from mpa_hil.mobility.interface import NS_PER_S, Instant

from . import wire
from .cache import MAX_ENTRIES, MAX_PLACES, Cache, Entry, Place
from .description import Learnt, Source, is_bssid

FORMAT = "mpa-hil discovery 1"
MAX_OCTETS = 1 << 20
"""More is refused unread; a full cache of ordinary networks takes a tenth."""


class DecodeError(errors.DecodeError):
    """The octets are no remembered cache."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="remembered networks")


def dump(cache: Cache, now: Instant) -> bytes:
    """What a cache holds that is not expired."""
    entries = [
        _dump(entry, now)
        for entry in cache.entries(now.monotonic_ns)
        if entry.learnt.source is not Source.LAB_FILE
    ]
    return json.dumps({"format": FORMAT, "entries": entries}, indent=1).encode() + b"\n"


def load(octets: bytes, now: Instant) -> Cache:
    """A cache of what was remembered and has not expired since.

    What claims to be from the future (the calendar was set back) counts as learnt now.

    Raises:
        errors.DecodeError: not what `dump` writes.
    """
    if len(octets) > MAX_OCTETS:
        _refuse(f"{len(octets)} octets")
    try:
        content = json.loads(octets)
    except (ValueError, RecursionError):
        _refuse("not JSON")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        _refuse(f"the format is not {FORMAT!r}")
    entries = content.get("entries")
    if not isinstance(entries, list) or len(entries) > MAX_PLACES * MAX_ENTRIES:
        _refuse("no list of entries")
    cache = Cache()
    for each in entries:
        entry = _load(each, now)
        if entry.learnt.expires_ns > now.monotonic_ns:
            cache.learn((entry.learnt,), entry.place)
    return cache


def _dump(entry: Entry, now: Instant) -> dict[str, Any]:
    place, learnt = entry.place, entry.learnt
    age_ns = now.monotonic_ns - learnt.learnt_ns
    return {
        "realm": learnt.network.realm,
        "source": learnt.source.value,
        "bssid": place.bssid if place else None,
        "ssid": place.ssid.hex() if place else None,
        "learnt_unix_s": (now.unix_ns - age_ns) // NS_PER_S,
        "description": wire.encode((learnt.network,)).hex(),
    }


def _load(entry: object, now: Instant) -> Entry:
    if not isinstance(entry, dict):
        _refuse("an entry is no object")
    learnt_s, bssid, ssid = entry.get("learnt_unix_s"), entry.get("bssid"), entry.get("ssid")
    try:
        source = Source(entry.get("source"))
        networks = wire.decode(bytes.fromhex(str(entry.get("description"))))
        place = None if bssid is None else Place(str(bssid), bytes.fromhex(str(ssid)))
    except ValueError:
        _refuse("an entry's source, place or description cannot be read")
    if source is Source.LAB_FILE or len(networks) != 1:
        _refuse("an entry of the lab file, or not of one network")
    if place is not None and not (is_bssid(place.bssid) and 1 <= len(place.ssid) <= 32):
        _refuse("an entry's place is none")
    if not isinstance(learnt_s, int) or isinstance(learnt_s, bool):
        _refuse("an entry without a time")
    age_ns = max(0, now.unix_ns - learnt_s * NS_PER_S)
    return Entry(place, Learnt(networks[0], source, now.monotonic_ns - age_ns))


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
