"""That nothing of an access router's tunnels is left in the kernel when its agent is killed.

Tunnels, routes, proxies and held packets are the kernel's: they outlive the process. That is good
while another one takes its place soon, and so a guardian waits a while before it tidies up; what
is held waits no longer than that.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import struct
import time

from mpa_hil.agents.guardian import Guardian
from mpa_hil.errors import LocalError
from mpa_hil.kernel.devices import link_removal
from mpa_hil.kernel.netlink import (
    ABSENT,
    DUMP,
    NetlinkError,
    RouteSocket,
    attribute,
    attributes,
    interface_index,
    message,
)
from mpa_hil.kernel.objects import ROUTE_PROTOCOL
from mpa_hil.kernel.xfrm import XfrmSocket
from radios.errors import MachineError, MpaError

_DEVICE = re.compile(r"mpa[tqr][0-9]+")
"""The names of all devices that `tunnel_kernel` makes."""
_PATIENCE_S = 3.0
"""How long the guardian waits for another agent."""
_LOCK_S = 1.0
"""How long a new agent waits for the guardian of the one before to let go of the lock."""
_PAUSE_S = 0.02

_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_DEL_NEIGHBOUR, _GET_NEIGHBOUR = 29, 30
_PROXY = 0x08
_NDA_DST, _NDA_PROTOCOL = 1, 12


class TunnelWatch:
    """The lock and the guardian of one agent; sweeps first. Make it before there are threads.

    The lock is a name in the network namespace (an abstract Unix socket): whoever has it is the one
    agent there.

    Args:
        interface: the link.

    Raises:
        LocalError: another agent runs in this namespace.
        MachineError: not root, or no such interface.
    """

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._lock = _locked(_LOCK_S)
        if self._lock is None:
            raise LocalError("another access router's agent runs in this network namespace")
        try:
            self.swept = sweep(interface)
            """Devices that an agent before this one had left."""
            self._guardian = Guardian(self._tidy)
        except BaseException:
            self._release()
            raise

    def dismiss(self) -> None:
        """The agent has tidied up by itself, or wants everything kept for the next one."""
        self._guardian.dismiss()
        self._release()

    def _tidy(self) -> None:
        """In the guardian, when the agent was killed."""
        self._release()
        limit = time.monotonic() + _PATIENCE_S
        while time.monotonic() < limit:
            lock = _locked(0)
            if lock is None:
                return  # another agent is there
            lock.close()
            time.sleep(_PAUSE_S)
        lock = _locked(0)
        if lock is not None:  # none begins now
            sweep(self._interface)
            lock.close()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def sweep(interface: str) -> int:
    """Remove whatever tunnels, holds, associations and proxies there are on this link.

    Returns:
        how many devices there were.

    Raises:
        MachineError: the kernel refused.
    """
    with RouteSocket() as route:
        devices = [name for _, name in socket.if_nameindex() if _DEVICE.fullmatch(name)]
        for name in devices:
            _quietly(route, link_removal(name))
        for family in (socket.AF_INET, socket.AF_INET6):
            for order in _proxies(route, interface_index(interface), family):
                _quietly(route, order)
    if devices:
        with contextlib.suppress(MpaError), XfrmSocket() as associations:
            associations.sweep()  # a kernel without ESP has none
    return len(devices)


def _quietly(route: RouteSocket, removal: bytes) -> None:
    """Remove what may be gone by now: half a veth pair goes with the other half."""
    try:
        route.request(removal, "tidy up")
    except NetlinkError as error:
        if error.errno not in ABSENT:
            raise


def _proxies(route: RouteSocket, index: int, family: int) -> list[bytes]:
    """Removals of the proxies on a link that are ours."""
    listing = message(_GET_NEIGHBOUR, DUMP, _NEIGHBOUR.pack(family, 0, 0, _PROXY, 0))
    found = []
    try:
        entries = route.dump(listing, "proxies")
    except NetlinkError as error:
        if error.errno in ABSENT:
            return []
        raise
    for entry in entries:
        _, where, _, flags, _ = _NEIGHBOUR.unpack_from(entry)
        said = attributes(entry[_NEIGHBOUR.size :])
        ours = said.get(_NDA_PROTOCOL) == bytes((ROUTE_PROTOCOL,))
        if where == index and flags & _PROXY and ours and _NDA_DST in said:
            head = _NEIGHBOUR.pack(family, index, 0, _PROXY, 0)
            found.append(message(_DEL_NEIGHBOUR, 0, head + attribute(_NDA_DST, said[_NDA_DST])))
    return found


def _locked(patience_s: float) -> socket.socket | None:
    """The lock, until it is closed; None: somebody else has it."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    limit = time.monotonic() + patience_s
    while True:
        try:
            lock.bind("\0mpa access router")
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < limit:
                time.sleep(_PAUSE_S)
                continue
            lock.close()
            if error.errno == errno.EADDRINUSE:
                return None
            raise MachineError(f"no lock: {error.strerror}", where="access router") from error
        else:
            return lock
