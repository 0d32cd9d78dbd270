"""Is the mobile node on the link after all? Asked before its address is given back unasked.

A server may give a released address to the next who asks, so it must not be one that is in use.
Only an answer with the MN's own link-layer address counts: the access router answers for the nCoA
of an MN that is still elsewhere. Sans-IO.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from mpa_hil.configuration.acquisition import Transmit
from mpa_hil.configuration.frames import ArpReply, arp_probe
from mpa_hil.configuration.frames6 import NeighbourAdvertised, neighbour_solicitation
from mpa_hil.configuration.heard import Heard
from mpa_hil.mobility.interface import Address, Instant

_NS_PER_MS = 1_000_000
_PROBES = 2
_WAIT_MS = 200
"""After each probe; an answer on the link takes a few."""


class Absence:
    """The question, asked twice.

    Args:
        address: in doubt.
        node_mac: of the MN.
        mac: the agent's own.
    """

    def __init__(self, address: Address, node_mac: bytes, mac: bytes) -> None:
        self._address = address
        self._node_mac = node_mac
        self._mac = mac
        self._asked = 0
        self._due_ns = 0
        self.present = False
        """The MN answered."""

    @property
    def settled(self) -> bool:
        """Whether the question is answered, or was asked often enough."""
        return self.present or self._asked > _PROBES

    def next_deadline(self) -> int:
        """Monotonic nanoseconds of the next probe, or the end."""
        return self._due_ns

    def receive(self, heard: Heard) -> None:
        """Digest what was heard on the link."""
        if not isinstance(heard, ArpReply | NeighbourAdvertised):
            return
        if heard.address == self._address:
            self.present = self.present or heard.mac == self._node_mac

    def expire(self, now: Instant) -> tuple[Transmit, ...]:
        """Ask, when it is time."""
        if now.monotonic_ns < self._due_ns:
            return ()
        self._asked += 1
        self._due_ns = now.monotonic_ns + _WAIT_MS * _NS_PER_MS
        if self._asked > _PROBES:
            return ()
        if isinstance(self._address, IPv6Address):
            return (Transmit(neighbour_solicitation(self._mac, self._address)),)
        return (Transmit(arp_probe(self._mac, self._address)),)
