"""That nothing of an access router's tunnels is left in the kernel when its agent is killed.

Tunnels, routes, proxies and held packets are the kernel's: they outlive the process. That is good
while another one takes its place soon, and so a guardian waits a while before it tidies up; what
is held waits no longer than that. The file of sessions is locked by whoever is the agent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import struct
import time
from pathlib import Path

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
from radios.errors import MpaError

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

    Args:
        interface: the link.
        store: the file of sessions; None: the guardian tidies up at once.

    Raises:
        LocalError: another agent has the file.
        MachineError: not root, or no such interface.
    """

    def __init__(self, interface: str, store: Path | None) -> None:
        self._interface = interface
        self._path = None if store is None else store.with_suffix(".lock")
        self._lock = -1 if self._path is None else _locked(self._path, _LOCK_S)
        try:
            if self._path is not None and self._lock < 0:
                raise LocalError("another agent has it", where=str(store))
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
        if self._path is not None:
            self._release()
            limit = time.monotonic() + _PATIENCE_S
            while time.monotonic() < limit:
                lock = _locked(self._path, 0)
                if lock < 0:
                    return  # another agent is there
                os.close(lock)
                time.sleep(_PAUSE_S)
        sweep(self._interface)

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


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


def _locked(path: Path, patience_s: float) -> int:
    """A descriptor that holds the lock; negative: somebody else does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalError(f"it cannot be made: {error.strerror}", where=str(path)) from error
    limit = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= limit:
                os.close(descriptor)
                return -1
            time.sleep(_PAUSE_S)
        else:
            return descriptor
