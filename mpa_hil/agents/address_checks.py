"""Duplicate address detection on a link, for mobile nodes that are elsewhere (RFC 6252 appendix A).

Probes as RFC 5227 s2.1.1 and RFC 4862 s5.4 have them, in the name of nobody. There are three, but
they share the time that the agent is given instead of those RFCs' seconds: the MN waits for it, and
whoever has an address on a wired link says so at once.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from mpa_hil.agents.link_frames import LinkFrames
from mpa_hil.kernel.neighbour_discovery import (
    ADVERTISEMENT,
    duplicate_check,
    group_link_layer,
    parse_neighbour,
    solicited_node,
)
from mpa_hil.mobility.interface import Address

_PROBES = 3
_ETH_ARP, _ETH_IPV6 = b"\x08\x06", b"\x86\xdd"
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_HEAD = (1, 0x0800, 6, 4)
_BROADCAST = b"\xff" * 6
_HEAD_OCTETS = 14


@dataclass(slots=True)
class _Check:
    addresses: tuple[Address, ...]
    mac: bytes
    checked: Callable[[bool], None]
    probes: int = 0
    timer: asyncio.TimerHandle | None = field(default=None)


class AddressChecks:
    """All checks that are under way on one link.

    Args:
        wait_ms: how long an address's owner has to say that it is.
    """

    def __init__(self, interface: str, wait_ms: int) -> None:
        self._interface = interface
        self._pause_s = wait_ms / 1000 / _PROBES
        self._frames: LinkFrames | None = None
        self._running: list[_Check] = []

    def start(
        self, addresses: tuple[Address, ...], mac: bytes, checked: Callable[[bool], None]
    ) -> None:
        """Ask whether anybody has one of these addresses.

        Args:
            mac: of the MN that they are for; its own word is none against it.
            checked: called later, once: whether they are free.

        Raises:
            MachineError: no such link, or no CAP_NET_RAW.
        """
        if self._frames is None:
            self._frames = LinkFrames(self._interface, self._on_frame, lambda: None)
        check = _Check(addresses, mac, checked)
        self._running.append(check)
        self._probe(check)

    def close(self) -> None:
        """Give up what is under way; nobody is told."""
        for check in self._running:
            if check.timer is not None:
                check.timer.cancel()
        self._running.clear()
        self._deaf()

    def _probe(self, check: _Check) -> None:
        if check.probes == _PROBES:
            self._end(check, True)
            return
        check.probes += 1
        assert self._frames is not None
        for address in check.addresses:
            self._frames.send(_question(address, self._frames.mac))
        loop = asyncio.get_running_loop()
        check.timer = loop.call_later(self._pause_s, self._probe, check)

    def _on_frame(self, frame: bytes) -> None:
        """Whoever speaks as the owner of an address that is asked for."""
        said = _owner(frame)
        if said is None:
            return
        address, mac = said
        for check in tuple(self._running):
            if address in check.addresses and mac != check.mac:
                self._end(check, False)

    def _end(self, check: _Check, free: bool) -> None:
        if check.timer is not None:
            check.timer.cancel()
        self._running.remove(check)
        if not self._running:
            self._deaf()
        check.checked(free)

    def _deaf(self) -> None:
        """The link has much to say that is of no interest now."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None


def _question(address: Address, own: bytes) -> bytes:
    """The frame that asks for an address's owner."""
    if isinstance(address, IPv4Address):
        arp = _ARP.pack(*_ARP_HEAD, 1, own, bytes(4), bytes(6), address.packed)
        return _BROADCAST + own + _ETH_ARP + arp
    return group_link_layer(solicited_node(address)) + own + _ETH_IPV6 + duplicate_check(address)


def _owner(frame: bytes) -> tuple[Address, bytes] | None:
    """Which address a frame's sender has, or wants for itself, and the sender's MAC."""
    kind, rest, sender = frame[12:14], frame[_HEAD_OCTETS:], frame[6:12]
    if kind == _ETH_ARP and len(rest) >= _ARP.size:
        *head, _, mac, claimed, _, wanted = _ARP.unpack_from(rest)
        if tuple(head) != _ARP_HEAD:
            return None
        return IPv4Address(claimed if any(claimed) else wanted), mac
    if kind == _ETH_IPV6:
        neighbour = parse_neighbour(rest)
        if neighbour is None:
            return None
        if neighbour.kind == ADVERTISEMENT or neighbour.source.is_unspecified:
            return neighbour.target, neighbour.link_layer or sender
        return neighbour.source, neighbour.link_layer or sender
    return None
