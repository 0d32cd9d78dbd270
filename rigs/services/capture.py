"""tcpdump: packets of one interface into a pcap file, nanosecond stamps, drops counted.

The same serves a host's links and the 802.11 frames in the air (mac80211_hwsim's monitor, which is
an interface like others once it is up). Files belong on a tmpfs: the host's work directory is one.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from radios.errors import LocalError, MachineError
from rigs.host import Host
from rigs.services.service import MERGE_OUTPUT, Service, launch

AIR_INTERFACE = "hwsim0"
"""Sees every frame of every virtual radio of the machine, with radiotap headers."""

RING_TIMEOUT_S = 1.0
"""tcpdump's read timeout: the kernel hands over a block of packets when it is full or this old.
What lies in an unfinished block when tcpdump is told to end is lost, so `Capture.stop` first lets
the last block come of age."""

_SETTLE_S = 1.1 * RING_TIMEOUT_S
_END_TIMEOUT_S = 20.0
"""For writing what is buffered, at most `buffer_kib`, to memory; bounds a hang."""

_COUNT = re.compile(r"^(\d+) packets? (captured|received by filter|dropped by kernel)")


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """One capture of one interface."""

    interface: str
    path: str
    """The pcap file, absolute or below the host's work directory."""
    snaplen_bytes: int = 262_144
    """Octets kept of each packet."""
    filter: str = ""
    """A pcap filter; empty takes everything."""
    buffer_kib: int = 4096
    bring_up: bool = False
    """Set the interface up first, as hwsim's monitor needs."""
    name: str = ""
    """What errors call it; empty: ``tcpdump-INTERFACE``."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What tcpdump says when it ends."""

    captured: int
    """Packets in the file."""
    received: int
    """Those, and the ones that came after `Capture.stop` was called."""
    dropped: int
    """By the kernel, because the buffer was full: a capture with drops proves nothing."""


def parse_counts(text: str) -> Counts | None:
    """tcpdump's closing lines; None when one of the three is missing."""
    found = {match[2]: int(match[1]) for match in map(_COUNT.match, text.splitlines()) if match}
    try:
        return Counts(found["captured"], found["received by filter"], found["dropped by kernel"])
    except KeyError:
        return None


def command(config: CaptureConfig, path: str) -> list[str]:
    """The tcpdump command that writes to `path`.

    Raises:
        LocalError: no interface, or a snapshot length out of range.
    """
    where = f"capture of {config.interface!r}"
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", config.interface):
        raise LocalError("that is no interface name", where=where, remedy="letters, digits, . - _")
    if not 1 <= config.snaplen_bytes <= 262_144:
        raise LocalError("the snapshot length is out of range", where=where, remedy="1 to 262144")
    argv = ["tcpdump", "-n", "-i", config.interface, "-w", path, "-s", str(config.snaplen_bytes)]
    # -Z root: it would else become a user who may not write into the work directory.
    argv += ["-B", str(config.buffer_kib), "--time-stamp-precision=nano", "-Z", "root"]
    return [*argv, "--", config.filter] if config.filter else argv


class Capture:
    """A running capture; made by `start`."""

    def __init__(self, service: Service, path: str) -> None:
        self.service = service
        self.path = path
        self._counts: Counts | None = None

    @property
    def counts(self) -> Counts | None:
        """What `stop` found; None before."""
        return self._counts

    async def stop(self) -> Counts:
        """End the capture with every packet so far in its file. Safe to repeat.

        Raises:
            RemoteError: tcpdump had died, or did not end properly.
        """
        if self._counts is not None:
            return self._counts
        service = self.service
        if not service.alive:
            await service.drained()
            raise await service.death()
        await asyncio.sleep(_SETTLE_S)
        # SIGTERM makes tcpdump write out and count just as SIGINT does.
        await service.stop(grace_s=_END_TIMEOUT_S)
        self._counts = parse_counts(await service.log())
        if self._counts is None:
            raise await service.death()
        return self._counts


async def start(host: Host, config: CaptureConfig) -> Capture:
    """Start capturing on `host`; returns when packets are being taken.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: tcpdump is not installed there, or there is no such interface.
        RemoteError: it died; carries its last lines.
    """
    path = config.path if config.path.startswith("/") else f"{host.workdir}/{config.path}"
    argv = command(config, path)
    if config.bring_up:
        await host.run("ip", "link", "set", config.interface, "up")
    name = config.name or f"tcpdump-{config.interface}"

    def explain(line: str) -> MachineError | LocalError | None:
        if "No such device" in line or "SIOCGIFHWADDR" in line:
            return MachineError(
                f"host {host.name} has no interface {config.interface}",
                where=f"{host.name}/{name}",
                remedy="`ip link` there lists them",
            )
        if "syntax error" in line or "can't parse filter" in line:
            return LocalError(
                f"the capture filter {config.filter!r} is not understood",
                where=f"{host.name}/{name}",
                remedy="see pcap-filter(7)",
            )
        return None

    service = await launch(
        host,
        *(*MERGE_OUTPUT, *argv),
        name=name,
        ready=lambda line: "listening on" in line,
        ready_text="listening on",
        explain=explain,
    )
    return Capture(service, path)
