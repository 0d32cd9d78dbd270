"""One PANA session with one agent and the EAP inside it, at the mobile node. Sans-IO.

PANA knows EAP as octets, EAP knows no PANA: here one is handed to the other, the traffic is
counted, and the many ways in which it can end become one, with a reason in words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mpa_hil.eap.interface import Cause, Failure, Peer, Success
from mpa_hil.mobility.interface import Discarded, Endpoint, Instant, Send
from mpa_hil.pana import interface as pana

from .interface import EndCause, MakePac, MakePeer, Traffic

_WORTH_ANOTHER_TRY = frozenset({Cause.PROTOCOL, Cause.LOWER_LAYER})
"""Failures that somebody on the path can bring about, so that the next attempt may do better."""


@dataclass(frozen=True, slots=True)
class Established:
    """Both sides hold the keys."""

    session: pana.PanaSession
    success: Success
    traffic: Traffic
    renewal: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over, or never came to be."""

    reason: str
    cause: EndCause
    passing: bool
    """Another attempt may end better: nothing said here was anybody's considered word."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The agent answered an authentic message of this node's."""


Step = Send | Established | Closed | Acknowledged | Discarded


class Association:
    """A PANA client with its EAP peers, one for each authentication.

    Args:
        agent: where the PAA is.
    """

    def __init__(self, agent: Endpoint, make_pac: MakePac, make_peer: MakePeer) -> None:
        self.agent = agent
        self.heard = False
        """The agent has said something acceptable."""
        self.traffic = Traffic()
        self._pac = make_pac(agent)
        self._make_peer = make_peer
        self._peer: Peer | None = None
        self._success: Success | None = None
        self._failure: Failure | None = None
        self._awaiting = False

    @property
    def session(self) -> pana.PanaSession | None:
        """None unless it is established."""
        return self._pac.session

    def start(self, now: Instant) -> list[Step]:
        """Begin."""
        return self._carry_out(self._pac.start(now), now)

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> list[Step]:
        """Digest a datagram from the agent's PANA port."""
        outputs = self._pac.receive(datagram, source, now)
        if not any(isinstance(output, Discarded) for output in outputs):
            self.heard = True
            self.traffic = replace(
                self.traffic,
                messages_received=self.traffic.messages_received + 1,
                octets_received=self.traffic.octets_received + len(datagram),
                round_trips=self.traffic.round_trips + self._awaiting,
            )
            self._awaiting = False
        return self._carry_out(outputs, now)

    def renew(self, now: Instant) -> list[Step]:
        """Authenticate again for new keys and a new lifetime."""
        self.traffic = Traffic()
        return self._carry_out(self._pac.reauthenticate(now), now)

    def announce(self, now: Instant) -> list[Step]:
        """Tell the agent that this node is in its network; `Acknowledged` is the answer.

        The first time this makes it the serving agent (RFC 5873 s3); later, any authentic message
        proves that the node is back (RFC 6252 C.2).
        """
        session = self._pac.session
        if session is not None and session.preauthentication:
            outputs = self._pac.became_serving(now)
            if outputs:
                return self._carry_out(outputs, now)
        return self.notify(now)

    def notify(self, now: Instant) -> list[Step]:
        """Send the agent an authentic message, from whatever address this node has now."""
        return self._carry_out(self._pac.address_changed(now), now)

    def terminate(self, now: Instant) -> list[Step]:
        """End the session; `Closed` when the agent has confirmed it."""
        return self._carry_out(self._pac.terminate(now), now)

    def expire(self, now: Instant) -> list[Step]:
        """Do what is due."""
        return self._carry_out(self._pac.expire(now), now)

    def next_deadline(self) -> int | None:
        """CLOCK_MONOTONIC ns."""
        return self._pac.next_deadline()

    def _carry_out(self, outputs: tuple[pana.PanaOutput, ...], now: Instant) -> list[Step]:
        steps: list[Step] = []
        for output in outputs:
            match output:
                case Send():
                    self._sent(output)
                    steps.append(output)
                case pana.EapPacket():
                    steps += self._carry_out(self._ask_peer(output, now), now)
                case pana.Established():
                    assert self._success is not None, "PANA has keys from EAP alone"
                    steps.append(
                        Established(
                            output.session, self._success, self.traffic, output.reauthentication
                        )
                    )
                case pana.BecameServing() | pana.Answered():
                    steps.append(Acknowledged())
                case pana.Rejected():
                    steps.append(self._rejected(output))
                case pana.Ended():
                    steps.append(self._ended(output))
                case pana.Lost():
                    text = f"no answer to {output.attempts} messages"
                    steps.append(Closed(text, EndCause.UNANSWERED, passing=True))
                case Discarded():
                    steps.append(output)
                case _:
                    raise AssertionError(f"{type(output).__name__} is nothing for a client")
        return steps

    def _sent(self, send: Send) -> None:
        self._awaiting = True
        self.traffic = replace(
            self.traffic,
            messages_sent=self.traffic.messages_sent + 1,
            octets_sent=self.traffic.octets_sent + len(send.datagram),
        )

    def _ask_peer(self, said: pana.EapPacket, now: Instant) -> tuple[pana.PanaOutput, ...]:
        if said.first or self._peer is None:
            self._peer = self._make_peer()
            self._success = self._failure = None
        answer = self._peer.receive(said.packet)
        if isinstance(answer.outcome, Failure):
            self._failure = answer.outcome
        if answer.response is not None:
            # With a failure it is the alert that tells the server, whose refusal then ends it.
            return self._pac.eap_response(answer.response, now)
        if isinstance(answer.outcome, Success):
            self._success = answer.outcome
            return self._pac.eap_succeeded(answer.outcome.msk, now)
        if self._failure is not None:
            return self._pac.eap_failed(now)
        return self._pac.eap_discarded(now)

    def _rejected(self, output: pana.Rejected) -> Closed:
        if self._failure is None:
            code = output.code.name.lower().replace("_", " ")
            return Closed(f"the agent: {code}", EndCause.REFUSED, passing=False)
        return self._failed(self._failure)

    def _ended(self, output: pana.Ended) -> Closed:
        match output.cause:
            case pana.EndCause.EAP_FAILED if self._failure is not None:
                return self._failed(self._failure)
            case pana.EndCause.EXPIRED:
                return Closed("session lifetime over", EndCause.EXPIRED, passing=False)
            case pana.EndCause.TERMINATED_HERE:
                return Closed("ended here", EndCause.RELEASED, passing=False)
            case pana.EndCause.TERMINATED_BY_PEER:
                termination = output.termination
                why = "" if termination is None else f": {termination.name.lower()}"
                text = f"ended by the agent{why.replace('_', ' ')}"
                return Closed(text, EndCause.BY_AGENT, passing=True)
            case _:
                stalled = self._failure.reason if self._failure else output.cause.value
                return Closed(stalled, EndCause.UNANSWERED, passing=True)

    @staticmethod
    def _failed(failure: Failure) -> Closed:
        text = f"{failure.cause.value}: {failure.reason}"
        return Closed(text, EndCause.REFUSED, passing=failure.cause in _WORTH_ANOTHER_TRY)
