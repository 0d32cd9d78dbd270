"""The mobile node's DHCP client: dhcpcd as a child of the agent, its leases as calls.

It runs on from network to network, as on any laptop, and finds out about the move by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address

from mpa_hil.kernel.leased import remove_lease
from mpa_hil.kernel.netlink import RouteSocket
from radios.errors import RemoteError
from rigs.services.dhcp_client import (
    SIGTERM_AGAIN_S,
    DhcpClientConfig,
    LeaseEvent,
    Versions,
    command,
    files,
    parse_event,
)

_STOP_BOUND_S = 5.0
_KEPT_LINES = 200


class DhcpLease:
    """dhcpcd on one interface.

    Args:
        interface: of the MN.
        workdir: for its files.
        on_lease: called with each event that gives it an address.
        versions: of IP that it gets addresses of.
        name: of its files; two clients of one node have two.
    """

    def __init__(
        self,
        interface: str,
        workdir: str,
        on_lease: Callable[[LeaseEvent], None],
        versions: Versions = "4",
        name: str = "dhcpcd",
    ) -> None:
        self._interface = interface
        self._workdir = workdir
        self._on_lease = on_lease
        self._versions = versions
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._again: asyncio.Task[None] | None = None
        self.carrier = True
        """It gives the address up when the carrier is lost, and asks again when it is back."""
        self._frozen = False
        self._bound: dict[int, LeaseEvent] = {}
        self._rest = b""
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def running(self) -> bool:
        """Whether it was started and not yet stopped."""
        return self._process is not None

    def start(self, *, rapid_commit: bool, carrier: bool = True, metric: int | None = None) -> None:
        """Start it; leases are then told as they come.

        Its own conflict check (RFC 5227) is off: it would add 4 to 7 s at random, and desktop
        systems leave it off too. The server's check is a matter of the lab file.
        """
        self.carrier = carrier
        self._frozen = False
        self._bound.clear()
        config = DhcpClientConfig(
            interface=self._interface,
            conflict_check=False,
            rapid_commit=rapid_commit,
            carrier=carrier,
            versions=self._versions,
            metric=metric,
            name=self._name,
        )
        for path, (data, mode) in files(config, self._workdir).items():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "wb") as file:
                file.write(data)
        self._process = subprocess.Popen(
            command(config, self._workdir),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        # It runs a script when the carrier comes up: not before the keys are negotiated, please.
        os.sched_setscheduler(self._process.pid, os.SCHED_OTHER, os.sched_param(0))
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        asyncio.get_running_loop().add_reader(self._process.stdout, self._read)

    async def stop(self) -> None:
        """End it; it takes address and routes away. Nothing running is fine.

        dhcpcd 9.4.1 loses a SIGTERM that comes at a bad moment, so it is told until it has ended.
        """
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
            self._again = None
        await self._end()

    def freeze(self) -> None:
        """Have it do nothing until `thaw` or `stop`: the node goes to another link.

        What it would hear there it would take for its own matter, and take away when it ends; and
        while the carrier is off it would give up what the node needs on its way back.
        """
        self._signal(signal.SIGSTOP)
        self._frozen = self.running

    def thaw(self) -> None:
        """Have it go on: the node stays where it was."""
        self._frozen = False
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if self._frozen:
            self._abandon(process)
            return
        assert process.stdout is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STOP_BOUND_S
        while process.poll() is None and loop.time() < deadline:
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(SIGTERM_AGAIN_S)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        self._gone(process)

    def _abandon(self, process: subprocess.Popen[bytes]) -> None:
        """End it as it is, and take away what it said that it had."""
        self._signal(signal.SIGKILL)
        self._gone(process)
        with RouteSocket() as route:
            for event in self._bound.values():
                routers = tuple(ip_address(each) for each in event.routers)
                remove_lease(route, self._interface, ip_address(event.address), routers)

    def _gone(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._process = None
        assert process.stdout is not None
        asyncio.get_running_loop().remove_reader(process.stdout)
        process.stdout.close()

    def ask_here(self, *, rapid_commit: bool) -> None:
        """On another link, have one ask there that was not to look at the link."""
        if not self.carrier:
            again = self._start_over(rapid_commit)
            self._again = asyncio.get_running_loop().create_task(again)

    async def _start_over(self, rapid_commit: bool) -> None:
        await self._end()
        self.start(rapid_commit=rapid_commit)

    def last_words(self) -> str:
        """Its last lines, for an error's text."""
        return "".join(f"\n    | {line}" for line in list(self._said)[-6:])

    def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        octets = os.read(process.stdout.fileno(), 65536)
        if not octets:
            asyncio.get_running_loop().remove_reader(process.stdout)
            return
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            self._said.append(line.decode(errors="replace"))
            with contextlib.suppress(RemoteError):  # not an event after all: kept as a word of his
                event = parse_event(line)
                if event is not None and event.bound:
                    self._bound[ip_address(event.address).version] = event
                    self._on_lease(event)
