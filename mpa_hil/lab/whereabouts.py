"""Where a lab's mobile node is: its network, its addresses, and where its packets are sent."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from mpa_hil.lab import plan
from mpa_hil.lab.builder import Lab
from radios.control import ControlClient
from radios.errors import MpaError
from radios.supplicant import Supplicant
from rigs.host import Host


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What supplicant and kernels say.

    Attributes:
        network: the access point that it is associated with, its port open; empty: none.
        addresses: of its radio.
        care_of: the far end of the tunnel that the home agent sends its packets by; empty: none.
    """

    network: str = ""
    addresses: tuple[str, ...] = ()
    care_of: str = ""


async def whereabouts(lab: Lab) -> Whereabouts:
    """Look now. What cannot be found out is left empty."""
    home = str(lab.scenario.mn.home_address)
    return Whereabouts(
        await _network(lab), await _addresses(lab.hosts["mn"]), await _care_of(lab, home)
    )


async def _network(lab: Lab) -> str:
    with contextlib.suppress(MpaError):
        async with ControlClient(
            lab.supplicant_path, lab.hosts["mn"].connect, events=False
        ) as client:
            status = await Supplicant(client).status()
        if status.state == "COMPLETED":
            bssid = (status.bssid or "").lower()
            return next((ap.name for ap in lab.scenario.aps if ap.bssid.lower() == bssid), "")
    return ""


async def _addresses(host: Host) -> tuple[str, ...]:
    told = await _ip(host, "-4", "address", "show", "dev", plan.RADIO)
    found = [entry.get("local", "") for link in told for entry in link.get("addr_info", ())]
    return tuple(filter(None, found))


async def _care_of(lab: Lab, home: str) -> str:
    host = lab.hosts["home-agent"]
    for route in await _ip(host, "-4", "route", "show", home, "table", "all"):
        for link in await _ip(host, "-d", "link", "show", "dev", str(route.get("dev", "lo"))):
            remote = link.get("linkinfo", {}).get("info_data", {}).get("remote", "")
            if remote:
                return str(remote)
    return ""


async def _ip(host: Host, *words: str) -> list[dict[str, Any]]:
    told = await host.run("ip", "-j", *words, check=False)
    try:
        found = json.loads(told.stdout or b"[]")
    except ValueError:
        return []
    return [entry for entry in found if isinstance(entry, dict)]
