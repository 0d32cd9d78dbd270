"""The mobile node's link: its supplicant, the networks in it, and joining them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mpa_hil.agents.networks import Networks
from mpa_hil.agents.stdio import Console
from radios.control import ControlClient
from radios.errors import LocalError, RemoteError
from radios.supplicant import Supplicant

_CONNECT_BOUND_S = 30.0
_PING = b"PING"
_PARTED_S = 0.1
"""For the access point to forget a station that has left."""


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
        self._seeking: list[asyncio.Task[None]] = []
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
        client.on_event(on_event)
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

    def when_open(self, then: Callable[[], None]) -> None:
        """The supplicant says that it is connected just before it opens the port: it answers what
        is asked then just after."""
        answer = self._control.request_now(_PING)
        answer.add_done_callback(lambda _: then())

    def seek(self, networks: tuple[str, ...]) -> None:
        """Have it join any of these."""
        for network in networks:
            enabling = self.supplicant.enable_network(self._ids[network])
            self._seeking.append(self._loop.create_task(enabling))

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
