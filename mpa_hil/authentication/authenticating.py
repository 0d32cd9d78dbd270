"""One EAP run between a PANA session and the AAA server, for all sessions of an AA. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mpa_hil.authentication.admission import Admission
from mpa_hil.authentication.outputs import AgentOutput, AskAaa, Denied, ForgetAaa, Started
from mpa_hil.authentication.settings import AgentSettings
from mpa_hil.eap import interface as eap
from mpa_hil.eap.authenticator import PassThrough
from mpa_hil.mobility.interface import Endpoint, Instant
from mpa_hil.pana.interface import EapPacket, Outputs, PaaMachine, SessionStarted
from mpa_hil.pana.numbers import ResultCode
from mpa_hil.radius import interface as radius

Emit = Callable[[AgentOutput], None]


@dataclass(slots=True)
class Dialogue:
    """An authentication under way."""

    relay: PassThrough
    source: Endpoint
    preauthentication: bool
    started_ns: int
    calling: str
    """Calling-Station-Id: the MN's address (RFC 3580 s3.21)."""
    continuation: radius.Continuation | None = None
    asked_ns: int = 0
    aaa_round_trips: int = 0
    aaa_ns: int = 0
    mobile_node: str = ""
    """Identity, once the AAA server has accepted it."""
    renew: bool = False
    """The server wants another authentication, not an end, when its Session-Timeout is over."""


class Authenticating:
    """Passes EAP packets on, and turns the AAA server's word into PANA's.

    Args:
        refusal: asked before a success is passed on: why this identity may not have a session
            with this id all the same, or an empty text.
    """

    def __init__(
        self,
        settings: AgentSettings,
        paa: PaaMachine,
        admission: Admission,
        random: eap.Random,
        emit: Emit,
        refusal: Callable[[int, str], str],
    ) -> None:
        self._settings = settings
        self._called = settings.called_station_id or settings.realm
        self._paa = paa
        self._admission = admission
        self._random = random
        self._emit = emit
        self._refusal = refusal
        self._dialogues: dict[int, Dialogue] = {}

    def started(self, event: SessionStarted, now: Instant) -> Outputs:
        """A session wants EAP."""
        session_id, source = event.session_id, event.source
        relay = PassThrough(self._random)
        early = event.preauthentication
        self._dialogues[session_id] = Dialogue(
            relay, source, early, now.monotonic_ns, str(source.address)
        )
        self._admission.started(session_id, source)
        self._emit(Started(session_id, source, early, event.reauthentication))
        return self._paa.eap_request(session_id, relay.start(), now)

    def packet(self, event: EapPacket, now: Instant) -> Outputs:
        """The peer answered."""
        session_id = event.session_id
        dialogue = self._dialogues.get(session_id)
        if dialogue is None:
            return self._paa.eap_discarded(session_id, now)
        action = dialogue.relay.response(event.packet)
        if isinstance(action, eap.ToAaa):
            dialogue.asked_ns = now.monotonic_ns
            ask = radius.Ask(
                action.packet,
                action.identity.encode(),
                dialogue.continuation,
                self._called,
                dialogue.calling,
            )
            self._emit(AskAaa(session_id, ask))
            return ()
        if isinstance(action, eap.Refused):
            return self._deny(session_id, action.packet, "peer", action.reason, now)
        return self._paa.eap_discarded(session_id, now)

    def answered(self, outcome: radius.Outcome, now: Instant) -> Outputs:
        """The AAA server answered, or none did."""
        session_id = outcome.token
        assert isinstance(session_id, int)
        dialogue = self._dialogues.get(session_id)
        if dialogue is None:
            return ()
        dialogue.aaa_round_trips += 1
        dialogue.aaa_ns += now.monotonic_ns - dialogue.asked_ns
        relay = dialogue.relay
        if isinstance(outcome, radius.Challenged):
            dialogue.continuation = outcome.continuation
            action = relay.from_aaa(eap.AaaReply.CHALLENGE, outcome.eap)
            if isinstance(action, eap.ToPeer):
                return self._paa.eap_request(session_id, action.packet, now)
            return self._broken(session_id, action, now)
        if isinstance(outcome, radius.Accepted):
            action = relay.from_aaa(eap.AaaReply.ACCEPT, outcome.eap, outcome.msk)
            if isinstance(action, eap.Succeeded):
                return self._accepted(session_id, dialogue, outcome, action, now)
            return self._broken(session_id, action, now)
        if isinstance(outcome, radius.Refused):
            action = relay.from_aaa(eap.AaaReply.REJECT, outcome.eap)
            packet = action.packet if isinstance(action, eap.Refused) else b""
            reason = ": ".join(filter(None, (outcome.reason, outcome.reply_message)))
            return self._deny(session_id, packet, outcome.decider.value, reason, now)
        refused = relay.unreachable()
        return self._deny(session_id, refused.packet, "nobody", outcome.reason, now)

    def finish(self, session_id: int, now: Instant) -> Dialogue | None:
        """The session is established: what is known of how it came about."""
        self._admission.finished(session_id, now, failed=False)
        return self._dialogues.pop(session_id, None)

    def abandon(self, session_id: int, reason: str, now: Instant) -> None:
        """The session ended before that; harmless when there was no authentication under way."""
        dialogue = self._dialogues.pop(session_id, None)
        if dialogue is not None:
            self._emit(ForgetAaa(session_id))
            self._admission.finished(session_id, now, failed=True)
            node = dialogue.mobile_node or dialogue.relay.identity
            self._emit(Denied(session_id, node, dialogue.source, "nobody", reason))

    def _accepted(
        self,
        session_id: int,
        dialogue: Dialogue,
        outcome: radius.Accepted,
        action: eap.Succeeded,
        now: Instant,
    ) -> Outputs:
        node = dialogue.relay.identity
        if outcome.user_name:
            node = outcome.user_name.decode(errors="replace")
        reason = self._refusal(session_id, node)
        if reason:
            code = ResultCode.AUTHORIZATION_REJECTED
            return self._deny(session_id, action.packet, "agent", reason, now, code, action.msk)
        dialogue.mobile_node = node
        dialogue.renew = outcome.termination is radius.Termination.RADIUS_REQUEST
        limits = self._settings.limits
        lifetime_s = limits.early_lifetime_s if dialogue.preauthentication else limits.lifetime_s
        if outcome.session_timeout_s is not None:
            lifetime_s = min(lifetime_s, outcome.session_timeout_s)
        packet, msk = action.packet, action.msk
        return self._paa.eap_succeeded(session_id, packet, msk, max(lifetime_s, 1), now)

    def _broken(
        self, session_id: int, action: eap.Ignored | eap.Refused | object, now: Instant
    ) -> Outputs:
        """The server's answer makes no sense."""
        packet = action.packet if isinstance(action, eap.Refused) else b""
        reason = getattr(action, "reason", "an answer that fits nothing")
        return self._deny(session_id, packet, "client", reason, now)

    def _deny(
        self,
        session_id: int,
        packet: bytes,
        decider: str,
        reason: str,
        now: Instant,
        code: ResultCode = ResultCode.AUTHENTICATION_REJECTED,
        msk: bytes = b"",
    ) -> Outputs:
        dialogue = self._dialogues.pop(session_id)
        self._admission.finished(session_id, now, failed=True)
        node = dialogue.mobile_node or dialogue.relay.identity
        self._emit(Denied(session_id, node, dialogue.source, decider, reason))
        return self._paa.eap_failed(session_id, packet, code, now, msk=msk)
