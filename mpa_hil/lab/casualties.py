"""Daemons of a lab that die on purpose: which they are, and how they come back."""

from __future__ import annotations

import signal

from mpa_hil.lab import agents
from mpa_hil.lab.agents import Agent
from mpa_hil.lab.builder import Lab
from radios.errors import LocalError
from rigs.services.service import Service

_MODULES = {
    "aa": "authentication_agent",
    "ca": "configuration_agent",
    "ar": "access_router",
    "ep": "enforcement_point",
    "dhcp": "dnsmasq",
    "aaa": "freeradius",
    "hostapd": "hostapd",
    "supplicant": "wpa_supplicant",
}
"""What runs as a target's last word, by its name as a service."""
_ON_ROUTER = ("aa", "ca", "ar", "dhcp")
_READY = {
    "authentication_agent": "aa.ready",
    "configuration_agent": "keys.ready",
    "access_router": "keys.ready",
    "enforcement_point": "keys.ready",
    "home_agent": "mip4.ready",
}


def casualty(lab: Lab, target: str) -> Service:
    """The daemon that a fault's target names.

    Raises:
        LocalError: this lab has none of that name.
    """
    if target in ("home-agent", "home-aaa"):
        box, name = target, "home_agent" if target == "home-agent" else "freeradius"
    else:
        place, _, part = target.rpartition("-")
        name = _MODULES.get(part, part)
        box = f"{place}-router" if part in _ON_ROUTER else target if part == "aaa" else place
    service = lab.logs.get(f"{box}-{name}")
    if service is None:
        raise LocalError(
            f"no {target} runs here", where=lab.scenario.lab.name, remedy="is it in the lab?"
        )
    return service


async def strike(lab: Lab, service: Service, number: int) -> None:
    """Send it a signal that it may die of."""
    if number == signal.SIGKILL:
        lab.expendable.add(service)
    await service.daemon.signal(number)


async def revive(lab: Lab, dead: Service) -> None:
    """Start a daemon again as it was started; not a DHCP server, which each run starts anew.

    Raises:
        RemoteError: it did not come up.
    """
    await dead.daemon.wait()
    ready = _READY.get(dead.name)
    if ready is not None and isinstance(dead, Agent):
        lab.replace(dead, await agents.start_again(dead, ready=ready))
    elif (again := await lab.starts.again(dead)) is not None:
        lab.replace(dead, again)
