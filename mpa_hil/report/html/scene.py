"""Who is who in a lab: which box stands in which column of a ladder diagram. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mpa_hil.report.html.data import Happening
from mpa_hil.report.html.ladder_tables import AGENTS
from mpa_hil.scenario import AccessPoint, Scenario, floor_scenario, is_floor, switch
from radios.errors import MpaError

_MAC = re.compile(r"\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b")
FLOOR = "l2-floor"


@dataclass(frozen=True, slots=True)
class Scene:
    """The boxes of one handover."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Column by name of box; of a router, where its agents do not say more."""
    boxes: Mapping[str, str] = field(default_factory=dict)
    """What stands below a column's name."""
    points: Mapping[str, str] = field(default_factory=dict)
    """Access point by BSSID, as hexadecimal digits in lower case."""
    candidate: str = ""
    """The candidate target network; empty where the MN stays in its network."""

    def column(self, event: Happening) -> str:
        """Where an event happened; a box without a column stands for itself."""
        column = self.columns.get(event.host, event.host)
        return AGENTS.get(event.agent, column) if column == "AR" else column

    def point(self, event: Happening) -> str:
        """Column of the access point that an event names; empty where it names none."""
        found = _MAC.search(event.text("bssid") or event.text("text"))
        box = self.points.get(found[0].replace(":", "").lower(), "") if found else ""
        return self.columns.get(box, box)


def scene(scenario: Scenario | None, scheme: str, between: tuple[str, str] | None = None) -> Scene:
    """The boxes of a lab by their parts in a switch, for one scheme.

    Args:
        scenario: None: not known, and boxes stand for themselves.
        between: access points left and joined; None: those of the first switch.
    """
    move = None if scenario is None else switch(scenario)
    if scenario is None or move is None:
        return Scene({"mn": "MN", "cn": "CN", "home-agent": "HA", "home-aaa": "AAAH"})
    if between is not None and {ap.name for ap in scenario.aps}.issuperset(between):
        move = replace(move, old=between[0], new=between[1])
    points = {_digits(ap): ap.name for ap in scenario.aps}
    if scheme == FLOOR and not is_floor(scenario):
        try:
            scenario = floor_scenario(scenario)
        except MpaError:
            return Scene()
        points |= {_digits(ap): ap.name for ap in scenario.aps}
    old, new = scenario.domain_of(move.old), scenario.domain_of(move.new)
    moves = old.name != new.name
    columns = {
        "mn": "MN",
        move.old: "oPoA",
        move.new: "nPoA",
        f"{old.name}-router": "oAR",
        f"{old.name}-aaa": "AAA of the old network",
        f"{new.name}-router": "AR",
        f"{new.name}-aaa": "AAAV",
        "home-aaa": "AAAH",
        "home-agent": "HA",
        "cn": "CN",
    }
    boxes = {column: box for box, column in columns.items()} | {
        "MN": scenario.mn.identity,
        "oPoA": _network(scenario.ap(move.old)),
        "nPoA": _network(scenario.ap(move.new)),
        **dict.fromkeys(AGENTS.values(), f"{new.name}-router"),
    }
    return Scene(columns, boxes, points, f"{new.name}, {new.realm}" if moves else "")


def _network(point: AccessPoint) -> str:
    return f"{point.name}, {point.ssid}"


def _digits(point: AccessPoint) -> str:
    return point.bssid.replace(":", "").replace("-", "").lower()
