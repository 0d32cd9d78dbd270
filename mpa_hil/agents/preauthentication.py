"""Pre-authentication at the mobile node, as a process beside `mobile_node`, so that TLS and all it
loads are never in the switch's way: `python3 -m mpa_hil.agents.preauthentication CONFIG.json`.

Configuration (JSON object):

    host           its name in the events
    mac            the address that the node associates with
    eap            the credentials; see `mpa_hil.agents.preauth_eap`
    max_points     keys in the supplicant at most (28)
    max_networks   networks at once at most (8)
    attempts       authentications begun for one network until it counts as failed (3)
    keyring        socket of `mobile_node` for MN-CA and MN-AR keys (`agents.keyring`), or absent
    wishes         socket for the policy's wishes (`agents.wishes`), or absent

Commands, each carried out at once:

    open {control}                               take up a supplicant            preauth.opened
    prepare {networks, deadline_s, hold_s, best?}  networks: hexadecimal digits of `discovery.wire`
    describe {realm, near?}                      ask its agent for networks      preauth.described
    forget {realm}                               give one network up
    close                                        give all of them up             preauth.closed

`prepare` leads to `preauth.started`, `preauth.authenticated`, `preauth.keys` for each point of
attachment and `preauth.prepared`, or to `preauth.failed`; docs/events.md has what comes later. The
networks are in order of preference; `best` of them (0: all) are prepared by `deadline_s` and kept
for `hold_s`. `describe` wants a prepared network, and `near` the BSSID where the node is. The
node's moves are read off the supplicant's events; nobody tells of them here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Sequence

from mpa_hil.agents.attending import Commands, attend
from mpa_hil.agents.config import Fields
from mpa_hil.agents.keyring import KeyHandover, derive
from mpa_hil.agents.preauth_describe import describe
from mpa_hil.agents.preauth_eap import Credentials, read_credentials
from mpa_hil.agents.preauth_keys import SupplicantKeys, refused, remaining_s
from mpa_hil.agents.preauth_reading import read_settings
from mpa_hil.agents.preauth_sockets import AddressWatch, Sockets, source_address
from mpa_hil.agents.preauth_telling import Teller
from mpa_hil.agents.preauth_wishes import WishBox
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.clock import instant
from mpa_hil.discovery import wire
from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.errors import LocalError, MpaError
from mpa_hil.mobility.interface import Endpoint, Instant
from mpa_hil.pana.interface import PacMachine
from mpa_hil.pana.pac import Pac
from mpa_hil.pana.settings import PacSettings
from mpa_hil.preauthentication.actions import Means
from mpa_hil.preauthentication.interface import (
    Authenticated,
    Ended,
    Failed,
    Install,
    Outputs,
    Over,
    Remove,
    Transmit,
)
from mpa_hil.preauthentication.link import Change, LinkWatch
from mpa_hil.preauthentication.preparations import Preparations
from mpa_hil.preauthentication.settings import Settings
from radios.control import ControlClient
from radios.subscription import Subscription
from radios.supplicant import Supplicant
from radios.wpa_events import Event, Notice, Overflow, Reconnected

_FAREWELL_S = 3.0
"""How long the agents of held associations get to hear that they are over, at the end."""
_WITHOUT = "no supplicant is open"

Order = Install | Remove | Ended | Failed
"""What waits for the supplicant; ends, too, since they are told when their keys are gone."""


class PreauthenticationProcess:
    """Sockets, timer and supplicant round the machine."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        console: Console,
        keyring: str,
        wishes: str,
    ) -> None:
        self._console = console
        self._handover = KeyHandover(keyring)
        self._wishes = WishBox(wishes, self.command)
        self._teller = Teller(console, self._wishes.tell)
        self._loop = asyncio.get_running_loop()
        if self._wishes.socket is not None:
            self._loop.add_reader(self._wishes.socket, self._wishes.receive)
        self._machine = Preparations(Means(settings, _pac, credentials.peer, os.urandom))
        self._sockets = Sockets(self._on_datagram)
        self._watch = AddressWatch(self._on_addresses)
        self._addresses: dict[str, str] = {}
        """This node's towards each network's agent; empty while there is none."""
        self._told: dict[str, str] = {}
        """The last of them that was not empty."""
        self._timer: asyncio.TimerHandle | None = None
        self._control: ControlClient | None = None
        self._link = LinkWatch()
        self._orders: deque[Order] = deque()
        self._ordered = asyncio.Event()
        self._working = asyncio.Lock()
        self._over = asyncio.Event()
        self._commands = Commands(console, "pre-authentication")
        self._listening: asyncio.Task[None] | None = None

    # --- commands

    def command(self, command: Json) -> None:
        """Take a command; they are carried out one after the other."""
        self._commands.put(command)

    async def obey(self) -> None:
        """Carry commands out."""
        await self._commands.obey(
            {
                "open": self._do_open,
                "prepare": self._do_prepare,
                "describe": self._do_describe,
                "forget": self._do_forget,
                "close": self._do_close,
            }
        )

    async def _do_open(self, fields: Fields) -> None:
        path = fields.text("control")
        fields.done()
        await self._let_go()
        control = ControlClient(path)
        await control.open()
        self._control = control
        self._listening = self._loop.create_task(self._listen(control, control.subscribe()))
        await self._look(control)
        networks = await Supplicant(control).networks()
        self._console.emit("preauth.opened", networks=len(networks), bssid=self._link.bssid or "")

    async def _do_prepare(self, fields: Fields) -> None:
        networks = _networks(fields)
        best = fields.integer("best", 0, 0, len(networks))
        deadline_s = fields.seconds("deadline_s", 10.0)
        hold_s = fields.seconds("hold_s", 300.0)
        fields.done()
        if self._control is None:
            raise LocalError(_WITHOUT, where="pre-authentication", remedy="open one first")
        now = instant()
        self._carry_out(
            self._machine.prepare(networks, now, deadline_s=deadline_s, hold_s=hold_s, best=best),
            now,
        )

    async def _do_describe(self, fields: Fields) -> None:
        realm = fields.text("realm")
        near = fields.text("near") if fields.has("near") else None
        fields.done()
        found = next((m.askable for m in self._machine.machines if m.realm == realm), None)
        if found is None:
            raise LocalError("the network is not prepared", where=realm, remedy="prepare it first")
        asked_ns = time.monotonic_ns()
        agent, session = found
        learnt = await describe(session.sa, realm, agent, near=near)
        self._teller.described(realm, learnt, time.monotonic_ns() - asked_ns)

    async def _do_forget(self, fields: Fields) -> None:
        realm = fields.text("realm")
        fields.done()
        now = instant()
        self._carry_out(self._machine.forget(realm, now), now)

    async def _do_close(self, fields: Fields) -> None:
        fields.done()
        await self._give_up()
        await self._let_go()
        self._console.emit("preauth.closed")

    async def shut(self) -> None:
        """Leave nothing behind: neither keys nor associations."""
        try:
            await self._give_up()
            await self._let_go()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._watch.close()
            self._sockets.close_all()
            self._handover.close()
            if self._wishes.socket is not None:
                self._loop.remove_reader(self._wishes.socket)
            self._wishes.close()

    async def _give_up(self) -> None:
        now = instant()
        self._carry_out(self._machine.close(now), now)
        self._over.clear()
        if self._machine.machines:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._over.wait()
        await self._drain()

    async def _let_go(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
        control, self._control = self._control, None
        if control is not None:
            await control.close()

    # --- the supplicant

    async def work(self) -> None:
        """Bring keys into the supplicant and out of it, in order."""
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            await self._drain()

    async def _drain(self) -> None:
        async with self._working:
            while self._orders:
                await self._order(self._orders.popleft())

    async def _order(self, order: Order) -> None:
        control = self._control
        if isinstance(order, Ended | Failed):
            self._teller.tell(order, time.monotonic_ns())
            return
        if isinstance(order, Remove):
            if control is not None:
                with contextlib.suppress(MpaError):  # without a supplicant there is nothing left
                    await SupplicantKeys(control).remove(order.points)
            return
        lifetime_s = remaining_s(order.expires_ns, time.monotonic_ns())
        if control is None:
            results = refused(order.keys, _WITHOUT)
        elif not lifetime_s:
            results = refused(order.keys, "the lifetime of the key is over")
        else:
            results = await SupplicantKeys(control).install(order.keys, lifetime_s)
        now = instant()
        self._carry_out(self._machine.installed(order.realm, results, now), now)

    async def _listen(self, control: ControlClient, notices: Subscription) -> None:
        """Follow the supplicant's events, until it is gone for good."""
        try:
            with notices:
                async for notice in notices:
                    await self._noticed(control, notice)
        except MpaError as error:
            self._console.emit("agent.failed", error=error.what, where=error.where)

    async def _noticed(self, control: ControlClient, notice: Notice) -> None:
        if isinstance(notice, Event):
            self._moved(self._link.receive(notice))
        elif isinstance(notice, Reconnected | Overflow):
            with contextlib.suppress(MpaError):  # it is gone again, which is noticed too
                await self._look(control)
            if isinstance(notice, Reconnected):
                now = instant()
                self._carry_out(self._machine.supplicant_restarted(now), now)

    async def _look(self, control: ControlClient) -> None:
        status = await Supplicant(control).status()
        self._moved(self._link.set(status.bssid if status.completed else None))

    def _moved(self, changes: Sequence[Change]) -> None:
        for change in changes:
            now = instant()
            self._carry_out(self._machine.link(change, now), now)

    # --- the network and time

    def _on_datagram(self, realm: str, datagram: bytes, source: Endpoint) -> None:
        now = instant()
        self._carry_out(self._machine.receive(realm, datagram, source, now), now)

    def _on_addresses(self) -> None:
        """An agent is told of a new address, and hears at once when there is one again at all."""
        present = self._sockets.sources()
        now = instant()
        for realm, before in tuple(self._addresses.items()):
            address = present.get(realm, "")
            self._addresses[realm] = address
            if not address or address == before:
                continue
            if self._told[realm] != address:
                self._told[realm] = address
                self._teller.address(realm, address)
            self._carry_out(self._machine.address_changed(realm, now), now)

    def _on_time(self) -> None:
        self._timer = None
        now = instant()
        self._carry_out(self._machine.expire(now), now)

    def _carry_out(self, outputs: Outputs, now: Instant) -> None:
        for output in outputs:
            match output:
                case Transmit():
                    self._transmit(output)
                case Install() | Remove() | Ended() | Failed():
                    self._orders.append(output)
                    self._ordered.set()
                case Over():
                    self._hand_over(output.realm)
                    self._sockets.close(output.realm)
                    self._addresses.pop(output.realm, None)
                    self._told.pop(output.realm, None)
                    if not self._machine.machines:
                        self._over.set()
                case _:
                    if isinstance(output, Authenticated):
                        self._hand_over(output.realm)
                    self._teller.tell(output, now.monotonic_ns)
        self._arm()

    def _hand_over(self, realm: str) -> None:
        """Give the keys of an association to whoever moves the node, or say that it is over."""
        held = next((m for m in self._machine.machines if m.realm == realm), None)
        keys = derive(held.session, held.network) if held is not None else None
        if failure := self._handover.give(realm, keys):
            self._console.emit("agent.failed", error=failure, where="keyring")

    def _transmit(self, output: Transmit) -> None:
        realm = output.realm
        if not self._addresses.get(realm):
            self._addresses[realm] = source_address(output.destination)
            self._told.setdefault(realm, self._addresses[realm])
        self._sockets.send(realm, output.datagram, output.destination)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._machine.next_deadline()
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
            self._timer = self._loop.call_later(delay_s, self._on_time)


def _pac(agent: Endpoint) -> PacMachine:
    return Pac(agent, PacSettings(), os.urandom, instant())


def _networks(fields: Fields) -> tuple[CandidateNetwork, ...]:
    text = fields.text("networks")
    try:
        return wire.decode(bytes.fromhex(text))
    except (ValueError, MpaError) as error:
        raise fields.fault("networks", f"it holds no descriptions: {error}") from error


def _warm_up() -> None:
    """Load now what the first preparation would load."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    AESGCM(bytes(32)).encrypt(bytes(12), b"", b"")
    Cipher(algorithms.AES(bytes(16)), modes.CTR(bytes(16))).encryptor().update(b"")


async def _serve(config: Json, console: Console) -> None:
    fields = Fields(config, "pre-authentication configuration")
    fields.text("host", "?")
    settings = read_settings(fields)
    credentials = read_credentials(fields.inner("eap"))
    sockets = [fields.text(key) if fields.has(key) else "" for key in ("keyring", "wishes")]
    fields.done()
    _warm_up()
    process = PreauthenticationProcess(settings, credentials, console, *sockets)
    try:
        console.emit("preauth.ready", method=credentials.name)
        await attend(console, process.command, process.obey(), process.work())
    finally:
        await process.shut()


def serve(config: Json, console: Console) -> None:
    """Run the agent that `config` describes, until told to end."""
    asyncio.run(_serve(config, console))


if __name__ == "__main__":
    main("preauthentication", serve)
