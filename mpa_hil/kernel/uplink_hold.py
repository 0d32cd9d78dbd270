"""Holding what a wireless node sends while its own link is down.

A queue on the wireless interface itself does not do: when the link goes down the kernel takes the
interface's queueing out of service and throws away what waits there (dev_deactivate). So the node's
packets take a detour through an `ifb` device, whose link is always up, and wait in a plug there.

    wlan0 egress -- source address --> ifb, plug -- released --> wlan0
              \\-- hold requests ----------------------------------^
"""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Address

from mpa_hil.kernel.hold import Backlog, RootHold
from mpa_hil.kernel.netlink import RouteSocket
from radios.errors import MachineError

DEVICE = "mpahold"


class UplinkHold:
    """The detour and the plug; packets pass until `hold`.

    Args:
        interface: the wireless interface.
        address: whose packets take the detour.
        passing_port: UDP packets to this port never do.
        limit_octets: what the plug takes; beyond it packets are dropped.

    Raises:
        MachineError: the kernel lacks ifb, clsact, u32 or mirred, or refuses.
    """

    def __init__(
        self,
        route: RouteSocket,
        interface: str,
        address: IPv4Address,
        passing_port: int,
        limit_octets: int,
    ) -> None:
        self._interface = interface
        _run("ip", f"link add {DEVICE} type ifb\nlink set {DEVICE} up\n")
        try:
            self._plug = RootHold(route, DEVICE, limit_octets)
            egress = f"filter add dev {interface} egress protocol ip"
            _run(
                "tc",
                f"qdisc replace dev {interface} clsact\n"
                f"{egress} prio 1 u32 match ip protocol 17 0xff"
                f" match ip dport {passing_port} 0xffff action pass\n"
                f"{egress} prio 2 u32 match ip src {address}/32"
                f" action mirred egress redirect dev {DEVICE}\n",
            )
        except BaseException:
            self.close()
            raise

    def hold(self) -> None:
        """From now on packets wait: one send of bytes that were ready."""
        self._plug.hold()

    def release(self) -> None:
        """Packets that waited leave in order, later ones pass."""
        self._plug.release()

    def backlog(self) -> Backlog:
        """What waits now, and the counters."""
        return self._plug.backlog()

    def close(self) -> None:
        """Release everything and take the detour away; safe to repeat."""
        _run("tc", f"qdisc del dev {self._interface} clsact\n", check=False)
        _run("ip", f"link del {DEVICE}\n", check=False)


def _run(program: str, batch: str, *, check: bool = True) -> None:
    """Set-up may start a process; the switch itself is netlink on an open socket."""
    done = subprocess.run([program, "-batch", "-"], input=batch.encode(), capture_output=True)
    if check and done.returncode:
        raise MachineError(
            f"the uplink cannot be held: {done.stderr.decode(errors='replace').strip()}",
            where=program,
            remedy="use a kernel with ifb, sch_ingress, cls_u32, act_mirred and sch_plug",
        )
