"""Runs the project's RADIUS client inside a box, with the project's own EAP peer behind it."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar

from mpa_hil.eap.authenticator import PassThrough
from mpa_hil.eap.eap_tls import EapTls
from mpa_hil.eap.interface import AaaReply, Success, ToAaa
from mpa_hil.eap.peer import EapPeer
from mpa_hil.eap.settings import TlsSettings
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.radius.interface import (
    Accepted,
    Ask,
    Challenged,
    ClientSettings,
    Continuation,
    Outcome,
    Output,
    Refused,
    Server,
    Tuning,
    Unreachable,
)
from mpa_hil.radius.transport import RadiusPorts
from rigs.netns import NamespaceHost
from rigs.services.certificates import Credentials

T = TypeVar("T")


async def inside(host: NamespaceHost, work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on an event loop of its own, in a thread that lives in the namespace."""

    def enter() -> T:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(f"/run/netns/{host.namespace}", os.O_RDONLY)
        try:
            if libc.setns(descriptor, 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)

        async def run() -> T:
            return await work()

        return asyncio.run(run())

    # A namespace is a thread's, so the thread that enters it is not used for anything else.
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, enter)


def settings(*servers: Server, **tuning: Any) -> ClientSettings:
    values = {"first_timeout_s": 0.3, "longest_timeout_s": 1.0, "duration_s": 8.0, **tuning}
    return ClientSettings(servers, "aa-test", tuning=Tuning(**values))


def udp(name: str, address: str, secret: str, port: int = 1812, **more: Any) -> Server:
    return Server(name, Endpoint(ip_address(address), port), secret.encode(), **more)


def peer_of(ca: bytes, client: Credentials, identity: str) -> EapPeer:
    tls = TlsSettings(ca, ("home.example",), client.certificate, client.key)
    return EapPeer((EapTls(tls),), identity, os.urandom)


@dataclass
class Asker:
    """One RADIUS client and what it said; makes whole conversations one after the other."""

    settings: ClientSettings
    options: dict[str, Any] = field(default_factory=dict)
    told: list[Output] = field(default_factory=list)
    ports: RadiusPorts = field(init=False)
    _outcome: asyncio.Future[Outcome] | None = None
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Asker:
        self.ports = RadiusPorts(self.settings, self._deliver, **self.options)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.ports.close()

    def _deliver(self, outputs: tuple[Output, ...]) -> None:
        self._more.set()
        for output in outputs:
            self.told.append(output)
            if (
                isinstance(output, Accepted | Challenged | Refused | Unreachable)
                and self._outcome is not None
                and not self._outcome.done()
            ):
                self._outcome.set_result(output)

    async def ask(self, eap: bytes, identity: str, at: Continuation | None = None) -> Outcome:
        """One request, to its outcome."""
        self._outcome = asyncio.get_running_loop().create_future()
        self._deliver(self.ports.request("mn", Ask(eap, identity.encode(), at)))
        return await asyncio.wait_for(self._outcome, 60)

    async def authenticate(
        self,
        peer: EapPeer,
        *,
        between: Callable[[int], Awaitable[None]] | None = None,
    ) -> tuple[Outcome, Success | None]:
        """A whole EAP conversation: what the server said in the end, and what the peer has.

        Args:
            between: called after each challenge with the number of challenges so far.
        """
        relay = PassThrough(os.urandom)
        output = peer.receive(relay.start())
        at: Continuation | None = None
        challenges = 0
        while True:
            assert output.response is not None
            step = relay.response(output.response)
            assert isinstance(step, ToAaa)
            outcome = await self.ask(step.packet, step.identity, at)
            if not isinstance(outcome, Challenged):
                break
            challenges += 1
            if between is not None:
                await between(challenges)
            at = outcome.continuation
            output = peer.receive(outcome.eap)

            relay.from_aaa(AaaReply.CHALLENGE, outcome.eap)
        if isinstance(outcome, Accepted):
            ended = peer.receive(outcome.eap).outcome or output.outcome
            return outcome, ended if isinstance(ended, Success) else None
        return outcome, None

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something among what was said."""
        async with asyncio.timeout(60):
            while not true():
                self._more.clear()
                await self._more.wait()

    def kinds(self) -> list[str]:
        return [type(output).__name__ for output in self.told]
