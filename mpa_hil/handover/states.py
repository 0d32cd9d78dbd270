"""The mobile node's handover as a table (RFC 6252 s6.3, C.1, C.4). Sans-IO.

"A" is the network that the node comes from, "B" the target. On A are the states up to HOLDING and
RESTORING, CLEARING; on B those from ARRIVING to AT_NEW; the radio is between them in SWITCHING,
RETURNING, SEEKING and LOST. What a state and event have no row for changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from mpa_hil.pana.transitions import Row, Table

from .interface import Event


class State(Enum):
    """Where the handover stands. The value is the phase that the event log shows; a state whose
    value begins with "at" or "ready" is no phase: nothing is under way."""

    AT_OLD = "at the old network"
    """Old binding, and nothing held for B."""
    AUTHENTICATING = "pre-authentication"
    """Step 1."""
    CONFIGURING = "pre-configuration"
    """Step 2: address."""
    TUNNELLING = "tunnel-setup"
    """Step 2: tunnel."""
    STAGING = "staging"
    """Scan, prepared messages."""
    PREPARED = "ready"
    """As far as it goes before the binding; `Handover.level` says how far."""
    BINDING = "binding-update"
    """Step 3."""
    BOUND = "ready and bound"
    """Packets come and go by the tunnel."""
    HOLDING = "pre-switching"
    """Step 4: held at the routers, the old link drains."""
    SWITCHING = "switching"
    """Step 5."""
    ARRIVING = "arrival"
    """Step 6: until B's router has released what it held."""
    ACQUIRING = "acquisition"
    """On B without a usable address."""
    BINDING_THERE = "binding update on the other side"
    """On B, with the address; the home agent is being told, or asked for a proof of the path."""
    SETTLING = "post-switching"
    """Step 6, what is not urgent: address, PANA, end of the tunnel."""
    AT_NEW = "at the new network"
    """New binding, and nothing held for A."""
    RETURNING = "return"
    """B would not have the node."""
    RESTORING = "restoration"
    """On A; the home agent is being told the old address."""
    CLEARING = "clearing"
    """On A with the old binding; what was held for B is given back."""
    SEEKING = "seeking"
    """Neither network answered; each is tried in turn."""
    LOST = "at none"
    """Neither came in time; the supplicant goes on looking for both."""

    __hash__ = object.__hash__  # Enum's own is made in Python


_S = State
_E = Event
_READY: Final = (_S.STAGING, _S.PREPARED)
_BINDING: Final = (_S.BINDING, _S.BOUND)
_PREPARING: Final = (_S.AUTHENTICATING, _S.CONFIGURING, _S.TUNNELLING)
_WAY_BACK: Final = (_S.RESTORING, _S.CLEARING)
ON_OLD: Final = (_S.AT_OLD, *_PREPARING, *_READY, *_BINDING, _S.HOLDING, *_WAY_BACK)
"""The radio is on A, or was until this moment."""
ON_NEW: Final = (_S.ARRIVING, _S.ACQUIRING, _S.BINDING_THERE, _S.SETTLING)
"""The radio is on B, and the handover not over."""
BETWEEN: Final = (_S.SWITCHING, _S.RETURNING, _S.SEEKING, _S.LOST)
"""The radio looks for one of them."""
UNTIMED: Final = (_S.AT_OLD, _S.AT_NEW, _S.LOST)
_NO_ADDRESS: Final = (_E.LEASE_EXPIRED, _E.ADDRESS_TAKEN)
_NO_WAY: Final = (_E.TUNNEL_LOST, *_NO_ADDRESS, _E.KEYS_WITHDRAWN)
_NOT_JOINED: Final = (_E.ASSOCIATION_REFUSED, _E.TARGET_VANISHED, _E.TIME_UP)
FAILURES: Final = frozenset(
    {
        *_NO_WAY,
        *_NOT_JOINED,
        _E.AUTHENTICATION_FAILED,
        _E.CONFIGURATION_FAILED,
        _E.TUNNEL_REFUSED,
        _E.BINDING_FAILED,
        _E.HOLD_FAILED,
        _E.LINK_LOST,
        _E.ARRIVAL_UNHEARD,
        _E.ACQUISITION_FAILED,
        _E.REBINDING_FAILED,
    }
)
"""A phase that ends with one of these has failed; one cut short by a wish is skipped."""
WISHES: Final = frozenset({_E.SWITCH_WANTED, _E.MORE_WANTED, _E.CANCEL})

_States = tuple[State, ...]
_Rows = tuple[Row[State, Event], ...]


def _each(states: _States, events: Iterable[Event], *ways: tuple[str, str, State | None]) -> _Rows:
    """The same ways (guard, action, exit) for each of several events."""
    return tuple(Row(states, event, *way) for event in events for way in ways)


_STAY: Final = (
    ("bound_elsewhere", "restore", _S.RESTORING),
    ("something_held", "clear", _S.CLEARING),
    ("", "stay", _S.AT_OLD),
)
"""The node is on A and stays there."""
_LEAVE: Final = (("holds", "hold", _S.HOLDING), ("", "switch", _S.SWITCHING))
"""The node leaves A for B."""
_LAND: Final = (
    ("tunnelled", "arrive", _S.ARRIVING),
    ("configured", "settle_and_bind", _S.BINDING_THERE),
    ("", "acquire", _S.ACQUIRING),
)
"""The node is on B."""
_TURN_BACK: Final = (("old_gone", "seek", _S.SEEKING), ("", "return", _S.RETURNING))
"""B will not do."""
_NO_TUNNEL: Final = (
    ("enough_without_tunnel", "drop_tunnel", _S.STAGING),
    ("", "clear", _S.CLEARING),
)
"""The tunnel cannot be had; go without it, if the owner takes that."""
_UNCONFIGURED: Final = (
    ("enough_without_address", "drop_address", _S.STAGING),
    ("", "clear", _S.CLEARING),
)
"""Nor the address."""

TABLE: Final = Table[State, Event](
    [
        Row((_S.AT_OLD,), _E.PREPARE, "reactive", "be_ready", _S.PREPARED),
        Row((_S.AT_OLD,), _E.PREPARE, "", "authenticate", _S.AUTHENTICATING),
        # Step 1
        Row((_S.AUTHENTICATING,), _E.AUTHENTICATED, "address_wanted", "configure", _S.CONFIGURING),
        Row((_S.AUTHENTICATING,), _E.AUTHENTICATED, "", "stage", _S.STAGING),
        *_each(
            (_S.AUTHENTICATING,),
            (_E.AUTHENTICATION_FAILED, _E.TIME_UP, _E.KEYS_WITHDRAWN, _E.CANCEL),
            ("", "stay", _S.AT_OLD),
        ),
        # Step 2
        Row((_S.CONFIGURING,), _E.CONFIGURED, "tunnel_wanted", "create_tunnel", _S.TUNNELLING),
        Row((_S.CONFIGURING,), _E.CONFIGURED, "", "stage_configured", _S.STAGING),
        *_each((_S.CONFIGURING,), (_E.CONFIGURATION_FAILED, _E.TIME_UP), *_UNCONFIGURED),
        Row((_S.TUNNELLING,), _E.TUNNELLED, "tunnel_asked", "stage_tunnelled", _S.STAGING),
        Row((_S.TUNNELLING,), _E.ADDRESS_TAKEN, "another_address", "reconfigure", _S.CONFIGURING),
        *_each((_S.TUNNELLING,), _NO_ADDRESS, *_UNCONFIGURED),
        *_each((_S.TUNNELLING,), (_E.TUNNEL_REFUSED, _E.TUNNEL_LOST, _E.TIME_UP), *_NO_TUNNEL),
        *_each((_S.CONFIGURING, _S.TUNNELLING), (_E.KEYS_WITHDRAWN, _E.CANCEL), *_STAY),
        # Nothing may scan between binding update and switch, so it is staged before.
        *_each(
            (_S.STAGING,),
            (_E.STAGED, _E.TIME_UP),
            ("binds_ahead", "bind", _S.BINDING),
            ("", "be_ready", _S.PREPARED),
        ),
        Row((_S.PREPARED,), _E.STAGE_WANTED, "", "stage", _S.STAGING),
        # Made anew, because the router had lost it; or made for somebody who gave it up meanwhile.
        Row(tuple(State), _E.TUNNELLED, "tunnel_unwanted", "delete_unwanted", None),
        Row((_S.STAGING, _S.BOUND), _E.TUNNELLED, "", "stage_tunnelled", None),
        Row((_S.PREPARED,), _E.TUNNELLED, "", "stage_tunnelled", _S.STAGING),
        # More is to be ready than was: what is there already stays.
        *_each(
            _READY,
            (_E.MORE_WANTED,),
            ("lacks_keys", "authenticate", _S.AUTHENTICATING),
            ("lacks_address", "configure", _S.CONFIGURING),
            ("lacks_tunnel", "create_tunnel", _S.TUNNELLING),
        ),
        Row((_S.PREPARED,), _E.BIND_WANTED, "can_bind", "bind", _S.BINDING),
        *_each(
            _READY,
            (_E.TUNNEL_LOST,),
            ("another_tunnel", "create_tunnel", _S.TUNNELLING),
            *_NO_TUNNEL,
        ),
        *_each(_READY, _NO_ADDRESS, *_UNCONFIGURED),
        *_each(_READY, (_E.KEYS_WITHDRAWN, _E.CANCEL), *_STAY),
        *_each((_S.PREPARED,), (_E.TIME_UP,), *_STAY),
        # Whatever is ready when the node must go is used; the rest is done on B.
        *_each(
            (_S.AT_OLD, *_PREPARING, *_WAY_BACK), (_E.SWITCH_WANTED,), ("", "switch", _S.SWITCHING)
        ),
        Row(_READY, _E.SWITCH_WANTED, "can_bind", "bind_in_haste", _S.BINDING),
        *_each((*_READY, _S.BOUND), (_E.SWITCH_WANTED,), *_LEAVE),
        *_each(
            (*_PREPARING, *_READY, *_BINDING, _S.HOLDING, *_WAY_BACK),
            (_E.LINK_LOST,),
            ("", "switch", _S.SWITCHING),
        ),
        # Step 3
        Row((_S.BINDING,), _E.SWITCH_WANTED, "", "hasten", None),
        *_each((_S.BINDING,), (_E.BOUND,), ("hasty_holds", "hold", _S.HOLDING)),
        Row((_S.BINDING,), _E.BOUND, "hasty", "switch", _S.SWITCHING),
        Row((_S.BINDING,), _E.BOUND, "", "be_bound", _S.BOUND),
        # The home agent may still say yes to the same question on B.
        *_each(
            (_S.BINDING,),
            (_E.BINDING_FAILED, _E.TIME_UP, *_NO_WAY),
            ("hasty", "switch", _S.SWITCHING),
        ),
        *_each(_BINDING, (_E.BINDING_FAILED, _E.TIME_UP, *_NO_WAY, _E.CANCEL), *_STAY),
        Row((_S.BOUND,), _E.STAGE_WANTED, "", "stage", None),
        # Step 4. Nobody holds: go all the same, at the price of some packets.
        *_each((_S.HOLDING,), (_E.HELD, _E.HOLD_FAILED, _E.TIME_UP), ("", "switch", _S.SWITCHING)),
        *_each((_S.HOLDING,), (_E.CANCEL, _E.KEYS_WITHDRAWN), *_STAY),
        # Step 5
        *_each((*ON_OLD, _S.SWITCHING, _S.SEEKING, _S.LOST), (_E.PORT_OPEN,), *_LAND),
        *_each(
            (_S.SWITCHING, _S.RETURNING, _S.SEEKING), (_E.EAP_STARTED,), ("", "allow_for_eap", None)
        ),
        *_each((_S.SWITCHING,), (*_NOT_JOINED, _E.CANCEL), *_TURN_BACK),
        # Step 6. An access router that is silent may be dead, and what it held lost: only an answer
        # of the home agent to the new address shows that packets come through.
        Row((_S.ARRIVING,), _E.ARRIVED, "bound", "settle", _S.SETTLING),
        *_each(
            (_S.ARRIVING,),
            (_E.ARRIVAL_UNHEARD, _E.TIME_UP),
            ("hopeless", "return", _S.RETURNING),
        ),
        *_each(
            (_S.ARRIVING,),
            (_E.ARRIVED, _E.ARRIVAL_UNHEARD, _E.TIME_UP, _E.TUNNEL_LOST),
            ("", "settle_and_bind", _S.BINDING_THERE),
        ),
        Row((_S.ACQUIRING,), _E.ACQUIRED, "", "bind_there", _S.BINDING_THERE),
        Row((_S.BINDING_THERE,), _E.BOUND, "", "settle_bound", _S.SETTLING),
        *_each(
            (_S.ARRIVING, _S.BINDING_THERE, _S.SETTLING),
            _NO_ADDRESS,
            ("another_address", "acquire", _S.ACQUIRING),
            *_TURN_BACK,
        ),
        *_each((_S.ACQUIRING,), (_E.ACQUISITION_FAILED, _E.TIME_UP), *_TURN_BACK),
        *_each((_S.BINDING_THERE,), (_E.BINDING_FAILED, _E.TIME_UP), *_TURN_BACK),
        *_each(ON_NEW, (_E.LINK_LOST,), *_TURN_BACK),
        *_each(
            (_S.SETTLING,),
            (_E.SETTLED, _E.SERVING, _E.TUNNEL_DELETED, _E.ADDRESS_RELEASED),
            ("all_answered", "live_there", _S.AT_NEW),
        ),
        Row((_S.SETTLING,), _E.TIME_UP, "", "live_there", _S.AT_NEW),
        # Back to A
        *_each((*ON_NEW, *BETWEEN), (_E.OLD_PORT_OPEN,), *_STAY),
        *_each((_S.RETURNING,), (*_NOT_JOINED, _E.LINK_LOST), ("", "seek", _S.SEEKING)),
        *_each(
            (_S.SEEKING,),
            (*_NOT_JOINED, _E.LINK_LOST),
            ("tries_left", "seek", None),
            ("", "lose", _S.LOST),
        ),
        *_each(
            (_S.RESTORING,),
            (_E.REBINDING_FAILED, _E.BINDING_FAILED, _E.TIME_UP),
            ("rounds_left", "restore_again", None),
            ("something_held", "clear", _S.CLEARING),
            ("", "stay", _S.AT_OLD),
        ),
        *_each(
            (_S.RESTORING,),
            (_E.REBOUND,),
            ("something_held", "clear", _S.CLEARING),
            ("", "stay", _S.AT_OLD),
        ),
        *_each(
            (_S.CLEARING,),
            (_E.TUNNEL_DELETED, _E.ADDRESS_RELEASED),
            ("all_answered", "stay", _S.AT_OLD),
        ),
        Row((_S.CLEARING,), _E.TIME_UP, "", "stay", _S.AT_OLD),
    ]
)
