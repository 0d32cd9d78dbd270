"""The EAP peer of one authentication (RFC 3748, after RFC 4137 s4), sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

from mpa_hil.eap.codec import Code, MethodType, Packet, decode, encode, printable
from mpa_hil.eap.interface import Cause, EapOutput, Failure, Random
from mpa_hil.eap.method import Method, MethodRun, Step
from mpa_hil.eap.peer_states import PHASE_OF, TRANSITIONS, Action, Event, Phase
from mpa_hil.errors import DecodeError

MAX_REQUESTS = 100
"""Requests answered in one authentication, then it fails. EAP-TLS takes 4 to 6, with the largest
message allowed in fragments of 1,000 octets 70; endless fragments must end. What is dropped does
not count, or anybody could end an authentication with a hundred packets of nonsense."""


class EapPeer:
    """See `interface.Peer`.

    Args:
        methods: that may be used, best first; the first is what a Nak asks for.
        identity: of EAP-Response/Identity, sent in the clear: only the realm need be true.
    """

    def __init__(self, methods: Sequence[Method], identity: str, random: Random) -> None:
        self._methods = {method.type: method for method in methods}
        self._identity = identity.encode()
        self._random = random
        self._phase = Phase.IDENTIFYING
        self._run: MethodRun | None = None
        self._type = 0
        self._last_identifier: int | None = None
        self._last_response: bytes | None = None
        self._answered = 0
        self._refused = ""
        """Why this peer answered the last proposal with Nak."""

    @property
    def phase(self) -> Phase:
        """Where it is."""
        return self._phase

    def receive(self, packet: bytes) -> EapOutput:
        """See `interface.Peer.receive`."""
        try:
            message = decode(packet)
        except DecodeError as error:
            return EapOutput(discarded=error.what)
        if message.code is Code.RESPONSE:
            return EapOutput(discarded="a response, and this is the peer")
        if message.code is Code.REQUEST:
            event = self._event(message)
        elif message.identifier != self._last_identifier:
            return EapOutput(discarded=f"{message.code.name} with another identifier")
        else:
            event = Event.SUCCESS if message.code is Code.SUCCESS else Event.FAILURE
        action = TRANSITIONS[self._phase, event]
        if action is Action.DISCARD:
            return EapOutput(discarded=f"{event.value} while the peer {self._phase.value}")
        if action is Action.RETRANSMIT:
            return EapOutput(response=self._last_response)
        if action is Action.SUCCEED:
            return self._succeed()
        if action is Action.FAIL:
            if self._phase is Phase.IDENTIFYING and self._refused:
                return self._fail(Failure(Cause.NO_METHOD, self._refused))
            return self._fail(Failure(Cause.REJECTED, "the server sent EAP-Failure"))
        if self._answered == MAX_REQUESTS:
            return self._fail(Failure(Cause.LIMIT, f"more than {MAX_REQUESTS} requests"))
        if action is Action.IDENTIFY:
            return self._answer(message, self._identity)
        if action is Action.NOTIFY:
            # RFC 3748 s5.2: acknowledged with an empty response.
            return self._answer(message, b"", notification=printable(message.data))
        if action is Action.CHOOSE:
            return self._choose(message)
        assert self._run is not None, "the table processes requests of a running method only"
        return self._digest(message, self._run.process(message.data))

    def lower_layer_accepted(self) -> EapOutput:
        """See `interface.Peer.lower_layer_accepted`."""
        if TRANSITIONS[self._phase, Event.ACCEPTED_BELOW] is Action.SUCCEED:
            return self._succeed()
        return EapOutput(discarded=f"accepted below while the peer {self._phase.value}")

    def lower_layer_rejected(self, reason: str) -> EapOutput:
        """See `interface.Peer.lower_layer_rejected`."""
        if TRANSITIONS[self._phase, Event.REJECTED_BELOW] is Action.FAIL:
            return self._fail(Failure(Cause.LOWER_LAYER, reason))
        return EapOutput(discarded=f"rejected below while the peer {self._phase.value}")

    def _event(self, message: Packet) -> Event:
        if message.identifier == self._last_identifier:
            return Event.REPEATED
        if message.type == MethodType.IDENTITY:
            return Event.IDENTITY
        if message.type == MethodType.NOTIFICATION:
            return Event.NOTIFICATION
        if self._run is not None and message.type == self._type:
            return Event.METHOD
        return Event.OTHER

    def _choose(self, message: Packet) -> EapOutput:
        method = self._methods.get(message.type)
        if method is None:
            return self._nak(message, f"the server proposed only methods like type {message.type}")
        run = method.begin(self._random)
        step = run.process(message.data)
        if step.data is None and not step.nak:
            return EapOutput(discarded=step.ignored)
        if not step.nak:
            self._run, self._type = run, message.type
        return self._digest(message, step)

    def _digest(self, message: Packet, step: Step) -> EapOutput:
        if step.nak:
            return self._nak(message, step.ignored)
        if step.data is None:
            return EapOutput(discarded=step.ignored)
        output = self._answer(message, step.data)
        if step.failure is None:
            self._phase = PHASE_OF[step.standing]
            return output
        return EapOutput(output.response, self._fail(step.failure).outcome)

    def _nak(self, message: Packet, why: str) -> EapOutput:
        self._refused = why
        # RFC 3748 s5.3.1: the types wished for, or 0 for none. A peer that proposes the very
        # type it has just refused would be asked again.
        wanted = bytes(kind for kind in self._methods if kind != message.type) or b"\0"
        return self._answer(message, wanted, kind=MethodType.NAK)

    def _answer(
        self, message: Packet, data: bytes, *, kind: int | None = None, notification: str = ""
    ) -> EapOutput:
        kind = message.type if kind is None else kind
        response = encode(Packet(Code.RESPONSE, message.identifier, kind, data))
        self._last_identifier, self._last_response = message.identifier, response
        self._answered += 1
        return EapOutput(response, notification=notification)

    def _succeed(self) -> EapOutput:
        assert self._run is not None, "only a method's run can lead here"
        self._phase = Phase.SUCCEEDED
        return EapOutput(outcome=self._run.succeed())

    def _fail(self, failure: Failure) -> EapOutput:
        self._phase = Phase.FAILED
        if self._run is not None:
            self._run.fail()
        return EapOutput(outcome=failure)
