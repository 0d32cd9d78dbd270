"""What the recipients of keys have in common: configuration, the TLS server, events, commands.

Configuration (JSON object):

    host                  its name in the events
    name                  its own, a DNS name in its certificate's subjectAltName
    authority             name of the one authentication agent that it obeys
    listen                addresses to listen on, IPv4 or IPv6
    port                  7161 (TCP)
    ca, certificate, key  paths of PEM files
    revocation            false; true: the `ca` file holds a revocation list too
    maximum_keys          900

Commands: `{"cmd": "keys"}` lists what is held, by name. `{"cmd": "keep"}`: when the agent ends,
what it put to use stays in use (it is about to be restarted). Otherwise standard input closed, or
SIGTERM, takes every key out of use.

Events: `keys.ready`, `keys.authority`, `keys.held`, `keys.released`, `keys.refused`, `keys.list`.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from mpa_hil.agents.attending import attend
from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console, Json
from mpa_hil.errors import MpaError
from mpa_hil.key_delivery.holder import End, HeldKey, Refused, Terms
from mpa_hil.key_delivery.streams import RecipientServer
from mpa_hil.key_delivery.tls import DELIVERY_PORT, TlsFiles, recipient_context
from mpa_hil.keys import Usage
from mpa_hil.mobility.interface import NS_PER_S


@dataclass(frozen=True, slots=True)
class RecipientSettings:
    """What every recipient's configuration has."""

    name: str
    authority: str
    listen: tuple[IPv4Address | IPv6Address, ...]
    port: int
    tls: TlsFiles
    maximum_keys: int

    @classmethod
    def read(cls, fields: Fields) -> RecipientSettings:
        """Take them out of a configuration; LocalError names the key that is wrong."""
        fields.text("host", "?")
        return cls(
            fields.text("name"),
            fields.text("authority"),
            addresses(fields, "listen"),
            fields.integer("port", DELIVERY_PORT, 1, 65535),
            tls_files(fields),
            fields.integer("maximum_keys", 900, 1, 1024),
        )

    def terms(self, usage: Usage, peers: frozenset[bytes]) -> Terms:
        """With what is this recipient's own."""
        usages = frozenset((usage,))
        return Terms(self.name, self.authority, usages, peers, self.maximum_keys)


def tls_files(fields: Fields) -> TlsFiles:
    """Paths of PEM files out of a configuration."""
    paths = (fields.text("ca"), fields.text("certificate"), fields.text("key"))
    return TlsFiles(*paths, revocation=fields.truth("revocation", False))


def addresses(fields: Fields, key: str) -> tuple[IPv4Address | IPv6Address, ...]:
    """A list of addresses of both families; LocalError for anything else, or none."""
    found = []
    for text in fields.texts(key):
        try:
            found.append(ip_address(text))
        except ValueError:
            raise fields.fault(key, f"{text!r} is no IP address") from None
    if not found:
        raise fields.fault(key, "at least one address is needed")
    return tuple(found)


class KeyRecipient:
    """Holds keys and says so. Enforcement points also put them into access points."""

    role = ""

    def __init__(self, settings: RecipientSettings, terms: Terms, console: Console) -> None:
        self.console = console
        self._settings = settings
        self.server = RecipientServer(terms, self)
        self.keep = False
        """What was put to use stays in use when the agent ends."""

    async def run(self, *services: Coroutine[None, None, None]) -> None:
        """Serve until told to end."""
        settings = self._settings
        await self.server.start(settings.listen, settings.port, recipient_context(settings.tls))
        self.console.emit("keys.ready", role=self.role, name=settings.name, port=settings.port)
        try:
            await attend(
                self.console,
                self.on_command,
                self.server.run(),
                *services,
                farewell=self._say_goodbye,
            )
        finally:
            await self.server.close()

    async def _say_goodbye(self) -> None:
        """Take every key out of use, unless they are to be kept."""
        await self.server.close()
        if not self.keep:
            await self.server.undisturbed(self._take_all_out())
            await self.parted()

    async def _take_all_out(self) -> None:
        for key in self.server.holder.keys:
            self._released(key, "stopped", await self._guarded(self.take_out(key)))

    async def put_in(self, key: HeldKey) -> str:
        """Put a key to use; why not, or an empty text. Holding it is all, unless overridden."""
        return ""

    async def take_out(self, key: HeldKey) -> str:
        """Take a key out of use; why not, or an empty text."""
        return ""

    async def parted(self) -> None:
        """Every key was taken out at the end: wait for what follows from that."""

    async def apply(self, key: HeldKey) -> str:
        """See `Keeper`."""
        failure = await self._guarded(self.put_in(key))
        if not failure:
            install = key.install
            self.console.emit(
                "keys.held",
                key=install.name.hex(),
                usage=install.usage.name,
                mobile_node=install.mobile_node,
                session=install.session_id,
                lifetime_s=left_s(key),
                peer=peer_text(install.peer),
                station=install.station.hex(":"),
            )
        return failure

    async def release(self, key: HeldKey, end: End) -> str:
        """See `Keeper`."""
        failure = await self._guarded(self.take_out(key))
        self._released(key, end.value, failure)
        return failure

    def refused(self, refusal: Refused) -> None:
        """See `Keeper`."""
        self.console.emit(
            "keys.refused",
            key=refusal.name.hex(),
            mobile_node=refusal.mobile_node,
            reason=refusal.reason,
        )

    def seen(self, key: HeldKey, present: bool) -> None:
        """See `Keeper`."""

    def connection(self, up: bool, reason: str) -> None:
        """See `Keeper`."""
        self.console.emit("keys.authority", up=up, reason=reason)

    async def _guarded(self, step: Coroutine[None, None, str]) -> str:
        try:
            return await step
        except MpaError as error:
            return error.what

    def _released(self, key: HeldKey, cause: str, failure: str) -> None:
        install = key.install
        self.console.emit(
            "keys.released",
            key=install.name.hex(),
            usage=install.usage.name,
            mobile_node=install.mobile_node,
            cause=cause,
            reason=failure,
        )

    def on_command(self, command: Json) -> None:
        """Obey a command; those of one's own first."""
        if command["cmd"] == "keys":
            held = [_listed(key) for key in self.server.holder.keys]
            self.console.emit("keys.list", keys=held)
        elif command["cmd"] == "keep":
            self.keep = True
        else:
            self.console.refuse(command["cmd"], "a recipient of keys has no such command")


def _listed(key: HeldKey) -> Json:
    install = key.install
    return {
        "key": install.name.hex(),
        "usage": install.usage.name,
        "mobile_node": install.mobile_node,
        "session": install.session_id,
        "left_s": left_s(key),
        "peer": peer_text(install.peer),
        "station": install.station.hex(":"),
    }


def left_s(key: HeldKey) -> float:
    """Seconds until a key ends."""
    return round(max(key.expires_ns - time.monotonic_ns(), 0) / NS_PER_S, 3)


def peer_text(peer: bytes) -> str:
    """What a key is bound to, for people."""
    value = peer[2:]
    if len(value) in (4, 16):
        return str(ip_address(value))
    return value.hex(":")
