"""What the MN does ahead of a handover by MPA: find the next network, and prepare for it.

Two of the MN's agents do it, which this commands: discovery, where the scheme has the MN ask for
the next network, and pre-authentication.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from mpa_hil.discovery import wire
from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.lab import holding, mpa_servers, neighbourhood
from mpa_hil.lab.agents import Agent, Event
from mpa_hil.scenario import Domain, Mpa, MpaLevel1, MpaLevel2, Scenario
from radios.errors import RemoteError

BOUND_S = 60.0
"""For what has no deadline of its own: loading a library takes seconds in the guest."""
HANDOVER_S = 120.0
"""For all of a preparation: its parts have limits of their own."""
HOLD_S = 600.0
"""For how long the MN keeps what it has prepared: longer than any run takes."""
_ENDS = ("preauth.prepared", "preauth.failed")


@dataclass(slots=True)
class Preparing:
    """The MN's agents for it.

    Args:
        discovery: None in a lab whose file tells the MN everything.
    """

    scenario: Scenario
    mobile_node: Agent
    preauthentication: Agent
    discovery: Agent | None = None
    frequencies_mhz: dict[str, int] = field(default_factory=dict)
    """Of access points that were discovered in this run, as they were told."""
    _known: set[str] = field(default_factory=set)
    """Realms that the MN has an MPA-SA with, in this run."""
    _control: str = ""
    _since: int = 0

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Those that run beside `mobile_node`."""
        return tuple(filter(None, (self.preauthentication, self.discovery)))

    async def open(self, control: str, since: int) -> None:
        """Take a supplicant up, by its control socket.

        Args:
            since: place in the output of `mobile_node` where it took it up too.
        """
        self._control, self._since = control, since
        self.frequencies_mhz.clear()
        self._known.clear()
        await _ask(self.preauthentication, "open", "preauth.opened", control=control)

    async def close(self, timeout_s: float) -> None:
        """Give everything back that was prepared."""
        await _ask(self.preauthentication, "close", "preauth.closed", timeout_s)

    async def prepare(self, ap: str, options: MpaLevel1) -> None:
        """Pre-authenticate with the network of an access point; returns when keys are in place.

        Raises:
            RemoteError: it failed, or the MN found no such network; says how far it got and why.
        """
        if options.discovers:
            octets = await self._discover(options)
            realm = await self._learn(octets, ap)
        else:
            domain = self.scenario.domain_of(ap)
            octets, realm = mpa_servers.described(self.scenario, domain), domain.realm.lower()
        await self._authenticate(octets, realm, options.deadline_s)

    async def prepare_handover(
        self, ap: str, options: MpaLevel2, *, origin: str, hold: bool
    ) -> None:
        """Take the handover to an access point as far as the scheme does ahead of the switch.

        Args:
            origin: the access point that the MN is on.

        Raises:
            RemoteError: it did not get that far; says why.
        """
        domain = self.scenario.domain_of(ap)
        router = self.scenario.agents_address(domain)
        wanted: dict[str, object] = {
            "network": ap,
            "realm": domain.realm.lower(),
            "ca": f"{router} {mpa_servers.CONFIGURATION_PORT}",
            "ar": f"{router} {mpa_servers.TUNNEL_PORT}",
            "level": 2,
        }
        if isinstance(options, Mpa):
            wanted |= {"level": 3, "protection": options.protection}
        left = self.scenario.domain_of(origin)
        wanted |= holding.command(self.scenario, options, left) if hold else {"hold": "off"}
        if "old_realm" in wanted:
            await self._know(left, options.deadline_s)
        ready = await _ask(self.mobile_node, "prepare", "handover.ready", HANDOVER_S, **wanted)
        if ready["level"] != wanted["level"]:
            what = f"only level {ready['level']} of C.4 was reached: {ready['cause']}"
            raise RemoteError(what, where=domain.realm)

    async def _know(self, domain: Domain, deadline_s: float) -> None:
        """Have an MPA-SA with a network that the MN is in, for a key towards its access router."""
        if domain.realm.lower() not in self._known:
            octets = mpa_servers.described(self.scenario, domain)
            await self._authenticate(octets, domain.realm.lower(), deadline_s)

    async def _discover(self, options: MpaLevel1) -> str:
        """Ask for candidate networks, as the scheme has it; their descriptions, the best first."""
        agent = self.discovery
        assert agent is not None
        await _ask(agent, "open", "discovery.opened", control=self._control)
        try:
            own = neighbourhood.described_at_first(self.scenario)
            await _ask(agent, "learn", "discovery.learnt", networks=own, source="lab-file")
            lease = await self.mobile_node.event("dhcp.bound", BOUND_S, since=self._since)
            named = {"agents": lease["paa"], "dns": lease["dns"], "lease_s": lease["lease_s"]}
            await _ask(agent, "lease", "discovery.learnt", **named)
            if options.discovery == "air":
                found = await _ask(agent, "look", "discovery.candidates")
            else:
                await self._ask_service(agent, options.deadline_s)
                found = await _ask(agent, "candidates", "discovery.candidates")
        finally:
            await _ask(agent, "close", "discovery.closed", forget=True)
        return str(found["networks"])

    async def _ask_service(self, agent: Agent, deadline_s: float) -> None:
        """Ask the AA of the present network under an MPA-SA, and tell what it said to `agent`."""
        here = await _ask(agent, "here", "discovery.here")
        networks, realm = str(here.get("networks", "")), str(here.get("realm", ""))
        if not networks:
            raise RemoteError("the MN does not know which network it is in", where="discovery")
        await self._authenticate(networks, realm, deadline_s)
        wanted = {"realm": realm, "near": here["bssid"]}
        told = await _ask(self.preauthentication, "describe", "preauth.described", **wanted)
        for source, key in (("own-aa", "own"), ("other-aa", "others")):
            if told[key]:
                learn = {"networks": told[key], "source": source}
                await _ask(agent, "learn", "discovery.learnt", **learn)

    async def _learn(self, octets: str, ap: str) -> str:
        """Have `mobile_node` take up what was found; the realm that an access point is in."""
        names = {each.bssid.lower(): each.name for each in self.scenario.aps}
        realm = ""
        for network in _networks(octets):
            for point in network.points:
                name = names.get(point.bssid, point.bssid)
                self.frequencies_mhz[name] = point.frequency_mhz
                realm = network.realm if name == ap else realm
                await _ask(
                    self.mobile_node,
                    "learn",
                    "mobile_node.learnt",
                    network=name,
                    ssid=point.ssid.hex(),
                    bssid=point.bssid,
                    frequency_mhz=point.frequency_mhz,
                    pmf=int(point.pmf),
                )
        if not realm:
            raise RemoteError(f"the MN did not discover {ap}", where="discovery")
        return realm

    async def _authenticate(self, octets: str, realm: str, deadline_s: float) -> None:
        """Prepare networks, and wait for one of them."""
        agent = self.preauthentication
        self._known.add(realm)
        since = agent.count
        await agent.command("prepare", networks=octets, deadline_s=deadline_s, hold_s=HOLD_S)
        ended = await agent.expect(
            lambda line: _ends(line, realm),
            what="preauth.prepared",
            timeout_s=deadline_s + BOUND_S,
            since=since,
        )
        event = json.loads(ended)
        if event["type"] == "preauth.failed":
            what = f"pre-authentication failed {event['stage']}: {event['reason']}"
            raise RemoteError(what, where=event["realm"])


async def _ask(
    agent: Agent, cmd: str, answer: str, timeout_s: float = BOUND_S, **fields: object
) -> Event:
    """Command an agent, and wait for the event that answers."""
    since = agent.count
    await agent.command(cmd, **fields)
    return await agent.event(answer, timeout_s, since=since)


def _ends(line: str, realm: str) -> bool:
    if not any(f'"type":"{kind}"' in line for kind in _ENDS):
        return False
    return bool(json.loads(line)["realm"] == realm)


def _networks(octets: str) -> tuple[CandidateNetwork, ...]:
    return wire.decode(bytes.fromhex(octets))
