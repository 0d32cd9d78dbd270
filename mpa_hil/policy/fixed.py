"""A policy with fixed thresholds: what most clients have, with MPA's steps. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass

from . import filters
from . import interface as say
from .interface import Bind, Decision, Value
from .ranking import Ranking, Track
from .settings import option
from .simple import SIGNAL_ONLY, Simple
from .situation import Situation

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSettings:
    """SNRs are of the serving access point, averaged."""

    window_s: float = option(1.0, "readings are averaged over", least=0.05, most=60)
    prepare_snr_db: float = option(
        25.0, "below it the strongest candidate is prepared", least=-20, most=100
    )
    bind_snr_db: float = option(20.0, "below it: bind over the tunnel", least=-20, most=100)
    switch_snr_db: float = option(17.0, "below it: switch", least=-20, most=100)
    hysteresis_db: float = option(
        4.0, "another must be better by; and a threshold is left upwards by", least=0, most=60
    )
    dwell_s: float = option(2.0, "least time between moves", least=0, most=3600)
    scan_every_s: float = option(
        4.0, "below the first threshold it looks around so often; 0: never", least=0, most=3600
    )
    beacon_loss: int = option(4, "beacons missed in a row: switch", least=1, most=1000)
    level: int = option(3, "how far the target is prepared (C.4)", least=0, most=3)


class Fixed(Simple):
    """Prepares below one threshold, binds below the next, switches below the third."""

    Settings = FixedSettings

    def __init__(self, settings: FixedSettings) -> None:
        super().__init__(
            Ranking(SIGNAL_ONLY, lambda: filters.Window(settings.window_s)),
            settings.level,
            settings.scan_every_s,
        )
        self._own = settings
        self._bound = ""

    def looks_around(self, track: Track) -> bool:
        """See `Simple`."""
        return track.snr_db < self._own.prepare_snr_db

    def missed(
        self, event: say.BeaconLoss, here: Situation, best: Track, out: list[Decision]
    ) -> None:
        """See `Simple`. A driver that gives no number has given them up."""
        if event.missed == 0 or event.missed >= self._own.beacon_loss:
            inputs: dict[str, Value] = {
                "missed": event.missed,
                "limit": self._own.beacon_loss,
                "snr_db": round(best.snr_db, 2),
            }
            self._bound = ""
            out.append(self.go(best, "beacon-loss", inputs, here))

    def react(self, here: Situation, track: Track, best: Track, out: list[Decision]) -> None:
        """See `Simple`."""
        own, snr_db = self._own, track.snr_db
        gain_db = best.snr_db - snr_db
        inputs: dict[str, Value] = {
            "serving": track.ap,
            "serving_snr_db": round(snr_db, 2),
            "snr_db": round(best.snr_db, 2),
            "gain_db": round(gain_db, 2),
            "hysteresis_db": own.hysteresis_db,
        }
        if snr_db >= own.prepare_snr_db + own.hysteresis_db:
            self.let_go("recovered", inputs, out)
        if snr_db >= own.prepare_snr_db:
            return
        out += self.prepare(best, "below-prepare", inputs, here)
        held = here.holdings.get(best.ap)
        bindable = held is not None and held.tunnel and held.level < 3 and not held.under_way
        if snr_db < own.bind_snr_db and bindable and self._bound != best.ap:
            self._bound = best.ap
            out.append(Bind(best.ap, rule="below-bind", inputs=inputs))
        dwelt = not here.moves or here.now_ns - here.moves[-1].t_ns >= own.dwell_s * _NS_PER_S
        if snr_db < own.switch_snr_db and gain_db >= own.hysteresis_db and dwelt:
            self._bound = ""
            out.append(self.go(best, "below-switch", inputs, here))
