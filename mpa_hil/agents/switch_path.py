"""The exchange with the next access router at the switch itself: prepared datagrams, sent until
they are acknowledged (steps 4 and 6 of RFC 6252 s6.3).

    hold      DISABLE, from the oCoA: the router holds; its answer comes behind the last packet that
              went through the tunnel, so the downlink is drained by then
    leave     LEAVE, through the tunnel although the uplink has been turned away from it: the last
              packet on the old path; no answer
    arrive    ARRIVED, from the nCoA straight onto the link: the router releases. Its port may open
              after the node's, so this is repeated fast, and until the router has seen LEAVE: then
              the uplink is drained too
    resume    ENABLE, from the oCoA: the switch did not take place
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mpa_hil.agents.agent_port import AgentPort
from mpa_hil.agents.direct_port import DirectPort
from mpa_hil.clock import instant
from mpa_hil.mobility.interface import Address, Endpoint
from mpa_hil.tunnel.interface import Ack, PreparedSwitch
from mpa_hil.tunnel.node import TunnelClient

_HOLD_RETRY_S = 0.02
_PATIENCE = 1.5
"""Round trips until a datagram is taken for lost."""
_ARRIVE_RETRY_S = 0.001
"""How late the opening of the access point's port may be noticed."""
_RESUME_RETRY_S = 0.1
_RESUME_BOUND_S = 10.0


@dataclass(slots=True)
class _Asking:
    """What is being sent until it is acknowledged."""

    what: str
    """Its name in `PreparedSwitch`."""
    port: AgentPort
    retry_s: float
    left: int
    ended: Callable[[bool], None]
    dropped: Callable[[], None] = lambda: None
    """Something else is asked, or nothing any more, before this has ended."""


class SwitchPath:
    """The prepared exchange of one handover.

    Args:
        client: has created the tunnel.
        router: its port.
        outer: the oCoA, and no interface: as it is routed.
        direct: the nCoA and the physical interface, past everything that waits; the router's
            link-layer address and the node's.
        through: the nCoA and the tunnel's device.
    """

    def __init__(
        self,
        client: TunnelClient,
        router: Endpoint,
        *,
        outer: tuple[Address, str],
        direct: tuple[Address, str, bytes, bytes],
        through: tuple[Address, str],
    ) -> None:
        self._client = client
        self._router = router
        self._outer, self._through = (
            AgentPort(address, self._on_datagram, interface)
            for address, interface in (outer, through)
        )
        address, interface, router_mac, mac = direct
        self._inner = DirectPort(address, self._on_datagram, interface, router_mac, mac)
        self._loop = asyncio.get_running_loop()
        self._prepared: PreparedSwitch | None = None
        self._asking: _Asking | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._drained = True
        self.attempts = 0
        """Datagrams sent for the last request."""

    def prepare(self) -> None:
        """Make the datagrams. Good until the client asks the router for anything else."""
        self._prepared = self._client.prepare_switch(instant())
        self._inner.prepare(self._prepared.arrived, self._router)

    def hold(
        self, ended: Callable[[bool], None], bound_s: float, round_trip_s: float = 0.0
    ) -> None:
        """Have the router hold; `ended` is told whether it does.

        Args:
            round_trip_s: to the router and back, as it was measured.
        """
        retry_s = max(_HOLD_RETRY_S, _PATIENCE * round_trip_s)
        self._ask("disable", self._outer, retry_s, bound_s, ended)

    def leave(self) -> None:
        """Send the end marker of the uplink."""
        assert self._prepared is not None
        self._through.send(self._prepared.leave, self._router)

    def leaving(self) -> bool:
        """Whether the end marker, and so what went before it, has not left this node yet: WireGuard
        encrypts in threads of its own, and a radio has queues."""
        return self._through.queued()

    def arrive(self, ended: Callable[[bool], None], bound_s: float, *, drained: bool) -> None:
        """Have the router release; `ended` is told whether it did.

        Args:
            drained: wait until it has got LEAVE, too: then the uplink is drained.
        """
        self._drained = drained
        self._ask("arrived", self._inner, _ARRIVE_RETRY_S, bound_s, ended)

    def resume(self, ended: Callable[[bool], None] = lambda _: None) -> None:
        """Have the router send what it held through the tunnel."""
        self._ask("enable", self._outer, _RESUME_RETRY_S, _RESUME_BOUND_S, ended)

    async def holding(self, bound_s: float, round_trip_s: float) -> bool:
        """As `hold`, awaited; False also when something else is asked meanwhile, or this closed."""
        retry_s = max(_HOLD_RETRY_S, _PATIENCE * round_trip_s)
        return await self._asked("disable", retry_s, bound_s)

    async def resumed(self, bound_s: float) -> bool:
        """As `resume`, awaited in the same way."""
        return await self._asked("enable", _RESUME_RETRY_S, bound_s)

    async def _asked(self, what: str, retry_s: float, bound_s: float) -> bool:
        answer: asyncio.Future[bool] = self._loop.create_future()

        def tell(well: bool) -> None:
            if not answer.done():
                answer.set_result(well)

        self._ask(what, self._outer, retry_s, bound_s, tell, lambda: tell(False))
        return await answer

    def close(self) -> None:
        """Ask no more; close the sockets."""
        self._drop()
        for port in (self._outer, self._inner, self._through):
            port.close()

    def _ask(
        self,
        what: str,
        port: AgentPort,
        retry_s: float,
        bound_s: float,
        ended: Callable[[bool], None],
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._drop()
        left = max(1, round(bound_s / retry_s))
        self._asking = _Asking(what, port, retry_s, left, ended, dropped)
        self.attempts = 0
        self._send()

    def _send(self) -> None:
        asking = self._asking
        assert asking is not None
        if not asking.left:
            self._end(False)
            return
        asking.left -= 1
        self.attempts += 1
        asking.port.send(getattr(self._prepared, asking.what), self._router)
        self._timer = self._loop.call_later(asking.retry_s, self._send)

    def _drop(self) -> None:
        asking = self._asking
        self._stop()
        if asking is not None:
            asking.dropped()

    def _stop(self) -> None:
        self._asking = None
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, well: bool) -> None:
        asking = self._asking
        self._stop()
        if asking is not None:
            asking.ended(well)

    def _on_datagram(self, datagram: bytes, source: Endpoint) -> None:
        asking = self._asking
        if asking is None:
            return
        ack: Ack | None = self._client.acknowledged(datagram, getattr(self._prepared, asking.what))
        if ack is None:
            return
        if ack.stale:  # a refresh came between, or the router has restarted
            self.prepare()
            self._stop_timer()
            self._send()
        elif not ack.done:
            self._end(False)
        elif asking.what != "arrived" or ack.drained or not self._drained:
            self._end(True)
