"""That nothing waits in the mobile node's kernel for an agent that was killed.

Tunnels, the rules that lead into them and the packets that are held there are the kernel's: they
outlive the process, and what is held would never leave. A guardian takes them away at once, and an
agent that starts does the same, in case the guardian was killed too. What the home agent sends by
is left as it is: with the address that the link's own client keeps it goes on without the agent.
"""

from __future__ import annotations

import contextlib
import re
import socket

from mpa_hil.agents.guardian import Guardian
from mpa_hil.kernel.devices import link_removal
from mpa_hil.kernel.netlink import ABSENT, NetlinkError, RouteSocket
from mpa_hil.kernel.rules import remove_rules
from mpa_hil.kernel.xfrm import XfrmSocket
from radios.errors import MpaError

_DEVICE = re.compile(r"mpa(pht|old|[qr](ht|ld))")
"""The tunnels to the next router and to the old one, and what holds packets for them."""
_TABLES = range(435, 438)
"""Of addresses in networks that the node is about to come to, or has just come to."""


class NodeWatch:
    """The guardian of one mobile node; sweeps first. Make it before there are threads.

    Raises:
        MachineError: the kernel refused.
    """

    def __init__(self) -> None:
        self.swept = sweep()
        """Devices that an agent before this one had left."""
        self._guardian = Guardian(sweep)

    def dismiss(self) -> None:
        """The agent has tidied up by itself."""
        self._guardian.dismiss()


def sweep() -> int:
    """Remove a node's tunnels, what they hold, their keys and rules.

    Returns:
        how many devices there were.

    Raises:
        MachineError: the kernel refused.
    """
    devices = [name for _, name in socket.if_nameindex() if _DEVICE.fullmatch(name)]
    with RouteSocket() as route:
        remove_rules(route, _TABLES)
        for name in devices:
            try:
                route.request(link_removal(name), f"remove {name}")
            except NetlinkError as error:
                if error.errno not in ABSENT:  # half a pair goes with the other half
                    raise
    if devices:
        with contextlib.suppress(MpaError), XfrmSocket() as associations:
            associations.sweep()  # a kernel without ESP has none
    return len(devices)
