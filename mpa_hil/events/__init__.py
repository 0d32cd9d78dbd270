"""The event log: what happened, when, where; the one source of phase times, tables and plots.

One JSON object a line. Agents write such lines without importing this package; whoever collects
them gives each to `mpa_hil.eventlog.decode`, which refuses what is not described here.
`docs/events.md` is made from these classes: a class is an event type, its description and its
fields' are the reference.
"""

from __future__ import annotations

from typing import get_args

from .authentication import (
    AaAddress,
    AaAuthenticated,
    AaDeviceKey,
    AaDiscarded,
    AaKey,
    AaPrepared,
    AaReady,
    AaRecipient,
    AaRefused,
    AaServer,
    AaSessions,
    AaStarted,
    AaState,
    AaStore,
    EpAccessPoint,
    EpStation,
    KeysAuthority,
    KeysHeld,
    KeysList,
    KeysReady,
    KeysRefused,
    KeysReleased,
)
from .base import Event
from .configuration import CaDiscarded, CaGone, CaGranted, CaLeases, CaReady, CaRefused
from .discovery import (
    DiscoveryCandidates,
    DiscoveryClosed,
    DiscoveryHere,
    DiscoveryLearnt,
    DiscoveryOpened,
    DiscoveryReady,
    DiscoveryUnanswered,
)
from .faults import FaultArmed, FaultDisarmed, FaultInjected, FaultOutcome, FaultReady
from .flow import (
    FlowDone,
    FlowFailed,
    FlowQuiet,
    FlowReady,
    FlowUnknownCommand,
)
from .link import (
    AaaExchange,
    EapMessage,
    LinkSignal,
    TriggerFired,
    WpaEvent,
)
from .mip6 import (
    Mip6Acknowledgement,
    Mip6Binding,
    Mip6Bindings,
    Mip6Discarded,
    Mip6KernelFailed,
    Mip6Ready,
    Mip6Refused,
    Mip6Route,
    Mip6Update,
)
from .mobile import (
    HandoverFinished,
    HandoverReady,
    MobileNodeArmed,
    MobileNodeAttached,
    MobileNodeDetached,
    MobileNodeLearnt,
    MobileNodeOpened,
    MobileNodePreauthenticated,
    MobileNodeReady,
    MobileNodeVisited,
)
from .network import (
    DhcpBound,
    DhcpReceived,
    DhcpSent,
    HoldBacklog,
    HoldDiscarded,
    HoldFailed,
    HoldReady,
    HoldReleased,
    HoldStarted,
    Mip4Binding,
    Mip4Bindings,
    Mip4Copies,
    Mip4Discarded,
    Mip4KernelFailed,
    Mip4Ready,
    Mip4Refused,
    Mip4Reply,
    Mip4Request,
)
from .policy import PolicyEvent
from .preauthentication import (
    PreauthAddress,
    PreauthArrived,
    PreauthAuthenticated,
    PreauthClosed,
    PreauthDescribed,
    PreauthDiscarded,
    PreauthDropped,
    PreauthEnded,
    PreauthExpired,
    PreauthFailed,
    PreauthKeys,
    PreauthLeft,
    PreauthMissed,
    PreauthOpened,
    PreauthPrepared,
    PreauthReady,
    PreauthServing,
    PreauthStarted,
)
from .run import (
    PHASES,
    AgentFailed,
    AgentRefused,
    AgentStopped,
    DaemonDied,
    DaemonStarted,
    HostCreated,
    HostRemoved,
    Phase,
    PhaseEnded,
    PhaseOutcome,
    PhaseStarted,
    RunFinished,
    RunResources,
    RunStarted,
    Verdict,
)
from .tunnel import TunnelEvent

AnyEvent = (
    RunStarted
    | RunFinished
    | RunResources
    | PhaseStarted
    | PhaseEnded
    | HostCreated
    | HostRemoved
    | DaemonStarted
    | DaemonDied
    | AgentStopped
    | AgentFailed
    | AgentRefused
    | Verdict
    | LinkSignal
    | TriggerFired
    | WpaEvent
    | EapMessage
    | AaaExchange
    | DhcpSent
    | DhcpReceived
    | DhcpBound
    | Mip4Request
    | Mip4Reply
    | Mip4Ready
    | Mip4Binding
    | Mip4Bindings
    | Mip4Copies
    | Mip4Refused
    | Mip4Discarded
    | Mip4KernelFailed
    | Mip6Update
    | Mip6Acknowledgement
    | Mip6Route
    | Mip6Ready
    | Mip6Binding
    | Mip6Bindings
    | Mip6Refused
    | Mip6Discarded
    | Mip6KernelFailed
    | HoldReady
    | HoldStarted
    | HoldReleased
    | HoldFailed
    | HoldDiscarded
    | HoldBacklog
    | MobileNodeReady
    | MobileNodeVisited
    | MobileNodeOpened
    | MobileNodeAttached
    | MobileNodePreauthenticated
    | HandoverFinished
    | HandoverReady
    | MobileNodeArmed
    | MobileNodeDetached
    | MobileNodeLearnt
    | DiscoveryReady
    | DiscoveryOpened
    | DiscoveryLearnt
    | DiscoveryUnanswered
    | DiscoveryCandidates
    | DiscoveryClosed
    | DiscoveryHere
    | PreauthReady
    | PreauthOpened
    | PreauthClosed
    | PreauthStarted
    | PreauthAuthenticated
    | PreauthKeys
    | PreauthPrepared
    | PreauthFailed
    | PreauthArrived
    | PreauthServing
    | PreauthLeft
    | PreauthMissed
    | PreauthDescribed
    | PreauthDropped
    | PreauthExpired
    | PreauthEnded
    | PreauthDiscarded
    | PreauthAddress
    | AaReady
    | AaStarted
    | AaAuthenticated
    | AaRefused
    | AaState
    | AaAddress
    | AaKey
    | AaPrepared
    | AaRecipient
    | AaServer
    | AaDiscarded
    | AaDeviceKey
    | AaStore
    | AaSessions
    | KeysReady
    | KeysAuthority
    | KeysHeld
    | KeysReleased
    | KeysRefused
    | KeysList
    | EpAccessPoint
    | EpStation
    | CaReady
    | CaGranted
    | CaRefused
    | CaGone
    | CaDiscarded
    | CaLeases
    | TunnelEvent
    | PolicyEvent
    | FlowReady
    | FlowQuiet
    | FaultArmed
    | FaultDisarmed
    | FaultInjected
    | FaultOutcome
    | FaultReady
    | FlowDone
    | FlowFailed
    | FlowUnknownCommand
)
"""Every event type, in the order of the reference."""
TYPES: tuple[type[Event], ...] = get_args(AnyEvent)


def tag(kind: type[Event]) -> str:
    """The ``type`` that a class has in the log."""
    return str(kind.__struct_config__.tag)


__all__ = [
    "PHASES",
    "TYPES",
    "AaAddress",
    "AaAuthenticated",
    "AaDeviceKey",
    "AaDiscarded",
    "AaKey",
    "AaPrepared",
    "AaReady",
    "AaRecipient",
    "AaRefused",
    "AaServer",
    "AaSessions",
    "AaStarted",
    "AaState",
    "AaStore",
    "AaaExchange",
    "AgentFailed",
    "AgentRefused",
    "AgentStopped",
    "AnyEvent",
    "CaDiscarded",
    "CaGone",
    "CaGranted",
    "CaLeases",
    "CaReady",
    "CaRefused",
    "DaemonDied",
    "DaemonStarted",
    "DhcpBound",
    "DhcpReceived",
    "DhcpSent",
    "EapMessage",
    "EpAccessPoint",
    "EpStation",
    "Event",
    "FaultArmed",
    "FaultDisarmed",
    "FaultInjected",
    "FaultOutcome",
    "FaultReady",
    "FlowDone",
    "FlowFailed",
    "FlowQuiet",
    "FlowReady",
    "FlowUnknownCommand",
    "HandoverFinished",
    "HandoverReady",
    "HoldBacklog",
    "HoldDiscarded",
    "HoldFailed",
    "HoldReady",
    "HoldReleased",
    "HoldStarted",
    "HostCreated",
    "HostRemoved",
    "KeysAuthority",
    "KeysHeld",
    "KeysList",
    "KeysReady",
    "KeysRefused",
    "KeysReleased",
    "LinkSignal",
    "Mip4Binding",
    "Mip4Bindings",
    "Mip4Copies",
    "Mip4Discarded",
    "Mip4KernelFailed",
    "Mip4Ready",
    "Mip4Refused",
    "Mip4Reply",
    "Mip4Request",
    "Mip6Acknowledgement",
    "Mip6Binding",
    "Mip6Bindings",
    "Mip6Discarded",
    "Mip6KernelFailed",
    "Mip6Ready",
    "Mip6Refused",
    "Mip6Route",
    "Mip6Update",
    "MobileNodeArmed",
    "MobileNodeAttached",
    "MobileNodeDetached",
    "MobileNodeLearnt",
    "MobileNodeOpened",
    "MobileNodePreauthenticated",
    "MobileNodeReady",
    "MobileNodeVisited",
    "Phase",
    "PhaseEnded",
    "PhaseOutcome",
    "PhaseStarted",
    "PolicyEvent",
    "PreauthAddress",
    "PreauthArrived",
    "PreauthAuthenticated",
    "PreauthClosed",
    "PreauthDescribed",
    "PreauthDiscarded",
    "PreauthDropped",
    "PreauthEnded",
    "PreauthExpired",
    "PreauthFailed",
    "PreauthKeys",
    "PreauthLeft",
    "PreauthMissed",
    "PreauthOpened",
    "PreauthPrepared",
    "PreauthReady",
    "PreauthServing",
    "PreauthStarted",
    "RunFinished",
    "RunResources",
    "RunStarted",
    "TriggerFired",
    "TunnelEvent",
    "Verdict",
    "WpaEvent",
    "tag",
]
