"""What both ends of a proactive handover tunnel (PHT) agree on (RFC 6252 s6.1, RFC 2003, RFC 2473).

family of the outer, of the inner addresses -> device

4 in 4  ipip      6 in 4, both in 4  sit
6 in 6, 4 in 6, both in 6  ip6tnl
any, under WireGuard  wireguard
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from mpa_hil.kernel.flow_filters import FlowFilter
from mpa_hil.kernel.objects import PREFIX, IpAddress

ESP_KEY_OCTETS = 20
"""AES-128 and the salt of RFC 4106 s8.1."""
WIREGUARD_KEY_OCTETS = 32
_NAME_OCTETS = 15
_OUTER_OCTETS = {4: 20, 6: 40}
_ESP_OCTETS = 34
"""SPI 4, sequence 4, IV 8, pad length 1, next header 1, check value 16 (RFC 4303, RFC 4106)."""
_ESP_ALIGNMENT = 4
_WIREGUARD_OCTETS = 40
"""UDP 8, message header 16, check value 16."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Encapsulated, not protected."""

    @property
    def octets(self) -> int:
        """What protection adds to each packet."""
        return 0


@dataclass(frozen=True, slots=True)
class Esp:
    """ESP in transport mode round the encapsulated packet: AES-128-GCM, 64-bit sequence numbers.

    The same keys must never be installed twice, also not after a restart: the sequence number,
    which starts anew, is the cipher's nonce. So derive them from the MN-AR key *and* a nonce of
    each side.

    Attributes:
        spi_in: of what comes in here; the other end's `spi_out`. 256 or more.
        spi_out: of what leaves here.
        key_in: 16 octets of key and 4 of salt; the other end's `key_out`.
        key_out: likewise.
    """

    spi_in: int
    spi_out: int
    key_in: bytes = field(repr=False)
    key_out: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if min(self.spi_in, self.spi_out) < 256 or max(self.spi_in, self.spi_out) >= 1 << 32:
            raise ValueError("SPI: 256 to 2^32 - 1 (RFC 4303 s2.1)")
        if len(self.key_in) != ESP_KEY_OCTETS or len(self.key_out) != ESP_KEY_OCTETS:
            raise ValueError(f"an ESP key has {ESP_KEY_OCTETS} octets, salt included")
        if self.key_in == self.key_out:
            raise ValueError("each direction needs a key of its own")

    @property
    def octets(self) -> int:
        """What protection adds to each packet, padding aside."""
        return _ESP_OCTETS


@dataclass(frozen=True, slots=True)
class WireGuard:
    """A WireGuard device with one peer.

    Attributes:
        private: this end's private key (X25519).
        peer_public: the other end's public key.
        preshared: mixed into the handshake; derived from the MN-AR key.
        local_port: UDP; 0 lets the kernel choose.
        remote_port: UDP.
        keepalive_s: 0 for none. The end that has one starts the handshake at once, so it is done
            before the first packet: give it to one end, the node.
    """

    private: bytes = field(repr=False)
    peer_public: bytes
    preshared: bytes = field(repr=False)
    local_port: int
    remote_port: int
    keepalive_s: int = 0

    def __post_init__(self) -> None:
        for key in (self.private, self.peer_public, self.preshared):
            if len(key) != WIREGUARD_KEY_OCTETS:
                raise ValueError(f"a WireGuard key has {WIREGUARD_KEY_OCTETS} octets")

    @property
    def octets(self) -> int:
        """What protection adds to each packet."""
        return _WIREGUARD_OCTETS


Protection: TypeAlias = Plain | Esp | WireGuard


def tunnel_mtu(outer_version: int, protection: Protection, link_mtu: int = 1500) -> int:
    """The largest inner packet that crosses `link_mtu` in one piece, octets."""
    room = link_mtu - _OUTER_OCTETS[outer_version] - protection.octets
    if isinstance(protection, Esp):
        room -= (room + 2) % _ESP_ALIGNMENT
    return room


@dataclass(frozen=True, slots=True)
class TunnelPlan:
    """One end of one tunnel.

    Attributes:
        device: its name, `mpa...`, at most 15 characters, fourth character neither q nor r: the
            hold device's two ends are named with these in its place.
        outer_local: this end.
        outer_remote: the other end; of the same family.
        inner: the node's new addresses (nCoA), at most one of each family.
        mtu: of the tunnel in octets; 0 means what fits into 1500 (`tunnel_mtu`).
        hold_octets: what the hold device takes, link-layer headers included; the rest is dropped
            and counted.
        hold_packets: likewise, in packets; 0 for no such limit.
        flows: what does something else than wait; the first that fits a packet.
    """

    device: str
    outer_local: IpAddress
    outer_remote: IpAddress
    inner: tuple[IpAddress, ...]
    protection: Protection = Plain()
    mtu: int = 0
    hold_octets: int = 1 << 18
    hold_packets: int = 0
    flows: tuple[FlowFilter, ...] = ()

    def __post_init__(self) -> None:
        name = self.device
        if not name.startswith(PREFIX) or not 3 < len(name) <= _NAME_OCTETS or name[3] in "qr":
            raise ValueError(f"tunnel name {name!r}: {PREFIX}... of at most 15 characters")
        if self.outer_local.version != self.outer_remote.version:
            raise ValueError("both outer addresses are of one family")
        families = [address.version for address in self.inner]
        if not families or len(set(families)) != len(families):
            raise ValueError("one inner address, or one of each family")

    @property
    def versions(self) -> frozenset[int]:
        """The families inside: 4, 6 or both."""
        return frozenset(address.version for address in self.inner)

    @property
    def hold_device(self) -> str:
        """Where packets wait."""
        return f"{PREFIX}q{self.device[4:]}"

    @property
    def hold_exit(self) -> str:
        """Where they come out and are sent on."""
        return f"{PREFIX}r{self.device[4:]}"

    @property
    def effective_mtu(self) -> int:
        """`mtu`, or what fits."""
        return self.mtu or tunnel_mtu(self.outer_local.version, self.protection)
