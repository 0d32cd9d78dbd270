"""What the default policy decides, given what it has heard. Sans-IO.

docs/policy.md lists the rules; each `rule` in here is one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import nsmallest

from . import filters
from .contexts import Contexts
from .default_settings import DefaultSettings
from .interface import Bind, Decision, Level, Probe, Return, Stay, Switch, Value
from .preparing import Preparations
from .ranking import Ranking, Track
from .scanning import Scanning
from .situation import Situation
from .watching import Watch

_NS_PER_S = 1_000_000_000
_RETARGET_DB = 3.0
"""A candidate must be so much better than the one that is being prepared to take its place."""
_UNFINISHED_DB = 6.0
"""While that one's tunnel is being made, for which somebody else's would have to go."""
_USELESS_DB = 2.0
"""Or while the switch waits because the target is no better than what the node has."""
_USABLE_DB = 2.0
"""Above `lost_snr_db`, for a network that is to be joined."""
_SOON_S = 10.0
"""A link that is lost within it, as predicted, leaves no time for sparing holes."""
_UNKNOWING = ("hysteresis", "no-candidate", "look-first")
"""What keeps the node where it is for want of somebody better: perhaps there is one."""
_RIVAL_DB = 6.0
"""Somebody who is no worse by more than that may be the better choice by now."""
_KNOWN_S = 1.0
"""What was heard within it is taken for what is there."""
_LOOKS_S = 0.5
"""Two looks, and what they hold up."""
_HOPEFUL_DB = 4.0
"""Below `lost_snr_db`, for one that may be prepared already: it will be nearer by then."""
_ALTERNATIVES_EVERY_NS = _NS_PER_S
_ESCAPE_EVERY_NS = _NS_PER_S
_TESTED_NS = 5 * _NS_PER_S
"""A reachability test says something for so long."""


class Rules:
    """What `Default` keeps, and what follows from it."""

    def __init__(self, settings: DefaultSettings) -> None:
        self._own = settings
        self._ranking = Ranking(
            settings.weights(), lambda: filters.make(settings.filter, settings.filter_s)
        )
        self._preparations = Preparations(
            settings.limits(), settings.prediction_factor, settings.margin_s, settings.retry_s
        )
        self._contexts = Contexts(settings.contexts, int(settings.context_s * _NS_PER_S))
        self._scanning = Scanning(settings.scan_every_s, settings.fresh_s, settings.scan_guard_s)
        self._guard = settings.guard()
        self._watch = Watch(settings, self._preparations)
        self._target = ""
        """Who is prepared first."""
        self._bound = ""
        """Who was asked to be bound."""
        self._leaving = ""
        """Where a switch is under way to."""
        self._leaving_until_ns = 0
        self._alternatives_ns = 0
        self._escape_ns: int | None = None
        """Without a link: when to try anything again."""
        self._desperate = False
        """The last that was tried had little hope."""
        self._missed_ns = 0
        self._told: tuple[str, str] = ("", "")
        """The last `Stay`'s rule and target."""

    def _think(self, here: Situation, out: list[Decision]) -> None:
        """Whatever has happened: what is to be done now."""
        if not here.serving:
            return
        out += self._contexts.due(here.now_ns, self._heads_for)
        if self._leaving:
            if here.now_ns < self._leaving_until_ns:
                return
            self._failed(self._leaving, "no end was told", here, out)
        if not here.linked:
            self._escape(here, out)
            return
        track = self._ranking.track(here.serving)
        if track is None:
            return
        wanted = self._watch.prepare.reason is not None
        some = self._ranking.best(here)
        best = some[0] if some else None
        if wanted or (best is not None and self._much_better(best, track)):
            self._move(track, best, here, out)
        else:
            if self._preparations.asked:
                inputs = self._watch.seen(track) | {"recover_s": self._own.recover_s}
                out += self._preparations.drop_all("recovered", inputs)
            self._target = self._bound = ""
            self._told = ("", "")
        if wanted and not self._leaving:
            watch = self._watch
            urgent = watch.lost_s < _SOON_S or track.snr_db < self._own.lost_snr_db + _USABLE_DB
            probe = self._scanning.probe(
                here,
                best,
                watch.left_s,
                self._target,
                short=len(self._ranking.best(here, self._own.alternatives + 1))
                <= self._own.alternatives,
                blocked=watch.switch.reason is not None and self._told[0] in _UNKNOWING,
                urgent=urgent,
            )
            if probe is not None:
                out.append(probe)

    def _failed(self, ap: str, why: str, here: Situation, out: list[Decision]) -> None:
        """The switch that is under way has failed, if it is this one."""
        if ap != self._leaving:
            return
        self._leaving = ""
        self._ranking.bar(ap, here)
        count, _ = here.failures.get(ap, (1, 0))
        inputs: dict[str, Value] = {"why": why, "failures": count, "linked": here.linked}
        out.append(Stay(ap, rule="switch-failed", inputs=inputs))
        self._lose(ap, "switch-failed", inputs, out)
        if not here.linked:
            self._escape_ns = here.now_ns + (_ESCAPE_EVERY_NS if self._desperate else 0)

    def _move(self, track: Track, best: Track | None, here: Situation, out: list[Decision]) -> None:
        """The serving access point will not do for long, or there is a much better one."""
        if best is None or best.snr_db < self._own.lost_snr_db - _HOPEFUL_DB:
            self._stay("no-candidate", "", lambda: self._watch.seen(track), out)
            return
        target = self._choose(best, here, out)
        much_better = self._much_better(target, track)
        self._ahead(track, target, much_better, here, out)
        reason = self._watch.switch.reason or ("better" if much_better else None)
        if reason is not None:
            self._try_switch(track, target, reason, here, out)

    def _choose(self, best: Track, here: Situation, out: list[Decision]) -> Track:
        """Keep to the one that is being prepared unless another is clearly better."""
        target = self._ranking.track(self._target) if self._target else None
        good = target is not None and self._ranking.fresh(target, here)
        if target is not None and self._usable(best) and not self._usable(target):
            good = False
        asked, before = self._preparations.asked, self._target
        held = here.holdings.get(before)
        unfinished = asked.get(before, 0) >= Level.BOUND and not (held is not None and held.tunnel)
        apart_db = _UNFINISHED_DB if unfinished else _RETARGET_DB
        if target is None or not good or best.score_db >= target.score_db + apart_db:
            target = best
        elif self._told[0] == "hysteresis" and self._watch.switch.reason and not unfinished:
            # It will not do, and a tunnel to it is of no use: who is better comes next.
            for rival in self._ranking.best(here, without=target.ap):
                if rival.worth_db >= target.worth_db + _USELESS_DB:
                    target = rival
        tunnelled = before if asked.get(before, 0) >= Level.BOUND else ""
        for other in dict.fromkeys((self._bound, tunnelled)):
            if other not in ("", target.ap):  # a node has one tunnel's device
                self._lose(other, "outranked", self._ranking.why(target, here), out)
        self._target = target.ap
        return target

    def _ahead(
        self, track: Track, target: Track, at_once: bool, here: Situation, out: list[Decision]
    ) -> None:
        """Steps 1 to 3, for the target and for others."""
        own, watch = self._own, self._watch
        most = own.level
        if here.flow is not None and not here.flow.active:
            most = min(most, own.idle_level)
        wanted, rule = Level.AUTHENTICATED, f"prepare-{watch.prepare.reason or 'better'}"
        if at_once or watch.configure.reason is not None:
            wanted, rule = Level.BOUND, f"configure-{watch.configure.reason or 'better'}"
        wanted = min(wanted, Level(most))
        if wanted == Level.REACTIVE:
            return

        why = partial(self._about, track, target, here)
        step = self._preparations.prepare(here, target.ap, wanted, watch.lost_s, rule, why)
        if isinstance(step, Stay):
            inputs = dict(step.inputs)
            self._stay(step.rule, step.target, lambda: inputs, out)
        elif step is not None:
            out.append(step)
        if watch.bind.reason is not None and most >= Level.BOUND:
            worse_db = track.worth_db - target.worth_db
            if watch.bind.reason != "threshold" or worse_db <= own.hysteresis_db:
                self._try_bind(target, why, here, out)
        if here.now_ns >= self._alternatives_ns + _ALTERNATIVES_EVERY_NS:
            self._alternatives_ns = here.now_ns
            self._prepare_others(track, target, most, here, out)

    def _try_bind(
        self,
        target: Track,
        why: Callable[[], dict[str, Value]],
        here: Situation,
        out: list[Decision],
    ) -> None:
        held = here.holdings.get(target.ap)
        ready = held is not None and held.tunnel and not held.under_way
        if not ready or self._bound == target.ap or here.level(target.ap) >= Level.BOUND:
            return
        others = self._ranking.best(here, without=target.ap)
        apart_db = target.score_db - others[0].score_db if others else None
        returns = self._guard.recent_returns(here)
        doubtful = (apart_db is not None and apart_db < self._own.doubt_db) or returns > 1
        self._bound = target.ap
        inputs = why() | {
            "next_best_db": None if apart_db is None else round(apart_db, 2),
            "recent_returns": returns,
        }
        rule = f"bind-{self._watch.bind.reason}"
        out.append(Bind(target.ap, doubtful, rule=rule, inputs=inputs))

    def _prepare_others(
        self, track: Track, target: Track, most: int, here: Situation, out: list[Decision]
    ) -> None:
        own, asked, left_s = self._own, self._preparations.asked, self._watch.lost_s
        others: tuple[Track, ...] = ()
        if own.alternatives:
            heard = self._ranking.best(here, own.alternatives, without=target.ap)
            others = tuple(other for other in heard if self._usable(other))
        for other in others:
            close = target.score_db - other.score_db < own.doubt_db
            level = max(own.alternatives_level, Level.CONFIGURED if close else 0)
            rule = "alternative-close" if close else "alternative"
            why = partial(self._about, track, other, here)
            wanted = Level(min(level, most))
            step = self._preparations.prepare(here, other.ap, wanted, left_s, rule, why)
            if step is not None and not isinstance(step, Stay):
                out.append(step)
        kept = {target.ap, *(other.ap for other in others)}
        for ap in self._unheard(own.alternatives - len(others), kept, here):
            kept.add(ap)
            why = partial(self._watch.seen, track)
            step = self._preparations.prepare(
                here, ap, Level.AUTHENTICATED, left_s, "alternative-unheard", why
            )
            if step is not None and not isinstance(step, Stay):
                out.append(step)
        if len(asked) > own.alternatives + 1:
            for ap in sorted(set(asked) - kept):
                self._lose(ap, "outranked", self._ranking.why(target, here), out)

    def _unheard(self, count: int, but: set[str], here: Situation) -> list[str]:
        """Known neighbours that are not heard (R31): behind the next corner it may be one of them
        that is. First those that were gone to from here before."""
        if count <= 0:
            return []
        known = (
            (-here.successes.get((here.serving, ap), 0), -about.preference, ap)
            for ap, about in here.candidates.items()
            if about.realm and about.highest and ap != here.serving and ap not in but
        )
        return [ap for _, _, ap in nsmallest(count, known)]

    def _try_switch(
        self, track: Track, target: Track, reason: str, here: Situation, out: list[Decision]
    ) -> None:
        """Go, if nothing speaks against it."""
        own = self._own
        returns = self._guard.recent_returns(here)
        gain_db, margin_db = target.worth_db - track.worth_db, self._guard.margin_db(returns)
        free_ns = self._guard.until_ns(here, returns)
        waits_s = self._preparations.waits_s(here, target.ap)
        lost = track.snr_db < own.lost_snr_db

        def why() -> dict[str, Value]:
            return self._about(track, target, here) | {
                "gain_db": round(gain_db, 2),
                "margin_db": margin_db,
                "recent_returns": returns,
                "dwell_left_s": max(0.0, round((free_ns - here.now_ns) / _NS_PER_S, 3)),
                "ready_in_s": round(waits_s, 3),
            }

        if gain_db < margin_db or not self._usable(target):
            self._stay("hysteresis", target.ap, why, out)
        elif here.now_ns < free_ns and not lost:
            self._stay("dwell", target.ap, why, out)
        elif waits_s and self._watch.lost_s > waits_s + self._watch.switch_s and not lost:
            self._stay("not-ready", target.ap, why, out)
        elif not lost and self._watch.lost_s > _LOOKS_S and self._rivals(target, here):
            self._stay("look-first", target.ap, why, out)
        elif own.reachability_test and not self._tested(target, here):
            if not self._scanning.testing(here.now_ns):
                self._scanning.test(here.now_ns)
                frequency = here.candidate(target.ap).frequency_mhz
                out.append(Probe("reachability", target.ap, frequency, rule="test", inputs=why()))
        else:
            self._go(target, f"switch-{reason}", why(), here, out)

    def _rivals(self, target: Track, here: Situation) -> bool:
        """Whether the target was heard a while ago, and there is another that may be better by now:
        behind a corner, what was heard before it says nothing of either."""
        if here.now_ns - target.heard_ns <= _KNOWN_S * _NS_PER_S:
            return False
        rivals = self._ranking.best(here, without=target.ap)
        return bool(rivals) and rivals[0].worth_db >= target.worth_db - _RIVAL_DB

    def _tested(self, target: Track, here: Situation) -> bool:
        probed = here.probed.get(target.ap)
        return probed is not None and here.now_ns - probed.t_ns < _TESTED_NS

    def _go(
        self,
        target: Track,
        rule: str,
        inputs: dict[str, Value],
        here: Situation,
        out: list[Decision],
    ) -> None:
        kept = self._contexts.has(target.ap) and here.level(target.ap) >= Level.AUTHENTICATED
        move: type[Return] | type[Switch] = Return if kept else Switch
        out.append(move(target.ap, rule=f"return-{rule}" if kept else rule, inputs=inputs))
        self._leaving = target.ap
        self._leaving_until_ns = here.now_ns + int(self._own.switch_bound_s * _NS_PER_S)
        self._escape_ns = None
        self._told = ("", "")

    def _escape(self, here: Situation, out: list[Decision]) -> None:
        """The link is lost: go anywhere."""
        best = self._ranking.best(here)
        rule = "link-lost"
        if not best or not self._usable(best[0]):
            if self._escape_ns is None or here.now_ns < self._escape_ns:
                return
            rule, some = "link-lost-anywhere", self._ranking.best(here, 8, hopeless=True)
            best = tuple(sorted(some, key=lambda each: here.failures.get(each.ap, (0, 0))))[:1]
        self._desperate = rule == "link-lost-anywhere"
        if best:
            inputs: dict[str, Value] = {"serving": here.serving, "was_target": self._target}
            self._go(best[0], rule, inputs | self._ranking.why(best[0], here), here, out)
        else:
            out.append(Probe("scan", rule="nothing-known", inputs={"serving": here.serving}))
            self._escape_ns = here.now_ns + _ESCAPE_EVERY_NS

    # --- small questions

    def _lose(self, ap: str, rule: str, inputs: dict[str, Value], out: list[Decision]) -> None:
        out += self._preparations.drop(ap, rule, inputs)
        if self._target == ap:
            self._target = ""
        if self._bound == ap:
            self._bound = ""

    def _much_better(self, target: Track, track: Track) -> bool:
        own = self._own
        better_db = own.better_db - (own.step_hysteresis_db if self._target else 0.0)
        return target.worth_db - track.worth_db >= better_db

    def _usable(self, track: Track) -> bool:
        return track.snr_db >= self._own.lost_snr_db + _USABLE_DB

    def _about(self, track: Track, other: Track, here: Situation) -> dict[str, Value]:
        """Where the node is and where it may go, for a decision's inputs."""
        return self._watch.seen(track) | self._ranking.why(other, here)

    def _heads_for(self, ap: str) -> bool:
        return ap in (self._leaving, self._target) or ap in self._preparations.asked

    def _stay(
        self,
        rule: str,
        target: str,
        why: Callable[[], dict[str, Value]],
        out: list[Decision],
    ) -> None:
        if (rule, target) != self._told:
            self._told = (rule, target)
            out.append(Stay(target, rule=rule, inputs=why()))
