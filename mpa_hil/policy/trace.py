"""Traces: what a policy was told and what it decided, as JSON Lines. Sans-IO.

The first line is the header:

    {"trace":1,"policy":"default","settings":{"dwell_s":5.0},"note":"corridor, run 3"}

Each further line is an input or, after the input that caused it, a decision (`lines`). A recording
without a policy, of signals alone, has an empty `policy` and no decisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mpa_hil.errors import DecodeError, LocalError

from . import lines
from .interface import Decision, Decisions, Input

VERSION = 1
LINE_MOST = 1 << 16
"""Octets in one line."""
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode
_REMEDY = "docs/policy.md says what a trace looks like"


@dataclass(frozen=True, slots=True)
class Header:
    """What a trace is of.

    Attributes:
        policy: name of the policy that decided; "": none did.
        settings: its options, all of them.
        note: for people.
    """

    policy: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """An input, and what was decided on it."""

    event: Input
    decisions: Decisions = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole recording."""

    header: Header
    steps: tuple[Step, ...]


def write(trace: Trace) -> bytes:
    """A trace as a file."""
    out = [header_line(trace.header)]
    for step in trace.steps:
        out.append(input_line(step.event))
        out += (decision_line(step.event.t_ns, each) for each in step.decisions)
    return b"".join(out)


def header_line(header: Header) -> bytes:
    """The first line of a trace that is written as it happens."""
    return _line(
        {
            "trace": VERSION,
            "policy": header.policy,
            "settings": dict(header.settings),
            "note": header.note,
        }
    )


def input_line(event: Input) -> bytes:
    """An input's line."""
    return _line(lines.tell(event))


def decision_line(t_ns: int, decision: Decision) -> bytes:
    """A decision's line."""
    return _line({"kind": lines.DECIDED, "t_ns": t_ns, **lines.tell_decision(decision)})


def read(content: bytes, where: str) -> Trace:
    """A trace from a file's content.

    Args:
        where: the file's name, for errors.

    Raises:
        LocalError: it is none; file and line are named.
    """
    steps: list[Step] = []
    header: Header | None = None
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            if header is None:
                header = decode_header(line)
            else:
                _take(decode(line), steps)
        except DecodeError as error:
            place = f"{where}, line {number}" + (f", {error.where}" if error.where else "")
            raise LocalError(error.what, where=place, remedy=error.remedy or _REMEDY) from error
    if header is None:
        raise LocalError("an empty file is no trace", where=where, remedy=_REMEDY)
    return Trace(header, tuple(steps))


def decode_header(line: bytes) -> Header:
    """A trace's first line.

    Raises:
        DecodeError: it is none.
    """
    told = _object(line)
    if told.get("trace") != VERSION or isinstance(told.get("trace"), bool):
        raise DecodeError(
            f"no trace's first line: {line[:60].decode('utf-8', 'replace')}",
            remedy=f'it begins with {{"trace":{VERSION},...}}',
        )
    policy, settings = told.get("policy", ""), told.get("settings", {})
    note = told.get("note", "")
    extra = sorted(told.keys() - {"trace", "policy", "settings", "note"})
    if extra:
        raise DecodeError("unknown field", where=extra[0][:40], remedy=_REMEDY)
    if not (isinstance(policy, str) and isinstance(settings, dict) and isinstance(note, str)):
        raise DecodeError("policy or note is no text, or settings no object", remedy=_REMEDY)
    return Header(policy, settings, note)


def decode(line: bytes) -> Input | tuple[int, Decision]:
    """A further line: an input, or a decision with its time.

    Raises:
        DecodeError: it is none of them.
    """
    told = _object(line)
    if told.get("kind") != lines.DECIDED:
        return lines.hear(told)
    del told["kind"]
    t_ns = told.pop("t_ns", None)
    if not isinstance(t_ns, int) or isinstance(t_ns, bool) or t_ns < 0:
        raise DecodeError("a decision without a time", where="t_ns", remedy=_REMEDY)
    return t_ns, lines.hear_decision(told)


def joined(steps: Iterable[Input | tuple[int, Decision]]) -> tuple[Step, ...]:
    """Inputs and decisions in order, as steps.

    Raises:
        DecodeError: a decision before the first input.
    """
    out: list[Step] = []
    for step in steps:
        _take(step, out)
    return tuple(out)


def signals(trace: Trace) -> Iterator[Input]:
    """The inputs that are not the node's own doing, in order of time."""
    for step in trace.steps:
        if isinstance(step.event, OUTSIDE):
            yield step.event


OUTSIDE = tuple(
    lines.INPUTS[kind]
    for kind in ("sample", "beacon-loss", "candidate", "gone", "measured", "flow", "speed")
)
"""What happens whatever the policy decides."""


def _take(step: Input | tuple[int, Decision], steps: list[Step]) -> None:
    if not isinstance(step, tuple):
        steps.append(Step(step))
        return
    if not steps:
        raise DecodeError("a decision before the first input", remedy=_REMEDY)
    last = steps[-1]
    steps[-1] = Step(last.event, (*last.decisions, step[1]))


def _line(told: Mapping[str, object]) -> bytes:
    return _encode(told).encode() + b"\n"


def _object(line: bytes) -> dict[str, object]:
    if len(line) > LINE_MOST:
        raise DecodeError(f"a line of {len(line)} octets", remedy=f"{LINE_MOST} at most")
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"no JSON: {error}", remedy=_REMEDY) from error
    if not isinstance(told, dict):
        raise DecodeError("no JSON object", remedy=_REMEDY)
    return told
