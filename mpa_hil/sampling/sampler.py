"""When to ask the radio for what, and what its answers tell a policy. Sans-IO.

    radio ──reading, beacons, look over──▶ Sampling ──Tell(input)──▶ policy
      ▲                                      │  ▲
      └──────Poll, Look──────────────────────┘  └── look wanted, hold off, where the node is

The present access point is asked at even intervals. Others are heard for nothing where they are on
its channel; a look at another channel costs the stream a hole, so only channels are looked at on
which an access point is known (from scans, neighbour reports, discovery), the one unheard for
longest first, one at a time, within the budget of `holes`, and never within a guard time of a
switch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpa_hil.policy.interface import UNTESTED, BeaconLoss, Probed, Sample
from mpa_hil.sampling.beacons import BeaconWatch
from mpa_hil.sampling.holes import Holes
from mpa_hil.sampling.merging import Merger
from mpa_hil.sampling.settings import NS_PER_MS, NS_PER_S, Settings
from radios.signal import SignalSample

Input = Sample | BeaconLoss | Probed


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask for the present signal, and how many beacons were received.

    Attributes:
        noise: ask for the noise floor, too.
    """

    noise: bool


@dataclass(frozen=True, slots=True)
class Look:
    """Scan one channel, and tell `looked` or `look_failed`.

    Attributes:
        away: the radio leaves its channel for it: the stream has a hole.
        asked: somebody wanted it.
        test: whom to exchange frames with instead; tell `tested` or `look_failed`.
    """

    frequency_mhz: int
    away: bool
    asked: bool
    test: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """Something for the policy."""

    input: Input


Output = Poll | Look | Tell
Outputs = tuple[Output, ...]


@dataclass(slots=True)
class _Known:
    """An access point that is of interest."""

    frequency_mhz: int
    missed: int = 0


@dataclass(slots=True)
class _Looking:
    """A look that is under way."""

    look: Look
    began_ns: int


@dataclass(slots=True)
class _Wish:
    """A look that was asked for, and not begun."""

    frequency_mhz: int
    target: str
    until_ns: int
    test: bool

    def untaken(self, now_ns: int) -> Probed:
        """The answer when nothing came of it."""
        return Probed(now_ns, self.target, False, by=UNTESTED) if self.test else _unfound(now_ns)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A look, and the earliest time for it."""

    look: Look
    when_ns: int


class Sampling:
    """The sampler of one radio."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._merger = Merger(settings.repeat_ms * NS_PER_MS)
        self.holes = Holes(settings)
        self._beacons = BeaconWatch(settings.beacons_missed)
        self._known: dict[str, _Known] = {}
        self._serving = ""
        self._poll_ns: int | None = None
        self._noise_ns = 0
        self._looked_ns: dict[int, int] = {}
        """By channel: when it was last looked at."""
        self._looking: _Looking | None = None
        self._wish: _Wish | None = None
        self._now_ns = 0

    @property
    def serving(self) -> str:
        """Access point that the node is on; "": none."""
        return self._serving

    # --- what is known

    def learn(self, ap: str, bssid: str, frequency_mhz: int) -> None:
        """An access point is of interest; again: where it is now."""
        self._merger.name(bssid, ap)
        self._known[ap] = _Known(frequency_mhz)

    def forget(self, ap: str) -> None:
        """It is not, any more."""
        self._known.pop(ap, None)
        self._merger.forget(ap)

    def serve(self, ap: str, now_ns: int, *, beacon_interval_tu: int | None = None) -> None:
        """The node is on an access point."""
        self._now_ns = now_ns
        self._serving = ap
        self._beacons.begin(beacon_interval_tu)
        self._poll_ns = self._noise_ns = now_ns
        self.holes.hold_off(now_ns + self._settings.guard_ms * NS_PER_MS)

    def alone(self) -> None:
        """The node is on none: nothing can be asked, and it scans by itself."""
        self._serving = ""
        self._poll_ns = None

    def hold_off(self, until_ns: int, *, asked: bool = True) -> None:
        """A switch is near or under way: no look until then.

        Args:
            asked: nor one that a policy wants.
        """
        self.holes.hold_off(until_ns, asked=asked)

    # --- what happens

    def read(self, reading: SignalSample) -> Outputs:
        """A radio told something, asked or not."""
        sample = self._merger.add(reading)
        return () if sample is None else (Tell(sample),)

    def beacons_lost(self, t_ns: int) -> Outputs:
        """The driver says that beacons stay away."""
        return (Tell(BeaconLoss(t_ns, self._serving)),) if self._serving else ()

    def counted(self, t_ns: int, beacons: int) -> Outputs:
        """So many beacons of the present access point were received."""
        missed = self._beacons.count(t_ns, beacons)
        if not missed or not self._serving:
            return ()
        return (Tell(BeaconLoss(t_ns, self._serving, missed)),)

    def want(self, frequency_mhz: int, target: str, now_ns: int, *, test: bool = False) -> Outputs:
        """A policy asks for a look. It is answered by `Probed`, found or not.

        Args:
            frequency_mhz: 0: at wherever the target is, or whoever was unheard for longest.
            target: whom it is to find; "": anybody.
            test: whether the target answers, not only whether it is heard.
        """
        self._now_ns = now_ns
        if not frequency_mhz:
            frequency_mhz = self._channel_of(target)
        until_ns = now_ns + self._settings.patience_ms * NS_PER_MS
        wish = _Wish(frequency_mhz, target, until_ns, test)
        if not frequency_mhz or self._wish is not None:
            return (Tell(wish.untaken(now_ns)),)
        self._wish = wish
        return self.expire(now_ns)

    def looked(self, now_ns: int, readings: tuple[SignalSample, ...]) -> Outputs:
        """The look is over.

        Args:
            readings: of every access point that it found.
        """
        self._now_ns = now_ns
        outputs = [each for reading in readings for each in self.read(reading)]
        looking, self._looking = self._looking, None
        if looking is None:  # somebody else's
            return tuple(outputs)
        if looking.look.away:
            self.holes.spend(looking.began_ns, now_ns)
        found = {self._merger.ap(each.bssid) for each in readings}
        for ap, known in self._known.items():
            if known.frequency_mhz == looking.look.frequency_mhz and ap != self._serving:
                known.missed = 0 if ap in found else known.missed + 1
                if known.missed == self._settings.missed_looks:
                    unheard = self._merger.unheard(ap, now_ns)
                    outputs += [] if unheard is None else [Tell(unheard)]
        return *outputs, *self._over(looking, now_ns, found)

    def tested(self, now_ns: int, *, answers: bool, by: str, away_ns: int) -> Outputs:
        """The look was a test, and took place.

        Args:
            by: see `Probed`.
            away_ns: of it, off the channel.
        """
        self._now_ns = now_ns
        looking, self._looking = self._looking, None
        if looking is None:
            return ()
        if looking.look.away:
            self.holes.spend(now_ns - away_ns, now_ns, usual=False)
        self._wish = None
        took_ns = now_ns - looking.began_ns
        return (Tell(Probed(now_ns, looking.look.test, answers, took_ns, by)),)

    def look_failed(self, now_ns: int) -> Outputs:
        """The look did not take place."""
        self._now_ns = now_ns
        looking, self._looking = self._looking, None
        if looking is not None and looking.look.test and self._wish is not None:
            wish, self._wish = self._wish, None
            return (Tell(wish.untaken(now_ns)),)
        return () if looking is None else self._over(looking, now_ns, set())

    # --- time

    def next_deadline(self) -> int | None:
        """When to call `expire`; None: when something has happened."""
        due = [self._poll_ns]
        if self._looking is None:
            look = self._next_look()
            due.append(None if look is None else look.when_ns)
            due.append(None if self._wish is None else self._wish.until_ns)
        return min((each for each in due if each is not None), default=None)

    def expire(self, now_ns: int) -> Outputs:
        """What is due."""
        self._now_ns = now_ns
        outputs: list[Output] = []
        if self._poll_ns is not None and now_ns >= self._poll_ns:
            self._poll_ns = now_ns + self._settings.poll_ms * NS_PER_MS
            noise = now_ns >= self._noise_ns and not self.holes.held_off(now_ns)
            outputs.append(Poll(noise))
            if noise:
                self._noise_ns = now_ns + int(self._settings.noise_s * NS_PER_S)
        if self._looking is None:
            look = self._next_look()
            if look is not None and now_ns >= look.when_ns:
                self._looking = _Looking(look.look, now_ns)
                outputs.append(look.look)
            elif self._wish is not None and now_ns >= self._wish.until_ns:
                outputs.append(Tell(self._wish.untaken(now_ns)))
                self._wish = None
        return tuple(outputs)

    def _over(self, looking: _Looking, now_ns: int, found: set[str | None]) -> Outputs:
        """A look has ended: note it, and answer whoever wanted it."""
        frequency_mhz = looking.look.frequency_mhz
        self._looked_ns[frequency_mhz] = now_ns
        self._noise_ns = now_ns  # many drivers know it only after a scan
        wish = self._wish
        if wish is None or wish.test or wish.frequency_mhz != frequency_mhz:
            return ()
        self._wish = None
        well = wish.target in found if wish.target else bool(found)
        return (Tell(Probed(now_ns, "", well, now_ns - looking.began_ns)),)

    def _next_look(self) -> _Planned | None:
        """The look that comes next, and when it may begin."""
        if not self._serving:
            return None  # whoever has no link scans by itself
        if self._wish is not None:
            wish = self._wish
            test = wish.target if wish.test else ""
            return self._plan(wish.frequency_mhz, 0, asked=True, test=test)
        here_db = self._merger.snr_db(self._serving)
        calm = here_db is not None and here_db >= self._settings.calm_db
        if calm or not self._settings.background:
            return None
        stale_ns = int(self._settings.stale_s * NS_PER_S)
        look_ns = int(self._settings.look_s * NS_PER_S)
        plans = []
        for frequency_mhz, heard_ns in self._unheard_longest().items():
            looked_ns = self._looked_ns.get(frequency_mhz)
            ready_ns = 0 if heard_ns is None else heard_ns + stale_ns
            if looked_ns is not None:
                ready_ns = max(ready_ns, looked_ns + look_ns)
            order = (-1 if heard_ns is None else heard_ns, frequency_mhz)
            plans.append((self._plan(frequency_mhz, ready_ns, asked=False), order))
        best = min(plans, key=lambda each: (each[0].when_ns, each[1]), default=None)
        return None if best is None else best[0]

    def _plan(self, frequency_mhz: int, ready_ns: int, *, asked: bool, test: str = "") -> _Planned:
        here = self._known.get(self._serving)
        away = here is None or here.frequency_mhz != frequency_mhz
        when_ns = self.holes.when(self._now_ns, away=away, asked=asked)
        return _Planned(Look(frequency_mhz, away, asked, test), max(when_ns, ready_ns))

    def _unheard_longest(self) -> dict[int, int | None]:
        """By channel, when the access point there that was unheard for longest was heard last."""
        found: dict[int, int | None] = {}
        for ap, known in self._known.items():
            if ap == self._serving:
                continue
            heard_ns = self._merger.heard_ns(ap)
            before_ns = found.setdefault(known.frequency_mhz, heard_ns)
            if heard_ns is None or (before_ns is not None and heard_ns < before_ns):
                found[known.frequency_mhz] = heard_ns
        return found

    def _channel_of(self, target: str) -> int:
        """Where to look for it, or for whoever was unheard for longest; 0: nowhere."""
        if target in self._known:
            return self._known[target].frequency_mhz
        heard = self._unheard_longest()
        return min(heard, key=lambda mhz: (heard[mhz] or -1, mhz), default=0)


def _unfound(now_ns: int) -> Probed:
    return Probed(now_ns, "", False)
