"""The naive policy: always the strongest. To compare with, not to use. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass

from . import filters
from .interface import Decision, Value
from .ranking import Ranking, Track
from .settings import option
from .simple import SIGNAL_ONLY, Simple
from .situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveSettings:
    """Of the raw signal, reading by reading."""

    hysteresis_db: float = option(0.0, "another must be stronger by more than", least=0, most=60)
    near_db: float = option(
        6.0, "the strongest other is prepared when it is so near", least=0, most=60
    )
    scan_every_s: float = option(4.0, "it looks around so often; 0: never", least=0, most=3600)
    level: int = option(3, "how far (RFC 6252 C.4)", least=0, most=3)


class Naive(Simple):
    """Goes to whatever is heard stronger than what it is on, at once."""

    Settings = NaiveSettings

    def __init__(self, settings: NaiveSettings) -> None:
        super().__init__(Ranking(SIGNAL_ONLY, filters.Raw), settings.level, settings.scan_every_s)
        self._own = settings

    def react(self, here: Situation, track: Track, best: Track, out: list[Decision]) -> None:
        """See `Simple`."""
        gain_db = best.snr_db - track.snr_db
        inputs: dict[str, Value] = {
            "serving": track.ap,
            "serving_snr_db": round(track.snr_db, 2),
            "snr_db": round(best.snr_db, 2),
        }
        if gain_db > -self._own.near_db:
            out += self.prepare(best, "near", inputs, here)
        if gain_db > self._own.hysteresis_db:
            out.append(self.go(best, "stronger", inputs, here))
