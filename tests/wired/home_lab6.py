"""Home agent, correspondent and mobile node of Mobile IPv6 in namespaces.

    cn ---- home link (2001:db8:1::/64) ---- ha ---- 2001:db8:a::/64, 5 ms ---- mn

The correspondent is on the home link; whether packets go by the tunnel or directly shows in their
headers.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from agent_boxes import Agent, Boxes, run

KEY = "30313233343536373839616263646566"
HA, CN, HOME = "2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::64"
ROUTER = "2001:db8:a::1"
CARE_OF = [f"2001:db8:a::{last}" for last in range(7, 12)]
SHOWS = (
    ("-o", "-6", "addr", "show", "scope", "global"),
    ("-6", "route", "show", "table", "all", "proto", "109"),
    ("-6", "rule", "show"),
    ("-6", "neigh", "show", "proxy"),
    ("xfrm", "state"),
    ("xfrm", "policy"),
)

BINDING = """
import asyncio, json, sys
from ipaddress import IPv6Address
from mpa_hil.agents.attending import Commands, attend
from mpa_hil.agents.binding6 import Binding6
from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.state import KernelState

async def serve():
    console, route = Console("mobile_node", "mn"), RouteSocket()
    state = KernelState(route)
    bound = lambda care_of: print(json.dumps({"bound": str(care_of)}), flush=True)
    failed = lambda why: print(json.dumps({"failed": why}), flush=True)
    binding = Binding6(Fields(json.loads(sys.argv[1]), "test"), state, console, bound, failed)
    async def call(fields):
        verb, care_of = fields.text("verb"), IPv6Address(fields.text("care_of"))
        getattr(binding, verb)(care_of)
    async def end(fields):
        await binding.deregister()
        print(json.dumps({"gone": True}), flush=True)
    commands = Commands(console, "test")
    await attend(console, commands.put, commands.obey({"call": call, "end": end}))
    binding.close()
    state.close()

asyncio.run(serve())
"""


class Lab6(Boxes):
    """The boxes, addressed; `delay` holds packets for 5 ms each way."""

    def __init__(self, folder: Path) -> None:
        super().__init__("cn", "ha", "mn")
        self.folder = folder

    def __enter__(self) -> Lab6:
        super().__enter__()
        self.wire("cn", "home", [f"{CN}/64"], "ha", [f"{HA}/64"])
        addresses = [f"{care_of}/64" for care_of in CARE_OF]
        self.wire("mn", "wan", addresses, "ha", [f"{ROUTER}/64"])
        self.ip("cn", "route", "add", "default", "via", HA)
        self.ip("mn", "route", "add", "default", "via", ROUTER)
        return self

    def wire(self, a: str, port: str, at_a: list[str], b: str, at_b: list[str]) -> None:
        """A veth pair whose ends have the same name, and addresses that are not checked."""
        for box in (a, b):
            # A link-local address that is being checked answers and asks nothing for a second.
            for setting in ("all/disable_ipv6", "default/disable_ipv6", "default/accept_dad"):
                file = f"/proc/sys/net/ipv6/conf/{setting}"
                run(*self.inside(box, "sh", "-c", f"echo 0 >{file}"))
        peer = ("type", "veth", "peer", "name", port, "netns", self._names[b])
        self.ip(a, "link", "add", port, *peer)
        for box, addresses in ((a, at_a), (b, at_b)):
            self.ip(box, "link", "set", port, "up")
            for address in addresses:
                self.ip(box, "addr", "add", address, "dev", port, "nodad")

    def delay(self) -> None:
        for box in ("ha", "mn"):
            netem = ("tc", "qdisc", "add", "dev", "wan", "root", "netem", "delay", "5ms")
            run(*self.inside(box, *netem))

    def agent(self, box: str, module: str, **config: object) -> Agent:
        path = self.folder / f"{module}.json"
        path.write_text(json.dumps({"host": box, **config}))
        process = self.spawn(box, "-m", f"mpa_hil.agents.{module}", str(path))
        return Agent(process, secret=KEY)

    def home_agent(self, expect: str = "mip6.ready", **changes: object) -> Agent:
        config: dict[str, object] = {
            "address": HA,
            "home_interface": "home",
            "mobile_nodes": [{"home_address": HOME, "spi": 256, "key": KEY}],
            "check_s": 0.2,
            **changes,
        }
        agent = self.agent("ha", "home_agent6", **config)
        agent.event(expect)
        return agent

    def correspondent(self) -> Agent:
        agent = self.agent("cn", "correspondent6", address=CN)
        agent.event("mip6.ready")
        return agent

    def mover(self, **changes: object) -> Mover:
        config = {
            "home_address": HOME,
            "home_agent": HA,
            "spi": 256,
            "key": KEY,
            "correspondents": [f"{CN}/128"],
            **changes,
        }
        return Mover(self.spawn("mn", "-c", BINDING, json.dumps(config)))

    def shows(self) -> dict[str, str]:
        """What stands in all kernels."""
        return {
            f"{box}: {' '.join(show)}": self.ip(box, *show)
            for box in ("cn", "ha", "mn")
            for show in SHOWS
        }

    def ping(self, box: str = "cn", to: str = HOME, *options: str) -> str:
        return run(*self.inside(box, "ping", "-c", "2", "-i", "0.2", "-W", "5", *options, to))


class Mover:
    """The mobile node's binding in a process, told what to do."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._agent = Agent(process)
        self._process = process
        self.said: list[dict[str, object]] = []

    def does(self, verb: str, care_of: str) -> None:
        self._agent.command(cmd="call", verb=verb, care_of=care_of)

    def hears(self, key: str, *, fails: bool = False) -> object:
        """The next line with this key; events are passed over and kept."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            said = json.loads(line)
            assert fails or "failed" not in said, said
            assert said.get("type") not in ("agent.failed", "agent.refused"), said
            self.said.append(said)
            if key in said:
                return said[key]
        raise AssertionError(f"it ended before {key}")

    def move(self, care_of: str) -> None:
        """Make, then break: from `register` on until it is bound."""
        self.does("stage", care_of)
        self.does("register", care_of)
        assert self.hears("bound") == care_of

    def end(self) -> None:
        self._agent.command(cmd="end")
        self.hears("gone")
        assert self._agent.end() == 0
