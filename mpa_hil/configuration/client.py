"""The mobile node's configuration machine: asks one agent, keeps what it got, lets go of it.

Sans-IO. The lease is kept by asking again at half of what is left of it, until it is released or
taken over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from mpa_hil.configuration.interface import (
    Code,
    Configuration,
    Configured,
    Ended,
    Ending,
    GaveUp,
    Lost,
    Output,
    Refused,
    Wish,
)
from mpa_hil.configuration.protocol import (
    Ask,
    Tell,
    address_values,
    configuration_of,
    refusal_of,
    wish_values,
)
from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Instant, Send
from mpa_hil.signalling import requester
from mpa_hil.signalling.client import Client, NamedSecret
from mpa_hil.signalling.message import Protocol
from mpa_hil.signalling.requester import Answered, Requester, Timing

_ENDINGS = {Ask.RELEASE: Ending.RELEASED, Ask.TAKE_OVER: Ending.TAKEN_OVER}


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Times of the mobile node's side."""

    timing: Timing = field(default_factory=Timing)
    renew_fraction: float = 0.5
    """Of what is left of the lease, or of the agent's patience: T1 of RFC 2131 s4.4.5."""
    retry_s: float = 5.0
    """After a renewal without answer, until the next."""
    shortest_s: float = 1.0
    """Between two renewals, whatever the lease."""

    def __post_init__(self) -> None:
        if not 0 < self.renew_fraction < 1 or min(self.retry_s, self.shortest_s) <= 0:
            raise LocalError("a fraction between 0 and 1, and positive times, are needed")


class ConfigurationClient:
    """One mobile node's dealings with one configuration agent.

    Args:
        key: MN-CA key.
        ca: the agent's port.
        random: `os.urandom`.
    """

    def __init__(
        self,
        key: NamedSecret,
        ca: Endpoint,
        random: Callable[[int], bytes],
        settings: ClientSettings = ClientSettings(),
    ) -> None:
        self._settings = settings
        client = Client(key, Protocol.CONFIGURATION, random)
        self._requester = Requester(client, ca, settings.timing)
        self._wish: Wish | None = None
        self._held: Configuration | None = None
        self._expires_ns: float = math.inf
        self._renew_ns: int | None = None

    @property
    def configuration(self) -> Configuration | None:
        """What is held now."""
        return self._held

    @property
    def round_trip_ns(self) -> float:
        """To the agent and back, smoothed; 0: not known yet."""
        return self._requester.round_trip_ns

    def configure(self, wish: Wish, now: Instant) -> tuple[Output, ...]:
        """Ask for an address: Configured, Refused or GaveUp. Replaces a request under way."""
        outputs = self._stop_asking(now)
        self._wish = wish
        self._renew_ns = None
        if self._held is not None and self._held.address.ip == wish.decline:
            self._held = None
        return outputs + self._ask(Ask.CONFIGURE, wish_values(wish), now)

    def release(self, now: Instant) -> tuple[Output, ...]:
        """Give the address back, or the request up: Ended, whatever the agent says."""
        return self._part(Ask.RELEASE, now)

    def take_over(self, now: Instant) -> tuple[Output, ...]:
        """The MN is on the link: the agent is to leave the lease alone from now on: Ended."""
        return self._part(Ask.TAKE_OVER, now)

    def receive(self, datagram: bytes, now: Instant) -> tuple[Output, ...]:
        """Digest a datagram from the agent; whatever it holds, this raises nothing."""
        return self._digest(self._requester.receive(datagram, now), now)

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Do what is due at `next_deadline`; harmless at other times."""
        outputs = self._digest(self._requester.expire(now), now)
        if self._held is not None and self._expires_ns <= now.monotonic_ns:
            outputs += self._stop_asking(now) + self._lose("its lease ran out")
        elif self._renew_ns is not None and self._renew_ns <= now.monotonic_ns:
            self._renew_ns = None
            if self._held is not None:
                values = address_values(self._held.address.ip)
                outputs += self._ask(Ask.RENEW, values, now)
        return outputs

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, None while there is nothing."""
        times = [self._requester.next_deadline(), self._renew_ns]
        if self._held is not None and not math.isinf(self._expires_ns):
            times.append(int(self._expires_ns))
        return min((each for each in times if each is not None), default=None)

    def _ask(self, ask: Ask, values: list[tuple[int, bytes]], now: Instant) -> tuple[Output, ...]:
        return self._digest(self._requester.ask(ask, ask, values, now), now)

    def _stop_asking(self, now: Instant) -> tuple[Output, ...]:
        outputs: tuple[Output, ...] = ()
        for ask in (Ask.CONFIGURE, Ask.RENEW):
            outputs += self._digest(self._requester.cancel(ask, now), now)
        return outputs

    def _part(self, ask: Ask, now: Instant) -> tuple[Output, ...]:
        wish, self._wish, self._renew_ns = self._wish, None, None
        outputs = self._stop_asking(now)
        if wish is None and self._held is None:
            return (*outputs, Ended(None, _ENDINGS[ask], True))
        self._expires_ns = math.inf
        # Perhaps the agent took a lease that it could not tell us of: that too is given back.
        values = [] if self._held is None else address_values(self._held.address.ip)
        return outputs + self._ask(ask, values, now)

    def _digest(self, outputs: tuple[requester.Output, ...], now: Instant) -> tuple[Output, ...]:
        made: list[Output] = []
        for output in outputs:
            if isinstance(output, Send):
                made.append(output)
            elif isinstance(output, Answered):
                made += self._answered(output, now)
            else:
                made += self._gave_up(output, now)
        return tuple(made)

    def _answered(self, answered: Answered, now: Instant) -> tuple[Output, ...]:
        ending = _ending(answered.token)
        if ending is not None:
            return self._ended(ending, True)
        try:
            if answered.kind == Tell.REFUSED:
                return self._refused(refusal_of(answered.values), now)
            if answered.kind != Tell.OK or self._wish is None:
                raise DecodeError(f"answer {answered.kind}", where="configuration")
            configuration = configuration_of(answered.values, self._wish.mac)
        except DecodeError as error:
            return self._refused(Refused(Code.MALFORMED, f"the answer: {error.what}"), now)
        return self._keep(configuration, answered, now)

    def _keep(
        self, configuration: Configuration, answered: Answered, now: Instant
    ) -> tuple[Output, ...]:
        before, self._held = self._held, configuration
        self._expires_ns = now.monotonic_ns + configuration.lease_s * NS_PER_S
        half_s = self._settings.renew_fraction * min(configuration.lease_s, configuration.keep_s)
        self._renew_ns = None
        if not math.isinf(half_s):
            wait_s = max(half_s, self._settings.shortest_s)
            self._renew_ns = now.monotonic_ns + int(wait_s * NS_PER_S)
        same = before is not None and before.address == configuration.address
        return (Configured(configuration, same, answered.round_trip_ns, answered.attempts),)

    def _refused(self, refused: Refused, now: Instant) -> tuple[Output, ...]:
        if self._held is not None and refused.code is Code.LEASE_LOST:
            return self._lose(refused.text)
        self._try_later(now)
        return (refused,)

    def _gave_up(self, gave_up: requester.GaveUp, now: Instant) -> tuple[Output, ...]:
        ending = _ending(gave_up.token)
        if ending is not None:
            return self._ended(ending, False)
        if gave_up.token is Ask.RENEW:
            self._try_later(now)
            return ()
        return (GaveUp(gave_up.attempts),)

    def _try_later(self, now: Instant) -> None:
        if self._held is not None:
            self._renew_ns = now.monotonic_ns + int(self._settings.retry_s * NS_PER_S)

    def _lose(self, reason: str) -> tuple[Output, ...]:
        held, self._held, self._renew_ns = self._held, None, None
        self._expires_ns = math.inf
        return () if held is None else (Lost(held.address.ip, reason),)

    def _ended(self, ending: Ending, confirmed: bool) -> tuple[Output, ...]:
        held, self._held = self._held, None
        return (Ended(held.address.ip if held else None, ending, confirmed),)


def _ending(token: object) -> Ending | None:
    return _ENDINGS.get(token) if isinstance(token, Ask) else None
