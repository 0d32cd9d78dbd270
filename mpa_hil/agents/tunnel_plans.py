"""From what a network's agents granted to what the mobile node's kernel is to have."""

from __future__ import annotations

from ipaddress import IPv4Address

from mpa_hil.configuration.interface import (
    Configuration,
    Method,
    Wish,
    duid_ll,
    ethernet_client_id,
)
from mpa_hil.handover.interface import CreateTunnel
from mpa_hil.kernel.node_tunnel import NextNetwork
from mpa_hil.kernel.tunnel_plan import Esp, Plain, Protection, TunnelPlan, WireGuard
from mpa_hil.mobility.interface import Address
from mpa_hil.tunnel.interface import (
    EspKeys,
    Protect,
    TunnelTerms,
    TunnelWish,
    WireGuardKeys,
)

_WIREGUARD_PORT = 51820
_KEEPALIVE_S = 25


def wish(mac: bytes, present: Address, declined: Address | None) -> Wish:
    """An address of the family that the node has now.

    The client identifier is what its own DHCP client says after the move (R51).
    """
    if isinstance(present, IPv4Address):
        return Wish(Method.DHCPV4, mac, ethernet_client_id(mac), decline=declined)
    return Wish(Method.IPV6, mac, duid_ll(mac), decline=declined)


def secret(protection: str) -> bytes:
    """What the node keeps to itself of a tunnel: WireGuard's private key; else nothing."""
    if protection != "wireguard":
        return b""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.generate().private_bytes_raw()


def tunnel_wish(
    outer: Address, inner: Address, mac: bytes, action: CreateTunnel, private: bytes
) -> TunnelWish:
    """What the access router is asked for."""
    protect = Protect[action.protection.upper()]
    if not private:
        return TunnelWish(outer, (inner,), mac, protect, bicast=action.bicast)
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return TunnelWish(
        outer,
        (inner,),
        mac,
        protect,
        bicast=action.bicast,
        public=public,
        port=_WIREGUARD_PORT,
    )


def plan(device: str, terms: TunnelTerms, private: bytes) -> TunnelPlan:
    """The node's end of the tunnel that was granted."""
    return TunnelPlan(
        device,
        terms.outer,
        terms.router,
        terms.inner,
        _protection(terms, private),
        terms.mtu,
        terms.hold_octets,
        terms.hold_packets,
    )


def network(settings: Configuration, terms: TunnelTerms | None) -> NextNetwork:
    """How the new address will stand on the next link."""
    mac = terms.router_mac if terms is not None else settings.router_mac
    return NextNetwork(settings.address, settings.router, mac or settings.router_mac)


def _protection(terms: TunnelTerms, private: bytes) -> Protection:
    keys = terms.keys
    if isinstance(keys, EspKeys):
        return Esp(keys.to_node_spi, keys.to_router_spi, keys.to_node, keys.to_router)
    if isinstance(keys, WireGuardKeys):
        return WireGuard(
            private,
            keys.peer_public,
            keys.preshared,
            _WIREGUARD_PORT,
            keys.peer_port,
            _KEEPALIVE_S,
        )
    return Plain()
