"""Copies of what enters one tunnel into others: simultaneous bindings (RFC 5648, RFC 6252 s7.2)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from radios.errors import MachineError


def copy_to(device: str, others: Sequence[str]) -> None:
    """What leaves by `device` leaves by the others too; none: by it alone.

    Raises:
        MachineError: the kernel lacks clsact, matchall or mirred, or refuses.
    """
    lines = [f"qdisc replace dev {device} clsact", f"filter del dev {device} egress"]
    if others:
        actions = "".join(f" action mirred egress mirror dev {other}" for other in others)
        lines.append(f"filter add dev {device} egress protocol all prio 1 matchall{actions}")
    done = subprocess.run(
        ["tc", "-batch", "-"], input="\n".join(lines).encode() + b"\n", capture_output=True
    )
    if done.returncode:
        raise MachineError(
            f"no copies: {done.stderr.decode(errors='replace').strip()}",
            where=f"tunnel {device}",
            remedy="use a kernel with sch_ingress, cls_matchall and act_mirred",
        )
