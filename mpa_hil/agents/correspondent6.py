"""A correspondent that optimises routes (Mobile IPv6): `python3 -m mpa_hil.agents.correspondent6
CONFIG.json` on the correspondent's box.

Configuration (JSON object):

    host        its name in the events
    address     the correspondent's IPv6 address
    data_path   "kernel" (states and policies), or "none" (signalling alone)

Commands: `{"cmd": "bindings"}` lists them. Standard input closed, or SIGTERM: everything that was
put into the kernel is taken out, and the agent ends.

Events: `mip6.ready`, `mip6.binding`, `mip6.refused`, `mip6.discarded`, `mip6.kernel_failed`,
`mip6.bindings`.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv6Address

from mpa_hil.agents.config import Fields
from mpa_hil.agents.loop import Loop
from mpa_hil.agents.mip6_telling import say_bindings, tell
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.clock import instant
from mpa_hil.kernel.mip6_xfrm import REPORTS, parse_report
from mpa_hil.kernel.mobile_ip6_direct import CorrespondentPath6
from mpa_hil.kernel.mobility_socket import MobilitySocket
from mpa_hil.kernel.state import Ledger
from mpa_hil.kernel.xfrm import XfrmSocket
from mpa_hil.mobility.mip6.bindings import Bound, CacheOutput, SendPacket
from mpa_hil.mobility.mip6.correspondent import Correspondent
from radios.errors import MachineError

_RECEIVE_OCTETS = 4096


class CorrespondentProcess:
    """The machine, its sockets and its kernel objects, on one loop.

    Raises:
        MachineError: no socket, or the kernel refuses what is needed from the start.
    """

    def __init__(self, address: IPv6Address, kernel: bool, console: Console, loop: Loop) -> None:
        self._address = address
        self._console = console
        self._loop = loop
        self._transforms: Ledger | None = None
        self._path: CorrespondentPath6 | None = None
        self._reports: socket.socket | None = None
        self._machine = Correspondent(address, os.urandom)
        self._socket = MobilitySocket(address)
        try:
            if kernel:
                self._transforms = Ledger(XfrmSocket())
                self._path = CorrespondentPath6(self._transforms, address)
                self._reports = _report_socket()
                loop.watch(self._reports, self._on_report)
        except BaseException:
            self.close()
            raise
        loop.watch(self._socket, self._on_packets)
        loop.watch(sys.stdin, self._on_command)
        console.emit("mip6.ready", address=address)

    def run(self) -> None:
        """Serve until told to end."""
        self._loop.run(self._deadline, self._expire)

    def close(self) -> None:
        """Take everything out of the kernel, and close the sockets."""
        self._socket.close()
        if self._reports is not None:
            self._reports.close()
        if self._transforms is not None:
            try:
                self._transforms.close()
            finally:
                self._transforms.netlink.close()

    def _on_packets(self) -> None:
        for packet in self._socket.packets():
            self._carry_out(self._machine.receive(packet, instant()))

    def _on_report(self) -> None:
        """The kernel refused a packet with a Home Address option (s9.3.1)."""
        assert self._reports is not None
        try:
            report = parse_report(self._reports.recv(_RECEIVE_OCTETS))
        except OSError:
            return  # more reports than the socket holds: these are told often enough
        if report is not None and report[1] == self._address:
            self._carry_out(self._machine.unknown(report[0], report[2], instant()))

    def _on_command(self) -> None:
        for command in self._console.commands():
            if command["cmd"] == "bindings":
                self._console.emit("mip6.bindings", bindings=say_bindings(self._machine.bindings))
            else:
                self._console.refuse(command["cmd"], "the correspondent has no such command")
        if self._console.closed:
            self._loop.stop()

    def _deadline(self) -> int | None:
        times = [part.next_deadline() for part in (self._machine, self._path) if part is not None]
        return min((due_ns for due_ns in times if due_ns is not None), default=None)

    def _expire(self) -> None:
        now = instant()
        self._carry_out(self._machine.expire(now))
        if self._path is not None:
            try:
                self._path.expire(now.monotonic_ns)
            except MachineError as error:
                self._console.emit("mip6.kernel_failed", error=str(error))

    def _carry_out(self, outputs: Sequence[CacheOutput]) -> None:
        """Kernel first, then the answer; one that the kernel refuses is not answered."""
        for output in outputs:
            before_ns = time.monotonic_ns()
            if isinstance(output, SendPacket):
                self._send(output)
                continue
            if isinstance(output, Bound) and self._path is not None:
                try:
                    self._to_kernel(self._path, output)
                except MachineError as error:
                    self._console.emit("mip6.kernel_failed", error=str(error))
                    self._machine.withdraw(output)
                    return
            tell(self._console, output, before_ns, time.monotonic_ns() - before_ns)

    def _to_kernel(self, path: CorrespondentPath6, bound: Bound) -> None:
        if not bound.after:
            path.unbind(bound.home_address)
        elif bound.change != "refreshed":
            path.bind(bound.home_address, bound.after[-1].care_of, time.monotonic_ns())

    def _send(self, send: SendPacket) -> None:
        try:
            self._socket.send(send.packet)
        except OSError as error:
            reason = f"the answer could not be sent: {error.strerror}"
            self._console.emit("mip6.discarded", reason=reason, source=str(send.packet.destination))


def _report_socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_XFRM)
    opened.bind((0, 1 << (REPORTS - 1)))
    return opened


def serve(config: Json, console: Console) -> None:
    """Run the correspondent that `config` describes, until told to end."""
    fields = Fields(config, "correspondent configuration")
    fields.text("host", "?")
    address = fields.address6("address")
    kernel = fields.choice("data_path", ("kernel", "none")) == "kernel"
    fields.done()
    agent = CorrespondentProcess(address, kernel, console, Loop())
    try:
        agent.run()
    finally:
        agent.close()


if __name__ == "__main__":
    main("correspondent6", serve)
