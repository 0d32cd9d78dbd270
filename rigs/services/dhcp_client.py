"""dhcpcd as a client of DHCP and router advertisements, telling what happens as JSON lines.

dhcpcd 9 has its state folders compiled in (/var/lib/dhcpcd, /run/dhcpcd). Each client therefore
runs in a mount namespace of its own with fresh memory file systems over them, so that clients on
one machine share no lease, DUID or socket, and nothing is left behind.

Its hook script prints one JSON object per event on the client's standard output: an agent that
reads it needs no polling. `files` and `command` serve agents that start the client themselves.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Host
from rigs.services.service import READY_TIMEOUT_S, Service, launch_as

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")

SIGTERM_AGAIN_S = 0.1
"""Between two requests to end; waiting for its helper takes it less than this."""
_HEARD = "received SIGTERM"

_BOUND = ("BOUND", "RENEW", "REBIND", "REBOOT", "ROUTERADVERT")
Versions = Literal["4", "6", "4 and 6"]
_MARK = '{"dhcp":'

# The last line is of IPv6: dhcpcd tells of an address once it knows that nobody else has it.
# Only numbers, and addresses that dhcpcd itself has printed, go into the line: a server cannot put
# quotes there.
_HOOK = """\
#!/bin/sh
printf '{"dhcp":"%s","interface":"%s","address":"%s","prefix":"%s","routers":"%s","server":"%s",\
"lease_s":"%s","dns":"%s","paa":"%s","old_address":"%s",\
"address6":"%s","router6":"%s","lease6_s":"%s"}\\n' \
"$reason" "$interface" "$new_ip_address" "$new_subnet_cidr" "$new_routers" \
"$new_dhcp_server_identifier" "$new_dhcp_lease_time" "$new_domain_name_servers" \
"$new_pana_agent" "$old_ip_address" \
"${nd1_addr1:-$new_dhcp6_ia_na1_ia_addr1}" "$nd1_from" \
"${nd1_prefix_information1_vltime:-$new_dhcp6_ia_na1_ia_addr1_vltime}"
"""

# The work directory may itself be below /run: it is carried over into the new /run by its handle,
# which util-linux' mount would turn back into a path if it were not for -c. A small system may have
# busybox's mount only.
_ISOLATE = """\
m=mount c=-c; command -v mount >/dev/null || { m='busybox mount'; c=; }
cd "$1" && $m -t tmpfs -o mode=755 tmpfs /var/lib/dhcpcd &&
$m -t tmpfs -o mode=755 tmpfs /run && mkdir -p -- "$1" && $m $c -o bind . "$1" &&
shift && exec dhcpcd "$@" 2>&1"""


@dataclass(frozen=True, slots=True)
class DhcpClientConfig:
    """One client on one interface; its client identifier is the MAC address."""

    interface: str
    conflict_check: bool = True
    """Probe the address by ARP before using it (RFC 5227): 4 to 7 s, random by design."""
    rapid_commit: bool = False
    """Ask for the two-message exchange (RFC 4039)."""
    initial_delay: bool = False
    """Wait a random time up to 1 s before the first message (RFC 2131 s4.4.1)."""
    configure: bool = True
    """Set address and routes; off: only tell what the lease is."""
    default_route: bool = True
    carrier: bool = True
    """Give the address up when the carrier is lost; off: keep it, for a link that comes back."""
    versions: Versions = "4"
    """Of IP: with 6 it makes an address from what routers advertise, or leases one by DHCPv6 where
    they say so, and looks for duplicates of it in either case (2 s)."""
    metric: int | None = None
    """Of its routes; None leaves dhcpcd's own (1000 and up, wireless 3000 and up)."""
    name: str = "dhcpcd"


@dataclass(frozen=True, slots=True)
class LeaseEvent:
    """Something that happened to the client."""

    reason: str
    """dhcpcd's word: ``PREINIT``, ``CARRIER``, ``NOCARRIER``, ``BOUND``, ``RENEW``, ``REBIND``,
    ``REBOOT``, ``EXPIRE``, ``NAK``, ``FAIL``, ``TIMEOUT``, ``STOPPED``, ...; of IPv6
    ``ROUTERADVERT``, and of DHCPv6 those words with a 6 behind."""
    interface: str
    address: str = ""
    """Of either version of IP."""
    prefix_length: int = 0
    routers: tuple[str, ...] = ()
    server: str = ""
    lease_s: int = 0
    dns: tuple[str, ...] = ()
    paa: tuple[str, ...] = ()
    """PANA authentication agents in the server's order of preference (RFC 5192 s4)."""
    old_address: str = ""

    @property
    def bound(self) -> bool:
        """Whether the client holds an address as of this event."""
        return bool(self.address) and self.reason.removesuffix("6") in _BOUND


def parse_event(line: str | bytes) -> LeaseEvent | None:
    """The event that an output line tells; None for dhcpcd's other lines.

    Raises:
        RemoteError: the line begins like an event but is none.
    """
    text = line.decode(errors="replace") if isinstance(line, bytes) else line
    if not text.startswith(_MARK):
        return None
    try:
        fields: dict[str, str] = json.loads(text)
        if fields.get("address6"):
            return _of_ipv6(fields)
        return LeaseEvent(
            reason=fields["dhcp"],
            interface=fields["interface"],
            address=fields["address"],
            prefix_length=int(fields["prefix"] or 0),
            routers=tuple(fields["routers"].split()),
            server=fields["server"],
            lease_s=int(fields["lease_s"] or 0),
            dns=tuple(fields["dns"].split()),
            paa=tuple(fields.get("paa", "").split()),
            old_address=fields["old_address"],
        )
    except (ValueError, KeyError) as error:
        raise RemoteError(
            f"the DHCP hook printed what is no event ({error}): {text[:200]}", where="dhcpcd"
        ) from None


def _of_ipv6(fields: dict[str, str]) -> LeaseEvent:
    address, _, length = fields["address6"].partition("/")
    return LeaseEvent(
        reason=fields["dhcp"],
        interface=fields["interface"],
        address=address,
        prefix_length=int(length or 128),
        routers=tuple(fields["router6"].split()),
        lease_s=int(fields["lease6_s"] or 0),
    )


def files(config: DhcpClientConfig, workdir: str) -> dict[str, tuple[bytes, int]]:
    """Content and mode of the client's files, by path on its host."""
    _check(config)
    flags = {
        "noarp": not config.conflict_check,
        "option rapid_commit": config.rapid_commit,
        "nodelay": not config.initial_delay,
        "noconfigure": not config.configure,
        "nogateway": not config.default_route,
        "nolink": not config.carrier,
        f"metric {config.metric}": config.metric is not None,
    }
    lines = [
        *_VERSIONS[config.versions],
        "noipv4ll",
        "nodev",
        "clientid",
        "vendorclassid",
        "option subnet_mask, routers, broadcast_address, domain_name_servers, pana_agent",
        "require dhcp_server_identifier",
        f"script {workdir}/{config.name}.hook",
        "timeout 0",
        *(flag for flag, wanted in flags.items() if wanted),
    ]
    return {
        f"{workdir}/{config.name}.conf": (("\n".join(lines) + "\n").encode(), 0o600),
        f"{workdir}/{config.name}.hook": (_HOOK.encode(), 0o700),
    }


_VERSIONS: dict[Versions, tuple[str, ...]] = {
    "4": ("ipv4only",),
    "6": ("ipv6only", "slaac hwaddr"),
    "4 and 6": ("slaac hwaddr",),
}
"""Addresses are made from the MAC address, so that they are the same in every run."""


def command(config: DhcpClientConfig, workdir: str) -> list[str]:
    """The command that runs the client in the foreground, in its own mount namespace."""
    return [
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", _ISOLATE, "sh", workdir),
        *("--nobackground", "--config", f"{workdir}/{config.name}.conf", config.interface),
    ]


def _check(config: DhcpClientConfig) -> None:
    if not _INTERFACE.fullmatch(config.interface):
        raise LocalError(
            f"{config.interface!r} is not an interface name",
            where="DHCP client",
            remedy="1 to 15 letters, digits, . - _",
        )


class DhcpClient(Service):
    """A running dhcpcd."""

    async def stop(self, grace_s: float = 3.0) -> None:
        """End it, and have it take its address and routes away.

        dhcpcd 9.4.1 loses a SIGTERM that comes while it waits for its privileged helper, as right
        after a lease, so it is sent again until dhcpcd says that it heard. Whoever runs the client
        by `command` has to do the same.
        """
        stopping = asyncio.ensure_future(super().stop(grace_s))
        try:
            while not (await asyncio.wait([stopping], timeout=SIGTERM_AGAIN_S))[0]:
                if not any(_HEARD in line for line in self.said()):
                    await self.daemon.signal(signal.SIGTERM)
        finally:
            await stopping


async def start(host: Host, config: DhcpClientConfig) -> DhcpClient:
    """Start the client on `host`; returns when it has taken up the interface.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: dhcpcd is not installed there, or there is no such interface.
        RemoteError: it died; carries its last lines.
    """
    for path, (data, mode) in files(config, host.workdir).items():
        await host.put(path, data, mode)

    def explain(line: str) -> MachineError | None:
        if "interface not found" in line or "no valid interfaces" in line:
            return MachineError(
                f"host {host.name} has no interface {config.interface}",
                where=f"{host.name}/{config.name}",
                remedy="`ip link` there lists them",
            )
        return None

    return await launch_as(
        DhcpClient,
        host,
        *command(config, host.workdir),
        name=config.name,
        ready=lambda line: parse_event(line) is not None,
        ready_text="its first event",
        explain=explain,
    )


async def events(service: Service, *, backlog: bool = True) -> AsyncIterator[LeaseEvent]:
    """What happens to a client started by `start`, until it ends."""
    async for line in service.lines(backlog=backlog):
        event = parse_event(line)
        if event is not None:
            yield event


async def wait_bound(service: Service, timeout_s: float = READY_TIMEOUT_S) -> LeaseEvent:
    """The first event that gives the client an address.

    Raises:
        RemoteError: it died first, or there is none within `timeout_s`; carries its last lines.
    """

    def bound(line: str) -> bool:
        event = parse_event(line)
        return event is not None and event.bound

    line = await service.expect(bound, what="a lease", timeout_s=timeout_s)
    event = parse_event(line)
    assert event is not None
    return event
