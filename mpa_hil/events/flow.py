"""Events of the traffic endpoints (`mpa_hil.traffic.endpoint`)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from .base import Event


class FlowReady(Event, frozen=True, kw_only=True, tag="flow.ready"):
    """A traffic endpoint has all its sockets and waits for its start."""

    pid: Annotated[int, Meta(description="its process id on the box", ge=0)] = 0
    no_timer_slack: Annotated[
        bool, Meta(description="its sleeps end on time; else up to 50 us late")
    ] = True
    send: Annotated[dict[str, int], Meta(description="local port of each flow it sends")] = field(
        default_factory=dict
    )
    receive: Annotated[tuple[int, ...], Meta(description="ports that it receives on")] = ()


class FlowQuiet(Event, frozen=True, kw_only=True, tag="flow.quiet"):
    """A traffic endpoint has nothing left to send; it still receives."""


class FlowDone(Event, frozen=True, kw_only=True, tag="flow.done"):
    """A traffic endpoint wrote its records and ended."""

    output: Annotated[str, Meta(description="record file on the box")] = ""
    sent: Annotated[dict[str, int], Meta(description="packets offered, by flow")] = field(
        default_factory=dict
    )
    refused: Annotated[
        dict[str, int], Meta(description="of those, refused by the kernel (no route), by flow")
    ] = field(default_factory=dict)
    skipped: Annotated[
        dict[str, int], Meta(description="slots that the sender itself missed, by flow")
    ] = field(default_factory=dict)
    received: Annotated[dict[str, int], Meta(description="packets received, by port")] = field(
        default_factory=dict
    )
    dropped: Annotated[dict[str, int], Meta(description="lost in the socket's buffer, by port")] = (
        field(default_factory=dict)
    )


class FlowFailed(Event, frozen=True, kw_only=True, tag="flow.failed"):
    """A traffic endpoint could not go on."""

    error: Annotated[str, Meta(description="what went wrong")]


class FlowUnknownCommand(Event, frozen=True, kw_only=True, tag="flow.unknown_command"):
    """A traffic endpoint was told something that it does not know."""

    command: Annotated[str, Meta(description="the line it was sent")]
