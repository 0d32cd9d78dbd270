"""The home agent of Mobile IPv6: `python3 -m mpa_hil.agents.home_agent6 CONFIG.json` on its box.

Configuration (JSON object):

    host                  its name in the events
    address               its own IPv6 address; Mobility Headers come to it, tunnels start from it
    home_interface        the home link, on which home addresses are captured
    mobile_nodes          list of {home_address, spi, key (hex), maximum_lifetime_s?,
                          care_of_networks?}
    data_path             "kernel" (tunnels, routes, proxy neighbours), or "none" (signalling alone)
    mtu                   1460, of the tunnels
    check_addresses       true: a home address is checked for duplicates before its first binding
    check_s               1.0, how long an answer to that is waited for
    several               true: a node may have several care-of addresses (RFC 5648)
    copies                true: packets go to all of them; false: to the latest registered
    maximum_lifetime_s    3600
    timestamp_window_s    7
    journal               file in which bindings outlive the agent; absent: they do not

Commands: `{"cmd": "bindings"}` lists them. Standard input closed, or SIGTERM: everything that was
put into the kernel is taken out, and the agent ends.

Events: `mip6.ready`, `mip6.binding`, `mip6.refused`, `mip6.discarded`, `mip6.kernel_failed`,
`mip6.bindings`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import IPv6Address

from mpa_hil.agents.binding_journal import BindingJournal
from mpa_hil.agents.config import Fields
from mpa_hil.agents.loop import Loop
from mpa_hil.agents.mip6_telling import say_bindings, tell
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.clock import instant
from mpa_hil.kernel.home_link import HomeLink
from mpa_hil.kernel.mobile_ip6 import HomeAgentPath6
from mpa_hil.kernel.mobility_socket import MobilitySocket
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.state import KernelState, Ledger
from mpa_hil.kernel.tunnel_copies import copy_to
from mpa_hil.kernel.xfrm import XfrmSocket
from mpa_hil.mobility.interface import NS_PER_S
from mpa_hil.mobility.mip6.authentication import KEY_OCTETS, SecurityAssociation
from mpa_hil.mobility.mip6.bindings import Bound, CacheOutput, Check, SendPacket, Subscriber
from mpa_hil.mobility.mip6.home_agent import HomeAgent
from mpa_hil.mobility.mip6.numbers import LIFETIME_UNIT_S, Tuning
from radios.errors import LocalError, MachineError, MpaError

_ANNOUNCEMENTS = (1, 2)
"""Seconds after the first advertisement at which it is repeated (MAX_NEIGHBOR_ADVERTISEMENT)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, checked."""

    address: IPv6Address
    home_interface: str
    subscribers: tuple[Subscriber, ...]
    kernel: bool
    mtu: int
    check_addresses: bool
    check_s: float
    several: bool
    copies: bool
    tuning: Tuning
    journal: str

    @classmethod
    def read(cls, config: Json) -> Settings:
        """Check a configuration.

        Raises:
            LocalError: with the key that is wrong.
        """
        fields = Fields(config, "home agent configuration")
        fields.text("host", "?")
        settings = cls(
            fields.address6("address"),
            fields.text("home_interface"),
            tuple(_subscriber(entry) for entry in fields.each("mobile_nodes")),
            fields.choice("data_path", ("kernel", "none")) == "kernel",
            fields.integer("mtu", 1460, 1280, 65487),
            fields.truth("check_addresses", True),
            fields.seconds("check_s", 1.0),
            fields.truth("several", True),
            fields.truth("copies", True),
            Tuning(
                maximum_lifetime_s=fields.integer(
                    "maximum_lifetime_s", 3600, LIFETIME_UNIT_S, 65535
                ),
                timestamp_window_s=fields.seconds("timestamp_window_s", 7.0),
            ),
            fields.text("journal") if fields.has("journal") else "",
        )
        fields.done()
        homes = [entry.home_address for entry in settings.subscribers]
        for home in homes:
            if homes.count(home) > 1:
                raise fields.fault("mobile_nodes", f"home address {home} is there twice")
        if not homes:
            raise LocalError("nobody to serve", where="home agent configuration, mobile_nodes")
        return settings


def _subscriber(entry: Fields) -> Subscriber:
    association = SecurityAssociation(
        entry.integer("spi", None, 256, 0xFFFFFFFF), entry.key("key", KEY_OCTETS)
    )
    subscriber = Subscriber(
        entry.address6("home_address"),
        (association,),
        entry.integer("maximum_lifetime_s", 0, 0, 65535) or None,
        entry.networks6("care_of_networks"),
    )
    entry.done()
    return subscriber


class HomeAgentProcess:
    """The machine, its sockets and its kernel objects, on one loop.

    Raises:
        MachineError: no socket, or the kernel refuses what is needed from the start.
    """

    def __init__(self, settings: Settings, console: Console, loop: Loop) -> None:
        self._console = console
        self._loop = loop
        self._check_ns = int(settings.check_s * NS_PER_S)
        self._copies = settings.copies
        self._copied: set[str] = set()
        """Tunnels out of which copies are made."""
        self._checks: dict[IPv6Address, int] = {}
        self._repeats: list[tuple[int, IPv6Address]] = []
        self._state: KernelState | None = None
        self._transforms: Ledger | None = None
        self._path: HomeAgentPath6 | None = None
        self._link: HomeLink | None = None
        self._journal = BindingJournal(settings.journal) if settings.journal else None
        self._socket = MobilitySocket(settings.address)
        try:
            if settings.kernel:
                self._state = KernelState(RouteSocket())
                self._transforms = Ledger(XfrmSocket())
                self._link = HomeLink(settings.home_interface, settings.address)
                self._path = HomeAgentPath6(
                    self._state,
                    self._transforms,
                    settings.address,
                    settings.home_interface,
                    settings.mtu,
                )
        except BaseException:
            self.close()
            raise
        self._machine = HomeAgent(
            settings.address,
            settings.subscribers,
            started=instant(),
            tuning=settings.tuning,
            check_addresses=settings.check_addresses and self._link is not None,
            several=settings.several,
        )
        if self._journal is not None:
            for home, record, now in self._journal.each(instant()):
                self._carry_out(self._machine.restore(IPv6Address(home), record, now))
        loop.watch(self._socket, self._on_packets)
        if self._link is not None:
            loop.watch(self._link, self._on_claims)
        loop.watch(sys.stdin, self._on_command)
        console.emit("mip6.ready", address=settings.address)

    def run(self) -> None:
        """Serve until told to end."""
        self._loop.run(self._deadline, self._expire)

    def close(self) -> None:
        """Take everything out of the kernel, and close the sockets."""
        self._socket.close()
        if self._journal is not None:
            self._journal.close()
        if self._link is not None:
            self._link.close()
        for state in (self._transforms, self._state):
            if state is not None:
                try:
                    state.close()
                finally:
                    state.netlink.close()

    def _on_packets(self) -> None:
        for packet in self._socket.packets():
            self._carry_out(self._machine.receive(packet, instant()))

    def _on_claims(self) -> None:
        assert self._link is not None
        for address in self._link.claimed():
            if self._checks.pop(address, None) is not None:
                self._link.settle(address)
                self._carry_out(self._machine.checked(address, False, instant()))

    def _on_command(self) -> None:
        for command in self._console.commands():
            if command["cmd"] == "bindings":
                self._console.emit("mip6.bindings", bindings=say_bindings(self._machine.bindings))
            else:
                self._console.refuse(command["cmd"], "the home agent has no such command")
        if self._console.closed:
            self._loop.stop()

    def _deadline(self) -> int | None:
        times = [self._repeats[0][0]] if self._repeats else []
        times += self._checks.values()
        for part in (self._machine, self._path):
            due_ns = None if part is None else part.next_deadline()
            times += [] if due_ns is None else [due_ns]
        return min(times, default=None)

    def _expire(self) -> None:
        now = instant()
        self._carry_out(self._machine.expire(now))
        for home in [at for at, due_ns in self._checks.items() if due_ns <= now.monotonic_ns]:
            del self._checks[home]
            if self._link is not None:
                self._link.settle(home)
            self._carry_out(self._machine.checked(home, True, instant()))
        try:
            if self._path is not None:
                self._path.expire(now.monotonic_ns)
            while self._repeats and self._repeats[0][0] <= now.monotonic_ns:
                self._repeat(heappop(self._repeats)[1])
        except (OSError, MachineError) as error:
            self._console.emit("mip6.kernel_failed", error=str(error))

    def _carry_out(self, outputs: Sequence[CacheOutput]) -> None:
        """Kernel first, then the answer, then the log: nothing waits for what need not come first.

        When the kernel refuses a binding the acceptance is never sent: the machine goes back to
        what was before, which still stands, and answers with status 130.
        """
        log: list[tuple[CacheOutput, int, int]] = []
        for output in outputs:
            before_ns = time.monotonic_ns()
            if isinstance(output, SendPacket):
                self._send(output)
                continue
            try:
                if isinstance(output, Check):
                    self._check(output.home_address)
                elif isinstance(output, Bound):
                    self._to_kernel(output)
                    self._write_down(output.home_address)
            except (MpaError, OSError) as error:
                self._console.emit("mip6.kernel_failed", error=str(error))
                if isinstance(output, Bound) and output.after:
                    self._carry_out(self._machine.withdraw(output, instant()))
                    break
            log.append((output, before_ns, time.monotonic_ns() - before_ns))
        for output, t_ns, kernel_ns in log:
            tell(self._console, output, t_ns, kernel_ns)

    def _check(self, home: IPv6Address) -> None:
        self._checks[home] = time.monotonic_ns() + self._check_ns
        assert self._link is not None
        self._link.ask(home)

    def _to_kernel(self, bound: Bound) -> None:
        path, home = self._path, bound.home_address
        if path is None or bound.change == "refreshed":
            return
        if not bound.after:
            path.remove(home)
            return
        now_ns = time.monotonic_ns()
        primary = bound.after[-1].care_of
        if not bound.before:
            path.add(home, primary)
            self._announce(home)
        else:
            path.change(home, primary, now_ns)
        others = [binding.care_of for binding in bound.after[:-1]]
        for care_of in others:
            path.stage(home, care_of)
        for care_of in path.tunnels(home):
            if care_of != primary and care_of not in others:
                path.leave(home, care_of, now_ns)
        if self._copies:
            tunnels = path.tunnels(home)
            self._copy(tunnels[primary], [tunnels[care_of] for care_of in others])

    def _copy(self, device: str, others: list[str]) -> None:
        if others or device in self._copied:
            copy_to(device, others)
        (self._copied.add if others else self._copied.discard)(device)

    def _write_down(self, home: IPv6Address) -> None:
        if self._journal is not None:
            self._journal.note(str(home), self._machine.record(home, instant()))

    def _announce(self, home: IPv6Address) -> None:
        assert self._link is not None
        self._link.announce(home)
        for delay_s in _ANNOUNCEMENTS:
            heappush(self._repeats, (time.monotonic_ns() + delay_s * NS_PER_S, home))

    def _repeat(self, home: IPv6Address) -> None:
        if self._link is not None and any(
            binding.home_address == home for binding in self._machine.bindings
        ):
            self._link.announce(home)

    def _send(self, send: SendPacket) -> None:
        try:
            self._socket.send(send.packet)
        except OSError as error:
            reason = f"the answer could not be sent: {error.strerror}"
            self._console.emit("mip6.discarded", reason=reason, source=str(send.packet.destination))


def serve(config: Json, console: Console) -> None:
    """Run the home agent that `config` describes, until told to end."""
    settings = Settings.read(config)
    agent = HomeAgentProcess(settings, console, Loop())
    try:
        agent.run()
    finally:
        agent.close()


if __name__ == "__main__":
    main("home_agent6", serve)
