"""A network's configuration agent (CA).

Run it as `python3 -m mpa_hil.agents.configuration_agent CONFIG.json`. It holds the MN-CA keys that
its authentication agent delivers, until they are withdrawn or over. With `interface`, it acquires
addresses on that link for the mobile nodes that have those keys (`docs/configuration.md`).
Configuration, commands and events of the keys: `mpa_hil.agents.key_recipient`; besides those the
configuration has

    addresses             its own addresses, which MN-CA keys must be bound to
    interface             its own port on the network's link; absent: it only holds keys
    configuration_port    7164 (UDP), at each of the addresses
    methods               of "dhcpv4", "dhcpv6", "stateless", "ipv6"; default all
    per_node              2: addresses of one mobile node
    keep_s                600: an address goes back when its mobile node says nothing for so long
    grace_s               60: after a restart, for keys to be delivered again
    store                 path of the journal; absent: after a restart nothing is known of leases

Command: `{"cmd": "leases"}` lists what is held. Ended with `keep`, it gives nothing back.

Events: `ca.ready`, `ca.granted`, `ca.refused`, `ca.gone`, `ca.discarded`, `ca.leases`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from mpa_hil.agents.config import Fields
from mpa_hil.agents.key_recipient import KeyRecipient, RecipientSettings, addresses
from mpa_hil.agents.link_frames import LinkFrames
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.agents.udp_ports import UdpPort
from mpa_hil.authentication.journal import Journal
from mpa_hil.clock import instant
from mpa_hil.configuration.acquisition import Transmit
from mpa_hil.configuration.agent import ConfigurationAgent
from mpa_hil.configuration.interface import CONFIGURATION_PORT, Configuration, Method
from mpa_hil.configuration.reports import AgentSettings, Denied, Gone, Granted, Output
from mpa_hil.key_delivery.holder import HeldKey
from mpa_hil.keys import Usage, address_identifier
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Send

_PARTING_S = 2.0
"""At the end, for questions whether a mobile node is on the link, and addresses given back."""
_PAUSE_S = 1.0
"""Between two events about discarded datagrams of one kind."""
_KINDS = 64
_SOURCES = 4096


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What the agent needs beside the keys."""

    interface: str
    port: int
    agent: AgentSettings
    store: Path | None

    @classmethod
    def read(cls, fields: Fields) -> LinkSettings | None:
        """None: there is no interface; LocalError names the key that is wrong."""
        if not fields.has("interface"):
            return None
        names = fields.texts("methods") or tuple(each.name.lower() for each in Method)
        for name in names:
            if name.upper() not in Method.__members__:
                raise fields.fault("methods", f"{name!r} is none")
        agent = AgentSettings(
            methods=frozenset(Method[name.upper()] for name in names),
            per_node=fields.integer("per_node", 2, 1, 64),
            keep_s=fields.seconds("keep_s", 600.0),
            grace_s=fields.seconds("grace_s", 60.0),
        )
        return cls(
            fields.text("interface"),
            fields.integer("configuration_port", CONFIGURATION_PORT, 1, 65535),
            agent,
            Path(fields.text("store")) if fields.has("store") else None,
        )


class ConfigurationServer(KeyRecipient):
    """Holds MN-CA keys, and acquires addresses for those who have them."""

    role = "ca"

    def __init__(
        self,
        settings: RecipientSettings,
        own: tuple[IPv4Address | IPv6Address, ...],
        link: LinkSettings | None,
        console: Console,
    ) -> None:
        terms = settings.terms(Usage.MN_CA, frozenset(map(address_identifier, own)))
        super().__init__(settings, terms, console)
        self._own = own
        self._link = link
        self._agent: ConfigurationAgent | None = None
        self._frames: LinkFrames | None = None
        self._ports: dict[IPv4Address | IPv6Address, UdpPort] = {}
        self._asked: dict[Endpoint, IPv4Address | IPv6Address] = {}
        """At which of its own addresses each mobile node asked last."""
        self._journal: Journal | None = None
        self._settled = asyncio.Event()
        """Nothing is being given back."""
        self._timer: asyncio.TimerHandle | None = None
        self._discarded: dict[tuple[str, bool], tuple[str, int]] = {}

    async def serve(self) -> None:
        """Serve until told to end."""
        if self._link is None:
            await self.run()
            return
        try:
            self._open(self._link)
            await self.run(*(() if self._journal is None else (self._journal.run(),)))
        finally:
            self._close()

    def _open(self, link: LinkSettings) -> None:
        self._frames = LinkFrames(link.interface, self._heard, self._arm)
        self._agent = ConfigurationAgent(link.agent, self._frames.mac, os.urandom)
        if link.store is not None:
            self._journal = Journal(link.store)
            found = self._journal.load()
            faults = [found.damage] if found.damage else []
            for record, now in found.each(instant()):
                faults += self._agent.restore((record,), now)
            for fault in faults:
                self.console.emit("agent.refused", command="restore", reason=fault)
        for address in self._own:
            self._ports[address] = UdpPort(
                address, link.port, functools.partial(self._receive, address), self._arm
            )
        held = len(self._agent.holdings)
        self.console.emit("ca.ready", interface=link.interface, port=link.port, restored=held)
        self._carry_out(self._agent.begin())
        self._arm()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for port in self._ports.values():
            port.close()
        if self._frames is not None:
            self._frames.close()
        if self._journal is not None:
            self._journal.close()
        self._say_discarded()

    # keys

    async def put_in(self, key: HeldKey) -> str:
        """See `KeyRecipient`."""
        if self._agent is not None:
            self._agent.key_added(key.install, key.install.mobile_node, instant())
        return ""

    async def take_out(self, key: HeldKey) -> str:
        """See `KeyRecipient`."""
        if self._agent is not None:
            self._carry_out(self._agent.key_withdrawn(key.install.name, instant()))
            self._arm()
        return ""

    async def parted(self) -> None:
        """See `KeyRecipient`."""
        if self._agent is not None and self._agent.parting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PARTING_S):
                    await self._settled.wait()

    # what comes and goes

    def _receive(self, own: IPv4Address | IPv6Address, datagram: bytes, source: Endpoint) -> None:
        assert self._agent is not None
        if len(self._asked) >= _SOURCES:  # a flood: who is owed an answer will ask again
            self._asked.clear()
        self._asked[source] = own
        self._carry_out(self._agent.receive(datagram, source, instant()))

    def _heard(self, frame: bytes) -> None:
        assert self._agent is not None
        self._carry_out(self._agent.heard(frame, instant()))

    def _expire(self) -> None:
        assert self._agent is not None
        self._timer = None
        self._carry_out(self._agent.expire(instant()))
        self._arm()

    def _arm(self) -> None:
        assert self._agent is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._agent.next_deadline()
        if due_ns is not None:
            delay_s = max((due_ns - time.monotonic_ns()) / NS_PER_S, 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._expire)

    def _carry_out(self, outputs: Iterable[Output]) -> None:
        """What must outlive this process is written before anything that follows from it leaves."""
        assert self._agent is not None
        assert self._frames is not None
        if self._journal is not None:
            self._journal.write(self._agent.changes(instant()))
        if not self._agent.parting:
            self._settled.set()
        else:
            self._settled.clear()
        for output in outputs:
            if isinstance(output, Send):
                own = self._asked.get(output.destination)
                if own is not None:
                    self._ports[own].send(output.datagram, output.destination)
            elif isinstance(output, Transmit):
                self._frames.send(output.frame)
            else:
                self._tell(output)

    # events

    def _tell(self, output: Granted | Denied | Gone | Discarded) -> None:
        emit = self.console.emit
        if isinstance(output, Granted):
            emit(
                "ca.granted",
                None,
                mobile_node=output.mobile_node,
                method=output.method.name.lower(),
                renewal=output.renewal,
                duration_ns=output.duration_ns,
                **_told(output.configuration),
            )
        elif isinstance(output, Denied):
            emit(
                "ca.refused",
                mobile_node=output.mobile_node,
                code=output.code.name.lower(),
                reason=output.text,
            )
        elif isinstance(output, Gone):
            address = str(output.address)
            emit("ca.gone", mobile_node=output.mobile_node, address=address, cause=output.cause)
        else:
            self._count(output)

    def _count(self, output: Discarded) -> None:
        """Those of one kind are told together, once a second."""
        if not self._discarded:
            asyncio.get_running_loop().call_later(_PAUSE_S, self._say_discarded)
        kind = (output.reason, output.security)
        if kind in self._discarded or len(self._discarded) < _KINDS:
            source, count = self._discarded.get(kind, (str(output.source.address), 0))
            self._discarded[kind] = (source, count + 1)

    def _say_discarded(self) -> None:
        counted, self._discarded = self._discarded, {}
        for (reason, security), (source, count) in counted.items():
            self.console.emit(
                "ca.discarded", reason=reason, source=source, count=count, security=security
            )

    def on_command(self, command: Json) -> None:
        """See `KeyRecipient`."""
        if command["cmd"] != "leases" or self._agent is None:
            super().on_command(command)
            return
        now = instant()
        leases = [
            {
                "mobile_node": holding.mobile_node,
                "method": holding.wish.method.name.lower(),
                "mac": holding.wish.mac.hex(":"),
                "key": holding.key.hex(),
                **_told(holding.told(now)),
            }
            for holding in self._agent.holdings
            if holding.lease is not None and not holding.taken
        ]
        self.console.emit("ca.leases", leases=leases)


def _told(configuration: Configuration) -> dict[str, object]:
    lease_s, server = configuration.lease_s, configuration.server
    return {
        "address": str(configuration.address),
        "router": str(configuration.router),
        "router_mac": configuration.router_mac.hex(":"),
        "server": "" if server is None else str(server),
        "lease_s": None if math.isinf(lease_s) else round(lease_s, 3),
        "keep_s": round(configuration.keep_s, 3),
    }


def serve(config: Json, console: Console) -> None:
    """Serve until told to end."""
    fields = Fields(config, "configuration agent configuration")
    settings = RecipientSettings.read(fields)
    own = addresses(fields, "addresses")
    link = LinkSettings.read(fields)
    fields.done()

    async def run() -> None:
        await ConfigurationServer(settings, own, link, console).serve()

    asyncio.run(run())


if __name__ == "__main__":
    main("configuration_agent", serve)
