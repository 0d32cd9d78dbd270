"""What stands in the kernels of a lab's boxes, as lines that can be compared.

Addresses, routes, rules, tunnels, permanent and proxied neighbours, IPsec, queueing, processes.
What comes and goes by itself (learnt neighbours, lifetimes, link states) is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rigs.host import Host
from rigs.netns import NamespaceHost

Inventory = dict[str, frozenset[str]]
"""Lines, by box."""

_ASKED = b"""link show
address show scope global
-4 route show table all
-6 route show table all
-4 rule show
-6 rule show
neighbour show nud permanent
-4 neighbour show proxy
-6 neighbour show proxy
xfrm state
xfrm policy
"""
_KEPT_BY_KERNEL = re.compile(
    r"(?:^|\s)(?:local|broadcast|multicast|anycast)\s.*table local|dev lo "
    r"|(?:tunl0|ip6tnl0|sit0)@NONE: "  # made with the first tunnel, and there from then on
)
_VOLATILE = re.compile(
    r"\s+(?:state|qlen|valid_lft|preferred_lft|expires|promiscuity|group|mode)\s+\S+"
    r"|^\d+: |<[^>]*>|\sdynamic|\slinkdown"
)


async def take_stock(hosts: Mapping[str, Host], boxes: tuple[str, ...]) -> Inventory:
    """What stands in these boxes now."""
    found = await asyncio.gather(*(_box(hosts[box]) for box in boxes))
    return dict(zip(boxes, found, strict=True))


def difference(before: Inventory, after: Inventory) -> tuple[str, ...]:
    """What is there now and was not then, and what is gone; each line with its box."""
    lines = []
    for box, then in before.items():
        now = after.get(box, frozenset())
        lines += [f"{box}: {line}" for line in sorted(now - then)]
        lines += [f"{box}: gone: {line}" for line in sorted(then - now)]
    return tuple(lines)


async def _box(host: Host) -> frozenset[str]:
    asked = await host.run("ip", "-o", "-batch", "-", "-force", stdin=_ASKED, check=False)
    queueing = await host.run("tc", "qdisc", "show", check=False)
    lines = {_plain(line) for line in asked.stdout.decode(errors="replace").splitlines()}
    lines |= {_plain(line) for line in queueing.stdout.decode(errors="replace").splitlines()}
    if isinstance(host, NamespaceHost):
        lines |= await _processes(host)
    return frozenset(line for line in lines if line)


def _plain(line: str) -> str:
    text = " ".join(_VOLATILE.sub(" ", line.replace("\\", " ")).split())
    return "" if _KEPT_BY_KERNEL.search(line) else text


async def _processes(host: NamespaceHost) -> set[str]:
    from rigs.local import run_local

    told = await run_local(("ip", "netns", "pids", host.namespace), where=host.name)
    names = Counter(map(_name, told.stdout.split()))
    return {f"process {name} x{count}" for name, count in names.items() if name}


def _name(pid: bytes) -> str:
    """A process's first words; empty when it has ended."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{int(pid)}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words[:4]).decode(errors="replace").strip()
    return ""
