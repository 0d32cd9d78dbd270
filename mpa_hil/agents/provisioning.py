"""The mobile node's conversations with a candidate network's configuration agent and access router.

One socket at the care-of address that the node has now, two machines, one timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable

from mpa_hil.agents.agent_port import AgentPort
from mpa_hil.agents.keyring import AgentKeys
from mpa_hil.clock import instant
from mpa_hil.configuration import interface as configuration
from mpa_hil.configuration.client import ConfigurationClient
from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Address, Discarded, Endpoint, Send
from mpa_hil.signalling.requester import Timing
from mpa_hil.tunnel import interface as tunnel
from mpa_hil.tunnel.node import NodeSettings, TunnelClient

Output = configuration.Output | tunnel.NodeOutput
_FAREWELL_S = 2.0
_TUNNEL = NodeSettings(timing=Timing(give_up_ms=2500.0), refresh_s=1.0, pause_s=1.0)
"""A dead access router is found out before its guardian clears the kernel behind it."""


class Provisioning:
    """Configuration and tunnel management with one network.

    Args:
        keys: towards its agents.
        ca: the configuration agent's port.
        ar: the access router's port.
        source: the node's present care-of address.
        told: called with what the machines return, other than datagrams.
        counted: called with each datagram's octets (UDP payload), sent or received, and whether it
            is of the access router's conversation.

    Raises:
        LocalError: there is no key for one of them.
    """

    def __init__(
        self,
        keys: AgentKeys,
        ca: Endpoint,
        ar: Endpoint,
        source: Address,
        told: Callable[[Output], None],
        counted: Callable[[int, bool], None] = lambda octets, router: None,
    ) -> None:
        if ca.address not in keys.ca or ar.address not in keys.ar:
            raise LocalError("there is no key for its agents", where=keys.realm)
        self._ca, self._ar = ca, ar
        self._told = told
        self._counted = counted
        self._configuration = ConfigurationClient(keys.ca[ca.address], ca, os.urandom)
        self.tunnel = TunnelClient(keys.ar[ar.address], ar, os.urandom, _TUNNEL)
        self._port = AgentPort(source, self._on_datagram)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._parted: asyncio.Queue[Output] = asyncio.Queue()

    @property
    def round_trip_ns(self) -> int:
        """To the network and back; 0: not known yet."""
        return round(self._configuration.round_trip_ns)

    def configure(self, wish: configuration.Wish) -> None:
        """Ask for an address."""
        self._carry_out(self._configuration.configure(wish, instant()))

    def release(self) -> None:
        """Give it back."""
        self._carry_out(self._configuration.release(instant()))

    def take_over(self) -> None:
        """The node sees to the lease itself from now on."""
        self._carry_out(self._configuration.take_over(instant()))

    def create(self, wish: tunnel.TunnelWish) -> None:
        """Ask for a tunnel."""
        self._carry_out(self.tunnel.create(wish, instant()))

    def delete(self) -> None:
        """Have the router take its end away."""
        self._carry_out(self.tunnel.delete(instant()))

    def move(self, source: Address) -> None:
        """Go on from another address of the node's."""
        if source != self._port.address:
            self._port.close()
            self._port = AgentPort(source, self._on_datagram)

    async def farewell(self) -> None:
        """Have both agents forget this node, as far as they can be reached; ask no more."""
        self._told = self._parted.put_nowait
        self.delete()
        self.release()
        left: set[type] = {tunnel.Deleted, configuration.Ended}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                while left:
                    left.discard(type(await self._parted.get()))
        self.close()

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._port.close()

    def _on_datagram(self, datagram: bytes, source: Endpoint) -> None:
        router = source != self._ca
        self._counted(len(datagram), router)
        machine = self.tunnel if router else self._configuration
        self._carry_out(machine.receive(datagram, instant()))

    def _on_time(self) -> None:
        self._timer = None
        now = instant()
        self._carry_out(self._configuration.expire(now))
        self._carry_out(self.tunnel.expire(now))

    def _carry_out(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._counted(len(output.datagram), output.destination != self._ca)
                self._port.send(output.datagram, output.destination)
            elif not isinstance(output, Discarded):
                self._told(output)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = (self._configuration.next_deadline(), self.tunnel.next_deadline())
        due = [due_ns for due_ns in times if due_ns is not None]
        if due:
            delay_s = max(0.0, (min(due) - time.monotonic_ns()) / 1e9)
            self._timer = self._loop.call_later(delay_s, self._on_time)
