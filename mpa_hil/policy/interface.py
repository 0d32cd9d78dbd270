"""What a policy is told and what it can decide. Sans-IO.

    node's shell ──Input──▶ Engine ──Input, Situation──▶ Policy
         ▲                    │
         └─────Decision───────┘        and both into the event log: `policy.input`, `policy.decided`

The shell feeds every input to `engine.Engine.feed` and carries out the decisions that come back,
in their order. A decision is a wish: what became of it is told by later inputs (`Holding`,
`Attached`, `SwitchFailed`, ...), never assumed. An engine's decisions depend on nothing but its
settings and the inputs so far, so those inputs, recorded, give the same decisions again (`trace`,
`mpa-hil replay`).

Times are CLOCK_MONOTONIC of the node in ns; they must not decrease, and one that does counts as the
latest one seen. Access points go by the names that the lab file (or discovery) gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mpa_hil.handover.options import Level as Level
from mpa_hil.light import light

from .probing import UNTESTED as UNTESTED
from .probing import Probed as Probed

if TYPE_CHECKING:
    from .situation import Situation

Value = float | int | str | bool | None
"""What `Decision.inputs` holds. Infinite times are None: JSON has no such number."""


# --- inputs -------------------------------------------------------------------------------------


@light
class Sample:
    """One reading of one access point's signal. See `radios.signal` for where readings come from.

    Values that stand for "unknown" (9999, 0, ...) may be left as they came: the engine sorts them
    out (`readings`). A sample that is older than the last one of its access point is ignored.

    Attributes:
        ap: the access point.
        signal_dbm: the newest frame's power, or a driver's mean; None: the radio does not say.
        noise_dbm: the noise floor on its channel; None: unknown.
        snr_db: where the radio tells it and not the noise; None: as signal less noise.
        source: "signal_poll", "cqm", "scan", "beacon_report", "trace", ...
    """

    t_ns: int
    ap: str
    signal_dbm: float | None
    noise_dbm: float | None = None
    snr_db: float | None = None
    source: str = ""


@light
class BeaconLoss:
    """The radio misses beacons of the access point that the node is on.

    Attributes:
        missed: beacons in a row; 0: the source gives no number (CTRL-EVENT-BEACON-LOSS), which
            counts as enough.
    """

    t_ns: int
    ap: str
    missed: int = 0


@light
class Candidate:
    """What is known of one access point before the node is on it.

    Attributes:
        realm: the domain it belongs to; the same as the serving one's: no new domain is entered.
        frequency_mhz: of its primary channel; 0: unknown.
        load: share of time that its channel is busy, 0 to 1 (BSS load element); None: unknown.
        stations: associated there (BSS load element); None: unknown.
        cost: of using it, in the owner's unit; 0: free.
        preference: of its domain by the owner, in dB that it is worth; negative: rather not.
        coverage_m: diameter of its cell (RFC 6252 C.6's D); None: unknown.
        highest: the most that can be prepared there: 0 where it has no AA that we know, 1 where
            there is no CA, 2 no AR.
    """

    ap: str
    realm: str = ""
    frequency_mhz: int = 0
    load: float | None = None
    stations: int | None = None
    cost: float = 0.0
    preference: float = 0.0
    coverage_m: float | None = None
    highest: int = 3


@light
class CandidateSeen:
    """An access point was discovered, or something about it changed."""

    t_ns: int
    candidate: Candidate


@light
class CandidateGone:
    """It is no candidate any more: not heard in a scan of its channel, or withdrawn."""

    t_ns: int
    ap: str


@light
class Attached:
    """The node is on an access point and its packets pass: told at the start, and after each move,
    wherever it ended and whoever wanted it.

    Attributes:
        full_authentication: an EAP run was needed after the switch.
    """

    t_ns: int
    ap: str
    full_authentication: bool = False


@light
class LinkLost:
    """The present access point is gone, unasked."""

    t_ns: int
    ap: str
    cause: str = ""


@light
class Holding:
    """How far an access point is prepared, or what is kept of one that was left. Told at each
    change; `level` 0 and not `under_way`: nothing is held there.

    Attributes:
        level: reached: 1 keys, 2 and address (and tunnel), 3 and bound.
        under_way: more is being prepared at this moment.
        until_ns: when the first part of it is over by itself (keys, lease, tunnel); None: unknown.
        context: it is what was left behind there, not a preparation (RFC 6252 C.1, C.2).
        tunnel: a handover tunnel stands there.
        cause: why no more, if something failed.
    """

    t_ns: int
    ap: str
    level: int
    under_way: bool = False
    until_ns: int | None = None
    context: bool = False
    tunnel: bool = False
    cause: str = ""


Part = Literal[
    "round_trip", "keys", "authentication", "configuration", "tunnel", "binding", "switch"
]
"""What a lead time was measured of: one round trip to the home AAA with processing (C.6's RTT);
installing keys at the target's access points (Tpsk); the whole of step 1, both included; address
(Tconf); tunnel; binding update and answer; from the wish to switch until packets pass."""


@light
class Measured:
    """One part of a preparation took so long.

    Attributes:
        realm: where; "": anywhere, it is the same everywhere (the binding).
    """

    t_ns: int
    part: Part
    took_ns: int
    realm: str = ""


@light
class SwitchFailed:
    """A switch that was wanted did not end at its target; where the node is, `Attached` or
    `LinkLost` tell before or after. A new switch may be wanted from now on.

    Attributes:
        why: "refused", "vanished", "timeout", "cancelled", or a text.
    """

    t_ns: int
    ap: str
    why: str


@light
class Flow:
    """The traffic at this moment.

    Attributes:
        active: somebody is sending or expecting packets.
        spacing_ms: between packets; 0: unknown.
    """

    t_ns: int
    active: bool
    spacing_ms: float = 0.0


@light
class Speed:
    """How fast the node moves (a positioning system, a vehicle bus, the owner). C.6's v."""

    t_ns: int
    m_s: float


@light
class Tick:
    """Time has passed: fed when `Engine.next_deadline` has come; harmless at any other time."""

    t_ns: int


Input = (
    Sample
    | BeaconLoss
    | CandidateSeen
    | CandidateGone
    | Attached
    | LinkLost
    | Holding
    | Measured
    | SwitchFailed
    | Flow
    | Speed
    | Probed
    | Tick
)


# --- decisions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoned:
    """Why: every decision has it.

    Attributes:
        rule: name of the rule that fired; docs/policy.md lists them.
        inputs: every value that it looked at.
    """

    rule: str
    inputs: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepare(Reasoned):
    """Take the target up to this level (C.4), from whatever it is at; not beyond.

    Level 3 makes the tunnel ready for binding, the binding itself waits for `Bind` or `Switch`.
    """

    target: str
    level: Level


@dataclass(frozen=True, slots=True)
class Bind(Reasoned):
    """Binding update for the target's address now, over the present link (step 3).

    Attributes:
        doubtful: the target may change: simultaneous bindings or bicast are wished (R35, R109).
    """

    target: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Switch(Reasoned):
    """Go now, with whatever is ready there (steps 4 to 6). It replaces no other switch: none is
    decided while one is under way, unless the link is lost."""

    target: str


@dataclass(frozen=True, slots=True)
class Return(Reasoned):
    """As `Switch`, to a network whose context is kept: its keys and, if they live, address and
    tunnel are used again, and no EAP run is needed (R108, R113)."""

    target: str


@dataclass(frozen=True, slots=True)
class LetGo(Reasoned):
    """Give back what is prepared or kept there.

    Attributes:
        keep_keys: not the MPA-SA, which is left to its own time limit (R111).
    """

    target: str
    keep_keys: bool = True


@dataclass(frozen=True, slots=True)
class KeepContext(Reasoned):
    """Keep what the left network gave (MPA-SA, address, tunnel) for a quick return (R108).

    Attributes:
        for_ns: so long; then `LetGo` follows.
    """

    target: str
    for_ns: int


@dataclass(frozen=True, slots=True)
class Probe(Reasoned):
    """Find out more, at the price of a hole in the stream.

    Attributes:
        how: "scan" of one channel, or "reachability": a management frame exchange with `target`
            (R83; R84: hold packets at both ends of the link meanwhile).
        target: of a reachability test; of a scan: whom it is meant to find, "" for anybody.
        frequency_mhz: the channel; 0: all that are known.
    """

    how: Literal["scan", "reachability"]
    target: str = ""
    frequency_mhz: int = 0


@dataclass(frozen=True, slots=True)
class Stay(Reasoned):
    """Something spoke for a move, and this spoke against it; or the engine refused a decision.
    Told once for each reason, not at each sample. Nothing is to be done."""

    target: str = ""


Decision = Prepare | Bind | Switch | Return | LetGo | KeepContext | Probe | Stay
Decisions = tuple[Decision, ...]


# --- policies -----------------------------------------------------------------------------------


class Policy(Protocol):
    """Decides. An instance serves one node from start to end and keeps what it needs.

    It must be a pure function of its settings and the inputs so far: no clock, no randomness, no
    order of a set. The situation is the engine's: to be read only, and up to date with the input.
    """

    def decide(self, event: Input, situation: Situation) -> Decisions:
        """What is to be done now that this has happened."""
        ...

    def next_deadline(self) -> int | None:
        """When it wants a `Tick` if nothing happens until then; None: it does not."""
        ...


class PolicyKind(Protocol):
    """How a policy is made; an entry point of the group `mpa_hil.policies` names one.

    Any class will do that has this attribute and makes a `Policy` from an instance of it.

    Attributes:
        Settings: a frozen dataclass whose fields all have defaults, of types float, int, bool, str
            or a Literal of texts; a field's metadata may say `doc`, `least` and `most`
            (`settings.option`).
    """

    Settings: type[Any]

    def __call__(self, settings: Any) -> Policy:
        """A policy for one node."""
        ...
