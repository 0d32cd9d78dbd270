"""What the serving access point's signal asks for, step by step (RFC 6252 s6.3, C.6). Sans-IO."""

from __future__ import annotations

from math import inf, isinf

from .default_settings import DefaultSettings
from .interface import Level, Value
from .preparing import Preparations
from .ranking import Track
from .situation import Situation
from .triggers import Trigger, time_left_s

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


class Watch:
    """A trigger for each step, and how much time is left."""

    def __init__(self, own: DefaultSettings, preparations: Preparations) -> None:
        self._own = own
        self._preparations = preparations
        self.prepare, self.configure, self.bind, self.switch = (
            Trigger(
                level_db,
                own.step_hysteresis_db,
                own.fall_db_s,
                inf if level_db == own.switch_snr_db else own.rise_db_s,
                own.confirm_ms * _NS_PER_MS,
                int(own.recover_s * _NS_PER_S),
            )
            for level_db in (
                own.prepare_snr_db,
                own.configure_snr_db,
                own.bind_snr_db,
                own.switch_snr_db,
            )
        )
        self.left_s = self.lost_s = inf
        """Until the switch's threshold, and until the link is lost, as predicted."""
        self.switch_s = 0.0
        """For the switch itself, with the factor."""

    def clear(self) -> None:
        """The node is elsewhere."""
        self.left_s = self.lost_s = inf
        for trigger in (self.prepare, self.configure, self.bind, self.switch):
            trigger.clear()

    def read(self, track: Track, here: Situation) -> None:
        """Look at the serving access point's signal after a reading of it."""
        own, level_db, slope = self._own, track.filter.level_db, track.filter.slope_db_s
        least_db_s, exponent = own.least_slope_db_s, own.path_exponent
        left_s = time_left_s(level_db, slope, own.switch_snr_db, least_db_s, exponent)
        lost_s = time_left_s(level_db, slope, own.lost_snr_db, least_db_s, exponent)
        coverage_m = here.candidate(here.serving).coverage_m
        if here.speed_m_s and coverage_m:
            # C.6's D / v: so long in this cell at the most, part of which is over.
            cell_s = coverage_m / here.speed_m_s - (here.now_ns - here.since_ns) / _NS_PER_S
            if cell_s > 0:
                left_s, lost_s = min(left_s, cell_s), min(lost_s, cell_s)
        self.left_s, self.lost_s, now_ns = left_s, lost_s, here.now_ns
        prepare_s = configure_s = bind_s = 0.0
        if not isinf(left_s):
            needed_s = self._preparations.ahead_s
            prepare_s = needed_s(here, Level.REACTIVE)
            configure_s = needed_s(here, Level.AUTHENTICATED)
            bind_s = needed_s(here, Level.CONFIGURED)
        self.prepare.update(level_db, slope, left_s, prepare_s, now_ns)
        self.configure.update(level_db, slope, left_s, configure_s, now_ns)
        self.bind.update(level_db, slope, left_s, bind_s, now_ns)
        self.switch_s = here.lead.part_s("switch") * own.prediction_factor
        self.switch.update(level_db, slope, lost_s, self.switch_s + own.margin_s, now_ns)

    def seen(self, track: Track) -> dict[str, Value]:
        """The serving access point, for a decision's inputs."""
        return {
            "serving": track.ap,
            "serving_snr_db": round(track.snr_db, 2),
            "serving_slope_db_s": round(track.filter.slope_db_s, 3),
            "serving_worth_db": round(track.worth_db, 2),
            "to_switch_s": None if isinf(self.left_s) else round(self.left_s, 3),
            "to_lost_s": None if isinf(self.lost_s) else round(self.lost_s, 3),
            "prepare": self.prepare.reason,
            "configure": self.configure.reason,
            "bind": self.bind.reason,
            "switch": self.switch.reason,
        }
