"""The access router's tunnels as a service: the machine with sockets, kernel, file and clock.

From a DISABLE or ARRIVED to its answer there are: one HMAC, one send of prepared netlink bytes, one
HMAC, one send. Counters, file and events come afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from mpa_hil.agents.access_router_config import TunnelAgentSettings
from mpa_hil.agents.stdio import Console, Json
from mpa_hil.agents.tunnel_log import TunnelLog, listed
from mpa_hil.agents.udp_ports import UdpPort
from mpa_hil.authentication.journal import Journal
from mpa_hil.clock import instant
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import NS_PER_S, Address, Endpoint, Send
from mpa_hil.signalling.client import NamedSecret
from mpa_hil.tunnel.interface import Code
from mpa_hil.tunnel.outputs import Act, Changed, RouterOutput
from mpa_hil.tunnel.record import record, restored
from mpa_hil.tunnel.router import RouterTunnels
from mpa_hil.tunnel.sessions import Session
from mpa_hil.tunnel.states import Cue, Order, State

_WRITTEN_FIRST = frozenset((Order.INSTALL, Order.MOVE, Order.REMOVE))
"""What an MN relies on once it is answered, so it is in the file by then. Nothing else is: at the
switch there is no time, and a session that is not TUNNELLED is not taken up again."""

_TURNING = frozenset((Order.HOLD, Order.DIRECT, Order.RESUME))
"""What waits leaves, and what comes begins to wait, while the kernel does these: they count as done
when they begin. Where one processor is every box, the whole way of all that waited is in them."""

_PATIENCE_NS = 3_000_000_000
_PAUSE_S = 0.02
"""How long, and how often, it is looked whether a new tunnel is in nobody's way."""

_TIDY_S = 2.0
"""From a session's end to the removal of what it leaves in memory: some 10 KiB of objects in
cycles, which the collector would find only when they are 50,000 (`access_router`)."""

Checked = Callable[[Code | None], None]


class Kernel(Protocol):
    """What carries orders out: `tunnel_kernel.TunnelKernel`."""

    @property
    def link(self) -> int:
        """Index of the interface on which MNs arrive."""

    @property
    def urgent(self) -> bool:
        """Whether an MN is between two links: what takes long must wait."""

    def act(self, act: Act) -> str:
        """Carry one out; why not, or an empty text."""

    def check(self, session: Session, checked: Checked) -> None:
        """Has anybody on the link the session's addresses? `checked` is called later, once."""

    def counts(self, number: int) -> tuple[int, int]:
        """Packets that a session's hold device took since it was staged, and that were too many."""

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to finish."""

    def expire(self, now_ns: int) -> None:
        """Finish what is due."""

    def close(self, keep: bool) -> None:
        """End; unless it is to be kept, everything goes."""


class TunnelService:
    """One access router's tunnels on the running event loop.

    Args:
        own: the router's addresses, to listen on.

    Raises:
        MachineError: a port cannot be had.
        LocalError: the file of sessions cannot be used.
    """

    def __init__(
        self,
        settings: TunnelAgentSettings,
        own: tuple[Address, ...],
        machine: RouterTunnels,
        kernel: Kernel,
        console: Console,
    ) -> None:
        self._settings = settings
        self._machine = machine
        self._kernel = kernel
        self._console = console
        self._log = TunnelLog(console)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._tidying: asyncio.TimerHandle | None = None
        self._arrived_ns = 0
        """When the datagram that is being worked on came; 0: none is."""
        self._journal = Journal(settings.store) if settings.store is not None else None
        self._ports: dict[int, UdpPort] = {}
        try:
            for address in own:
                port = UdpPort(address, settings.port, self._on_datagram, self._arm)
                self._ports[address.version] = port
        except BaseException:
            self._close_ports()
            raise

    def start(self, swept: int) -> None:
        """Take up what the process before this one left, and say that we are here."""
        kept, dropped = self._restore()
        self._arm()
        self._console.emit(
            "tunnel.ready",
            interface=self._settings.interface,
            port=self._settings.port,
            restored=kept,
            dropped=dropped,
            swept=swept,
        )

    async def run(self) -> None:
        """Bring the file of sessions to the disk now and then, until cancelled."""
        if self._journal is not None:
            await self._journal.run()
        else:
            await asyncio.Event().wait()

    def close(self, keep: bool) -> None:
        """End. Unless they are to be kept for the next process, all sessions go."""
        if not keep:
            self._carry_out(self._machine.stop(instant()))
        for timer in (self._timer, self._tidying):
            if timer is not None:
                timer.cancel()
        self._close_ports()
        if self._journal is not None:
            self._journal.close()
        self._log.flush()

    # Keys

    def key_added(self, key: NamedSecret, owner: str) -> None:
        """The authentication agent delivered a key.

        Raises:
            LocalError: its name begins as another's.
        """
        self._carry_out(self._machine.key_added(key, owner, instant()))
        self._arm()

    def key_withdrawn(self, name: bytes) -> None:
        """A key is over."""
        self._carry_out(self._machine.key_withdrawn(name, instant()))
        self._arm()

    def seen(self, name: bytes, present: bool) -> None:
        """The MN of a key came to an access point of the link, or left it (R62)."""
        self._carry_out(self._machine.seen(name, present, instant()))
        self._arm()

    def sessions(self) -> list[Json]:
        """All of them."""
        return [listed(session) for session in self._machine.sessions]

    # What comes and goes

    def _on_datagram(self, datagram: bytes, source: Endpoint) -> None:
        now = instant()
        self._arrived_ns = now.monotonic_ns
        self._carry_out(self._machine.receive(datagram, source, now))
        self._arrived_ns = 0

    def _carry_out(self, outputs: Iterable[RouterOutput]) -> None:
        """Kernel and answers first; the rest when who waits for the answers has had his turn."""
        later: list[tuple[RouterOutput, int, int, int]] = []
        self._at_once(outputs, later)
        if later:
            os.sched_yield()
            for output, at_ns, taken_ns, act_ns in later:
                self._tell(output, at_ns, taken_ns, act_ns)

    def _at_once(
        self,
        outputs: Iterable[RouterOutput],
        later: list[tuple[RouterOutput, int, int, int]],
        act_ns: int = 0,
    ) -> None:
        for output in outputs:
            if isinstance(output, Act):
                if output.order is Order.CHECK:
                    self._check(output.session)
                    continue
                began = instant()
                failure = self._kernel.act(output)
                now = instant()
                took_ns = now.monotonic_ns - began.monotonic_ns
                now = began if output.order in _TURNING else now
                follows: Iterable[RouterOutput] = self._machine.acted(output, failure, now)
                if output.order in _WRITTEN_FIRST:
                    follows = tuple(follows)
                    self._keep(output.session)
                self._at_once(follows, later, took_ns)
            elif isinstance(output, Send):
                port = self._ports.get(output.destination.address.version)
                if output.datagram and port is not None:
                    self._send(port, output)
            else:
                now_ns = time.monotonic_ns()
                taken_ns = now_ns - self._arrived_ns if self._arrived_ns else 0
                later.append((output, now_ns, taken_ns, act_ns))

    def _send(self, port: UdpPort, output: Send) -> None:
        session = self._machine.sessions.with_inner(output.destination.address)
        if session is not None and session.detained:  # what is routed there may be held
            port.send_on(self._kernel.link, output.datagram, output.destination)
        else:
            port.send(output.datagram, output.destination)

    def _tell(self, output: RouterOutput, at_ns: int, taken_ns: int, act_ns: int) -> None:
        if not isinstance(output, Changed):
            self._log.say(output)
            return
        number = output.session.number
        if output.state is State.GONE and self._tidying is None:
            self._tidying = self._loop.call_later(_TIDY_S, self._tidy)
        counts = self._kernel.counts(number) if output.before is State.HOLDING else (0, 0)
        self._keep(output.session)
        self._log.changed(output, at_ns, (taken_ns, act_ns), counts)

    def _tidy(self) -> None:
        """Not while an MN waits; only the young generations where many sessions stand."""
        if self._kernel.urgent:
            self._tidying = self._loop.call_later(_TIDY_S, self._tidy)
            return
        self._tidying = None
        gc.collect(1 if len(self._machine.sessions) else 2)

    def _check(self, session: Session) -> None:
        began_ns = time.monotonic_ns()

        def checked(fault: Code | None) -> None:
            if self._kernel.urgent and time.monotonic_ns() - began_ns < _PATIENCE_NS:
                self._loop.call_later(_PAUSE_S, checked, fault)
                return
            self._log.checked(session, fault, time.monotonic_ns() - began_ns)
            self._carry_out(self._machine.checked(session, fault, instant()))
            self._arm()

        self._kernel.check(session, checked)

    def _arm(self) -> None:
        dues = (self._machine.next_deadline(), self._kernel.next_deadline())
        due_ns = min((due for due in dues if due is not None), default=None)
        if due_ns is None or (self._timer is not None and self._timer_ns <= due_ns):
            return  # a timer that fires too early arms itself again
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = due_ns
        delay_s = max((due_ns - time.monotonic_ns()) / NS_PER_S, 0.0)
        self._timer = self._loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = instant()
        self._kernel.expire(now.monotonic_ns)
        self._carry_out(self._machine.expire(now))
        self._arm()

    # The file

    def _keep(self, session: Session) -> None:
        if self._journal is not None:
            self._journal.write([(session.number, record(session, instant()))])

    def _restore(self) -> tuple[int, int]:
        """Make again what can be made again; how much, and how much not."""
        if self._journal is None:
            return 0, 0
        found = self._journal.load()
        if found.damage:
            self._console.emit("tunnel.store", reason=found.damage)
        kept = 0
        for values, now in found.each(instant()):
            session = None
            with contextlib.suppress(DecodeError):
                session = restored(values, now)
            if session is None:
                self._forget(values)
                continue
            act = Act(Order.INSTALL, session, Cue.FREE, State.TUNNELLED)
            failure = self._kernel.act(act)
            if failure:
                self._console.emit(
                    "tunnel.failed", session=session.number, order="install", error=failure
                )
                self._forget(values)
                continue
            self._machine.restore(session, instant())
            kept += 1
        return kept, len(found.records) - kept

    def _forget(self, values: object) -> None:
        number = values.get("number") if isinstance(values, dict) else None
        if isinstance(number, int) and self._journal is not None:
            self._journal.write([(number, None)])

    def _close_ports(self) -> None:
        for port in self._ports.values():
            port.close()
        self._ports.clear()
