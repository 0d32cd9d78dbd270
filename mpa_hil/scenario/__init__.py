"""The lab file: TOML on disk, frozen typed objects here, checked before anything starts."""

from .comparison import Check, Column, Compare
from .dumping import to_toml
from .files import certificate_files
from .floor import floor_scenario, is_floor
from .loading import check_bench, decode, encode, load
from .model import (
    AccessPoint,
    Capture,
    Correspondent,
    Dhcp,
    Domain,
    Flow,
    Home,
    Lab,
    Link,
    Measure,
    MobileNode,
    Movement,
    Placement,
    Point,
    Scenario,
)
from .movement import Switch, end_s, falls_to, signal_dbm, switch
from .schemes import (
    SCHEMES,
    L2Floor,
    Mpa,
    MpaLevel1,
    MpaLevel2,
    Reactive,
    ReactiveTuned,
    RsnPreauth,
    Schemes,
)

__all__ = [
    "SCHEMES",
    "AccessPoint",
    "Capture",
    "Check",
    "Column",
    "Compare",
    "Correspondent",
    "Dhcp",
    "Domain",
    "Flow",
    "Home",
    "L2Floor",
    "Lab",
    "Link",
    "Measure",
    "MobileNode",
    "Movement",
    "Mpa",
    "MpaLevel1",
    "MpaLevel2",
    "Placement",
    "Point",
    "Reactive",
    "ReactiveTuned",
    "RsnPreauth",
    "Scenario",
    "Schemes",
    "Switch",
    "certificate_files",
    "check_bench",
    "decode",
    "encode",
    "end_s",
    "falls_to",
    "floor_scenario",
    "is_floor",
    "load",
    "signal_dbm",
    "switch",
    "to_toml",
]
