"""The access router's agent: `python3 -m mpa_hil.agents.access_router CONFIG.json`.

It holds the MN-AR keys that its authentication agent delivers, and manages the proactive handover
tunnels of their mobile nodes (RFC 6252 s7.4): makes them, proxies for the MNs, holds their packets
during the switch. Configuration, commands and events: `mpa_hil.agents.key_recipient`; besides those
keys the configuration has

    addresses             its own addresses, which MN-AR keys must be bound to; tunnels end there
    tunnels               without it the agent holds keys, and that is all; else an object:
        interface         the link on which MNs arrive
        port              7165 (UDP)
        networks          prefixes of that link
        reserved          addresses of the link that no MN may have; its own need not be named
        protections       ["plain", "esp", "wireguard"]
        check_ms          1000: how long duplicate address detection waits for an owner
        linger_s          5: how long a tunnel outlives its MN's arrival
        mtu               1500, of the way to the MN
        store             path of the file in which sessions outlive the process; default: none
        sessions, sessions_per_node, idle_s, life_s, hold_ms, hold_octets, hold_packets,
        all_hold_octets   limits: see `mpa_hil.tunnel.settings.Limits`

One more command: `{"cmd": "sessions"}` -> `tunnel.sessions`. Standard input closed, or SIGTERM: all
tunnels go, what is held goes onto the link. After `{"cmd": "keep"}` they stay for the next process.
A guardian process tidies up when the agent is killed and no other takes its place.

More events: `tunnel.*`, in docs/events.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Coroutine

from mpa_hil.agents.access_router_config import AccessRouterSettings, TunnelAgentSettings
from mpa_hil.agents.key_recipient import KeyRecipient
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.agents.tunnel_kernel import TunnelKernel, key_pair
from mpa_hil.agents.tunnel_service import TunnelService
from mpa_hil.agents.tunnel_watch import TunnelWatch
from mpa_hil.key_delivery.holder import HeldKey
from mpa_hil.keys import Usage, address_identifier
from mpa_hil.tunnel.interface import Protect
from mpa_hil.tunnel.router import RouterTunnels

_COLLECT = (50_000, 20, 100)
"""Thresholds of the cycle collector: it seldom finds anything, and costs a switch its time."""


class AccessRouter(KeyRecipient):
    """Holds MN-AR keys, and tells the tunnels."""

    role = "ar"

    def __init__(
        self, settings: AccessRouterSettings, tunnels: TunnelService | None, console: Console
    ) -> None:
        peers = frozenset(map(address_identifier, settings.addresses))
        terms = settings.recipient.terms(Usage.MN_AR, peers)
        super().__init__(settings.recipient, terms, console)
        self._tunnels = tunnels

    def services(self) -> tuple[Coroutine[None, None, None], ...]:
        """What runs beside the server."""
        return () if self._tunnels is None else (self._tunnels.run(),)

    async def put_in(self, key: HeldKey) -> str:
        """See `KeyRecipient`."""
        if self._tunnels is not None:
            self._tunnels.key_added(key.install, key.install.mobile_node)
        return ""

    async def take_out(self, key: HeldKey) -> str:
        """See `KeyRecipient`."""
        if self._tunnels is not None:
            self._tunnels.key_withdrawn(key.install.name)
        return ""

    def seen(self, key: HeldKey, present: bool) -> None:
        """See `Keeper`."""
        if self._tunnels is not None:
            self._tunnels.seen(key.install.name, present)

    def on_command(self, command: Json) -> None:
        """See `KeyRecipient`."""
        if command["cmd"] == "sessions" and self._tunnels is not None:
            self.console.emit("tunnel.sessions", sessions=self._tunnels.sessions())
        else:
            super().on_command(command)


async def _with_tunnels(
    settings: AccessRouterSettings, wanted: TunnelAgentSettings, console: Console
) -> None:
    keep = False
    with contextlib.ExitStack() as stack:
        watch = TunnelWatch(wanted.interface)  # forks: before there are threads
        stack.callback(watch.dismiss)
        kernel = TunnelKernel(wanted.interface, wanted.networks, wanted.check_ms)
        stack.callback(lambda: kernel.close(keep))
        kernel.warm_up(settings.addresses, protected=Protect.ESP in wanted.protections)
        make = key_pair if Protect.WIREGUARD in wanted.protections else None
        machine = RouterTunnels(wanted.router(settings.addresses, kernel.mac), os.urandom, make)
        service = TunnelService(wanted, settings.addresses, machine, kernel, console)
        stack.callback(lambda: service.close(keep))
        agent = AccessRouter(settings, service, console)
        service.start(watch.swept)
        gc.freeze()  # what is there now stays: the collector need not look at it again
        gc.set_threshold(*_COLLECT)
        await agent.run(*agent.services())
        keep = agent.keep


def serve(config: Json, console: Console) -> None:
    """Serve until told to end."""
    settings = AccessRouterSettings.read(config)

    async def run() -> None:
        if settings.tunnels is None:
            await AccessRouter(settings, None, console).run()
        else:
            await _with_tunnels(settings, settings.tunnels, console)

    asyncio.run(run())


if __name__ == "__main__":
    main("access_router", serve)
