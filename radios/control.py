"""An asyncio client of the wpa control socket, for wpa_supplicant and hostapd alike.

    async with ControlClient("/run/wpa_supplicant/wlan0") as client:
        with client.subscribe() as events:
            await client.command("SELECT_NETWORK", 0)
            await events.wait_for(lambda e: e.name == "CTRL-EVENT-CONNECTED", timeout_s=10)

Requests and events use a channel each. Where the socket is does not matter: a `Connector` opens
the channels (this machine's own by default). Typed verbs are in `radios.supplicant` and
`radios.hostapd`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from radios.channel import Connector
from radios.errors import LocalError, RemoteError
from radios.event_line import EventLine, NoticeCallback, RawCallback
from radios.local_channel import local_connector
from radios.request_line import NoAnswer, Refused, RequestLine
from radios.subscription import Subscription
from radios.wpa_events import Disconnected, Event, Notice, Overflow, Reconnected
from radios.wpa_text import command, redacted

__all__ = [
    "ControlClient",
    "Disconnected",
    "Event",
    "NoAnswer",
    "Notice",
    "Overflow",
    "Reconnected",
    "Refused",
    "Subscription",
]

TIMEOUT_S = 5.0
"""Bound of a reply. The daemons answer in microseconds; a busy driver ioctl can take seconds."""
RECONNECT_S = 5.0
"""How long a restarting daemon may stay away. systemd restarts one within 0.1 to 2 s."""
KEEPALIVE_S = 1.0
"""Pause between PINGs on the event channel: how late a killed daemon may be noticed."""
EVENT_LIMIT = 1024
"""Unread events kept for a subscription; a busy scan yields some hundred a second."""


class ControlClient:
    """One daemon's control socket.

    Args:
        path: of the socket, as its host sees it: `CTRL_INTERFACE_DIR/INTERFACE`.
        connector: opens channels on that host.
        timeout_s: bound of each reply.
        reconnect_s: how long a daemon that went away is waited for.
        keepalive_s: pause between PINGs of the event stream.
        events: whether to attach to the event stream at all.
    """

    def __init__(
        self,
        path: str,
        connector: Connector = local_connector,
        *,
        timeout_s: float = TIMEOUT_S,
        reconnect_s: float = RECONNECT_S,
        keepalive_s: float = KEEPALIVE_S,
        events: bool = True,
    ) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._reconnect_s = reconnect_s
        self._requests = RequestLine(connector, path, reconnect_s=reconnect_s)
        self._events = (
            EventLine(
                connector,
                path,
                timeout_s=timeout_s,
                reconnect_s=reconnect_s,
                keepalive_s=keepalive_s,
                on_gone=self._requests.abandon,
            )
            if events
            else None
        )

    async def open(self, wait_s: float | None = None) -> None:
        """Connect, waiting for a daemon that is just starting (`reconnect_s` by default).

        Raises:
            RemoteError: it is not there, or does not answer.
            MachineError: this user may not.
        """
        bound_s = self._reconnect_s if wait_s is None else wait_s
        await self._requests.open(bound_s)
        if self._events:
            try:
                await self._events.open(bound_s)
            except BaseException:
                await self._requests.close()
                raise

    async def close(self) -> None:
        """Release both channels; subscriptions end. Safe to call twice."""
        if self._events:
            await self._events.close()
        await self._requests.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def request(self, *words: str | int, timeout_s: float | None = None) -> str:
        """Send a command; its reply without the final newline.

        Raises:
            LocalError: a word that cannot be sent (see `radios.wpa_text.command`).
            Refused: the daemon said FAIL or does not know the command.
            NoAnswer: no reply within the bound.
            RemoteError: the daemon is gone and stayed away for `reconnect_s`.
        """
        return await self.request_now(command(*words), timeout_s=timeout_s)

    def request_now(
        self, datagram: bytes, *, timeout_s: float | None = None
    ) -> asyncio.Future[str]:
        """Send a prepared command (from `radios.wpa_text.command`) within this call.

        For the moment of the switch: callable from an `on_event` callback, with no event-loop round
        before the datagram leaves, unless an earlier request still awaits its reply. The future
        yields the reply or raises as `request` does; take its result, or asyncio complains.
        """
        return self._requests.submit(datagram, self._timeout_s if timeout_s is None else timeout_s)

    async def command(self, *words: str | int, timeout_s: float | None = None) -> None:
        """Send a command that must be answered with OK; raises as `request` does."""
        reply = await self.request(*words, timeout_s=timeout_s)
        if reply.strip() != "OK":
            raise RemoteError(
                f"{redacted(command(*words))!r} was answered with {reply[:80]!r} instead of OK",
                where=self.path,
            )

    async def ping(self) -> None:
        """Raise unless the daemon answers PING with PONG."""
        reply = await self.request("PING")
        if reply != "PONG":
            raise RemoteError(f"'PING' was answered with {reply[:80]!r}", where=self.path)

    def subscribe(self, limit: int = EVENT_LIMIT) -> Subscription:
        """Events from now on. Subscribe before the command whose events matter."""
        return self._event_line().subscribe(limit)

    def on_event(self, callback: RawCallback) -> Callable[[], None]:
        """Call `callback(t_ns, datagram)` in the very call that reads an event.

        For what must not wait for an event-loop round. Keep it short; it must not block. Returns
        the function that ends it.
        """
        return self._event_line().on_event(callback)

    def on_notice(self, callback: NoticeCallback) -> None:
        """Call back when the daemon has gone, when it is there again (a new one, perhaps, which
        knows nothing), and when events were lost."""
        self._event_line().on_notice(callback)

    async def wait_for(self, predicate: Callable[[Event], bool], timeout_s: float) -> Event:
        """The first event read from now on that satisfies the predicate; RemoteError if none."""
        with self.subscribe() as events:
            return await events.wait_for(predicate, timeout_s)

    def _event_line(self) -> EventLine:
        if self._events is None:
            raise LocalError("this client was made without the event stream", where=self.path)
        return self._events
