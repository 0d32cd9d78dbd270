"""What the controller has the MN's agents do ahead of a handover, with agents that only answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from mpa_hil import scenario
from mpa_hil.discovery import wire
from mpa_hil.discovery.lab_file import from_scenario
from mpa_hil.lab.agents import Agent
from mpa_hil.lab.preparing import Preparing
from radios.errors import RemoteError

LAB = Path(__file__).parents[2] / "lab_configs" / "fig10.toml"
A, B = from_scenario(scenario.load(LAB))
A_HEX, B_HEX = (wire.encode((each,)).hex() for each in (A, B))
LEASE = {"type": "dhcp.bound", "dns": ["10.1.0.1"], "paa": ["10.1.0.1"], "lease_s": 600}
REALMS = {A_HEX: A.realm, B_HEX: B.realm}

Asked = tuple[str, str]


@dataclass
class Answering:
    """An agent that answers each command with the event that is laid down for it."""

    name: str
    answers: dict[str, dict[str, Any]]
    asked: list[Asked]
    lines: list[str] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    before: list[dict[str, Any]] = field(default_factory=list)
    """Told before the answer to `prepare`."""

    @property
    def count(self) -> int:
        return len(self.lines)

    async def command(self, cmd: str, **fields: Any) -> None:
        self.asked.append((self.name, cmd))
        self.said.append({"cmd": cmd, **fields})
        answer = dict(self.answers[cmd])
        if cmd == "prepare":
            answer = {"realm": REALMS.get(fields["networks"], B.realm), **answer}
            self.lines += [json.dumps(event, separators=(",", ":")) for event in self.before]
        self.lines.append(json.dumps(answer, separators=(",", ":")))

    async def event(self, kind: str, timeout_s: float, *, since: int) -> dict[str, Any]:
        line = await self.expect(lambda line: True, what=kind, timeout_s=timeout_s, since=since)
        event: dict[str, Any] = json.loads(line)
        if event["type"] != kind:
            raise RemoteError(str(event["error"]))
        return event

    async def expect(
        self, matches: Callable[[str], bool], *, what: str, timeout_s: float, since: int
    ) -> str:
        return next(line for line in self.lines[since:] if matches(line))

    def sent(self, cmd: str) -> list[dict[str, Any]]:
        return [each for each in self.said if each["cmd"] == cmd]


@dataclass
class Node:
    """The three agents, and the order in which they were asked."""

    described: scenario.Scenario
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        opened = {"type": "discovery.opened"}
        learnt = {"type": "discovery.learnt"}
        found = {"type": "discovery.candidates", "networks": B_HEX}
        here = {"type": "discovery.here", "realm": A.realm, "networks": A_HEX, "bssid": "x"}
        told = {"type": "preauth.described", "own": A_HEX, "others": B_HEX}
        self.mobile = Answering("mobile", {"learn": {"type": "mobile_node.learnt"}}, self.asked)
        self.mobile.lines.append(json.dumps(LEASE))
        self.early = Answering(
            "preauth",
            {
                "open": {"type": "preauth.opened"},
                "prepare": {"type": "preauth.prepared"},
                "describe": told,
            },
            self.asked,
        )
        self.discovery = Answering(
            "discovery",
            {
                "open": opened,
                "learn": learnt,
                "lease": learnt,
                "here": here,
                "look": found,
                "candidates": found,
                "close": {"type": "discovery.closed"},
            },
            self.asked,
        )
        agents = (cast(Agent, each) for each in (self.mobile, self.early, self.discovery))
        self.preparing = Preparing(self.described, *agents)

    def prepare(self, ap: str = "b1") -> None:
        async def go() -> None:
            await self.preparing.open("/control", 0)
            await self.preparing.prepare(ap, self.described.schemes.mpa_level1)

        asyncio.run(go())

    def verbs(self, name: str) -> list[str]:
        return [cmd for agent, cmd in self.asked if agent == name]


def node(way: str) -> Node:
    return Node(scenario.load(LAB, (f"schemes.mpa-level1.discovery={way}",)))


def test_told_beforehand_nobody_is_asked() -> None:
    it = node("lab-file")
    it.prepare()
    assert it.asked == [("preauth", "open"), ("preauth", "prepare")]
    assert it.early.sent("prepare")[0]["networks"] == B_HEX
    assert it.preparing.frequencies_mhz == {}


def test_by_air_the_access_point_is_asked_and_the_node_learns() -> None:
    it = node("air")
    it.prepare()
    assert it.verbs("discovery") == ["open", "learn", "lease", "look", "close"]
    (own,) = wire.decode(bytes.fromhex(it.discovery.sent("learn")[0]["networks"]))
    assert (own.realm, own.aa) == (A.realm, ())
    assert it.discovery.sent("lease")[0]["agents"] == ["10.1.0.1"]
    assert it.discovery.sent("close")[0]["forget"] is True
    learnt = it.mobile.sent("learn")
    assert [each["network"] for each in learnt] == ["b1", "b2"]
    assert bytes.fromhex(learnt[0]["ssid"]) == b"operator-b"
    assert it.asked.index(("mobile", "learn")) < it.asked.index(("preauth", "prepare"))
    assert it.preparing.frequencies_mhz == {"b1": 2437, "b2": 2462}


def test_the_service_is_asked_under_an_association_with_the_present_network() -> None:
    it = node("service")
    it.prepare()
    assert it.verbs("preauth") == ["open", "prepare", "describe", "prepare"]
    assert [each["networks"] for each in it.early.sent("prepare")] == [A_HEX, B_HEX]
    told = [(each["source"], each["networks"]) for each in it.discovery.sent("learn")[1:]]
    assert told == [("own-aa", A_HEX), ("other-aa", B_HEX)]
    assert "look" not in it.verbs("discovery")


def test_an_access_point_that_was_not_found_ends_it() -> None:
    it = node("air")
    it.discovery.answers["look"]["networks"] = wire.encode(()).hex()
    with pytest.raises(RemoteError, match="did not discover b1"):
        it.prepare()
    assert "prepare" not in it.verbs("preauth")


def test_a_network_nobody_knows_the_name_of_ends_it_and_lets_go() -> None:
    it = node("service")
    it.discovery.answers["here"] = {"type": "discovery.here", "bssid": "x"}
    with pytest.raises(RemoteError, match="which network"):
        it.prepare()
    assert it.verbs("discovery")[-1] == "close"


def test_a_failed_preparation_is_told_with_its_reason() -> None:
    it = node("air")
    it.early.answers["prepare"] = {
        "type": "preauth.failed",
        "stage": "authenticating",
        "reason": "the agent says nothing",
    }
    with pytest.raises(RemoteError, match="authenticating: the agent says nothing"):
        it.prepare()


def test_how_other_networks_fare_ends_nothing() -> None:
    it = node("air")
    failed = {"type": "preauth.failed", "stage": "authenticating", "reason": "silent"}
    it.early.before = [{**failed, "realm": "c.example"}]
    it.prepare()
    it.early.before[0]["realm"] = B.realm
    with pytest.raises(RemoteError, match="silent"):
        it.prepare()


def test_what_is_learnt_of_a_stranger_is_called_by_its_address() -> None:
    """A name that an access point gave it could be that of a network known here."""
    it = node("air")
    stranger = replace(B.points[0], name="a1", bssid="02:00:00:00:0c:01")
    network = replace(B, points=(*B.points, stranger))
    it.discovery.answers["look"]["networks"] = wire.encode((network,)).hex()
    it.prepare()
    assert [each["network"] for each in it.mobile.sent("learn")] == ["b1", "b2", stranger.bssid]
