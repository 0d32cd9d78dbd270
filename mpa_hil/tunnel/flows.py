"""How single flows of an MN are to be treated while it switches (RFC 6252 s1.2). Sans-IO.

The MN says so when it asks for its tunnel; the router carries it out between DISABLE and the MN's
arrival, towards the MN, in the kernel. The first choice that fits a packet holds; a packet that
none fits is held.
"""

from __future__ import annotations

from enum import IntEnum
from ipaddress import ip_address

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.light import light
from mpa_hil.mobility.interface import Address

MAX_FLOWS = 32
"""Choices of one session: each is a comparison for every packet that it does not fit."""
TCP, UDP = 6, 17
_ADDRESS_OCTETS = (0, 4, 16)
_FIXED_OCTETS = 7


class Treat(IntEnum):
    """What becomes of a flow's packets; stands in the messages."""

    HOLD = 1
    """They wait."""
    PASS = 2
    """They go on as before: by the tunnel; at the old router, onto the link."""
    BOTH = 3
    """Through the tunnel and onto the link (R74)."""
    DROP = 4
    """They are thrown away: for a flow to which a late packet is worse than none."""


@light
class FlowChoice:
    """One flow, or all that a pattern fits. What is 0 or None fits everything.

    Packets fit as they come to the router, or inside the home agent's tunnel.
    """

    treat: Treat
    protocol: int = 0
    """6 or 17; else there are no ports to compare."""
    own: Address | None = None
    """The MN's address, in packets that come by the home agent: its home address."""
    own_port: int = 0
    peer: Address | None = None
    """The other end's."""
    peer_port: int = 0

    @property
    def version(self) -> int:
        """4 or 6; 0 for both."""
        known = self.own or self.peer
        return known.version if known is not None else 0


def check(choice: FlowChoice) -> None:
    """Refuse what means nothing.

    Raises:
        LocalError: says what.
    """
    ports = choice.own_port, choice.peer_port
    families = {each.version for each in (choice.own, choice.peer) if each is not None}
    if choice.protocol not in (0, TCP, UDP) or (any(ports) and not choice.protocol):
        raise LocalError(f"ports of protocol {choice.protocol}", where="tunnel, flow")
    if not all(0 <= port < 1 << 16 for port in ports):
        raise LocalError(f"ports {ports}", where="tunnel, flow")
    if len(families) > 1:
        raise LocalError("a flow between two families", where="tunnel, flow")


def encode(choice: FlowChoice) -> bytes:
    """Treatment 1, protocol 1, own port 2, peer's port 2, length of the own address 1, it, the
    peer's address: octets."""
    own, peer = (each.packed if each is not None else b"" for each in (choice.own, choice.peer))
    ports = choice.own_port.to_bytes(2, "big") + choice.peer_port.to_bytes(2, "big")
    return bytes((choice.treat, choice.protocol)) + ports + bytes((len(own),)) + own + peer


def decode(octets: bytes) -> FlowChoice:
    """The choice.

    Raises:
        errors.DecodeError: it is none.
    """
    if len(octets) < _FIXED_OCTETS or octets[0] not in Treat.__members__.values():
        raise DecodeError("no choice for a flow")
    between = _FIXED_OCTETS + octets[6]
    own, peer = octets[_FIXED_OCTETS:between], octets[between:]
    if len(own) not in _ADDRESS_OCTETS or len(own) != octets[6] or len(peer) not in _ADDRESS_OCTETS:
        raise DecodeError("a flow's addresses are malformed")
    choice = FlowChoice(
        Treat(octets[0]),
        octets[1],
        ip_address(own) if own else None,
        int.from_bytes(octets[2:4], "big"),
        ip_address(peer) if peer else None,
        int.from_bytes(octets[4:6], "big"),
    )
    try:
        check(choice)
    except LocalError as error:
        raise DecodeError(error.what) from None
    return choice
