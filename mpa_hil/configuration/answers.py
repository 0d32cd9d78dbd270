"""What the configuration agent tells mobile nodes, and its log. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mpa_hil.configuration import protocol
from mpa_hil.configuration.acquisition import Failed
from mpa_hil.configuration.holdings import Holding, Waiting
from mpa_hil.configuration.interface import Code
from mpa_hil.configuration.protocol import Tell
from mpa_hil.configuration.reports import Denied, Granted
from mpa_hil.mobility.interface import Instant, Send
from mpa_hil.signalling.server import Request, Server
from mpa_hil.signalling.values import Pair


class Answers:
    """Makes them.

    Args:
        nodes: mobile nodes by key.
    """

    def __init__(self, server: Server, nodes: Mapping[bytes, str]) -> None:
        self._server = server
        self._nodes = nodes

    def grant(
        self, holding: Holding, now: Instant, *, renewal: bool = True
    ) -> tuple[Send | Granted, ...]:
        """OK, with all that is held, to whoever waits for it."""
        told, waiting = holding.told(now), holding.waiting
        node, method, holding.waiting = holding.mobile_node, holding.wish.method, None
        if waiting is None:
            return (Granted(node, method, told, renewal, 0),)
        values = protocol.configuration_values(told, stateless=told.server is None)
        said = self._answer(waiting, Tell.OK, values, now)
        took_ns = now.monotonic_ns - waiting.token.arrived_ns
        return (*said, Granted(node, method, told, renewal, took_ns))

    def done(self, request: Request, now: Instant) -> tuple[Send, ...]:
        """OK to a request that nothing is to be said to."""
        return self._answer(Waiting(request.token, request.source), Tell.OK, (), now)

    def deny(
        self, request: Request, code: Code, text: str, now: Instant
    ) -> tuple[Send | Denied, ...]:
        """REFUSED, at once."""
        waiting = Waiting(request.token, request.source)
        return self.refuse(self._nodes.get(request.key, "?"), waiting, Failed(code, text), now)

    def refuse(
        self, node: str, waiting: Waiting, failed: Failed, now: Instant
    ) -> tuple[Send | Denied, ...]:
        """REFUSED, because an exchange failed."""
        values = protocol.refusal_values(failed.code, failed.text)
        said = self._answer(waiting, Tell.REFUSED, values, now)
        return (*said, Denied(node, failed.code, failed.text))

    def _answer(
        self, waiting: Waiting, kind: Tell, values: Iterable[Pair], now: Instant
    ) -> tuple[Send, ...]:
        datagram = self._server.answer(waiting.token, kind, values, now)
        return (Send(datagram, waiting.source),) if datagram else ()
