"""The sampler's shell inside the mobile node's process: asks radio and supplicant, tells a policy.

    sampler = Sampler(link, Settings(), tell, interface="wlan0", quietly=moving.quietly)
    sampler.start("a1")     on an access point; `serve` after each move, `alone` without a link
    sampler.pause()         before a switch: from here on nothing runs until `serve` or `resume`
    sampler.stop()

Signal and beacons of the present access point are read from the kernel's station table, some times
a second: one system call, and no question in flight on the supplicant's control socket when a
switch has to be ordered there. The supplicant tells by itself when the signal crosses a threshold,
when beacons stay away, and when somebody's scan is over; it is asked for the noise, and for scans.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from mpa_hil.agents.reachability import Reached, reach
from mpa_hil.sampling.sampler import Input, Look, Outputs, Poll, Sampling, Tell
from mpa_hil.sampling.settings import Settings
from radios import bss_load, wpa_events
from radios.bss_load import BssLoad
from radios.errors import MpaError
from radios.management import Management
from radios.neighborhood import Neighborhood
from radios.replies import Bss
from radios.signal import SignalSample, sample
from radios.station import StationReader
from radios.supplicant import Supplicant, signal_change
from radios.wpa_events import parse_event

_LOOK_BOUND_S = 5.0
_SEEN_NOW_S = 1
"""Age of an entry in the supplicant's table, which counts whole seconds, that a scan just made."""
_SIGNAL_CHANGE = wpa_events.SIGNAL_CHANGE.encode()
_BEACON_LOSS = wpa_events.BEACON_LOSS.encode()
_SCAN_RESULTS = wpa_events.SCAN_RESULTS.encode()
_INTERESTING = (_SIGNAL_CHANGE, _BEACON_LOSS, _SCAN_RESULTS)

Quietly = Callable[[Awaitable[object]], Coroutine[Any, Any, None]]


class Networks(Protocol):
    """What of `agents.networks.Networks` is needed."""

    def frequency_mhz(self, name: str) -> int:
        """Where an access point is."""


class Link(Protocol):
    """What of the node's link is needed (`agents.node_link.NodeLink`)."""

    @property
    def names(self) -> tuple[str, ...]:
        """The access points that it knows."""

    @property
    def networks(self) -> Networks:
        """More about them."""

    @property
    def supplicant(self) -> Supplicant:
        """Its supplicant, which must be open."""

    def bssid(self, network: str) -> str:
        """An access point's, in lower case."""


class Sampler:
    """Samples one radio.

    Args:
        link: the node's.
        tell: called with each input for the policy: `Sample`, `BeaconLoss`, `Probed`.
        interface: the wireless one, whose station table is read; "": there is none to read here,
            and the supplicant is asked instead.
        quietly: does something for which the radio leaves its channel, with packets held meanwhile
            (`Moving.quietly`); None: without.
        on_load: called with an access point's own word on how busy it is, after each look.
        newcomers: awaited after each scan before its results are read, to `learn` whom it found.
    """

    def __init__(
        self,
        link: Link,
        settings: Settings,
        tell: Callable[[Input], None],
        *,
        interface: str = "",
        quietly: Quietly | None = None,
        on_load: Callable[[str, BssLoad], None] | None = None,
        newcomers: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._link = link
        self._machine = Sampling(settings)
        self._tell = tell
        self._interface = interface
        self._quietly = quietly
        self._on_load = on_load
        self._newcomers = newcomers
        self._loop = asyncio.get_running_loop()
        self._station: StationReader | None = None
        self._management: Management | None = None
        self._heard: int | None = None
        """What the present access point's count was, when it was read last (`Station.heard`)."""
        self._channels: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsubscribe: Callable[[], None] | None = None
        self._running = False
        self._looking = False
        self.failures = 0
        """Questions that were not answered; the next one is asked all the same."""

    @property
    def spent_ms(self) -> float:
        """How long the radio was away from its channel for looks, in all."""
        return self._machine.holes.spent_ns / 1e6

    @property
    def looking(self) -> bool:
        """Whether a scan is under way: the supplicant would keep a switch waiting for its end."""
        return self._looking

    # --- verbs

    def start(self, ap: str) -> None:
        """Begin, on an access point.

        Raises:
            MachineError: there is no such interface.
        """
        if self._interface and self._station is None:
            self._station = StationReader(self._interface)
            self._management = Management(self._interface)
        if self._unsubscribe is None:
            self._unsubscribe = self._link.supplicant.control.on_event(self._on_event)
        for name in self._link.names:
            self.learn(name, self._link.bssid(name), self._link.networks.frequency_mhz(name))
        self.serve(ap)

    def stop(self) -> None:
        """End; safe to call at any time, and twice."""
        self.pause()
        self._machine.alone()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._station is not None:
            self._station.close()
            self._station = None
        if self._management is not None:
            self._management.close()
            self._management = None

    def serve(self, ap: str) -> None:
        """The node has come to an access point: go on there."""
        self._running = True
        self._heard = None
        self._machine.serve(ap, time.monotonic_ns())
        self._arm()

    def alone(self) -> None:
        """The node has no link."""
        self._machine.alone()
        self._arm()

    def learn(self, ap: str, bssid: str, frequency_mhz: int) -> None:
        """An access point is of interest, and so is its channel."""
        self._channels[ap] = frequency_mhz
        self._machine.learn(ap, bssid, frequency_mhz)
        self._arm()

    def forget(self, ap: str) -> None:
        """It is not, any more."""
        self._channels.pop(ap, None)
        self._machine.forget(ap)

    def look(self, frequency_mhz: int, target: str = "", *, test: bool = False) -> None:
        """A policy wants a channel to be scanned (`Probe`); `Probed` answers.

        Args:
            frequency_mhz: 0: the target's, or of whoever was unheard for longest.
            test: the target is to answer (`agents.reachability`).
        """
        now_ns = time.monotonic_ns()
        self._carry_out(self._machine.want(frequency_mhz, target, now_ns, test=test))

    def hold_off(self, until_ns: int) -> None:
        """A switch is near: no look until then but what a policy wants. Readings go on."""
        self._machine.hold_off(until_ns, asked=False)
        self._arm()

    def pause(self) -> None:
        """A switch begins: do nothing at all until `serve` or `resume`."""
        self._running = False
        self._arm()
        for task in self._tasks:
            task.cancel()

    def resume(self) -> None:
        """It was given up."""
        self._running = True
        self._arm()

    def inquire(self) -> None:
        """Have the present access point tell where others are; it costs a frame each way."""
        self._begin(self.ask_neighbours)

    async def ask_neighbours(self) -> None:
        """Have the present access point tell where others are (802.11k), for their channels.

        Only of access points that are of interest already: the rest is discovery's.
        """
        names = {self._link.bssid(name): name for name in self._channels}
        try:
            reports = await Neighborhood(self._link.supplicant.control).neighbor_report()
        except MpaError:  # it offers none
            return
        for report in reports:
            name, mhz = names.get(report.bssid.lower()), report.frequency_mhz
            if name is not None and mhz is not None and self._channels[name] != mhz:
                self.learn(name, report.bssid, mhz)

    # --- what happens

    def _on_event(self, t_ns: int, datagram: bytes) -> None:
        """Called in the switch path too, for each event: look twice before doing anything."""
        if not self._running or not any(name in datagram for name in _INTERESTING):
            return
        if _SIGNAL_CHANGE in datagram:
            bssid = self._link.bssid(self._machine.serving) if self._machine.serving else ""
            event = parse_event(datagram, t_ns)
            mhz = self._channels.get(self._machine.serving)
            self._carry_out(self._machine.read(signal_change(event, bssid, mhz)))
        elif _BEACON_LOSS in datagram:
            self._carry_out(self._machine.beacons_lost(t_ns))
        elif not self._looking:
            self._begin(self._take_along)

    def _carry_out(self, outputs: Outputs) -> None:
        for output in outputs:
            match output:
                case Tell(told):
                    self._tell(told)
                case Poll(noise):
                    self._poll(noise)
                case Look():
                    self._looking = True
                    self._begin(self._test if output.test else self._look, output)
        self._arm()

    def _poll(self, noise: bool) -> None:
        ap = self._machine.serving
        if self._station is None or noise:
            self._begin(self._ask, ap)
        if self._station is None:
            return
        try:
            entry = self._station.read(self._link.bssid(ap), self._channels.get(ap, 0))
        except (MpaError, OSError, ValueError):
            self.failures += 1
            return
        if entry is not None:
            # Where nothing came since, the kernel still tells the last frame's power: no news, and
            # to a filter the end of every fall.
            if entry.heard is None or entry.heard != self._heard:
                self._carry_out(self._machine.read(entry.reading))
            self._heard = entry.heard
            if entry.beacons is not None:
                self._carry_out(self._machine.counted(entry.reading.t_ns, entry.beacons))

    async def _ask(self, ap: str) -> None:
        """The supplicant's word on signal and noise."""
        reading = await self._link.supplicant.signal_poll(self._link.bssid(ap))
        if ap == self._machine.serving:
            self._carry_out(self._machine.read(reading))

    async def _look(self, look: Look) -> None:
        scan = self._link.supplicant.scan_and_wait((look.frequency_mhz,), timeout_s=_LOOK_BOUND_S)
        done = False
        try:
            if look.away and self._quietly is not None:
                await self._quietly(scan)
            else:
                await scan
            ended_ns = time.monotonic_ns()
            found = await self._found(look.frequency_mhz, ended_ns)
            done = True
        finally:
            scan.close()  # it may not have come to its turn
            self._looking = False
            if not done:
                self._carry_out(self._machine.look_failed(time.monotonic_ns()))
        self._carry_out(self._machine.looked(ended_ns, found))

    async def _test(self, look: Look) -> None:
        done: Reached | None = None
        bssid = self._link.bssid(look.test)
        quietly = self._quietly if look.away else None
        try:
            supplicant = self._link.supplicant
            done = await reach(supplicant, bssid, look.frequency_mhz, self._management, quietly)
        finally:
            self._looking = False
            if done is None:
                self._carry_out(self._machine.look_failed(time.monotonic_ns()))
        by, now_ns = done.by, time.monotonic_ns()
        ended = self._machine.tested(now_ns, answers=done.answers, by=by, away_ns=done.away_ns)
        self._carry_out(ended)

    async def _take_along(self) -> None:
        """Somebody else has scanned."""
        found = await self._found(0, time.monotonic_ns())
        self._carry_out(self._machine.looked(time.monotonic_ns(), found))

    async def _found(self, frequency_mhz: int, t_ns: int) -> tuple[SignalSample, ...]:
        """Readings of whom the last scan found, on that channel; 0: on any."""
        if self._newcomers is not None:
            await self._newcomers()
        found = []
        for name, mhz in tuple(self._channels.items()):
            if frequency_mhz and mhz != frequency_mhz:
                continue
            bss = await self._link.supplicant.bss(self._link.bssid(name))
            if bss is None or (bss.age_s or 0) > _SEEN_NOW_S:
                continue
            found.append(_reading(bss, t_ns))
            load = bss_load.find(bss.elements)
            if load is not None and self._on_load is not None:
                self._on_load(name, load)
        return tuple(found)

    # --- time

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._machine.next_deadline() if self._running else None
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
            self._timer = self._loop.call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._carry_out(self._machine.expire(time.monotonic_ns()))

    def _begin(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        task = self._loop.create_task(self._suffer(work, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _suffer(
        self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object
    ) -> None:
        """A supplicant that is busy or gone is no reason to end: it is asked again."""
        try:
            await work(*arguments)
        except MpaError:
            self.failures += 1


def _reading(bss: Bss, t_ns: int) -> SignalSample:
    # Its noise is left alone: where there was no survey, the daemon fills in a constant of its own,
    # and access points would be measured with two rules.
    return sample(t_ns, bss.bssid, bss.frequency_mhz, bss.signal_dbm, source="scan")
