"""The home agent as a process: `python3 -m mpa_hil.agents.home_agent CONFIG.json` on its box.

Configuration (JSON object):

    host                  its name in the events
    address               its own address; UDP port 434 is bound on it, tunnels start from it
    home_interface        the home link, on which home addresses are captured
    mobile_nodes          list of {home_address, spi, key (hex), algorithm?, maximum_lifetime_s?,
                          care_of_networks?}
    port                  434
    data_path             "kernel" (tunnels, routes, proxy ARP), or "none" (signalling alone)
    mtu                   1480, of the tunnels
    reverse_tunnel        true; false denies the T bit
    maximum_lifetime_s    3600
    timestamp_window_s    7
    simultaneous_s        0; how long a former binding is kept beside the next, if asked for (S)
    journal               file in which bindings outlive the agent; absent: they do not

Commands: `{"cmd": "bindings"}` lists them. Standard input closed, or SIGTERM: everything that was
put into the kernel is taken out, and the agent ends.

Events: `mip4.ready`, `mip4.binding` (change: added, changed, refreshed, removed), `mip4.copies`,
`mip4.refused`, `mip4.discarded`, `mip4.kernel_failed`, `mip4.bindings`.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import IPv4Address

from mpa_hil.agents.binding_journal import BindingJournal
from mpa_hil.agents.config import Fields
from mpa_hil.agents.loop import Loop
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.clock import instant
from mpa_hil.kernel.mobile_ip import HomeAgentPath
from mpa_hil.kernel.netlink import RouteSocket
from mpa_hil.kernel.state import KernelState
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.bindings import (
    Binding,
    BindingAdded,
    BindingChanged,
    BindingRefreshed,
    BindingRemoved,
    CopiesChanged,
    HomeOutput,
    Refused,
    Removal,
    Subscriber,
)
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.mobility.mip4.messages import MOBILE_IP_PORT
from mpa_hil.mobility.mip4.tuning import Tuning
from radios.errors import LocalError, MachineError, MpaError

_ANNOUNCEMENTS = (1, 2)
"""Seconds after the first gratuitous ARP at which it is repeated: broadcasts get lost, and s4.6
wants "a small number" of repetitions."""
_RECEIVE_OCTETS = 2048
_IP_PKTINFO = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, checked."""

    address: IPv4Address
    home_interface: str
    subscribers: tuple[Subscriber, ...]
    port: int
    kernel: bool
    mtu: int
    reverse_tunnel: bool
    tuning: Tuning
    journal: str
    simultaneous_s: int

    @classmethod
    def read(cls, config: Json) -> Settings:
        """Check a configuration.

        Raises:
            LocalError: with the key that is wrong.
        """
        fields = Fields(config, "home agent configuration")
        fields.text("host", "?")
        settings = cls(
            fields.address("address"),
            fields.text("home_interface"),
            tuple(_subscriber(entry) for entry in fields.each("mobile_nodes")),
            fields.integer("port", MOBILE_IP_PORT, 1, 65535),
            fields.choice("data_path", ("kernel", "none")) == "kernel",
            fields.integer("mtu", 1480, 576, 65515),
            fields.truth("reverse_tunnel", True),
            Tuning(
                maximum_lifetime_s=fields.integer("maximum_lifetime_s", 3600, 1, 65535),
                timestamp_window_s=fields.seconds("timestamp_window_s", 7.0),
            ),
            fields.text("journal") if fields.has("journal") else "",
            fields.integer("simultaneous_s", 0, 0, 600),
        )
        fields.done()
        homes = [entry.home_address for entry in settings.subscribers]
        for home in homes:
            if homes.count(home) > 1:
                raise fields.fault("mobile_nodes", f"home address {home} is there twice")
        return settings


def _subscriber(entry: Fields) -> Subscriber:
    association = SecurityAssociation(
        entry.integer("spi", None, 256, 0xFFFFFFFF),
        entry.key("key", 16),
        entry.text("algorithm", "hmac-md5"),
    )
    subscriber = Subscriber(
        entry.address("home_address"),
        (association,),
        entry.integer("maximum_lifetime_s", 0, 0, 65535) or None,
        entry.networks("care_of_networks"),
    )
    entry.done()
    return subscriber


class HomeAgentProcess:
    """The machine, its socket and its kernel objects, on one loop.

    Raises:
        MachineError: the port cannot be bound, or the kernel refuses what is needed from the start.
    """

    def __init__(self, settings: Settings, console: Console, loop: Loop) -> None:
        self._console = console
        self._loop = loop
        self._home_interface = settings.home_interface
        self._repeats: list[tuple[int, IPv4Address]] = []
        self._state: KernelState | None = None
        self._path: HomeAgentPath | None = None
        self._journal = BindingJournal(settings.journal) if settings.journal else None
        self._socket = _bind(settings.address, settings.port)
        if settings.kernel:
            self._state = KernelState(RouteSocket())
            try:
                self._path = HomeAgentPath(
                    self._state, settings.address, settings.home_interface, settings.mtu
                )
            except BaseException:
                self.close()
                raise
        self._machine = HomeAgent(
            settings.address,
            settings.subscribers,
            started=instant(),
            tuning=settings.tuning,
            reverse_tunnel=settings.reverse_tunnel,
            simultaneous_s=settings.simultaneous_s,
        )
        if self._journal is not None:
            for home, record, now in self._journal.each(instant()):
                self._carry_out(self._machine.restore(IPv4Address(home), record, now))
        loop.watch(self._socket, self._on_datagram)
        loop.watch(sys.stdin, self._on_command)
        console.emit("mip4.ready", address=settings.address, port=settings.port)

    def run(self) -> None:
        """Serve until told to end."""
        self._loop.run(self._deadline, self._expire)

    def close(self) -> None:
        """Take everything out of the kernel, and close the sockets."""
        self._socket.close()
        if self._journal is not None:
            self._journal.close()
        if self._path is not None:
            self._path.close()
        if self._state is not None:
            try:
                self._state.close()
            finally:
                self._state.route.close()

    def _on_datagram(self) -> None:
        try:
            datagram, (address, port) = self._socket.recvfrom(_RECEIVE_OCTETS)
        except OSError:
            return  # an ICMP error about an earlier reply
        source = Endpoint(IPv4Address(address), port)
        self._carry_out(self._machine.receive(datagram, source, instant()))

    def _on_command(self) -> None:
        for command in self._console.commands():
            if command["cmd"] == "bindings":
                held = {str(b.home_address): str(b.care_of) for b in self._machine.bindings}
                self._console.emit("mip4.bindings", bindings=held)
            else:
                self._console.refuse(command["cmd"], "the home agent has no such command")
        if self._console.closed:
            self._loop.stop()

    def _deadline(self) -> int | None:
        times = [self._repeats[0][0]] if self._repeats else []
        times += [due] if (due := self._machine.next_deadline()) is not None else []
        if self._path is not None:
            times += [due] if (due := self._path.next_deadline()) is not None else []
        return min(times, default=None)

    def _expire(self) -> None:
        now = instant()
        self._carry_out(self._machine.expire(now))
        if self._path is not None:
            try:
                self._path.expire(now.monotonic_ns)
            except MachineError as error:
                self._console.emit("mip4.kernel_failed", error=str(error))
        while self._repeats and self._repeats[0][0] <= now.monotonic_ns:
            _, home = heappop(self._repeats)
            self._announce(home)

    def _carry_out(self, outputs: Sequence[HomeOutput]) -> None:
        """Kernel first, then the reply, then the log: nothing waits for what need not come first.

        When the kernel refuses a binding the acceptance is never sent: the machine goes back to the
        binding before, whose tunnel still stands, and answers with code 130.
        """
        log: list[tuple[HomeOutput, int, int]] = []
        for output in outputs:
            before_ns = time.monotonic_ns()
            if isinstance(output, Send):
                self._send(output)
                continue
            try:
                self._to_kernel(output)
                self._write_down(output)
            except MpaError as error:
                self._console.emit("mip4.kernel_failed", error=str(error))
                if isinstance(output, BindingAdded | BindingChanged):
                    before = output.old if isinstance(output, BindingChanged) else None
                    home = output.binding.home_address
                    self._carry_out(self._machine.withdraw(home, before))
                    break
            log.append((output, before_ns, time.monotonic_ns() - before_ns))
        for output, t_ns, kernel_ns in log:
            self._report(output, t_ns, kernel_ns)

    def _to_kernel(self, output: HomeOutput) -> None:
        if self._path is None:
            return
        if isinstance(output, BindingAdded):
            self._path.add(output.binding.home_address, output.binding.care_of)
            self._repeat(output.binding.home_address)
        elif isinstance(output, BindingChanged):
            now_ns = time.monotonic_ns()
            home, care_of = output.binding.home_address, output.binding.care_of
            self._path.change(home, care_of, now_ns, output.others)
        elif isinstance(output, CopiesChanged):
            self._path.copy(output.home_address, output.others, time.monotonic_ns())
        elif isinstance(output, BindingRemoved):
            self._path.remove(output.binding.home_address)
            if output.reason is Removal.DEREGISTERED:
                self._path.welcome(output.binding.home_address)
                self._repeat(output.binding.home_address)

    def _write_down(self, output: HomeOutput) -> None:
        if self._journal is not None and not isinstance(
            output, Refused | Discarded | Send | CopiesChanged
        ):
            home = output.binding.home_address
            self._journal.note(str(home), self._machine.record(home, instant()))

    def _repeat(self, home: IPv4Address) -> None:
        for delay_s in _ANNOUNCEMENTS:
            heappush(self._repeats, (time.monotonic_ns() + delay_s * NS_PER_S, home))

    def _announce(self, home: IPv4Address) -> None:
        """Repeat what is true now, which need not be what was announced first."""
        if self._path is None:
            return
        try:
            if any(binding.home_address == home for binding in self._machine.bindings):
                self._path.arp.announce(home)
            else:
                self._path.welcome(home)
        except (OSError, MachineError) as error:
            self._console.emit("mip4.kernel_failed", error=f"gratuitous ARP: {error}")

    def _send(self, send: Send) -> None:
        ancillary = []
        if send.on_home_link and send.source is not None:
            index = socket.if_nametoindex(self._home_interface)
            info = struct.pack("=i4s4s", index, send.source.packed, bytes(4))
            ancillary.append((socket.IPPROTO_IP, _IP_PKTINFO, info))
        destination = (str(send.destination.address), send.destination.port)
        try:
            self._socket.sendmsg([send.datagram], ancillary, 0, destination)
        except OSError as error:
            reason = f"the reply could not be sent: {error.strerror}"
            self._console.emit("mip4.discarded", reason=reason, source=destination[0])

    def _report(self, output: HomeOutput, t_ns: int, kernel_ns: int) -> None:
        emit = self._console.emit
        if isinstance(output, BindingAdded):
            emit("mip4.binding", t_ns, change="added", kernel_ns=kernel_ns, **_say(output.binding))
        elif isinstance(output, BindingChanged):
            said = {"previous": output.old.care_of, **_say(output.binding)}
            emit("mip4.binding", t_ns, change="changed", kernel_ns=kernel_ns, **said)
        elif isinstance(output, BindingRefreshed):
            emit("mip4.binding", t_ns, change="refreshed", **_say(output.binding))
        elif isinstance(output, CopiesChanged):
            others = " ".join(map(str, output.others))
            said = {"home_address": output.home_address, "care_of": output.care_of}
            emit("mip4.copies", t_ns, others=others, kernel_ns=kernel_ns, **said)
        elif isinstance(output, BindingRemoved):
            said = {"reason": output.reason.value, **_say(output.binding)}
            emit("mip4.binding", t_ns, change="removed", kernel_ns=kernel_ns, **said)
        elif isinstance(output, Refused):
            emit(
                "mip4.refused",
                t_ns,
                home_address=output.home_address,
                care_of=output.care_of,
                code=output.code,
                text=output.meaning,
                why=output.why,
                source=output.source.address,
            )
        elif isinstance(output, Discarded):
            said = {"reason": output.reason, "source": output.source.address}
            emit("mip4.discarded", t_ns, security=output.security, **said)


def _say(binding: Binding) -> dict[str, object]:
    return {
        "home_address": binding.home_address,
        "care_of": binding.care_of,
        "lifetime_s": binding.lifetime_s,
    }


def _bind(address: IPv4Address, port: int) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        endpoint.bind((str(address), port))
    except OSError as error:
        endpoint.close()
        raise MachineError(
            f"it cannot be bound: {error.strerror}",
            where=f"UDP {address} port {port}",
            remedy="see who has it with: ss -ulnp, and that the address is set: ip addr",
        ) from error
    return endpoint


def serve(config: Json, console: Console) -> None:
    """Run the home agent that `config` describes, until told to end."""
    settings = Settings.read(config)
    if not settings.subscribers:
        raise LocalError("nobody to serve", where="home agent configuration, mobile_nodes")
    agent = HomeAgentProcess(settings, console, Loop())
    try:
        agent.run()
    finally:
        agent.close()


if __name__ == "__main__":
    main("home_agent", serve)
