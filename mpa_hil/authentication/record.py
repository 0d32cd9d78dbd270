"""What is written down of an association, so that a restarted AA goes on with it. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from mpa_hil import errors
from mpa_hil.authentication.states import State
from mpa_hil.discovery.description import MAX_POINTS, is_bssid


class DecodeError(errors.DecodeError):
    """The values are no association's."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="record of an MPA-SA")


@dataclass(frozen=True, slots=True)
class Record:
    """One association. Keys of access points and agents are derived anew from the MPA-SA."""

    pana: dict[str, object] = field(repr=False)
    """As `PaaMachine.preserve` gives it, keys included."""
    mobile_node: str
    state: State
    station: str
    bssids: tuple[str, ...]
    number: int

    def values(self) -> dict[str, object]:
        """As plain values, for JSON."""
        return {
            "pana": self.pana,
            "mobile_node": self.mobile_node,
            "state": self.state.value,
            "station": self.station,
            "bssids": list(self.bssids),
            "number": self.number,
        }

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Record:
        """Raises DecodeError unless `values` wrote it."""
        pana, node, state = (values.get(key) for key in ("pana", "mobile_node", "state"))
        station, bssids, number = (values.get(key) for key in ("station", "bssids", "number"))
        if len(values) != 6 or not isinstance(pana, dict):
            _refuse("not the fields of a record")
        if not isinstance(node, str) or len(node.encode(errors="replace")) > 253:
            _refuse("no identity")
        if state not in (State.HELD.value, State.AUTHORISED.value):
            _refuse("no state that is kept")
        if not isinstance(station, str) or (station and not is_bssid(station)):
            _refuse("no station address")
        if not isinstance(bssids, list) or len(bssids) > MAX_POINTS:
            _refuse("no list of points of attachment")
        if not all(isinstance(bssid, str) and is_bssid(bssid) for bssid in bssids):
            _refuse("no BSSID")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 64:
            _refuse("no number of a question")
        return cls(pana, node, State(state), station, tuple(bssids), number)


def _refuse(what: str) -> NoReturn:
    raise DecodeError(what)
