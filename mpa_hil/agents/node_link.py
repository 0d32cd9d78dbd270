"""The mobile node's link: its supplicant, the networks in it, and joining them.

A supplicant that died and was started again is given its networks and its last wish anew. What it
says may be lost (its socket is a datagram's): so it is asked where it is when it does not tell that
a link is up which was wished for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence

from mpa_hil.agents.networks import Networks
from mpa_hil.agents.stdio import Console
from radios.control import ControlClient
from radios.errors import LocalError, MpaError, RemoteError
from radios.supplicant import Supplicant
from radios.wpa_events import CONNECTED, Notice, Overflow, Reconnected

_CONNECT_BOUND_S = 30.0
_PING = b"PING"
_PARTED_S = 0.1
"""For the access point to forget a station that has left."""
_LOOK_S = 0.3
"""From a wish until it is asked what came of it, and between two such questions."""
_SELECT = b"SELECT_NETWORK"


class NodeLink:
    """A supplicant with networks by name.

    Args:
        interface: for errors.
    """

    def __init__(self, networks: Networks, interface: str, console: Console) -> None:
        self.networks = networks
        self._interface = interface
        self._console = console
        self._loop = asyncio.get_running_loop()
        self._client: ControlClient | None = None
        self._ids: dict[str, int] = {}
        self._staged: dict[str, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wish = b""
        """The last network that it was told to join."""
        self._monitored: tuple[int, int] | None = None
        self._on_event: Callable[[int, bytes], None] = lambda t_ns, datagram: None
        self._looking: asyncio.TimerHandle | None = None
        self.connected = asyncio.Event()
        """The port is open."""

    @property
    def names(self) -> tuple[str, ...]:
        """The networks that the supplicant knows."""
        return tuple(self._ids)

    @property
    def is_open(self) -> bool:
        """Whether there is a supplicant."""
        return self._client is not None

    @property
    def supplicant(self) -> Supplicant:
        """Its commands.

        Raises:
            LocalError: none is open.
        """
        return Supplicant(self._control)

    async def open(
        self, path: str, known: Sequence[str], on_event: Callable[[int, bytes], None]
    ) -> int:
        """Take a supplicant over and give it networks; their number.

        Args:
            known: of the configured networks; empty: all.
            on_event: called with CLOCK_MONOTONIC (ns) and each event.
        """
        self.networks.begin(known)
        client = ControlClient(path)
        await client.open()
        self._client = client
        self._on_event = on_event
        client.on_event(on_event)
        client.on_notice(self._on_notice)
        for name in self.networks.profiles:
            await self.add(name)
        return len(self._ids)

    async def add(self, name: str) -> None:
        """Give it one network more."""
        self._ids[name] = await self.supplicant.add_network(self.networks.profile(name))

    async def join_from_nothing(self, name: str) -> None:
        """Join a network, and wait until its port is open.

        Raises:
            RemoteError: it did not open in time.
        """
        self.connected.clear()
        frequencies_mhz = (self.networks.frequency_mhz(name),)
        self._wish = self.select_command(name, frequencies_mhz)
        self._look_later()
        await self.supplicant.select_network(self._ids[name], frequencies_mhz=frequencies_mhz)
        try:
            async with asyncio.timeout(_CONNECT_BOUND_S):
                await self.connected.wait()
        except TimeoutError:
            raise RemoteError(
                f"not connected to {name} within {_CONNECT_BOUND_S:g} s", where=self._interface
            ) from None

    async def visit(self, name: str) -> None:
        """Join a network and leave it again, with its keys forgotten here."""
        await self.join_from_nothing(name)
        self._wish = b""
        await self.supplicant.disconnect()
        await asyncio.sleep(_PARTED_S)
        await self.supplicant.pmksa_flush()

    async def allow_roaming(self) -> None:
        """Let the present network block take any access point of its SSID."""
        present = (await self.supplicant.status()).network_id
        if present is not None:
            await self.supplicant.set_network(present, "bssid", "any")

    async def close(self) -> None:
        """Let go of the supplicant; none there is fine."""
        client, self._client = self._client, None
        self._wish, self._monitored = b"", None
        if self._looking is not None:
            self._looking.cancel()
        self._ids.clear()
        self._staged.clear()
        if client is not None:
            await client.close()

    def select_command(self, name: str, frequencies_mhz: Sequence[int]) -> bytes:
        """The command that joins a network, ready to be sent."""
        return Supplicant.select_command(self._ids[name], frequencies_mhz)

    def stage(self, network: str) -> None:
        """Make the command that joins a network, by what is known of its channel."""
        self._staged[network] = self.select_command(
            network, (self.networks.frequency_mhz(network),)
        )

    def staged(self, network: str) -> bytes:
        """That command."""
        if network not in self._staged:
            self.stage(network)
        return self._staged[network]

    def send(self, command: bytes) -> None:
        """Tell the supplicant to go; a refusal is told as an event."""
        answer = self._control.request_now(command)
        answer.add_done_callback(self._answered)
        self.connected.clear()
        if command.startswith(_SELECT):
            self._wish = command
        self._look_later()

    def when_open(self, then: Callable[[], None]) -> None:
        """The supplicant says that it is connected just before it opens the port: it answers what
        is asked then just after."""
        answer = self._control.request_now(_PING)
        answer.add_done_callback(lambda _: then())

    def seek(self, networks: tuple[str, ...]) -> None:
        """Have it join any of these."""
        for network in networks:
            self._spawn(self.supplicant.enable_network(self._ids[network]))

    async def monitor(self, threshold_dbm: int, hysteresis_db: int) -> None:
        """Have it tell when the signal falls below a threshold, and rises again."""
        self._monitored = threshold_dbm, hysteresis_db
        await self.supplicant.signal_monitor(threshold_dbm, hysteresis_db)

    def bssid(self, network: str) -> str:
        """An access point's, in lower case."""
        return (self.networks.profile(network).bssid or "").lower()

    @property
    def _control(self) -> ControlClient:
        if self._client is None:
            raise LocalError("no supplicant is open", where="mobile_node", remedy="open one first")
        return self._client

    def _answered(self, answer: asyncio.Future[str]) -> None:
        if not answer.cancelled() and answer.exception() is not None:
            error = f"the supplicant refused the switch: {answer.exception()}"
            self._console.emit("agent.failed", error=error, where="mobile_node")

    # --- what was lost

    def _on_notice(self, notice: Notice) -> None:
        if isinstance(notice, Reconnected):
            self._spawn(self._renew())
        elif isinstance(notice, Overflow):
            self._spawn(self._look())

    async def _renew(self) -> None:
        """If it is a new one, it knows nothing."""
        if not await self.supplicant.networks():
            self._staged.clear()
            for name in self.networks.profiles:
                await self.add(name)
            if self._monitored is not None:
                await self.supplicant.signal_monitor(*self._monitored)
            if self._wish:
                self.send(self._wish)
        await self._look()

    def _look_later(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._looking = self._loop.call_later(_LOOK_S, lambda: self._spawn(self._look()))

    async def _look(self) -> None:
        """Tell that it is connected, if it is and nobody has heard of it."""
        if self._client is None or self.connected.is_set():
            return
        status = await self.supplicant.status()
        if self._client is None or self.connected.is_set():
            return
        if status.completed and status.bssid is not None:
            told = f"<3>{CONNECTED} - Connection to {status.bssid} completed [not told]"
            self._on_event(time.monotonic_ns(), told.encode())
        self._look_later()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        async def attempt() -> None:
            try:
                await work
            except MpaError as error:
                if self._client is not None:
                    self._console.emit("agent.failed", error=str(error), where="mobile_node")
                    self._look_later()

        task = self._loop.create_task(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
