"""What a live radio hears, as inputs for a policy: its wpa_supplicant is asked and listened to.

The link is left as it is. Nothing is configured, joined or left, and the radio stays on its channel
unless looks at others are allowed (`Settings.background`): whoever else is heard comes from scans
that the supplicant makes on its own. Access points go by their BSSIDs, domains by their SSIDs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mpa_hil.agents.sampling import Sampler
from mpa_hil.policy.interface import Attached, Candidate, CandidateSeen, Input, LinkLost
from mpa_hil.sampling.settings import Settings
from radios import wpa_events
from radios.bss_load import BssLoad
from radios.control import ControlClient
from radios.errors import RemoteError
from radios.replies import ScanEntry
from radios.supplicant import Supplicant
from radios.wpa_events import Disconnected, Event, Overflow, Reconnected

_START_S = 0.5
"""For a supplicant to be there: nobody waits for one that is not."""


@dataclass(slots=True)
class _Heard:
    """The access points that were heard, by BSSID (`agents.sampling.Link`)."""

    supplicant: Supplicant
    candidates: dict[str, Candidate] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.candidates)

    @property
    def networks(self) -> _Heard:
        return self

    def bssid(self, network: str) -> str:
        return network

    def frequency_mhz(self, name: str) -> int:
        return self.candidates[name].frequency_mhz


class Observer:
    """Listens to one radio.

    Args:
        control: the supplicant's control socket.
        tell: called with each input.
        interface: whose station table to read; "": ask the supplicant instead.
    """

    def __init__(
        self, control: str, tell: Callable[[Input], None], settings: Settings, interface: str = ""
    ) -> None:
        self._tell = tell
        self._client = ControlClient(control)
        self._heard = _Heard(Supplicant(self._client))
        self._serving = ""
        self._settings = settings
        self._interface = interface

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            RemoteError: the supplicant is not there, or went away for good.
            MachineError: this user may not, or there is no such interface.
        """
        sampler = Sampler(
            self._heard,
            self._settings,
            self._tell,
            interface=self._interface,
            on_load=self._on_load,
            newcomers=self._meet,
        )
        await self._client.open(_START_S)
        try:
            with self._client.subscribe() as events:
                await self._find_link(sampler)
                async for notice in events:
                    await self._notice(sampler, notice)
        finally:
            sampler.stop()
            await self._client.close()

    async def _notice(
        self, sampler: Sampler, notice: Event | Disconnected | Reconnected | Overflow
    ) -> None:
        if isinstance(notice, Event):
            if notice.name in (wpa_events.CONNECTED, wpa_events.DISCONNECTED):
                await self._find_link(sampler)
        elif not isinstance(notice, Disconnected):
            await self._find_link(sampler)  # something may have been missed

    async def _find_link(self, sampler: Sampler) -> None:
        """Where the node is now, if that is news."""
        status = await self._heard.supplicant.status()
        bssid = (status.bssid or "") if status.completed else ""
        before, self._serving = self._serving, bssid
        if bssid == before:
            return
        now_ns = time.monotonic_ns()
        if not bssid:
            sampler.alone()
            self._tell(LinkLost(now_ns, before))
            return
        await self._meet()
        if bssid not in self._heard.candidates:
            self._learn(ScanEntry(bssid, status.frequency_mhz or 0, 0, (), status.ssid))
        sampler.start(bssid)
        self._tell(Attached(now_ns, bssid))

    async def _meet(self) -> None:
        """Learn whom the supplicant has heard."""
        for entry in await self._heard.supplicant.scan_results():
            self._learn(entry)

    def _learn(self, entry: ScanEntry) -> None:
        known = self._heard.candidates.get(entry.bssid)
        if known is not None and known.frequency_mhz == entry.frequency_mhz:
            return
        realm = entry.ssid.decode(errors="backslashreplace")
        self._see(Candidate(entry.bssid, realm, entry.frequency_mhz))

    def _on_load(self, ap: str, load: BssLoad) -> None:
        known = self._heard.candidates[ap]
        if (known.load, known.stations) != (load.busy, load.stations):
            self._see(Candidate(ap, known.realm, known.frequency_mhz, load.busy, load.stations))

    def _see(self, candidate: Candidate) -> None:
        self._heard.candidates[candidate.ap] = candidate
        self._tell(CandidateSeen(time.monotonic_ns(), candidate))


async def observe(
    control: str,
    tell: Callable[[Input], None],
    settings: Settings,
    *,
    interface: str = "",
    for_s: float | None = None,
) -> None:
    """Listen for a time, or until cancelled; raises as `Observer.run` does."""
    listening = asyncio.create_task(Observer(control, tell, settings, interface).run())
    done, _ = await asyncio.wait({listening}, timeout=for_s)
    if done:
        await listening
        raise RemoteError("the supplicant ended", where=control)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
