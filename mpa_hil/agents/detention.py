"""The access router that a mobile node leaves holds what still comes for its old address, and
forwards it to the new one (RFC 6252 s7.6.1).

    prepare   DETAIN, from the old address: the router is ready; this end's tunnel is made
    hold      DISABLE: packets for the old address wait there
    forward   ENABLE, from the new address on the new link: they come, and so does what follows
    release   DELETE: on the old link again, or done; what waits goes onto that link

The router wants proof that the node is reached where it has everything forwarded to: one more round
trip, which is made ahead through the handover tunnel where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mpa_hil.agents.agent_port import AgentPort
from mpa_hil.agents.direct_port import DirectPort
from mpa_hil.agents.keyring import AgentKeys
from mpa_hil.agents.stdio import Console
from mpa_hil.clock import instant
from mpa_hil.errors import LocalError, MpaError
from mpa_hil.kernel.filters import Match
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_end import TunnelEnd
from mpa_hil.kernel.tunnel_plan import TunnelPlan
from mpa_hil.mobility.interface import Address, Endpoint, Send
from mpa_hil.signalling.requester import Timing
from mpa_hil.tunnel import interface as tunnel
from mpa_hil.tunnel.flows import FlowChoice
from mpa_hil.tunnel.interface import Kind
from mpa_hil.tunnel.node import NodeSettings, TunnelClient

DEVICE = "mpaold"
"""What was forwarded comes in by it."""
_SETTINGS = NodeSettings(timing=Timing(give_up_ms=2500.0))
_FAREWELL_S = 1.0
Ended = Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class OldRouter:
    """The access router of the present network, as a node asks it to hold."""

    realm: str
    ar: Endpoint
    flows: tuple[FlowChoice, ...] = ()


class Detention:
    """One handover's.

    Args:
        keys: towards the network that is left.
        addresses: the old one and the new one.
        interface: the physical one.

    Raises:
        LocalError: there is no key for the router.
        OSError: the old address is not on an interface.
    """

    def __init__(
        self,
        router: OldRouter,
        keys: AgentKeys | None,
        addresses: tuple[Address, Address],
        interface: str,
        state: KernelState,
        console: Console,
    ) -> None:
        if keys is None or router.ar.address not in keys.ar:
            raise LocalError("there is no key for its access router", where=router.realm)
        self._router = router
        self._old, self._new = addresses
        self._interface = interface
        self._state = state
        self._console = console
        self._client = TunnelClient(keys.ar[router.ar.address], router.ar, os.urandom, _SETTINGS)
        self._port: AgentPort = AgentPort(self._old, self._on_datagram)
        self._through: AgentPort | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._end: TunnelEnd | None = None
        self._asked: Kind | None = None
        self._ended: Ended = _nobody
        self.ready = False
        """The router can be asked to hold."""
        self.forwarding = False
        """Packets may still come by this way."""

    def prepare(self, wish: tunnel.TunnelWish, ended: Ended) -> None:
        """Have the router ready; `ended` is told whether it is. Again, it asks no further."""
        if self.ready:
            self._loop.call_soon(ended, True)
            return
        if self._asked is Kind.DETAIN:  # who asked first is told no more
            self._ended = ended
            return
        self._await(Kind.DETAIN, ended)
        self._carry_out(self._client.detain(wish, instant()))

    def prove(self, device: str) -> None:
        """Get the proof ahead, from the new address through a tunnel's device."""
        if self.ready and self._through is None:
            self._through = AgentPort(self._new, self._on_datagram, device)
            self._carry_out(self._client.order(Kind.ENABLE, instant()))

    def hold(self, ended: Ended) -> None:
        """Have the router hold; `ended` is told whether it does."""
        self._close_through()
        if not self.ready:
            ended(False)
            return
        self._await(Kind.DISABLE, ended)
        self._carry_out(self._client.order(Kind.DISABLE, instant()))

    def forward(self, router_mac: bytes, mac: bytes) -> None:
        """On the new link: have what was held come here."""
        if not self.ready:
            return
        self.forwarding = True
        self._await(Kind.ENABLE, _nobody)
        self._port.close()
        try:
            self._port = DirectPort(self._new, self._on_datagram, self._interface, router_mac, mac)
        except OSError as error:
            self._console.emit("agent.failed", error=str(error), where=DEVICE)
            return
        self._carry_out(self._client.order(Kind.ENABLE, instant()))

    def release(self) -> None:
        """On the old link again: what was held goes onto it. `prepare` starts anew."""
        self._await(None, _nobody)
        if self._port.address != self._old:
            self._port.close()
            self._port = AgentPort(self._old, self._on_datagram)
        self.ready = self.forwarding = False
        self._carry_out(self._client.delete(instant()))

    async def close(self) -> None:
        """Have the router forget, as far as it can be reached; take this end away."""
        deleted: asyncio.Future[bool] = self._loop.create_future()

        def told(well: bool) -> None:
            if not deleted.done():
                deleted.set_result(well)

        try:
            self._remove_end()  # at once: the next handover's has the same name
            self._close_through()
            self._await(Kind.DELETE, told)
            # By the port that there is: on the new link the router's address may look like a
            # neighbour's, as long as the old address stands.
            self._carry_out(self._client.delete(instant()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await deleted
        except (
            MpaError,
            OSError,
        ) as error:  # the address went with its link: the router's limits remain
            self._console.emit("agent.failed", error=str(error), where=DEVICE)
        finally:
            self.vanish()

    def vanish(self) -> None:
        """Take this end away; safe to repeat."""
        self.ready = self.forwarding = False
        self._await(None, _nobody)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close_through()
        self._port.close()
        self._remove_end()

    # --- inside

    def _remove_end(self) -> None:
        if self._end is not None:
            self._end.remove()
            self._end = None

    def _await(self, kind: Kind | None, ended: Ended) -> None:
        self._asked, self._ended = kind, ended

    def _tell(self, kind: Kind, well: bool, why: str = "") -> None:
        if not well and kind is self._asked:
            where = f"{self._router.realm}, {kind.name.lower()}"
            self._console.emit("agent.failed", error=why, where=where)
        if kind is self._asked:
            ended = self._ended
            self._await(None, _nobody)
            ended(well)

    def _on_datagram(self, datagram: bytes, source: Endpoint) -> None:
        self._carry_out(self._client.receive(datagram, instant()))

    def _on_time(self) -> None:
        self._timer = None
        self._carry_out(self._client.expire(instant()))

    def _carry_out(self, outputs: Iterable[tunnel.NodeOutput]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                through = self._through is not None and output.source == self._new
                port = self._through if through and self._through is not None else self._port
                port.send(output.datagram, output.destination)
            else:
                self._answered(output)
        self._arm()

    def _answered(self, output: tunnel.NodeOutput) -> None:
        match output:
            case tunnel.Detained():
                self._detained(output.terms)
            case tunnel.Done(kind=kind):
                self._close_through()
                self._tell(kind, True)
            case tunnel.Deleted():
                self._tell(Kind.DELETE, True)
            case tunnel.Refused(kind=kind, text=text):
                self._refused(kind)
                self._tell(kind, False, text)
            case tunnel.GaveUp(kind=kind):
                self._refused(kind)
                self._tell(kind, False, "no answer")

    def _refused(self, kind: Kind) -> None:
        self._close_through()
        if kind in (Kind.DETAIN, Kind.REFRESH):
            self.ready = False

    def _detained(self, terms: tunnel.TunnelTerms) -> None:
        """The router is ready: make the end where forwarded packets come in."""
        try:
            if self._end is not None:
                self._end.remove()
            plan = TunnelPlan(DEVICE, self._new, terms.router, (self._old,), mtu=terms.mtu)
            wanted = [(Match(self._old.version, destination=self._old), True)]
            self._end = TunnelEnd(self._state, plan, wanted, [])
            self._end.create()
        except MpaError as error:
            self._end = None
            self._tell(Kind.DETAIN, False, str(error))
            return
        self.ready = True
        self._tell(Kind.DETAIN, True)

    def _close_through(self) -> None:
        if self._through is not None:
            self._through.close()
            self._through = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._client.next_deadline()
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
            self._timer = self._loop.call_later(delay_s, self._on_time)


def _nobody(well: bool) -> None:
    """Who does not ask."""
