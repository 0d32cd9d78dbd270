"""What a handover machine's surroundings can answer to each of its actions."""

from __future__ import annotations

from mpa_hil.handover import interface as act
from mpa_hil.handover.interface import Action, Event

E = Event
GOOD: dict[type[Action], Event] = {
    act.Authenticate: E.AUTHENTICATED,
    act.Configure: E.CONFIGURED,
    act.ReleaseAddress: E.ADDRESS_RELEASED,
    act.CreateTunnel: E.TUNNELLED,
    act.DeleteTunnel: E.TUNNEL_DELETED,
    act.Bind: E.BOUND,
    act.Rebind: E.REBOUND,
    act.PrepareSwitch: E.STAGED,
    act.StartHold: E.HELD,
    act.SelectNetwork: E.PORT_OPEN,
    act.ReturnToOld: E.OLD_PORT_OPEN,
    act.Arrive: E.ARRIVED,
    act.Settle: E.SETTLED,
    act.Acquire: E.ACQUIRED,
    act.NotifyServing: E.SERVING,
}
BAD: dict[type[Action], tuple[Event, ...]] = {
    act.Authenticate: (E.AUTHENTICATION_FAILED,),
    act.Configure: (E.CONFIGURATION_FAILED,),
    act.CreateTunnel: (E.TUNNEL_REFUSED, E.ADDRESS_TAKEN),
    act.Bind: (E.BINDING_FAILED,),
    act.Rebind: (E.REBINDING_FAILED,),
    act.StartHold: (E.HOLD_FAILED,),
    act.SelectNetwork: (E.ASSOCIATION_REFUSED, E.TARGET_VANISHED, E.EAP_STARTED),
    act.ReturnToOld: (E.ASSOCIATION_REFUSED, E.TARGET_VANISHED),
    act.Arrive: (E.ARRIVAL_UNHEARD,),
    act.Settle: (E.ADDRESS_TAKEN,),
    act.Acquire: (E.ACQUISITION_FAILED,),
}
REPLACES: dict[type[Action], tuple[type[Action], ...]] = {
    act.Bind: (act.Rebind, act.Bind),
    act.Rebind: (act.Bind, act.Rebind),
    act.SelectNetwork: (act.ReturnToOld, act.SelectNetwork),
    act.ReturnToOld: (act.SelectNetwork, act.ReturnToOld),
    act.DeleteTunnel: (act.CreateTunnel, act.StartHold, act.Arrive),
    act.ReleaseAddress: (act.Configure,),
    act.Acquire: (act.Settle,),
    act.LeaveNew: (act.Settle, act.Acquire, act.Arrive, act.NotifyServing),
    act.ForgetKeys: (act.Authenticate,),
}
"""What is not answered any more once this is asked."""
