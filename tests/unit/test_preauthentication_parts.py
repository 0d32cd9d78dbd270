"""The table of states, the link as the supplicant's events tell it, and what the log is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from preparation_world import World, network

from mpa_hil import eventlog
from mpa_hil.agents.config import Fields
from mpa_hil.agents.preauth_eap import read_credentials
from mpa_hil.agents.preauth_telling import Teller
from mpa_hil.agents.stdio import Console
from mpa_hil.errors import LocalError
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.transitions import diagram_text, table_text
from mpa_hil.preauthentication.interface import Ignored, Install, Remove, Transmit
from mpa_hil.preauthentication.link import At, Away, FullEap, LinkWatch
from mpa_hil.preauthentication.preauthentication import Preauthentication
from mpa_hil.preauthentication.states import TABLE, Event, State
from radios.wpa_events import parse_event

PAGE = Path(__file__).parents[2] / "docs" / "preauthentication.md"
B = network(1)


def test_the_page_shows_the_table_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram_text(TABLE)}```\n" in page
    assert table_text(TABLE) in page


def test_every_guard_and_action_is_there_and_used() -> None:
    guards = {"_is_" + row.guard for row in TABLE.rows if row.guard}
    actions = {"_do_" + row.action for row in TABLE.rows}
    there = {name for name in dir(Preauthentication) if name.startswith(("_is_", "_do_"))}
    assert guards | actions == there


def test_every_state_can_be_reached_and_left_and_every_event_matters() -> None:
    reached, grown = {State.INITIAL}, True
    while grown:
        more = {row.exit for row in TABLE.rows if row.exit and reached & set(row.states)}
        grown = not more <= reached
        reached |= more
    assert reached == set(State)
    assert {row.event for row in TABLE.rows} == set(Event)
    for state in set(State) - {State.CLOSING, State.OVER}:
        assert TABLE.at(state, Event.RELEASED), state


LINES = {
    "joining": "<3>Associated with 02:00:00:00:0a:01",
    "eap": "<3>CTRL-EVENT-EAP-STARTED EAP authentication started",
    "connected": "<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:0a:01 completed [id=0]",
    "gone": "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:0a:01 reason=3 locally_generated=1",
    "other": "<3>CTRL-EVENT-BEACON-LOSS",
}
AP = "02:00:00:00:0a:01"


@pytest.mark.parametrize(
    ("names", "changes"),
    [
        ("joining connected", [At(AP)]),
        ("joining eap connected", [FullEap(AP), At(AP)]),
        ("joining connected eap", [At(AP)]),
        ("joining connected gone", [At(AP), Away()]),
        ("joining gone joining eap", [FullEap(AP)]),
        ("gone other gone", []),
        ("eap", []),
    ],
)
def test_where_the_node_is_is_read_off_the_events(names: str, changes: list[object]) -> None:
    watch = LinkWatch()
    said: list[object] = []
    for name in names.split():
        said += watch.receive(parse_event(LINES[name].encode(), 1))
    assert said == changes


def test_a_status_says_it_once() -> None:
    watch = LinkWatch()
    assert watch.set(AP) == (At(AP),)
    assert watch.set(AP) == ()
    assert watch.set(None) == (Away(),)


def events_of(world: World, capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    teller = Teller(Console("preauthentication", "mn"))
    for output in world.said:
        if not isinstance(output, Transmit | Install | Remove):
            teller.tell(output, world.now_ns)
    found = capfd.readouterr().out.splitlines()
    for line in found:
        eventlog.decode(line.encode())
    return [json.loads(line) for line in found]


def test_the_whole_story_is_in_the_log_as_the_log_describes_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    world = World(B)
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=20))
    world.run(1)
    bssid = B.points[0].bssid
    secrets = {key.hex() for key in world.supplicant.values()}
    for change in (FullEap(bssid), At(bssid), Away()):
        world.does(world.mn.link(change, world.now))
        world.run(1)
    world.run(30)
    told = events_of(world, capfd)
    assert [event["type"] for event in told if event["type"] != "preauth.discarded"] == [
        "phase.started",
        "preauth.started",
        "phase.ended",
        "phase.started",
        "preauth.authenticated",
        "preauth.keys",
        "preauth.keys",
        "phase.ended",
        "preauth.prepared",
        "preauth.missed",
        "preauth.arrived",
        "preauth.serving",
        "preauth.left",
        "preauth.ended",
    ]
    assert {event["agent"] for event in told} == {"preauthentication"}
    assert not [secret for secret in secrets if secret in json.dumps(told)]  # A19


def test_failures_are_told_with_their_reason(capfd: pytest.CaptureFixture[str]) -> None:
    world = World(B)
    agent = world.agent(B.realm)
    agent.verdict, agent.rounds = "failure", 2
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=20))
    world.run(1)
    failed = events_of(world, capfd)[-1]
    assert failed["type"] == "preauth.failed"
    assert failed["reason"] == "rejected: the server sent EAP-Failure"


def test_a_flood_of_bad_datagrams_is_no_flood_of_events(
    capfd: pytest.CaptureFixture[str],
) -> None:
    teller = Teller(Console("preauthentication", "mn"))
    source = Endpoint(B.aa[0].address, 716)
    for number in range(2500):
        teller.tell(Ignored("b.example", "forged", source, security=True), 10**6 * number + 10**10)
    told = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event.get("count", 1) for event in told] == [1, 1000, 1000]
    assert told[0]["security"] is True


def test_credentials_are_read_and_faults_name_their_key(tmp_path: Path) -> None:
    gpsk = {"method": "eap-gpsk", "identity": "mn@home.example", "psk": os.urandom(32).hex()}
    made = read_credentials(Fields(gpsk, "eap"))
    assert made.name == "eap-gpsk"
    assert gpsk["psk"] not in repr(made)
    for wrong, words in (
        ({**gpsk, "psk": "00"}, "eap, psk"),
        ({**gpsk, "method": "eap-md5"}, "eap, method"),
        ({**gpsk, "secret": "x"}, "eap, secret"),
        ({"method": "eap-tls", "identity": "m", "ca_cert": str(tmp_path / "no")}, "eap, ca_cert"),
    ):
        with pytest.raises(LocalError) as caught:
            read_credentials(Fields(wrong, "eap"))
        assert words in str(caught.value)
