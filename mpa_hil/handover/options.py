"""How one handover is to be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Literal


class Level(IntEnum):
    """How much is done ahead of the move (RFC 6252 C.4)."""

    REACTIVE = 0
    """Nothing: authentication, address and binding after it."""
    AUTHENTICATED = 1
    """Keys (R120); address and binding after it."""
    CONFIGURED = 2
    """Keys and address, no tunnel (R121); binding after it."""
    BOUND = 3
    """Keys, address, tunnel and binding (R122)."""


class Hold(IntFlag):
    """Where packets for the node are held while it switches."""

    OFF = 0
    NEXT = 1
    """At the next access router: what is sent to the nCoA (R23). Needs a tunnel: level 3."""
    OLD = 2
    """At the present access router: what is sent to the oCoA, forwarded to the nCoA (R73)."""


Protection = Literal["plain", "esp", "wireguard"]


@dataclass(frozen=True, slots=True)
class Options:
    """How one handover is to be done. All times are bounds; a phase that meets its own goes on by
    the way out that the table names."""

    level: Level = Level.BOUND
    minimum: Level = Level.REACTIVE
    """Reached less than this, the preparation is given up; else the node moves with what it has."""
    hold: Hold = Hold.NEXT
    bicast: bool = False
    """Instead of holding, have the next access router send to both places meanwhile (R74)."""
    protection: Protection = "esp"
    bind_ahead: bool = True
    """Bind as soon as the tunnel stands; else on `BIND_WANTED` or `SWITCH_WANTED` (R22)."""
    keep_keys: bool = True
    """After a handover that did not take place, leave the MPA-SA to its own time limit (R111)."""
    authenticate_ms: int = 30_000
    configure_ms: int = 8_000
    """A DHCP server's own check for a duplicate is 3 s."""
    tunnel_ms: int = 5_000
    """Proactive duplicate detection is 1 s and more."""
    bind_ms: int = 10_000
    hurried_bind_ms: int = 500
    """For the binding's answer once the switch is wanted; then it is awaited on the other side."""
    stage_ms: int = 1_000
    """A scan of one channel takes a tenth."""
    keep_ms: int = 300_000
    """Prepared and not switched: given back (R32)."""
    hold_ms: int = 60
    """For the acknowledgement of holding; the router is one or two hops away."""
    switch_ms: int = 1_000
    """Ten times what association and 4-way handshake take."""
    eap_ms: int = 5_000
    """The same where full EAP runs after all."""
    arrive_ms: int = 700
    """A router waits half a second for an end mark that was lost."""
    deaf_ms: int = 200
    """Instead, when B's router did not answer before the switch either."""
    prove_ms: int = 1_500
    """For the home agent's answer when B's router is silent and A would take the node back. Mobile
    IPv4 asks twice in that time; the router may hold for as long."""
    acquire_ms: int = 20_000
    acquire_again_ms: int = 5_000
    """The same where B gave no address when it was asked ahead, and A would take the node back."""
    settle_ms: int = 10_000
    return_ms: int = 3_000
    restore_ms: int = 5_000
    """For the home agent's answer when the old binding is restored, `restore_rounds` times."""
    restore_rounds: int = 3
    clear_ms: int = 5_000
    seek_ms: int = 3_000
    """For one try of either network when neither is there; `seek_tries` in all."""
    seek_tries: int = 8
    configure_tries: int = 2
    """The second after the first address turned out to be in use on B's link."""
    tunnel_tries: int = 2
    """The second after the access router forgot the first."""
