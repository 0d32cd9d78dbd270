"""irtt's JSON as one-way logs, losses placed where irtt places them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mpa_hil.traffic.figures import first_copies
from mpa_hil.traffic.irtt import client_command, parse, server_command
from radios.errors import RemoteError

MS = 1_000_000
START = 1_700_000_000_000_000_000


def trip(
    number: int, lost: str = "false", delay_ms: float = 5, back_ms: float = 7
) -> dict[str, Any]:
    sent = START + number * 20 * MS
    reached = sent + round(delay_ms * MS)
    client: dict[str, Any] = {"send": {"wall": sent, "monotonic": number}}
    server: dict[str, Any] = {}
    if lost == "false":
        server = {"receive": {"wall": reached}, "send": {"wall": reached + 1000}}
        client["receive"] = {"wall": reached + 1000 + round(back_ms * MS)}
    else:
        client["receive"] = {"wall": 0}
    return {"seqno": number, "lost": lost, "timestamps": {"client": client, "server": server}}


def document(trips: list[dict[str, Any]]) -> bytes:
    params = {"interval": 20 * MS, "length": 60}
    return json.dumps({"config": {"params": params}, "round_trips": trips}).encode()


def test_clean_run() -> None:
    run = parse(document([trip(i) for i in range(10)]), offset_ns=START)
    assert (run.uplink_confounded, run.estimated, run.missed) == (False, 0, 0)
    assert run.downlink.sent_ns[3] == 60 * MS
    assert [a.received_ns - a.sent_ns for a in run.downlink.arrivals] == [5 * MS] * 10
    assert [a.received_ns - a.sent_ns for a in run.uplink.arrivals] == [7 * MS] * 10


def test_losses_by_direction() -> None:
    fates = {2: "true_up", 5: "true_down", 6: "true_down", 8: "true"}
    run = parse(document([trip(i, fates.get(i, "false")) for i in range(10)]))
    down, up = run.downlink, run.uplink
    assert len(down.sent_ns) - len(first_copies(down)) == 2  # 2, and 8 for want of knowledge
    assert len(up.sent_ns) - len(first_copies(up)) == 2  # 5 and 6
    assert run.estimated == 2
    assert run.uplink_confounded
    assert all(a.received_ns - a.sent_ns == 5 * MS for a in down.arrivals)


def test_a_late_request_confounds_the_uplink() -> None:
    assert parse(document([trip(0), trip(1, delay_ms=25)])).uplink_confounded


def test_slots_that_the_timer_left_out_are_counted() -> None:
    assert parse(document([trip(0), trip(1), trip(5)])).missed == 3


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"round_trips": [{}], "config": {}}'])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteError, match="not the JSON of an irtt client"):
        parse(data)


def test_commands() -> None:
    assert server_command("10.0.0.1")[-4:] == ("-b", "10.0.0.1:2112", "-i", "0.5ms")
    command = client_command("10.0.0.1", 99, duration_s=2.5, output="x.json")
    assert "1.0ms" in command
    assert "2.5s" in command
    assert command[-1] == "10.0.0.1:99"
