"""`mpa-hil replay`: files in, text or JSON out."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mpa_hil.errors import LocalError

from . import lines, replaying, trace
from .interface import Value
from .rehearsal import Taken, Tally, Terms
from .replaying import Difference, Replay

if TYPE_CHECKING:
    from mpa_hil.scenario import PolicyChoice

_EVENTS = "events.jsonl"
_NS_PER_S = 1_000_000_000
_SIZE_MOST = 1 << 30
"""Octets of a trace; more is no recording of a walk."""


def run(
    path: Path,
    name: str | None,
    overrides: Iterable[str],
    *,
    scheme: str = "",
    repeat: int | None = None,
    start: str = "",
    seed: int | None = None,
    rehearse: bool = False,
    as_json: bool = False,
) -> int:
    """Decide again and print it; 1 if the recorded policy decides otherwise now.

    Raises:
        LocalError: no such file, no trace, no such policy or option.
    """
    terms: Terms | None = None
    wanted = options(overrides)
    if path.suffix == ".toml":
        recording, start, terms, told = _of_lab(path, seed, start)
        if told is not None and name in (None, told.name):
            name, wanted = told.name, {**told.options, **wanted}
    else:
        recording = load(path, scheme, repeat)
    chosen = replaying.choose(recording, name, wanted, str(path))
    result = replaying.replay(recording, chosen, rehearse=rehearse, start=start, terms=terms)
    if as_json:
        print(json.dumps(as_object(result), indent=2))
    else:
        print("\n".join(as_text(result)))
    return 1 if result.difference is not None else 0


def _of_lab(
    path: Path, seed: int | None, start: str
) -> tuple[trace.Trace, str, Terms, PolicyChoice | None]:
    """A lab file's movement, heard by one radio, and the policy that it names."""
    from mpa_hil import scenario

    from . import walks

    lab = scenario.load(path, [] if seed is None else [f"lab.seed={seed}"])
    terms = walks.terms_of(lab)._replace(scans=True)
    return walks.trace_of(lab), start or lab.movement.start, terms, lab.policy


def load(path: Path, scheme: str = "", repeat: int | None = None) -> trace.Trace:
    """A trace from its file, or from a run's event log.

    Raises:
        LocalError: it cannot be read, or is none.
    """
    file = path / _EVENTS if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            first = stream.readline(trace.LINE_MOST)
        if b'"trace"' in first:
            if file.stat().st_size > _SIZE_MOST:
                raise LocalError("too big for a trace", where=str(file), remedy="cut it")
            return trace.read(file.read_bytes(), str(file))
    except OSError as error:
        raise LocalError(
            f"cannot read it: {error.strerror}",
            where=str(file),
            remedy="give a trace, a run's events.jsonl, or a run's folder",
        ) from error
    if b'"type"' not in first:
        raise LocalError(
            "neither a trace nor an event log",
            where=str(file),
            remedy="give a trace, a run's events.jsonl, or a run's folder",
        )
    from mpa_hil import eventlog

    from .records import from_events

    return from_events(eventlog.read(file), str(file), scheme, repeat)


def options(overrides: Iterable[str]) -> dict[str, object]:
    """`--set OPTION=VALUE` as options.

    Raises:
        LocalError: not such a text.
    """
    found: dict[str, object] = {}
    for text in overrides:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise LocalError("not a setting", where=f"--set {text}", remedy="write OPTION=VALUE")
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            found[name.strip()] = value.strip()
    return found


def as_object(result: Replay) -> dict[str, object]:
    """For `--json`."""
    return {
        "policy": result.policy,
        "settings": dict(result.settings),
        "start_ns": result.start_ns,
        "same": result.difference is None if result.checked else None,
        "difference": None if result.difference is None else _difference(result.difference),
        "figures": None if result.tally is None else figures(result.tally),
        "decisions": [
            {"t_s": _seconds(each, result), "t_ns": each.t_ns} | lines.tell_decision(each.decision)
            for each in result.decisions
        ],
    }


def figures(tally: Tally) -> dict[str, object]:
    """What came of a rehearsal."""
    return {
        "moves": tally.moves,
        "ping_pongs": tally.ping_pongs,
        "failed_switches": tally.failed,
        "link_losses": tally.link_losses,
        "full_authentications": tally.full_authentications,
        "dark_ms": round(tally.dark_ns / 1e6, 3),
        "moves_by_level": {str(level): count for level, count in sorted(tally.levels.items())},
        "prepared_steps": tally.prepared,
        "wasted_steps": tally.wasted,
        "signalling_bytes": tally.octets,
        "wasted_bytes": tally.wasted_octets,
        "scans": tally.scans,
    }


def as_text(result: Replay) -> Iterator[str]:
    """For people."""
    yield f"policy {result.policy}"
    for each in result.decisions:
        decision = each.decision
        name = str(lines.tell_decision(decision)["decision"])
        level = getattr(decision, "level", None)
        what = f"{name} {int(level)}" if level is not None else name
        yield (
            f"{_seconds(each, result):10.3f} s  {what:12}  {decision.target:10}  "
            f"{decision.rule:22}  {_values(decision.inputs)}"
        ).rstrip()
    if result.tally is not None:
        yield ""
        yield "rehearsed on the recorded signals:"
        for name, value in figures(result.tally).items():
            shown = _values(value) if isinstance(value, dict) else value
            yield f"  {name.replace('_', ' '):22}  {shown}"
    elif result.difference is not None:
        yield ""
        yield from _told(result.difference, result.start_ns)
    else:
        yield ""
        yield f"the same {len(result.decisions)} decisions as recorded"


def _told(difference: Difference, start_ns: int) -> Iterator[str]:
    at_s = (difference.t_ns - start_ns) / _NS_PER_S
    yield f"not what was recorded: first at input {difference.step}, {at_s:.3f} s"
    for title, decisions in (("recorded", difference.recorded), ("now", difference.now)):
        if not decisions:
            yield f"  {title}: nothing"
        for decision in decisions:
            told = lines.tell_decision(decision)
            yield f"  {title}: {json.dumps(told, ensure_ascii=False)}"


def _difference(difference: Difference) -> dict[str, object]:
    return {
        "input": difference.step,
        "t_ns": difference.t_ns,
        "recorded": [lines.tell_decision(each) for each in difference.recorded],
        "now": [lines.tell_decision(each) for each in difference.now],
    }


def _seconds(each: Taken, result: Replay) -> float:
    return (each.t_ns - result.start_ns) / _NS_PER_S


def _values(inputs: Mapping[str, Value]) -> str:
    return " ".join(f"{name}={'-' if value is None else value}" for name, value in inputs.items())


__all__ = ["as_object", "as_text", "figures", "load", "options", "run"]
