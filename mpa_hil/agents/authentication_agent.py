"""The authentication agent: `python3 -m mpa_hil.agents.authentication_agent CONFIG.json`.

PANA on UDP port 716 towards mobile nodes, RADIUS towards the home network, key delivery over TLS
towards its own network's boxes. Configuration: `mpa_hil.agents.authentication_config`.

Commands:

    {"cmd": "sessions"}                  -> aa.sessions
    {"cmd": "release", "session": N}     the MN has left (RFC 6252 C.2)
    {"cmd": "end", "session": N}         end its MPA-SA
    {"cmd": "keep"}                      at the end leave keys and MPA-SAs as they are: the agent is
                                         about to be restarted with the same `store`

Standard input closed, or SIGTERM: every key is withdrawn, every MN told, and the agent ends.

Events: `aa.*`, in docs/events.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import time
from collections.abc import Iterable

from mpa_hil.agents.attending import attend
from mpa_hil.agents.authentication_config import AuthenticationAgentSettings, DeviceKeySettings
from mpa_hil.agents.authentication_log import AgentLog
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.agents.udp_ports import UdpPort
from mpa_hil.authentication.agent import AuthenticationAgent
from mpa_hil.authentication.journal import Journal
from mpa_hil.authentication.outputs import (
    AgentOutput,
    AskAaa,
    CloseRecipient,
    ForgetAaa,
    SendAnswer,
    ToRecipient,
)
from mpa_hil.clock import instant
from mpa_hil.errors import DecodeError
from mpa_hil.key_delivery.streams import AuthorityLink
from mpa_hil.key_delivery.tls import authority_context
from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Send
from mpa_hil.pana.paa import Paa
from mpa_hil.radius import interface as radius
from mpa_hil.radius.device_keys import DeviceKeyAnswerer, StationKey
from mpa_hil.radius.transport import RadiusPorts

_COLLECT = (50_000, 20, 100)
"""Thresholds of the cycle collector: associations are many and no cycles, it seldom finds any."""
_OUTCOMES = (radius.Challenged, radius.Accepted, radius.Refused, radius.Unreachable)
_ENTROPY_OCTETS = 4096
_TOGETHER_S = 0.005
"""What falls due within this time is done together: sessions are many, timers cost."""
_FAREWELL_S = 3.0
"""How long recipients may take to confirm that they have no key any more, at the end."""


class Entropy:
    """`os.urandom` in larger portions: an authentication takes some fifteen small ones."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        if self._at + count > len(self._pool):
            self._pool, self._at = os.urandom(max(_ENTROPY_OCTETS, count)), 0
        self._at += count
        return self._pool[self._at - count : self._at]


class AuthenticationAgentProcess:
    """The machine with its sockets, connections, file and clock.

    Raises:
        LocalError: a file that cannot be used.
        MachineError: a port that cannot be had.
    """

    def __init__(self, settings: AuthenticationAgentSettings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._log = AgentLog(console)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._keep = False
        self._settled: asyncio.Event | None = None
        """At the end: set when recipients have confirmed that they have no key any more."""
        entropy = Entropy()
        self._agent = AuthenticationAgent(
            settings.agent, lambda pana: Paa(pana, entropy, instant()), entropy
        )
        context = authority_context(settings.tls)
        self._links = {
            name: AuthorityLink(name, place.address, place.port, context, self)
            for name, place in settings.recipients.items()
        }
        self._radius = RadiusPorts(
            settings.radius,
            self._on_aaa,
            tls=settings.radius_tls,
            local=settings.radius_source,
            random=entropy,
        )
        self._ports: dict[int, UdpPort] = {}
        self._service: dict[int, UdpPort] = {}
        self._device_port: UdpPort | None = None
        self._journal = Journal(settings.store) if settings.store is not None else None

    async def run(self) -> None:
        """Serve until told to end."""
        settings = self._settings
        with contextlib.ExitStack() as stack:
            restored, dropped = self._restore()
            for address in reversed(settings.addresses):
                port = UdpPort(address, settings.port, self._on_pana, self._arm)
                stack.callback(port.close)
                self._ports[address.version] = port
                port = UdpPort(address, settings.service_port, self._on_question, self._arm)
                stack.callback(port.close)
                self._service[address.version] = port
            if settings.device_keys is not None:
                self._device_port = self._answer_access_points(settings.device_keys)
                stack.callback(self._device_port.close)
            # The first question would wait for it, 40 ms in the guest.
            importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
            self._arm()
            self._console.emit(
                "aa.ready",
                realm=settings.agent.realm,
                addresses=[str(address) for address in settings.addresses],
                port=settings.port,
                restored=restored,
                dropped=dropped,
            )
            self._console.collect(self._loop.call_soon)
            gc.freeze()  # what is there now stays: the collector need not look at it again
            gc.set_threshold(*_COLLECT)
            links = [link.run() for link in self._links.values()]
            sync = [self._journal.run()] if self._journal is not None else []
            try:
                await attend(
                    self._console,
                    self._on_command,
                    *links,
                    *sync,
                    farewell=self._say_goodbye,
                )
            finally:
                if self._timer is not None:
                    self._timer.cancel()
                self._log.flush()
                self._console.collect(None)
                await self._radius.close()
                if self._journal is not None:
                    self._journal.close()

    # What comes in

    def _on_pana(self, datagram: bytes, source: Endpoint) -> None:
        self._carry_out(self._agent.receive(datagram, source, instant()))

    def _on_question(self, datagram: bytes, source: Endpoint) -> None:
        self._carry_out(self._agent.receive_question(datagram, source, instant()))

    def _on_aaa(self, outputs: tuple[radius.Output, ...]) -> None:
        for output in outputs:
            if isinstance(output, _OUTCOMES):
                self._carry_out(self._agent.aaa_answered(output, instant()))
            else:
                self._log.aaa(output)
        self._arm()

    def recipient_connected(self, name: str) -> None:
        """See `LinkUser`."""
        self._carry_out(self._agent.recipient_connected(name, instant()))
        self._arm()

    def recipient_received(self, name: str, octets: bytes) -> None:
        """See `LinkUser`."""
        self._carry_out(self._agent.recipient_received(name, octets, instant()))
        self._arm()

    def recipient_lost(self, name: str, reason: str) -> None:
        """See `LinkUser`."""
        self._log.recipient_lost(name, reason)
        self._carry_out(self._agent.recipient_lost(name, instant()))
        self._arm()

    def _on_command(self, command: Json) -> None:
        session = command.get("session")
        number = session if isinstance(session, int) else -1
        if command["cmd"] == "sessions":
            self._log.sessions(self._agent, instant())
        elif command["cmd"] == "release":
            self._carry_out(self._agent.release(number, instant()))
        elif command["cmd"] == "end":
            self._carry_out(self._agent.end(number, instant()))
        elif command["cmd"] == "keep":
            self._keep = True
        else:
            self._console.refuse(command["cmd"], "the authentication agent has no such command")
        self._arm()

    # What goes out

    def _carry_out(self, outputs: Iterable[AgentOutput]) -> None:
        """What must outlive this process is written before anything that follows from it leaves."""
        if self._journal is not None:
            self._journal.write(self._agent.changes(instant()))
        for output in outputs:
            if isinstance(output, Send):
                self._ports[output.destination.address.version].send(
                    output.datagram, output.destination
                )
            elif isinstance(output, AskAaa):
                at_once = self._radius.request(output.session_id, output.ask)
                if at_once:
                    self._loop.call_soon(self._on_aaa, at_once)
            elif isinstance(output, ToRecipient):
                self._links[output.recipient].write(output.octets)
            elif isinstance(output, SendAnswer):
                self._service[output.destination.address.version].send(
                    output.datagram, output.destination
                )
            elif isinstance(output, ForgetAaa):
                self._radius.forget(output.session_id)
            elif isinstance(output, CloseRecipient):
                self._log.recipient_lost(output.recipient, output.reason)
                self._links[output.recipient].close()
            else:
                self._log.say(output)
        if self._settled is not None and self._agent.settled:
            self._settled.set()

    def _arm(self) -> None:
        due_ns = self._agent.next_deadline()
        if due_ns is None or (self._timer is not None and self._timer_ns <= due_ns):
            return  # a timer that fires too early arms itself again: cheaper than to move it
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = due_ns
        delay_s = max((due_ns - time.monotonic_ns()) / NS_PER_S, 0.0) + _TOGETHER_S
        self._timer = self._loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._carry_out(self._agent.expire(instant()))
        self._arm()

    def _answer_access_points(self, settings: DeviceKeySettings) -> UdpPort:
        def find(station: str, bssid: str | None, ssid: str | None) -> StationKey | None:
            found = self._agent.station_key(station, bssid) if bssid is not None else None
            if found is None:
                return None
            left_s = (found[1] - time.monotonic_ns()) // NS_PER_S
            return StationKey(pmk=found[0], lifetime_s=int(left_s)) if left_s > 0 else None

        answerer = DeviceKeyAnswerer(settings.access_points, find, os.urandom)

        def receive(datagram: bytes, source: Endpoint) -> None:
            for output in answerer.receive(datagram, source, instant()):
                if isinstance(output, Send):
                    port.send(output.datagram, output.destination)
                else:
                    self._log.device_key(output)

        endpoint = settings.endpoint
        port = UdpPort(endpoint.address, endpoint.port, receive, self._arm)
        return port

    # Beginning and end

    def _restore(self) -> tuple[int, int]:
        """Take up what the process before this one left; how much of it was still good."""
        if self._journal is None:
            return 0, 0
        found = self._journal.load()
        if found.damage:
            self._console.emit("aa.store", reason=found.damage)
        kept = 0
        for record, now in found.each(instant()):
            try:
                kept += self._agent.restore(record, now)
            except DecodeError as error:
                self._console.emit("aa.store", reason=str(error))
        return kept, len(found.records) - kept

    async def _say_goodbye(self) -> None:
        """Take everything back, unless it is to be kept."""
        if self._keep:
            return
        self._settled = asyncio.Event()
        self._carry_out(self._agent.stop(instant()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._settled.wait()


def serve(config: Json, console: Console) -> None:
    """Serve until told to end."""
    settings = AuthenticationAgentSettings.read(config)

    async def run() -> None:
        await AuthenticationAgentProcess(settings, console).run()

    asyncio.run(run())


if __name__ == "__main__":
    main("authentication_agent", serve)
