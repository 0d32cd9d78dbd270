"""An access point's enforcement point: `python3 -m mpa_hil.agents.enforcement_point CONFIG.json`.

It puts the PMKs that the authentication agent delivers into hostapd (RFC 6252 s7.7.1), so that a
pre-authenticated MN needs only the association and the 4-way handshake, and takes them out again.
hostapd stays an ordinary WPA2-Enterprise access point. Configuration, commands and events:
`mpa_hil.agents.key_recipient`; besides those keys the configuration has

    access_points         list of {bssid, control}: each BSS and the path of its control socket

More events: `ep.access_point`, `ep.station`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass

from mpa_hil.agents.config import Fields
from mpa_hil.agents.key_recipient import KeyRecipient, RecipientSettings, left_s
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.errors import LocalError, MpaError
from mpa_hil.key_delivery.holder import HeldKey
from mpa_hil.keys import PMK_OCTETS, PMKID_OCTETS, Usage, bssid_identifier, pmkid
from radios.control import ControlClient
from radios.hostapd import Hostapd
from radios.wpa_events import (
    AP_ENABLED,
    STATION_CONNECTED,
    STATION_DISCONNECTED,
    Event,
    Notice,
    Overflow,
    Reconnected,
)
from radios.wpa_text import mac_address

_PAUSE_S = 0.5
"""Between attempts to reach a hostapd that is away."""
_ANSWER_S = 2.0
"""Bound of hostapd's answers, well below the authentication agent's patience with ours."""
_LISTED_OCTETS = 4000
"""A PMKSA listing this long was cut off: hostapd answers with at most 4096 octets."""


@dataclass(frozen=True, slots=True)
class AccessPointSettings:
    """One BSS of one hostapd on this box."""

    bssid: str
    control: str


class AccessPoint:
    """The PMKs of one hostapd, kept as its enforcement point wants them whatever it does."""

    def __init__(self, settings: AccessPointSettings, agent: EnforcementPoint) -> None:
        self.bssid = settings.bssid
        self.peer = bssid_identifier(settings.bssid)
        self._path = settings.control
        self._agent = agent
        self._hostapd: Hostapd | None = None

    async def run(self) -> None:
        """Stay with the daemon, until cancelled."""
        reason = ""
        while True:
            client = ControlClient(self._path, timeout_s=_ANSWER_S, reconnect_s=_ANSWER_S)
            try:
                async with client:
                    with client.subscribe() as notices:
                        reason = ""
                        self._hostapd = Hostapd(client)
                        await self._undisturbed_reinstall()
                        async for notice in notices:
                            await self._on_notice(notice)
            except MpaError as error:
                if error.what != reason:
                    reason = error.what
                    self._agent.say_access_point(self.bssid, False, 0, reason)
            finally:
                self._hostapd = None
            await asyncio.sleep(_PAUSE_S)

    async def put_in(self, key: HeldKey) -> None:
        """hostapd replaces an older PMK of the same station; nobody associated notices."""
        install = key.install
        station, secret = install.station.hex(":"), install.secret
        name = pmkid(secret, self.bssid, station)
        lifetime_s = max(int(left_s(key)), 1)
        await self._daemon().pmksa_add(station, name, secret, lifetime_s=lifetime_s)

    async def take_out(self, key: HeldKey) -> None:
        """Replace the PMK by one that nobody knows and that ends in a second.

        hostapd can only forget all PMKs or let one end. A station that is associated stays so: its
        session has keys of its own by now.
        """
        install = key.install
        station = install.station.hex(":")
        hostapd = self._daemon()
        name = pmkid(install.secret, self.bssid, station)
        listing = await hostapd.control.request("PMKSA")
        if len(listing) < _LISTED_OCTETS and name.hex() not in listing:
            return  # ended, or replaced by what the station and hostapd agreed on themselves
        nobody, knows = os.urandom(PMKID_OCTETS), os.urandom(PMK_OCTETS)
        await hostapd.pmksa_add(station, nobody, knows, lifetime_s=1)

    async def _on_notice(self, notice: Notice) -> None:
        if isinstance(notice, Reconnected):
            await self._undisturbed_reinstall()
        elif isinstance(notice, Overflow):
            pass  # stations that came or went unseen: the authentication agent's timers end those
        elif isinstance(notice, Event):
            if notice.name == AP_ENABLED:
                await self._undisturbed_reinstall()
            elif notice.name in (STATION_CONNECTED, STATION_DISCONNECTED):
                present = notice.name == STATION_CONNECTED
                await self._agent.station(self, notice.address or "", present)

    async def _undisturbed_reinstall(self) -> None:
        await self._agent.server.undisturbed(self._reinstall())

    async def _reinstall(self) -> None:
        """A daemon that (re)started knows no key."""
        count = 0
        for key in self._agent.server.holder.keys:
            in_use = self._agent.server.holder.in_use(self.peer, key.install.station)
            if key.install.peer == self.peer and in_use is key:
                await self.put_in(key)
                count += 1
        self._agent.say_access_point(self.bssid, True, count, "")

    def _daemon(self) -> Hostapd:
        if self._hostapd is None:
            raise LocalError("hostapd is away", where=self._path)
        return self._hostapd


class EnforcementPoint(KeyRecipient):
    """Holds PMKs, and sees to it that hostapd does."""

    role = "ep"

    def __init__(
        self,
        settings: RecipientSettings,
        access_points: tuple[AccessPointSettings, ...],
        console: Console,
    ) -> None:
        points = {point.bssid: AccessPoint(point, self) for point in access_points}
        self._points = {point.peer: point for point in points.values()}
        super().__init__(settings, settings.terms(Usage.PMK, frozenset(self._points)), console)

    def services(self) -> tuple[Coroutine[None, None, None], ...]:
        """What runs beside the server."""
        return tuple(point.run() for point in self._points.values())

    async def put_in(self, key: HeldKey) -> str:
        """See `KeyRecipient`."""
        await self._points[key.install.peer].put_in(key)
        return ""

    async def take_out(self, key: HeldKey) -> str:
        """See `KeyRecipient`. A key that a newer one has replaced is out already."""
        install = key.install
        if self.server.holder.in_use(install.peer, install.station) is key:
            await self._points[install.peer].take_out(key)
        return ""

    async def station(self, point: AccessPoint, address: str, present: bool) -> None:
        """A station came or went; whoever has no key from us is none of our business."""
        if not address:
            return
        key = self.server.holder.in_use(point.peer, bytes.fromhex(address.replace(":", "")))
        if key is None:
            return
        self.console.emit(
            "ep.station",
            bssid=point.bssid,
            station=address,
            mobile_node=key.install.mobile_node,
            present=present,
        )
        await self.server.presence(key, present)

    def say_access_point(self, bssid: str, up: bool, reinstalled: int, reason: str) -> None:
        """Log what became of a daemon."""
        self.console.emit(
            "ep.access_point", bssid=bssid, up=up, reinstalled=reinstalled, reason=reason
        )


def _read(fields: Fields) -> tuple[AccessPointSettings, ...]:
    found = []
    for entry in fields.each("access_points"):
        bssid = mac_address(entry.text("bssid"))
        found.append(AccessPointSettings(bssid, entry.text("control")))
        entry.done()
    if not found:
        raise fields.fault("access_points", "at least one is needed")
    return tuple(found)


def serve(config: Json, console: Console) -> None:
    """Serve until told to end."""
    fields = Fields(config, "enforcement point configuration")
    settings = RecipientSettings.read(fields)
    points = _read(fields)
    fields.done()

    async def run() -> None:
        agent = EnforcementPoint(settings, points, console)
        await agent.run(*agent.services())

    asyncio.run(run())


if __name__ == "__main__":
    main("enforcement_point", serve)
