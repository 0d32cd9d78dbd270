"""Who runs first when all boxes of a lab share one processor.

On a bench each box has a processor of its own. In namespaces a daemon that a packet has woken would
wait for whoever happens to be running: captures writing, an agent reporting. Real-time scheduling
keeps that out of the figures: stamps first, then what carries the handover, then the rest.
"""

from __future__ import annotations

import contextlib
import os
from enum import IntEnum

from rigs.host import Daemon, Host
from rigs.netns import NamespaceHost


class Priority(IntEnum):
    """SCHED_RR priorities; higher runs first."""

    PATH = 10
    """Daemons and agents that a handover goes through."""
    ROUTER = 12
    """What an access router does at a message that packets wait for: who sent the message would
    go on with its own affairs first."""
    PACKETS = 15
    """The kernel's thread that carries packets when many come; see `rigs.guest.inside`."""
    STAMPS = 20
    """Senders and receivers of measured traffic: a late one would be measured itself."""


def prefer(host: Host, daemon: Daemon, priority: Priority) -> None:
    """Schedule a daemon, its threads and what it starts in real time; a machine's own are left.

    Without the privilege (CAP_SYS_NICE) nothing changes.
    """
    if not isinstance(host, NamespaceHost):
        return
    # A thread may end between listing and setting.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for thread in os.listdir(f"/proc/{daemon.pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(priority))
