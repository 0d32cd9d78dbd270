"""What every event has."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Event(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Fields that every event has."""

    t_ns: Annotated[int, Meta(description="CLOCK_MONOTONIC of the host, nanoseconds", ge=0)]
    host: Annotated[str, Meta(description="box that it happened on", min_length=1)]
    agent: Annotated[str, Meta(description="program that noted it", min_length=1)]
    scheme: Annotated[str, Meta(description="scheme being run; empty outside runs")] = ""
    repeat: Annotated[int, Meta(description="which repeat of the scheme, from 0", ge=0)] = 0
