"""Discovery at the mobile node, as a process: `python3 -m mpa_hil.agents.discovery CONFIG.json`.

It asks where the node is, remembers by place, and yields what pre-authentication prepares.

Configuration (JSON object):

    host        its name in the events
    memory      file to remember networks in, over restarts; left out: none

Commands, carried out one after the other:

    open {control}              take up a supplicant                            discovery.opened
    learn {networks, source}    told by others: hexadecimal digits of `discovery.wire`; source
                                `lab-file`, `own-aa` or `other-aa`              discovery.learnt
    lease {agents, dns, lease_s?}  what DHCP named here: AAs, DNS servers       discovery.learnt
    here                        which network is this; ask DNS for its AA       discovery.here
    look {best?}                ask the access points and DNS                   discovery.candidates
    candidates {best?}          without asking                                  discovery.candidates
    close {forget?}             let the supplicant go, and what is known        discovery.closed

A `look` takes a frame or two each way, and a second for each SSID of which the access point knows
no neighbour; so it is done early, not at the switch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from mpa_hil.agents.attending import Commands, attend
from mpa_hil.agents.config import Fields
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.clock import instant
from mpa_hil.discovery import files, names, nearby, wire
from mpa_hil.discovery.cache import Cache, Place
from mpa_hil.discovery.description import Learnt, Source
from mpa_hil.discovery.search import AskAnqp, AskName, AskReport, Question, Search
from mpa_hil.errors import LocalError, MpaError
from mpa_hil.mobility.interface import Address
from radios.control import ControlClient
from radios.neighborhood import Neighborhood
from radios.supplicant import Supplicant

_TOLD = (Source.LAB_FILE.value, Source.OWN_AA.value, Source.OTHER_AA.value)
_WITHOUT = "no supplicant is open"


class DiscoveryProcess:
    """Supplicant, resolver and file round the search."""

    def __init__(self, memory: Path | None, console: Console) -> None:
        self._memory = memory
        self._console = console
        self._search = Search(files.load(memory, instant()) if memory else Cache())
        self._control: ControlClient | None = None
        self._servers: tuple[Address, ...] = ()
        self._commands = Commands(console, "discovery")

    @property
    def remembered(self) -> int:
        """Descriptions that are not expired."""
        return sum(1 for _ in self._search.cache.entries(time.monotonic_ns()))

    def command(self, command: Json) -> None:
        """Take a command; they are carried out one after the other."""
        self._commands.put(command)

    async def obey(self) -> None:
        """Carry commands out."""
        await self._commands.obey(
            {
                "open": self._do_open,
                "learn": self._do_learn,
                "lease": self._do_lease,
                "here": self._do_here,
                "look": self._do_look,
                "candidates": self._do_candidates,
                "close": self._do_close,
            }
        )

    async def shut(self) -> None:
        """Let the supplicant go, and remember."""
        await self._let_go()
        if self._memory is not None:
            files.save(self._memory, self._search.cache, instant())

    async def _do_open(self, fields: Fields) -> None:
        path = fields.text("control")
        fields.done()
        await self._let_go()
        control = ControlClient(path)
        await control.open()
        self._control = control
        place = await self._place(control)
        self._console.emit("discovery.opened", bssid=place.bssid if place else "")

    async def _do_learn(self, fields: Fields) -> None:
        source = Source(fields.choice("source", _TOLD))
        text = fields.text("networks")
        fields.done()
        try:
            networks = wire.decode(bytes.fromhex(text))
        except (ValueError, MpaError) as error:
            raise fields.fault("networks", f"it holds no descriptions: {error}") from error
        now_ns = time.monotonic_ns()
        # The lab file holds everywhere; what an agent says of a place, where it was asked.
        place = None
        if source is not Source.LAB_FILE and self._control is not None:
            place = await self._place(self._control)
        self._search.cache.learn((Learnt(each, source, now_ns) for each in networks), place)
        self._console.emit("discovery.learnt", source=source.value, count=len(networks))

    async def _do_lease(self, fields: Fields) -> None:
        agents, servers = _addresses(fields, "agents"), _addresses(fields, "dns")
        lease_s = fields.integer("lease_s", 0, 0, 2**32 - 1)
        fields.done()
        place = await self._place(self._opened())
        self._servers = servers
        if place is not None:
            # A lease may last for years; a description is good for a day.
            lifetime_s = min(lease_s, 86_400) or None
            self._search.leased(agents, place, time.monotonic_ns(), lifetime_s=lifetime_s)
        self._console.emit("discovery.learnt", source=Source.DHCP.value, count=len(agents))

    async def _do_here(self, fields: Fields) -> None:
        fields.done()
        place = await self._somewhere()
        await self._ask_all(self._search.here(place, time.monotonic_ns()))
        own = self._search.cache.here(time.monotonic_ns(), place)
        if own is None:
            self._console.emit("discovery.here", bssid=place.bssid)
            return
        self._console.emit(
            "discovery.here",
            bssid=place.bssid,
            realm=own.network.realm,
            trust=own.trust.name.lower(),
            networks=wire.encode((own.network,)).hex(),
        )

    async def _do_look(self, fields: Fields) -> None:
        best = fields.integer("best", 0, 0, wire.MAX_NETWORKS)
        fields.done()
        place = await self._somewhere()
        now_ns = time.monotonic_ns()
        self._search.cache.expire(now_ns)
        await self._ask_all(self._search.look(place, now_ns))
        self._tell(place, best)

    async def _do_candidates(self, fields: Fields) -> None:
        best = fields.integer("best", 0, 0, wire.MAX_NETWORKS)
        fields.done()
        self._tell(await self._place(self._opened()), best)

    async def _do_close(self, fields: Fields) -> None:
        forget = fields.truth("forget", False)
        fields.done()
        await self._let_go()
        if forget:
            self._search, self._servers = Search(Cache()), ()
        self._console.emit("discovery.closed")

    async def _ask_all(self, first: Iterable[Question]) -> None:
        asks = Neighborhood(self._opened())
        questions = deque(first)
        while questions:
            questions += await self._ask(asks, questions.popleft())

    async def _ask(self, asks: Neighborhood, question: Question) -> tuple[Question, ...]:
        asked_ns = time.monotonic_ns()
        source, count = _SOURCES[type(question)], 0
        more: tuple[Question, ...] = ()
        try:
            match question:
                case AskReport(ssid):
                    reports = await asks.neighbor_report(ssid)
                    count = len(reports)
                    more = self._search.reported(reports, asked_ns, time.monotonic_ns())
                case AskAnqp(bssid):
                    told = nearby.told(await asks.anqp(bssid, nearby.QUERY))
                    count = len(told.networks) + len(told.reports)
                    more = self._search.told(bssid, told, asked_ns, time.monotonic_ns())
                case AskName():
                    addresses = await names.resolve(question.name, self._servers)
                    count = len(addresses)
                    self._search.named(question, addresses, asked_ns)
        except MpaError as error:
            self._console.emit("discovery.unanswered", source=source, reason=error.what)
            return ()
        duration_ns = time.monotonic_ns() - asked_ns
        self._console.emit("discovery.learnt", source=source, count=count, duration_ns=duration_ns)
        return more

    def _tell(self, place: Place | None, best: int) -> None:
        now_ns = time.monotonic_ns()
        found = self._search.cache.candidates(now_ns, place, best or None) if place else ()
        networks = wire.fitting([each.network for each in found], wire.MAX_OCTETS)
        kept = found[: len(networks)]
        self._console.emit(
            "discovery.candidates",
            bssid=place.bssid if place else "",
            realms=[each.network.realm for each in kept],
            trust=[each.trust.name.lower() for each in kept],
            networks=wire.encode(networks).hex(),
        )

    def _opened(self) -> ControlClient:
        if self._control is None:
            raise LocalError(_WITHOUT, where="discovery", remedy="open one first")
        return self._control

    async def _let_go(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            await control.close()

    async def _somewhere(self) -> Place:
        place = await self._place(self._opened())
        if place is None:
            raise LocalError("the node is on no access point", where="discovery", remedy="join one")
        return place

    async def _place(self, control: ControlClient) -> Place | None:
        status = await Supplicant(control).status()
        if not status.completed or status.bssid is None or not status.ssid:
            return None
        return Place(status.bssid, status.ssid)


_SOURCES: dict[type[Question], str] = {
    AskReport: Source.NEIGHBOR_REPORT.value,
    AskAnqp: Source.ANQP.value,
    AskName: Source.DNS.value,
}


def _addresses(fields: Fields, key: str) -> tuple[Address, ...]:
    def read(texts: Iterable[str]) -> Iterable[Address]:
        for text in texts:
            try:
                yield ip_address(text)
            except ValueError:
                raise fields.fault(key, f"{text!r} is no IP address") from None

    return tuple(read(fields.texts(key)))


async def _serve(config: Json, console: Console) -> None:
    fields = Fields(config, "discovery configuration")
    fields.text("host", "?")
    memory = Path(fields.text("memory")) if fields.has("memory") else None
    fields.done()
    process = DiscoveryProcess(memory, console)
    try:
        console.emit("discovery.ready", remembered=process.remembered)
        await attend(console, process.command, process.obey())
    finally:
        await process.shut()


def serve(config: Json, console: Console) -> None:
    """Run the agent that `config` describes, until told to end."""
    asyncio.run(_serve(config, console))


if __name__ == "__main__":
    main("discovery", serve)
