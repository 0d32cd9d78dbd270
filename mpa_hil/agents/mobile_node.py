"""The mobile node as a process: `python3 -m mpa_hil.agents.mobile_node CONFIG.json` on its box.

Configuration (JSON object):

    host          its name in the events
    interface     the wireless one
    workdir       a folder for the DHCP client's files
    networks      by access point: {ssid, bssid, frequency_mhz, pmf, psk?}; without psk: EAP-TLS
    eap_tls       {identity, ca_cert, client_cert, private_key, server_domain}, where one needs it
    mobility      {home_address, home_agent, spi, key, lifetime_s, correspondents}, or absent
    mobility6     instead: the same of IPv6, {..., route_optimisation, optimise}; `agents.binding6`
    hold_key      shared with the access router's hold agent, or absent
    mpa           {keyring, mac}: socket for the keys, address of the interface; or absent
    wishes        socket of `preauthentication` for what a policy wants prepared, or absent

Commands, one after the other, each answered by an event:

    open {control, networks?}           take over a supplicant        mobile_node.opened
    learn {network, ssid, bssid, frequency_mhz, pmf}  one more AP     mobile_node.learnt
    visit {network}                     join and leave, for practice  mobile_node.visited
    attach {network, LAYER3, route_optimisation?}  join, get an address, bind  mobile_node.attached
    preauthenticate {network}           802.11i's, by the present AP  mobile_node.preauthenticated
    prepare {network, realm, ca, ar, level, ...}  make a handover ready  handover.ready
    arm {network, leave_dbm, LAYER3, scan?, fresh_scan?, hold?, roam?}  mobile_node.armed
    pilot {policy, places, ...}         have a policy decide          pilot.began
    land                                have it decide no more        pilot.landed
    close                               give all of it back           mobile_node.detached

`open` names the configured networks to know (none named: all), `learn` one that was discovered, its
SSID in hexadecimal digits; the credentials are the node's own (`eap_tls`).

`prepare` goes through the steps of RFC 6252 s6.3 as far as `level` (1 to 3) says; `ca` and `ar` are
"ADDRESS PORT". With it go minimum, protection (esp, plain, wireguard), bicast, and what
`agents.hold_fields` has about holding. `arm` then moves by that handover, which ends in
`handover.finished`.

`pilot` has a policy decide what is prepared, and when the node moves where; see
`agents.pilot_config` and docs/pilot.md. `land` waits for the end of a switch.

LAYER3 is {rapid_commit, keep_address?, same_link?} for DHCP (keep_address: also without a carrier;
same_link: the next access point is on the same link), or {static, router, router_mac}: address with
prefix length, default router and its link-layer address. Armed, the node moves by itself once the
supplicant tells that the signal fell below `leave_dbm`: `trigger.fired`, then the phases one by
one. The handover is over for the node when `phase.started` of `first-packet` is told.

    scan          frequencies (MHz) that the switch may scan; empty: all
    fresh_scan    scan them now, so that the switch need not
    hold          hold both directions during the switch
    roam          by ROAM within the present network block, for APs of one SSID
    returns       whatever is prepared, take the old network back when the new one will not do
    lead_us       begin so that so many microseconds later the kernel ticks (`agents.tick`)

At the switch the supplicant's events are only noted, and worked out when the link is up again.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mpa_hil.agents.attending import Commands, Verb, attend
from mpa_hil.agents.config import Fields
from mpa_hil.agents.layer3 import Layer3
from mpa_hil.agents.layer3_plan import Plan
from mpa_hil.agents.moving import Moving
from mpa_hil.agents.networks import Networks
from mpa_hil.agents.node_link import NodeLink
from mpa_hil.agents.node_watch import NodeWatch
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.agents.switch_hold import SwitchHold, switch_hold
from mpa_hil.agents.switch_log import SwitchLog
from mpa_hil.agents.tick import align
from mpa_hil.handover.link_phases import Mark
from radios import wpa_events
from radios.errors import LocalError, MpaError
from radios.supplicant import Supplicant
from radios.wpa_events import parse_event

if TYPE_CHECKING:
    from mpa_hil.agents.pilot_node import Piloting

_PREAUTHENTICATION_BOUND_S = 30.0
_HYSTERESIS_DB = 2
_COLLECT = (50_000, 20, 100)
"""Thresholds of the cycle collector; before each switch it is run by hand."""
_SIGNAL_CHANGE = wpa_events.SIGNAL_CHANGE.encode()
_CONNECTED = wpa_events.CONNECTED.encode()


class MobileNodeProcess:
    """The node's link, address and binding, driven by commands and by the supplicant's events."""

    def __init__(self, fields: Fields, console: Console) -> None:
        self._console = console
        self._interface = fields.text("interface")
        workdir = fields.text("workdir")
        self._link = NodeLink(Networks(fields), self._interface, console)
        self._layer3 = Layer3(fields, self._interface, workdir, console, self)
        self._hold_key = fields.key("hold_key", 16) if fields.has("hold_key") else b""
        self._mpa: Moving | None = None
        if fields.has("mpa"):
            self._mpa = Moving(fields.inner("mpa"), self._interface, self._layer3, self, console)
        self._wishes = fields.text("wishes") if fields.has("wishes") else ""
        fields.done()
        self._present = ""
        self._piloting: Piloting | None = None
        self._log = SwitchLog(console, self)
        self.phase = self._log.phase
        self.stage = self._link.stage
        self.seek = self._link.seek
        self.bssid = self._link.bssid
        self._armed: Plan | None = None
        self._moving: Plan | None = None
        self._threshold_dbm = 0
        self._lead_ns = 0
        self._select = b""
        self._hold: SwitchHold | None = None

    # --- commands

    async def open(self, fields: Fields) -> None:
        """Connect to a supplicant and give it the networks that the node knows."""
        path, known = fields.text("control"), fields.texts("networks")
        fields.done()
        networks = await self._link.open(path, known, self._on_event)
        self._console.emit("mobile_node.opened", networks=networks)

    async def learn(self, fields: Fields) -> None:
        """Take up an access point that was discovered."""
        name = self._link.networks.learn(fields)
        await self._link.add(name)
        self._console.emit("mobile_node.learnt", network=name)

    async def visit(self, fields: Fields) -> None:
        """Join an access point and leave it, so that nothing there happens for the first time."""
        name = self._network(fields)
        fields.done()
        await self._link.visit(name)
        self._console.emit("mobile_node.visited", network=name)

    async def attach(self, fields: Fields) -> None:
        """Join a network from nothing."""
        name = self._network(fields)
        plan = Plan.read(fields)
        if fields.has("route_optimisation"):
            self._layer3.optimise(fields.truth("route_optimisation", False))
        fields.done()
        await self._link.join_from_nothing(name)
        self._present = name
        address = await self._layer3.settle(plan)
        bound = self._layer3.bound
        self._console.emit("mobile_node.attached", network=name, address=address, bound=bound)

    async def prepare(self, fields: Fields) -> None:
        """Make a handover by RFC 6252 ready."""
        if self._mpa is None:
            raise LocalError("this node was not set up for it", where="mobile_node, mpa")
        await self._mpa.prepare(fields, self._network(fields), self._present)

    async def preauthenticate(self, fields: Fields) -> None:
        """802.11i pre-authentication with an access point of the present network."""
        name = self._network(fields)
        fields.done()
        self.phase("pre-authentication", time.monotonic_ns(), cause="command")
        try:
            end = await self._link.supplicant.preauthenticate_and_wait(
                self._link.bssid(name), timeout_s=_PREAUTHENTICATION_BOUND_S
            )
        except MpaError as error:
            self.phase("pre-authentication", time.monotonic_ns(), "failed", str(error))
            raise
        self.phase("pre-authentication", end.t_ns, "done", end.text)
        self._console.emit("mobile_node.preauthenticated", network=name)

    async def arm(self, fields: Fields) -> None:
        """Prepare for a move, and move when the signal falls."""
        supplicant = self._link.supplicant
        name = self._network(fields)
        threshold_dbm = fields.integer("leave_dbm", None, -127, -1)
        plan = Plan.read(fields)
        scan = fields.integers("scan")
        fresh = fields.truth("fresh_scan", False)
        hold = fields.truth("hold", False)
        roam, returns = fields.truth("roam", False), fields.truth("returns", False)
        self._lead_ns = 1000 * fields.integer("lead_us", 0, 0, 1_000_000)
        fields.done()
        if hold:
            if self._hold is None:
                own = self._hold_key, self._interface, self._console
                self._hold = switch_hold(plan, *own, lambda _: self._switch())
            self._hold.prepare()
        if fresh and self._mpa is not None:
            await self._mpa.quietly(supplicant.scan_and_wait(scan))
        elif fresh:
            await supplicant.scan_and_wait(scan)
        else:
            await supplicant.bss_flush()
        self._select = self._link.select_command(name, scan)
        if roam:
            await self._link.allow_roaming()
            self._select = Supplicant.roam_command(self._link.bssid(name))
        if self._mpa is not None and returns:
            self._mpa.stand_by(name, self._present)
        self._threshold_dbm = threshold_dbm
        self._armed = plan
        gc.collect()
        await self._link.monitor(threshold_dbm, _HYSTERESIS_DB)
        self._console.emit("mobile_node.armed", network=name, leave_dbm=threshold_dbm)

    async def pilot(self, fields: Fields) -> None:
        """Have a policy decide from now on."""
        if self._mpa is None or not self._wishes:
            raise LocalError("this node was not set up for it", where="mobile_node, wishes")
        if self._piloting is None:
            from mpa_hil.agents.pilot_node import Piloting  # costs the guest a second

            what = self._layer3, self._mpa, self._console, self._interface, self._wishes
            self._piloting = Piloting(self, self._link, *what)
        await self._piloting.pilot(fields, self._present)

    async def land(self, fields: Fields) -> None:
        """Have the policy decide no more."""
        if self._piloting is None:
            raise LocalError("there is no pilot", where="mobile_node", remedy="begin one first")
        await self._piloting.land(fields)

    async def close(self, fields: Fields | None = None) -> None:
        """Give binding, address and supplicant back; nothing open is fine."""
        if fields is not None:
            fields.done()
        self._armed = self._moving = None
        if self._hold is not None:
            self._hold.close()
            self._hold = None
        if self._piloting is not None:
            await self._piloting.leave()
        if self._mpa is not None:
            await self._mpa.leave()
        await self._layer3.leave()
        if self._link.is_open:
            self._log.flush()
            await self._link.close()
        self._console.emit("mobile_node.detached")

    async def shut(self) -> None:
        """Take everything out of the kernel."""
        try:
            if self._link.is_open:
                await self.close()
        finally:
            if self._piloting is not None:
                self._piloting.close()
            if self._mpa is not None:
                self._mpa.close()
            self._layer3.close()

    # --- what others tell

    def settled(self, plan_began: bool) -> None:
        """Called by `Layer3` when packets flow both ways on the new network."""
        if plan_began:
            self._moving = None
            self._log.note(time.monotonic_ns(), Mark("first-packet", time.monotonic_ns()))

    def failed(self, what: str) -> None:
        """Called by `Layer3` when it cannot go on."""
        self._console.emit("agent.failed", error=what, where="mobile_node")

    @property
    def busy(self) -> bool:
        """Whether a switch is on its way (`switch_log.Teller`)."""
        teller = self._piloting or self._mpa
        return teller is not None and teller.busy

    def tell(self) -> None:
        """Tell what was noted (`switch_log.Teller`)."""
        teller = self._piloting or self._mpa
        if teller is not None:
            teller.tell()

    def join(self, network: str) -> None:
        """A handover wants the supplicant to join an access point (`moving.Link`)."""
        self._select = self._link.staged(network)
        self._switch()

    def through(self, network: str) -> None:
        """In a handover packets pass both ways on another network (`moving.Link`)."""
        self._present = network
        self._log.note(time.monotonic_ns(), Mark("first-packet", time.monotonic_ns()))

    def _network(self, fields: Fields) -> str:
        return fields.choice("network", self._link.names)

    # --- the switch

    def _on_event(self, t_ns: int, datagram: bytes) -> None:
        """Note an event; act on the two that cannot wait."""
        self._log.note(t_ns, datagram)
        if self._armed is not None and _SIGNAL_CHANGE in datagram:
            self._signal(t_ns, datagram)
        elif _CONNECTED in datagram:
            self._link.when_open(lambda: self._on_open_port(t_ns, datagram))
        elif self._piloting is not None and self._piloting.active:
            self._piloting.receive(t_ns, datagram)
        elif self._mpa is not None:
            self._mpa.receive(datagram)

    def _signal(self, t_ns: int, datagram: bytes) -> None:
        event = parse_event(datagram, t_ns)
        level = event.integer("signal")
        if level is None or level >= self._threshold_dbm:
            return
        plan, self._armed = self._armed, None
        if self._mpa is not None and self._mpa.under_way:
            self._align(self._mpa.round_trip_ns)
            decided_ns = time.monotonic_ns()
            self._mpa.go()
            self._log.note(decided_ns, Mark("decision", decided_ns, "done"))
        else:
            self._moving = plan
            self._align(0)
            self._begin()
        self._console.emit(
            "trigger.fired",
            t_ns,
            rule="signal-below",
            inputs={"signal_dbm": level, "leave_dbm": self._threshold_dbm},
        )
        self.phase("decision", t_ns, cause=event.name)

    def _align(self, round_trip_ns: int) -> None:
        if self._lead_ns:
            align(self._lead_ns + round_trip_ns)

    def _begin(self) -> None:
        if self._hold is not None:
            self._hold.begin()
        else:
            self._switch()

    def _switch(self) -> None:
        """Tell the supplicant to go; this ends the decision."""
        self._link.send(self._select)
        told_ns = time.monotonic_ns()
        if self._moving is not None:
            self._log.note(told_ns, Mark("decision", told_ns, "done"))
        self._log.note(told_ns, None)

    def _on_open_port(self, t_ns: int, datagram: bytes) -> None:
        self._link.connected.set()
        if self._piloting is not None and self._piloting.active:
            self._piloting.port_open(datagram)
            return
        if self._mpa is not None and self._mpa.port_open(datagram):
            return
        if self._moving is None:
            return
        if self._hold is not None:
            self._hold.end()
        self._layer3.move(self._moving, t_ns)


async def _serve(config: Json, console: Console) -> None:
    fields = Fields(config, "mobile node configuration")
    fields.text("host", "?")
    process = MobileNodeProcess(fields, console)
    commands = Commands(console, "the mobile node")
    verbs: Mapping[str, Verb] = {
        "open": process.open,
        "learn": process.learn,
        "visit": process.visit,
        "attach": process.attach,
        "prepare": process.prepare,
        "preauthenticate": process.preauthenticate,
        "arm": process.arm,
        "pilot": process.pilot,
        "land": process.land,
        "close": process.close,
    }
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    console.emit("mobile_node.ready")
    try:
        await attend(console, commands.put, commands.obey(verbs))
    finally:
        await process.shut()


def serve(config: Json, console: Console) -> None:
    """Run the mobile node that `config` describes, until told to end."""
    watch = NodeWatch()
    asyncio.run(_serve(config, console))
    watch.dismiss()


if __name__ == "__main__":
    main("mobile_node", serve)
