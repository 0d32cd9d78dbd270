"""What signals are read from: recorded CSV, the kernel's station entries, beacons' load element."""

from __future__ import annotations

import fuzzing

from mpa_hil.errors import DecodeError
from mpa_hil.movement.recorded import BadTrace, points, read_csv
from radios import bss_load
from radios.bss_load import BssLoad
from radios.genetlink import Message, encode_attributes
from radios.station import Station, decode

TRACES = (
    b"t_s,ap,signal_dbm\n0,a1,-50\n1.5,a1,-61.25\n0,b1,-80\n",
    b'x,signal_dbm,"ap",t_s\n?,-50,02:00:00:00:0a:01,1e3\n\n?,,a1,7\n',
)
INFO = encode_attributes(
    [(7, b"\xc4"), (13, b"\xc3"), (30, b"\xc2"), (29, b"\7" + bytes(7)), (18, b"\2\0\0\0")]
)
STATION = bytes(4) + encode_attributes([(3, b"\1\0\0\0"), (6, bytes(6)), (21, INFO)])
ELEMENTS = (b"\0\2xy" + bytes((11, 5, 3, 0, 51, 0, 0)) + b"\3\1\6", bytes((11, 5)) + bytes(5))
NAMES = {"a1": "a1", "b1": "b1", "02:00:00:00:0a:01": "a1"}


def trace(octets: bytes) -> object:
    try:
        found = points(read_csv(octets.decode(errors="replace")), NAMES)
    except BadTrace as error:
        raise DecodeError(str(error)) from error
    for some in found.values():
        assert [t for t, _ in some] == sorted({t for t, _ in some})
        assert all(-110 <= dbm <= 0 and t >= 0 for t, dbm in some)
    return found


def station(octets: bytes) -> Station:
    try:
        return decode(Message(30, 1, octets), 5, "02:00:00:00:0a:01", 2412)
    except ValueError as error:
        raise DecodeError(str(error)) from error


def load(octets: bytes) -> BssLoad:
    found = bss_load.find(octets)
    if found is None:
        raise DecodeError("none")
    assert 0 <= found.busy <= 1
    return found


def test_recorded_traces() -> None:
    tally = fuzzing.fuzz("recorded csv", trace, TRACES)
    assert tally.accepted > fuzzing.inputs() // 20


def test_station_entries() -> None:
    tally = fuzzing.fuzz("station entry", station, (STATION,))
    assert tally.accepted > fuzzing.inputs() // 20


def test_load_elements() -> None:
    tally = fuzzing.fuzz("bss load", load, ELEMENTS)
    assert tally.accepted > fuzzing.inputs() // 20
