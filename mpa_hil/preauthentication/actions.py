"""What the transitions of one preparation do. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mpa_hil.authentication.service import SERVICE_PORT
from mpa_hil.discovery.description import CandidateNetwork, PointOfAttachment
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant, Send

from .association import Acknowledged, Association, Closed, Established, Step
from .delivery import Delivery
from .interface import (
    Arrived,
    Authenticated,
    EndCause,
    Ended,
    Failed,
    Ignored,
    Left,
    MakePac,
    MakePeer,
    Output,
    Outputs,
    Over,
    Prepared,
    Serving,
    Stage,
    Started,
    Transmit,
)
from .settings import Settings
from .states import KEYED, TABLE, Event, State


@dataclass(frozen=True, slots=True)
class Means:
    """What every preparation of one node works with."""

    settings: Settings
    make_pac: MakePac
    make_peer: MakePeer
    random: Callable[[int], bytes]


class Actions:
    """State of one preparation and its steps.

    Args:
        network: with an AA and at least one point of attachment.
        points: those that it is to hold keys for.
        budget_s: time from `start` until the keys are in place (R31).
        hold_s: how long they are kept without the node being there (R111, R113).
    """

    def __init__(
        self,
        network: CandidateNetwork,
        points: Iterable[PointOfAttachment],
        means: Means,
        *,
        budget_s: float,
        hold_s: float,
    ) -> None:
        self.network = network
        self.realm = network.realm
        self.state = State.INITIAL
        self._points = tuple(points)
        self._means = means
        self._settings = means.settings
        self._budget_ns = round(budget_s * NS_PER_S)
        self._hold_ns = round(hold_s * NS_PER_S)
        self._delivery = Delivery(self.realm, means.settings, means.random)
        self._association: Association | None = None
        self._out: list[Output] = []
        self._attempts = 0
        self._reason = ""
        self._cause = EndCause.RELEASED
        self._passing = False
        self._here: str | None = None
        self._began_ns = 0
        self._established_ns = 0
        self._renewing = False
        self._verifying = False
        self._arrived_ns: int | None = None
        self._limit_ns: int | None = None
        self._agent_ns: int | None = None
        self._retry_ns: int | None = None
        self._renew_ns: int | None = None
        self._hold_until_ns: int | None = None

    # --- guards

    def _is_may_retry(self) -> bool:
        return self._passing and self._attempts < self._settings.attempts

    def _is_any_ready(self) -> bool:
        return self._delivery.ready > 0

    # --- actions

    def _do_begin(self, now: Instant) -> None:
        agents = self.network.aa
        agent = agents[self._attempts % len(agents)]
        self._attempts += 1
        more = self._attempts < self._settings.attempts and len(agents) > 1
        patience_ns = round(self._settings.agent_s * NS_PER_S)
        self._agent_ns = now.monotonic_ns + patience_ns if more else None
        self._out.append(Started(self.realm, agent, self._attempts))
        self._association = Association(agent, self._means.make_pac, self._means.make_peer)
        self._take(self._association.start(now), now)

    def _do_begin_anew(self, now: Instant) -> None:
        """The time that was given with the wish still counts."""
        points = self._delivery.points
        self._put(self._delivery.remove(points))
        why = "it does not know the association any more"
        self._out.append(Ended(self.realm, EndCause.UNANSWERED, why))
        self._points = points
        self._delivery = Delivery(self.realm, self._settings, self._means.random)
        self._attempts = 0
        self._verifying = False
        self._began_ns = now.monotonic_ns
        self._hold_until_ns = self._renew_ns = None
        self._do_begin(now)

    def _do_pause(self, now: Instant) -> None:
        self._association = self._agent_ns = None
        pause_s = self._settings.retry_s * 2 ** (self._attempts - 1)
        self._retry_ns = now.monotonic_ns + round(pause_s * NS_PER_S)

    def _do_install(self, now: Instant) -> None:
        """Everything begins anew under the new key; the limit counts from here when renewing."""
        if self._renewing:
            self._limit_ns = now.monotonic_ns + self._budget_ns
        self._established_ns = now.monotonic_ns
        self._deliver(self._delivery.points or self._points, now)
        self._plan_renewal()
        if self._here is not None and self.state is State.CONFIRMING:
            self._step(Event.ARRIVED, now)

    def _do_account(self, now: Instant) -> None:
        ready, wanted = self._delivery.ready, len(self._delivery.points)
        told, vain = self._delivery.account()
        self._limit_ns = None
        self._verifying = False
        self._out += told
        self._out.append(
            Prepared(
                self.realm,
                ready,
                wanted,
                now.monotonic_ns - self._established_ns,
                now.monotonic_ns - self._began_ns,
                self._renewing,
            )
        )
        self._put(vain)
        if self.state is State.PREPARED and self._hold_until_ns is None:
            self._hold_until_ns = now.monotonic_ns + self._hold_ns
        self._plan_renewal()

    def _do_arrive(self, now: Instant) -> None:
        assert self._here is not None
        assert self._association is not None
        self._hold_until_ns = None
        self._arrived_ns = now.monotonic_ns
        self._out.append(Arrived(self.realm, self._here))
        self._take(self._association.announce(now), now)
        self._plan_renewal()

    def _do_hold(self, now: Instant) -> None:
        self._arrived_ns = None
        self._hold_until_ns = now.monotonic_ns + self._hold_ns
        self._out.append(Left(self.realm, self._hold_until_ns))
        self._plan_renewal()

    def _do_fail(self, now: Instant) -> None:
        self._out.append(Failed(self.realm, Stage.AUTHENTICATING, self._reason, self._attempts))
        self._do_finish(now)

    def _do_fail_late(self, now: Instant) -> None:
        association = self._association
        heard = association is not None and association.heard
        last = f"; before that, {self._reason}" if self._reason else ""
        state = "was not done" if heard else "has not begun: the agent says nothing"
        self._reason = f"time is up, authentication {state}{last}"
        self._do_fail(now)

    def _do_fail_keyless(self, now: Instant) -> None:
        reason = self._delivery.summary()
        self._put(self._delivery.remove(self._delivery.points))
        self._out.append(Failed(self.realm, Stage.INSTALLING, reason, self._attempts))
        self._part(now)

    def _do_close(self, now: Instant) -> None:
        self._put(self._delivery.remove(self._delivery.points))
        self._out.append(Ended(self.realm, self._cause, self._reason))
        self._part(now)

    def _do_lose(self, now: Instant) -> None:
        self._put(self._delivery.remove(self._delivery.points))
        self._out.append(Ended(self.realm, self._cause, self._reason))
        self._do_finish(now)

    def _do_stop(self, now: Instant) -> None:
        self._out.append(Ended(self.realm, self._cause, self._reason))
        self._do_finish(now)

    def _do_finish(self, now: Instant) -> None:
        self._association = None
        self._out.append(Over(self.realm))

    # --- parts of them

    def _part(self, now: Instant) -> None:
        """Tell the agent, and give it a while to answer."""
        assert self._association is not None
        self._delivery = Delivery(self.realm, self._settings, self._means.random)
        self._renew_ns = self._hold_until_ns = None
        self._limit_ns = now.monotonic_ns + round(self._settings.farewell_s * NS_PER_S)
        self._take(self._association.terminate(now), now)

    def _deliver(self, points: Iterable[PointOfAttachment], now: Instant) -> None:
        assert self._association is not None
        session = self._association.session
        assert session is not None, "keys come with a session"
        if self._limit_ns is None:
            self._limit_ns = now.monotonic_ns + self._budget_ns
        install, question = self._delivery.begin(session, points, now)
        self._out.append(install)
        self._ask(question)

    def _verify(self, now: Instant) -> None:
        assert self._association is not None
        session = self._association.session
        if session is not None and self._delivery.points:
            self._began_ns = self._established_ns = now.monotonic_ns
            self._limit_ns = now.monotonic_ns + self._budget_ns
            self._renewing, self._verifying = False, True
            self._ask(self._delivery.verify(session, now))

    def _ask(self, question: bytes | None) -> None:
        if question is not None and self._association is not None:
            agent = Endpoint(self._association.agent.address, SERVICE_PORT)
            self._out.append(Transmit(self.realm, question, agent))

    def _plan_renewal(self) -> None:
        """Renew in time if the keys are wanted for longer than they last."""
        session = self._association.session if self._association else None
        self._renew_ns = None
        if session is None or self.state not in KEYED:
            return
        if self._hold_until_ns is None or self._hold_until_ns > session.expires_ns:
            left = 1 - self._settings.renew_at
            self._renew_ns = session.expires_ns - round(left * session.lifetime_s * NS_PER_S)

    def _renew(self, now: Instant) -> None:
        assert self._association is not None
        self._began_ns = now.monotonic_ns
        steps = self._association.renew(now)
        if not steps:  # another exchange is under way
            self._renew_ns = now.monotonic_ns + NS_PER_S
        self._take(steps, now)

    def _check_delivery(self, now: Instant) -> None:
        if self.state in KEYED and self._delivery.under_way and self._delivery.complete:
            self._step(Event.CONFIRMED, now)

    def _receive_states(self, datagram: bytes, source: Endpoint, now: Instant) -> None:
        try:
            self._delivery.receive(datagram, now)
        except DecodeError as error:
            self._ignore(error.what, source, security=True)
            return
        self._check_delivery(now)

    def _take(self, steps: list[Step], now: Instant) -> None:
        """Carry out what the association said."""
        for step in steps:
            match step:
                case Send():
                    self._out.append(Transmit(self.realm, step.datagram, step.destination))
                case Established():
                    self._established(step, now)
                case Acknowledged():
                    self._acknowledged(now)
                case Closed():
                    self._closed(step, now)
                case Discarded():
                    self._ignore(step.reason, step.source, security=step.security)

    def _established(self, step: Established, now: Instant) -> None:
        if self.state is State.CLOSING:
            assert self._association is not None
            self._take(self._association.terminate(now), now)
            return
        success = step.success
        self._renewing = step.renewal
        self._agent_ns = None
        self._out.append(
            Authenticated(
                realm=self.realm,
                method=success.method,
                detail=success.detail,
                server=success.server_id,
                traffic=step.traffic,
                duration_ns=now.monotonic_ns - self._began_ns,
                lifetime_s=step.session.lifetime_s,
                resumed=success.resumed,
                renewal=step.renewal,
            )
        )
        self._step(Event.ESTABLISHED, now)

    def _acknowledged(self, now: Instant) -> None:
        if self.state is State.SERVING and self._arrived_ns is not None and self._here is not None:
            took_ns = now.monotonic_ns - self._arrived_ns
            self._arrived_ns = None
            self._out.append(Serving(self.realm, self._here, took_ns))

    def _closed(self, step: Closed, now: Instant) -> None:
        self._reason, self._cause, self._passing = step.reason, step.cause, step.passing
        trying = self.state is State.AUTHENTICATING
        self._step(Event.ATTEMPT_FAILED if trying else Event.SESSION_OVER, now)

    def _ignore(self, reason: str, source: Endpoint, *, security: bool = False) -> None:
        self._out.append(Ignored(self.realm, reason, source, security))

    def _put(self, output: Output | None) -> None:
        if output is not None:
            self._out.append(output)

    def _taken(self) -> Outputs:
        out, self._out = tuple(self._out), []
        return out

    def _step(self, event: Event, now: Instant) -> None:
        """Take the first row whose guard holds; without one, nothing changes."""
        for row in TABLE.at(self.state, event):
            if row.guard and not getattr(self, "_is_" + row.guard)():
                continue
            if row.exit is not None:
                self.state = row.exit
            getattr(self, "_do_" + row.action)(now)
            return
