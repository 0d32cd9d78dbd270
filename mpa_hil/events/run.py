"""Events of a run as a whole: its phases, boxes, daemons and agents."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from .base import Event

Phase = Literal[
    "pre-authentication",
    "key-installation",
    "pre-configuration",
    "tunnel-setup",
    "staging",
    "decision",
    "pre-switching",
    "scan",
    "authentication",
    "association",
    "eap",
    "four-way",
    "arrival",
    "acquisition",
    "dhcp",
    "binding-update",
    "post-switching",
    "return",
    "restoration",
    "clearing",
    "seeking",
    "first-packet",
]
PHASES: tuple[str, ...] = get_args(Phase)
"""Phases of a handover in their order; the first five lie before its trigger."""
PREPARATION: tuple[Phase, ...] = (
    "pre-authentication",
    "key-installation",
    "pre-configuration",
    "tunnel-setup",
    "staging",
)
PhaseOutcome = Literal["done", "failed", "skipped"]


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started"):
    """A run of one scheme begins, on a fresh lab."""

    kind: Annotated[
        Literal["handover", "null", "control", "fault", "policy"],
        Meta(
            description="a handover, a run without a switch, one without holding, or one in which"
            " something goes wrong"
        ),
    ] = "handover"
    seed: Annotated[int, Meta(description="start of this run's random choices")] = 0


class RunFinished(Event, frozen=True, kw_only=True, tag="run.finished"):
    """A run ended, well or not."""

    ok: Annotated[bool, Meta(description="the MN arrived and traffic flowed again")]
    reason: Annotated[str, Meta(description="why not, when not")] = ""


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase.started"):
    """A phase of the handover begins."""

    phase: Annotated[Phase, Meta(description="which phase")]
    cause: Annotated[str, Meta(description="what set it off")] = ""


class PhaseEnded(Event, frozen=True, kw_only=True, tag="phase.ended"):
    """A phase of the handover is over."""

    phase: Annotated[Phase, Meta(description="which phase")]
    outcome: Annotated[PhaseOutcome, Meta(description="how it went")] = "done"
    cause: Annotated[str, Meta(description="what ended it")] = ""


class HostCreated(Event, frozen=True, kw_only=True, tag="host.created"):
    """A box of the lab exists."""

    kind: Annotated[str, Meta(description="namespace or machine")] = "namespace"


class HostRemoved(Event, frozen=True, kw_only=True, tag="host.removed"):
    """A box of the lab is gone, and all that ran on it."""


class RunResources(Event, frozen=True, kw_only=True, tag="run.resources"):
    """What agents and kernels hold after a run with several switches, once the MN is gone."""

    rss_kib: Annotated[
        dict[str, int], Meta(description="resident memory of each agent that stays, KiB")
    ]
    objects: Annotated[
        dict[str, int],
        Meta(description="addresses, routes, tunnels, processes and the like of each box"),
    ]
    left: Annotated[
        list[str], Meta(description="what is there that was not before the run, and what is gone")
    ]


class DaemonStarted(Event, frozen=True, kw_only=True, tag="daemon.started"):
    """A daemon runs."""

    name: Annotated[str, Meta(description="the daemon")]
    pid: Annotated[int, Meta(description="its process id on the box", ge=0)]


class DaemonDied(Event, frozen=True, kw_only=True, tag="daemon.died"):
    """A daemon ended that nobody had stopped: the run fails."""

    name: Annotated[str, Meta(description="the daemon")]
    status: Annotated[int, Meta(description="exit status; negative: the signal that ended it")]
    last: Annotated[str, Meta(description="last lines of its log")] = ""


class AgentStopped(Event, frozen=True, kw_only=True, tag="agent.stopped"):
    """An agent undid what it had done and ends."""


class AgentFailed(Event, frozen=True, kw_only=True, tag="agent.failed"):
    """An agent cannot go on."""

    error: Annotated[str, Meta(description="what happened")]
    where: Annotated[str, Meta(description="file, key, daemon or radio that it happened to")] = ""
    remedy: Annotated[str, Meta(description="what can be done about it")] = ""


class AgentRefused(Event, frozen=True, kw_only=True, tag="agent.refused"):
    """An agent did not carry out a command."""

    command: Annotated[str, Meta(description="the command")]
    reason: Annotated[str, Meta(description="why not")]


class Verdict(Event, frozen=True, kw_only=True, tag="verdict"):
    """What the figures may be trusted for."""

    sound: Annotated[bool, Meta(description="null run clean, control lost, observers agree")]
    reasons: Annotated[tuple[str, ...], Meta(description="why not, when not")] = ()
