"""What goes into the mobile node's handover machine and what comes out. Sans-IO.

In:  `Event`s, each with the time and, for the log, a cause. Who feeds them is said at each.
Out: actions, to be carried out at once and in their order, and phase marks (`Handover.marks`), to
     be told when there is time.

One machine is one handover: from the network that the node is on ("old", A) to a target ("new", B).
An action that is answered names the events that answer it. The machine bounds every wait itself
(`next_deadline`, `expire`), so a shell that never answers does not stop it, and answers that come
late, twice or unasked change nothing. The shell keeps addresses, keys and prepared messages: what
they are does not change what is to be done.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

from .options import Hold as Hold
from .options import Level as Level
from .options import Options as Options
from .options import Protection as Protection


class Event(Enum):
    """What can happen. "A" is the old network, "B" the target."""

    # the owner's wishes
    PREPARE = "prepare"
    BIND_WANTED = "bind wanted"
    """Policy: start step 3 now (with `bind_ahead` off)."""
    MORE_WANTED = "more wanted"
    """Policy: `options.level` was raised; go on from what is ready. Another try, too."""
    SWITCH_WANTED = "switch wanted"
    """Policy or trigger: go now, with whatever is ready."""
    CANCEL = "cancel"
    """Stay on A. From the opening of B's port on it is too late and changes nothing."""
    # step 1, by the pre-authentication process
    AUTHENTICATED = "authenticated"
    """MPA-SA, MN-CA key, MN-AR key are here, and B's access point has its key."""
    AUTHENTICATION_FAILED = "authentication failed"
    KEYS_WITHDRAWN = "keys withdrawn"
    """The MPA-SA is over: expired, revoked, ended by B's AA."""
    # step 2, by ConfigurationClient and TunnelClient
    CONFIGURED = "configured"
    CONFIGURATION_FAILED = "configuration failed"
    """Refused (pool exhausted, quota ...) or no answer."""
    LEASE_EXPIRED = "lease expired"
    """The nCoA's, and not renewed."""
    ADDRESS_TAKEN = "address taken"
    """Duplicate: found by the AR on B's link, or by the node itself there."""
    TUNNELLED = "tunnelled"
    """Both ends stand, `mpapht` is made."""
    TUNNEL_REFUSED = "tunnel refused"
    """Or no answer, or the node's own kernel refused."""
    TUNNEL_LOST = "tunnel lost"
    """Its refresh was refused or not answered: the AR died or has forgotten it."""
    STAGED = "staged"
    """What `PrepareSwitch` asked for is there, or what could not be had is done without."""
    STAGE_WANTED = "stage wanted"
    """Policy: the scan is getting old, do it again (`PrepareSwitch`). Not answered when bound."""
    # step 3 (and on B at lower levels), by the mobility protocol
    BOUND = "bound"
    """Home agent (and correspondents) have the nCoA."""
    BINDING_FAILED = "binding failed"
    """Rejected, or no answer to all attempts."""
    # step 4, by the prepared exchange with the access router(s)
    HELD = "held"
    """Every place that was asked holds, and A's link is drained."""
    HOLD_FAILED = "hold failed"
    # step 5, by the supplicant
    PORT_OPEN = "port open"
    """B's, 4-way handshake done."""
    OLD_PORT_OPEN = "old port open"
    """A's, after having been away."""
    EAP_STARTED = "EAP started"
    """A full authentication runs: the key was stale."""
    ASSOCIATION_REFUSED = "association refused"
    """By the network that is being joined; EAP or 4-way handshake failures too."""
    TARGET_VANISHED = "target vanished"
    """The network that is being joined is not there (scan failed, no answer)."""
    LINK_LOST = "link lost"
    """The present PoA is gone, unasked."""
    # step 6
    ARRIVED = "arrived"
    """The AR acknowledged ARRIVED: it has released, and LEAVE came in (uplink drained)."""
    ARRIVAL_UNHEARD = "arrival unheard"
    ACQUIRED = "acquired"
    """An address by B's ordinary means."""
    ACQUISITION_FAILED = "acquisition failed"
    SETTLED = "settled"
    """nCoA and default route are on the physical interface, announced."""
    SERVING = "serving"
    """B's AA knows that it serves the node, or cannot be told."""
    # ways back
    REBOUND = "rebound"
    """The home agent has the oCoA (again)."""
    REBINDING_FAILED = "rebinding failed"
    TUNNEL_DELETED = "tunnel deleted"
    """Own end gone; the AR confirmed, or is given up (its own time limit does it)."""
    ADDRESS_RELEASED = "address released"
    """The CA confirmed, or is given up."""
    TIME_UP = "time is up"
    """Never fed: `expire` does."""

    __hash__ = object.__hash__  # Enum's own is made in Python


# --- actions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Pre-authenticate with B. AUTHENTICATED, AUTHENTICATION_FAILED. At once if it is done."""


@dataclass(frozen=True, slots=True)
class ForgetKeys:
    """Give the MPA-SA with B up, begun or standing. No answer."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Ask B's CA for an address. CONFIGURED, CONFIGURATION_FAILED.

    Attributes:
        decline: the last one was in use: it is to be declined, and another wanted.
    """

    decline: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseAddress:
    """Stop asking the CA, and have it let go of the nCoA. ADDRESS_RELEASED.

    Attributes:
        how: given back to the DHCP server; declined, as a duplicate; or only forgotten by the CA,
            as the node has the lease itself now, under the same client identifier (R51).
    """

    how: Literal["released", "declined", "taken over"] = "released"


@dataclass(frozen=True, slots=True)
class CreateTunnel:
    """Ask B's AR, make the own end. TUNNELLED, TUNNEL_REFUSED, ADDRESS_TAKEN."""

    protection: Protection
    hold: Hold
    bicast: bool


@dataclass(frozen=True, slots=True)
class DeleteTunnel:
    """Stop asking the AR (an answer to `CreateTunnel` that still comes makes no tunnel), remove the
    own end at once, have the AR remove its end. TUNNEL_DELETED.

    On A only after the old binding stands; on B after the nCoA is in direct use.
    """


@dataclass(frozen=True, slots=True)
class StageBinding:
    """Make the kernel objects for the home tunnel from the nCoA. No answer."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Binding update for the nCoA; replaces any other in progress. BOUND, BINDING_FAILED.

    Attributes:
        through_tunnel: by the PHT, on A: send from the nCoA with the answer; else directly, on B:
            send from it at once. An answer of the home agent is then also the proof that B's path
            works both ways.
    """

    through_tunnel: bool


@dataclass(frozen=True, slots=True)
class Rebind:
    """Binding update for the oCoA; replaces any other in progress. REBOUND, REBINDING_FAILED.

    Attributes:
        at_once: there is no tunnel any more, so send from the oCoA now; else with the answer.
    """

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class RetireBinding:
    """Remove the kernel objects for the home tunnel from one care-of address. No answer.

    Attributes:
        old: the oCoA's; else the nCoA's.
    """

    old: bool


@dataclass(frozen=True, slots=True)
class PrepareSwitch:
    """Stage everything that the switch needs: fresh scan of B's channel, prepared datagrams and
    netlink messages, pre-blocked plugs, a collected heap. STAGED. May be asked again."""

    hold: Hold
    bicast: bool


@dataclass(frozen=True, slots=True)
class StartHold:
    """Send the prepared DISABLE (DETAIN, BICAST). HELD, HOLD_FAILED."""

    hold: Hold
    bicast: bool


@dataclass(frozen=True, slots=True)
class TurnUplink:
    """`NodeTunnel.turn`: from the PHT to the blocked path on the physical interface. No answer."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Send the prepared LEAVE, the last packet on the old path. No answer."""


@dataclass(frozen=True, slots=True)
class SelectNetwork:
    """Switch the radio to B. PORT_OPEN, EAP_STARTED, ASSOCIATION_REFUSED, TARGET_VANISHED."""


@dataclass(frozen=True, slots=True)
class ReturnToOld:
    """Switch the radio to A. OLD_PORT_OPEN, and the others of `SelectNetwork`. The oCoA must still
    be on the interface (it is until `DropOld`), or be put there again."""


@dataclass(frozen=True, slots=True)
class SeekAny:
    """Let the supplicant take A or B, whichever appears. PORT_OPEN, OLD_PORT_OPEN."""


@dataclass(frozen=True, slots=True)
class Arrive:
    """Send the prepared ARRIVED from the nCoA until acknowledged (with `Hold.OLD`: have A's router
    forward to the nCoA, too). ARRIVED, ARRIVAL_UNHEARD.

    Attributes:
        marked: LEAVE was sent, so the acknowledgement that says "drained" is waited for; else the
            first one will do: A was gone, and what was on its way up by the tunnel with it.
    """

    hold: Hold
    marked: bool = True


@dataclass(frozen=True, slots=True)
class ReleaseUplink:
    """`NodeTunnel.release`. No answer."""


@dataclass(frozen=True, slots=True)
class TurnBack:
    """On A again: `NodeTunnel.back`, the uplink goes by the PHT. No answer."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Undo `StartHold`: the AR sends what it held into the PHT. No answer is waited for; the shell
    repeats it until acknowledged or until `DeleteTunnel`."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class Settle:
    """nCoA with its prefix onto the physical interface (optimistic DAD), default route, neighbour
    entries, announcement. SETTLED; ADDRESS_TAKEN. Not asked after `Acquire`."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """An address by B's ordinary means (DHCP, router advertisement). ACQUIRED, ACQUISITION_FAILED.

    Attributes:
        decline: the nCoA is in use by another or is ours no more: take it off the interface first.
    """

    decline: bool = False


@dataclass(frozen=True, slots=True)
class LeaveNew:
    """Off B's link again: take what was acquired or settled there off the interface. No answer."""


@dataclass(frozen=True, slots=True)
class NotifyServing:
    """PANA: B's AA becomes the serving one (RFC 5873 s3). SERVING."""


@dataclass(frozen=True, slots=True)
class DropOld:
    """The node lives on B: oCoA, its routes, its DHCP client, detention at A's AR. No answer."""


class Outcome(Enum):
    """Where a handover ended."""

    MOVED = "moved"
    """On B with the new binding."""
    STAYED = "stayed"
    """On A with the old binding."""
    LOST = "lost"
    """Neither network can be joined. `SeekAny` is under way; the machine goes on if one appears."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Told when a preparation is done or falls back: so much is ready for a switch."""

    level: Level
    cause: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more is under way, and nothing is held for the other network.

    Attributes:
        level: what was ready when the node left A; if it did not, the most that ever was.
        confirmed: the home agent acknowledged the binding that the outcome speaks of, or was never
            told another.
        unanswered: what peers did not confirm in time; they have time limits of their own.
    """

    outcome: Outcome
    level: Level
    cause: str
    confirmed: bool = True
    unanswered: tuple[str, ...] = ()


Action = (
    Authenticate
    | ForgetKeys
    | Configure
    | ReleaseAddress
    | CreateTunnel
    | DeleteTunnel
    | StageBinding
    | Bind
    | Rebind
    | RetireBinding
    | PrepareSwitch
    | StartHold
    | TurnUplink
    | Leave
    | SelectNetwork
    | ReturnToOld
    | SeekAny
    | Arrive
    | ReleaseUplink
    | TurnBack
    | Resume
    | Settle
    | Acquire
    | LeaveNew
    | NotifyServing
    | DropOld
    | Ready
    | Finished
)
Actions = tuple[Action, ...]


class PhaseMark(NamedTuple):
    """A phase began (`outcome` empty) or ended; CLOCK_MONOTONIC ns."""

    phase: str
    t_ns: int
    outcome: Literal["", "done", "failed", "skipped"]
    cause: str
