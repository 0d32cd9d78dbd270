"""How an access router's agent is configured; `agents.access_router` says what each key means."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from mpa_hil.agents.config import Fields
from mpa_hil.agents.key_recipient import RecipientSettings, addresses
from mpa_hil.agents.stdio import Json
from mpa_hil.kernel.tunnel_plan import Esp, Plain, Protection, WireGuard, tunnel_mtu
from mpa_hil.mobility.interface import Address
from mpa_hil.tunnel.interface import TUNNEL_PORT, Protect
from mpa_hil.tunnel.settings import Limits, RouterSettings

_MAXIMUM_HOLD_MS = 60_000
_EXAMPLES: dict[Protect, Protection] = {
    Protect.PLAIN: Plain(),
    Protect.ESP: Esp(256, 257, bytes(20), b"\1" * 20),
    Protect.WIREGUARD: WireGuard(bytes(32), bytes(32), bytes(32), 0, 0),
}
"""Of each kind one, to ask how many octets it adds."""


@dataclass(frozen=True, slots=True)
class TunnelAgentSettings:
    """What the tunnels need beside the keys."""

    interface: str
    port: int
    networks: tuple[IPv4Network | IPv6Network, ...]
    reserved: frozenset[Address]
    protections: frozenset[Protect]
    limits: Limits
    check_ms: int
    linger_s: float
    mtu: int
    store: Path | None

    def router(self, own: tuple[Address, ...], mac: bytes) -> RouterSettings:
        """The machine's settings, of a router with these addresses and that MAC on the link."""
        return RouterSettings(
            own,
            self.networks,
            self.reserved | frozenset(own),
            mac,
            self.protections,
            bicast=True,
            limits=self.limits,
            linger_s=self.linger_s,
            mtu=self._mtu,
        )

    def _mtu(self, protect: Protect, version: int) -> int:
        return tunnel_mtu(version, _EXAMPLES[protect], self.mtu)


@dataclass(frozen=True, slots=True)
class AccessRouterSettings:
    """The whole configuration."""

    recipient: RecipientSettings
    addresses: tuple[Address, ...]
    tunnels: TunnelAgentSettings | None
    """None: the agent holds keys, and that is all."""

    @classmethod
    def read(cls, config: Json) -> AccessRouterSettings:
        """Check a configuration.

        Raises:
            LocalError: names the key that is wrong.
        """
        fields = Fields(config, "access router configuration")
        recipient = RecipientSettings.read(fields)
        own = addresses(fields, "addresses")
        tunnels = _tunnels(fields.inner("tunnels")) if fields.has("tunnels") else None
        fields.done()
        return cls(recipient, own, tunnels)


def _tunnels(fields: Fields) -> TunnelAgentSettings:
    most = Limits()
    limits = Limits(
        sessions=fields.integer("sessions", most.sessions, 1, 65536),
        sessions_per_node=fields.integer("sessions_per_node", most.sessions_per_node, 1, 65536),
        idle_s=fields.seconds("idle_s", most.idle_s),
        life_s=fields.integer("life_s", most.life_s, 1, 86400),
        hold_ms=fields.integer("hold_ms", most.hold_ms, 1, _MAXIMUM_HOLD_MS),
        hold_octets=fields.integer("hold_octets", most.hold_octets, 4096, 1 << 30),
        hold_packets=fields.integer("hold_packets", most.hold_packets, 1, 1 << 20),
        all_hold_octets=fields.integer("all_hold_octets", most.all_hold_octets, 4096, 1 << 40),
    )
    settings = TunnelAgentSettings(
        fields.text("interface"),
        fields.integer("port", TUNNEL_PORT, 1, 65535),
        _networks(fields),
        frozenset(map(ip_address, _reserved(fields))),
        _protections(fields),
        limits,
        fields.integer("check_ms", 1000, 1, 60_000),
        fields.seconds("linger_s", 5.0),
        fields.integer("mtu", 1500, 1280, 65535),
        Path(fields.text("store")) if fields.has("store") else None,
    )
    fields.done()
    return settings


def _networks(fields: Fields) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for text in fields.texts("networks"):
        try:
            found.append(ip_network(text))
        except ValueError:
            raise fields.fault("networks", f"{text!r} is no network") from None
    if not found:
        raise fields.fault("networks", "at least one is needed")
    return tuple(found)


def _reserved(fields: Fields) -> tuple[str, ...]:
    return tuple(map(str, addresses(fields, "reserved"))) if fields.has("reserved") else ()


def _protections(fields: Fields) -> frozenset[Protect]:
    if not fields.has("protections"):
        return frozenset(Protect)
    names = {protect.name.lower(): protect for protect in Protect}
    found = fields.texts("protections")
    for text in found:
        if text not in names:
            raise fields.fault("protections", f"{text!r} is none of {', '.join(names)}")
    if not found:
        raise fields.fault("protections", "at least one is needed")
    return frozenset(names[text] for text in found)
