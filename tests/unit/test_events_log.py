"""The event log: what is accepted, its order, and that the reference is current."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil import eventlog, events, reference
from radios.errors import LocalError, RemoteError

DOCS = Path(__file__).parents[2] / "docs"


def line(**fields: object) -> bytes:
    base = {"t_ns": 1, "host": "mn", "agent": "supplicant"}
    return json.dumps({**base, **fields}).encode()


def host_created(t_ns: int, host: str = "mn") -> events.HostCreated:
    return events.HostCreated(t_ns=t_ns, host=host, agent="experiment")


def test_a_line_of_an_agent() -> None:
    event = eventlog.decode(line(type="mip4.reply", code=133, lifetime_s=300))
    assert event == events.Mip4Reply(
        t_ns=1, host="mn", agent="supplicant", code=133, lifetime_s=300
    )


def test_defaults_are_left_out() -> None:
    assert eventlog.encode(host_created(7)) == (
        b'{"type":"host.created","t_ns":7,"host":"mn","agent":"experiment"}\n'
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "not an event"),
        (b"hello", "not an event"),
        (b"[]", "not an event"),
        (b"\xff\xfe", "not an event"),
        (line(type="mip4.reply"), "missing required field `code`"),
        (line(type="mip4.reply", code=0, colour="red"), "unknown field `colour`"),
        (line(type="mip4.reply", code=256), "<= 255"),
        (line(type="mip4.replie", code=0), "Invalid value 'mip4.replie'"),
        (line(code=0), "missing required field `type`"),
        (line(type="host.removed", t_ns=-1), ">= 0"),
        (line(type="host.removed", t_ns="now"), "Expected `int`"),
        (line(type="phase.started", phase="lunch"), "Invalid enum value 'lunch'"),
        (b" " * (eventlog.LINE_LIMIT + 1), "octets"),
    ],
)
def test_refused_lines(text: bytes, what: str) -> None:
    with pytest.raises(RemoteError) as caught:
        eventlog.decode(text, where="mn, supplicant")
    assert caught.value.exit_code == 1
    assert caught.value.where == "mn, supplicant"
    assert what in caught.value.what
    assert caught.value.remedy


@given(st.binary(max_size=200))
def test_any_octets_are_an_event_or_a_remote_error(text: bytes) -> None:
    with contextlib.suppress(RemoteError):
        assert isinstance(eventlog.decode(text), events.Event)


@given(st.lists(st.tuples(st.integers(0, 9), st.text(min_size=1, max_size=3)), max_size=30))
def test_the_log_is_in_order_of_time_and_stable(stamps: list[tuple[int, str]]) -> None:
    log = eventlog.EventLog()
    log.extend(host_created(t_ns, host) for t_ns, host in stamps)
    assert len(log) == len(stamps)
    assert [(event.t_ns, event.host) for event in log] == sorted(stamps, key=lambda s: s[0])


def test_appending_while_reading() -> None:
    log = eventlog.EventLog()
    log.append(host_created(1))
    for event in log:
        log.append(host_created(event.t_ns - 1))
    assert [event.t_ns for event in log] == [0, 1]


def test_merge_keeps_the_order_of_its_arguments_at_one_instant() -> None:
    merged = eventlog.merge(
        [host_created(1, "a"), host_created(3, "a")],
        [host_created(1, "b"), host_created(2, "b")],
    )
    assert [(event.t_ns, event.host) for event in merged] == [
        (1, "a"),
        (1, "b"),
        (2, "b"),
        (3, "a"),
    ]


def test_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = eventlog.EventLog()
    log.extend([host_created(2), host_created(1)])
    log.append(events.TriggerFired(t_ns=3, host="mn", agent="x", rule="r", inputs={"dbm": -80.5}))
    log.write(path)
    assert list(eventlog.read(path)) == list(log)


def test_a_bad_line_of_a_log_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(eventlog.encode(host_created(1)) + b"\n{}\n")
    with pytest.raises(LocalError, match="not an event") as caught:
        list(eventlog.read(path))
    assert caught.value.where == f"{path}, line 3"


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot read the event log") as caught:
        list(eventlog.read(tmp_path / "events.jsonl"))
    assert "run's folder" in caught.value.remedy


def test_types_are_unique_documented_and_all_in_the_union() -> None:
    def below(kind: type) -> set[type]:
        return {kind, *(k for inner in kind.__subclasses__() for k in below(inner))}

    assert below(events.Event) - {events.Event} == set(events.TYPES)
    tags = [events.tag(kind) for kind in events.TYPES]
    assert len(set(tags)) == len(tags)
    for kind in events.TYPES:
        assert kind.__doc__
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        for entry in info.fields:
            assert reference.shape.description(entry.type), f"{kind.__name__}.{entry.name}"


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_the_reference_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == reference.PAGES[name](), (
        "run: python -m mpa_hil.reference"
    )
