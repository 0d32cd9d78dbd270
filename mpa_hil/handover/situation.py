"""What the mobile node knows during a handover, and the questions its table asks. Sans-IO.

"Asked" is what a peer may hold for the node even if its answer never came: it has to be given back.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from .interface import Event
from .options import Hold, Level, Options


class Turn(NamedTuple):
    """What the machine is about to digest."""

    event: Event
    now_ns: int
    cause: str


class Situation:
    """Facts, kept by what events say whatever the state is; and the guards, which read them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._forget_all()

    def _forget_all(self) -> None:
        self._keys_asked = self._keys = False
        self._address_asked = self._configured = self._duplicate = False
        self._refused_address = False
        """B gave no address when it was asked ahead."""
        self._tunnel_asked = self._tunnelled = False
        self._binding_staged = self._bound = False
        self._asked_for_new = False
        """The last binding update was for the nCoA."""
        self._binding_moved = False
        """The home agent may hold another address than the oCoA."""
        self._hasty = False
        """The switch is wanted, and only the binding's answer is waited for."""
        self._held = Hold.OFF
        self._holding = False
        self._deaf = False
        """B's router has not answered when it was asked to hold."""
        self._turned = False
        """The uplink has left the tunnel for the physical interface."""
        self._marked = False
        """And has sent the end marker through it."""
        self._on_new = self._acquired = False
        self._old_gone = False
        self._awaited: set[Event] = set()
        """Answers that the end of the handover waits for."""
        self._addresses = self._tunnels = self._rounds = self._tries = 0
        self._reached = self._left_with = Level.REACTIVE
        self._why = ""

    @property
    def level(self) -> Level:
        """So much is ready for a switch at this moment."""
        if self._bound:
            return Level.BOUND
        if self._configured:
            return Level.CONFIGURED
        return Level.AUTHENTICATED if self._keys else Level.REACTIVE

    @property
    def there(self) -> bool:
        """The node is on B."""
        return self._on_new

    # --- facts

    def _on_authenticated(self) -> None:
        self._keys = self._keys_asked

    def _on_keys_withdrawn(self) -> None:
        self._keys = False

    def _on_tunnel_lost(self) -> None:
        """Once the switch has begun, its own exchange tells more than a refresh."""
        self._tunnelled = self._tunnelled and (self._holding or self._turned)

    def _on_lease_expired(self) -> None:
        self._configured = self._tunnelled = self._bound = self._address_asked = False

    def _on_address_taken(self) -> None:
        self._configured = self._tunnelled = self._bound = False
        self._duplicate = self._address_asked

    def _on_bound(self) -> None:
        self._bound = self._asked_for_new

    def _on_rebound(self) -> None:
        self._binding_moved = self._binding_moved and self._asked_for_new

    def _on_link_lost(self) -> None:
        self._old_gone = self._old_gone or not self._on_new

    def _on_old_port_open(self) -> None:
        self._old_gone = False

    FACTS: ClassVar = {
        Event.AUTHENTICATED: _on_authenticated,
        Event.KEYS_WITHDRAWN: _on_keys_withdrawn,
        Event.TUNNEL_LOST: _on_tunnel_lost,
        Event.LEASE_EXPIRED: _on_lease_expired,
        Event.ADDRESS_TAKEN: _on_address_taken,
        Event.BOUND: _on_bound,
        Event.REBOUND: _on_rebound,
        Event.LINK_LOST: _on_link_lost,
        Event.OLD_PORT_OPEN: _on_old_port_open,
    }

    # --- guards

    def is_reactive(self, turn: Turn) -> bool:
        return self.options.level is Level.REACTIVE

    def is_address_wanted(self, turn: Turn) -> bool:
        return self.options.level >= Level.CONFIGURED

    def is_tunnel_wanted(self, turn: Turn) -> bool:
        return self.options.level is Level.BOUND

    def is_lacks_keys(self, turn: Turn) -> bool:
        return self.options.level > Level.REACTIVE and not self._keys

    def is_lacks_address(self, turn: Turn) -> bool:
        free = Event.ADDRESS_RELEASED not in self._awaited
        return self.is_address_wanted(turn) and not self._configured and free

    def is_lacks_tunnel(self, turn: Turn) -> bool:
        free = Event.TUNNEL_DELETED not in self._awaited
        return self.is_tunnel_wanted(turn) and self._configured and not self._tunnelled and free

    def is_another_address(self, turn: Turn) -> bool:
        return self._addresses < self.options.configure_tries

    def is_another_tunnel(self, turn: Turn) -> bool:
        return self._tunnels < self.options.tunnel_tries

    def is_enough_without_tunnel(self, turn: Turn) -> bool:
        return self.options.minimum <= Level.CONFIGURED

    def is_enough_without_address(self, turn: Turn) -> bool:
        return self.options.minimum <= Level.AUTHENTICATED

    def is_can_bind(self, turn: Turn) -> bool:
        return self._tunnelled and not self._bound

    def is_binds_ahead(self, turn: Turn) -> bool:
        return self.options.bind_ahead and self._tunnelled and not self._bound

    def is_hasty(self, turn: Turn) -> bool:
        return self._hasty

    def is_hasty_holds(self, turn: Turn) -> bool:
        return self._hasty and self.is_holds(turn)

    def is_holds(self, turn: Turn) -> bool:
        return bool(self._places()) or self._bicasts()

    def is_tunnel_asked(self, turn: Turn) -> bool:
        return self._tunnel_asked

    def is_tunnel_unwanted(self, turn: Turn) -> bool:
        return not self._tunnel_asked

    def is_tunnelled(self, turn: Turn) -> bool:
        return self._tunnelled

    def is_configured(self, turn: Turn) -> bool:
        return self._configured

    def is_bound(self, turn: Turn) -> bool:
        return self._bound

    def is_bound_elsewhere(self, turn: Turn) -> bool:
        return self._binding_moved

    def is_something_held(self, turn: Turn) -> bool:
        return self._tunnel_asked or self._address_asked or bool(self._awaited)

    def is_hopeless(self, turn: Turn) -> bool:
        """A router that was silent before the switch and is after it; A is still there."""
        return self._deaf and not self._old_gone

    def is_old_gone(self, turn: Turn) -> bool:
        return self._old_gone

    def is_all_answered(self, turn: Turn) -> bool:
        return not self._awaited

    def is_tries_left(self, turn: Turn) -> bool:
        return self._tries < self.options.seek_tries

    def is_rounds_left(self, turn: Turn) -> bool:
        return self._rounds < self.options.restore_rounds

    def _places(self) -> Hold:
        """Where packets can be held: at the next router only those that are bound for the nCoA."""
        redirected = self._tunnelled and self._bound and not self.options.bicast
        return self.options.hold if redirected else self.options.hold & Hold.OLD

    def _bicasts(self) -> bool:
        return self.options.bicast and self._tunnelled and self._bound
