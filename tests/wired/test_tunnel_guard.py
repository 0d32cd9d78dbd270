"""What may not enter by a tunnel: spoofed inner addresses at either end, unprotected packets where
protection was agreed. Each with a control that shows that the packet would be heard."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tunnel_lab import CN, NEW, OLD, ROUTER_B, Flow, TunnelLab, datagram, encapsulated, has

from mpa_hil.kernel.tunnel_plan import Esp
from mpa_hil.kernel.xfrm import REQUEST_ID

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

STRANGER = {4: ip_address("10.66.0.1"), 6: ip_address("fd00:66::1")}
INSIDE = {4: 4, 6: 41}


@pytest.fixture(scope="module")
def lab() -> Iterator[TunnelLab]:
    if not has("ipip"):
        pytest.skip("this kernel has no ipip: run it in the guest")
    with TunnelLab() as standing:
        for address in STRANGER.values():  # so that the node would take what is sent to it
            standing.ip("mn", "addr", "add", f"{address}/{address.max_prefixlen}", "dev", "lo")
        yield standing


@pytest.mark.parametrize("kind", ["plain", "esp", "wireguard"])
@pytest.mark.parametrize(("outer", "version"), [(4, 4), (4, 6), (6, 6), (6, 4)])
def test_spoofed_inside(lab: TunnelLab, kind: str, outer: int, version: int) -> None:
    """Sent by whoever has the keys: the other end itself."""
    router, node = lab.ends(kind, outer, (version,))
    lab.create(router, node)
    try:
        flow, local = Flow(lab, NEW[version]), lab.udp("mn", STRANGER[version])
        flow.settle()
        far = CN[version], flow.far.getsockname()[1]
        near = NEW[version], flow.near.getsockname()[1]
        stranger = STRANGER[version], local.getsockname()[1]
        up = (
            (STRANGER[version], b"spoofed"),
            (CN[version], b"spoofed"),
            (NEW[version], b"genuine"),
        )
        for source, data in up:
            lab.inject("mn", "mpapht", b"", datagram(source, far, data))
        assert flow.arrived_far(1) == [b"genuine"]
        down = ((NEW[version], near, b"mine"), (CN[version], stranger, b"not his"))
        for source, to, data in (*down, (CN[version], near, b"genuine")):
            try:
                lab.inject("b", "mpatpht", b"", datagram(source, to, data))
            except OSError as error:
                # WireGuard itself sends nothing to an address that is not its peer's.
                if error.errno != errno.ENOKEY or to is not stranger:
                    raise
        assert flow.arrived(1) == [b"genuine"]
        local.setblocking(False)
        with pytest.raises(BlockingIOError):
            local.recv(99)
        flow.close()
        local.close()
    finally:
        lab.remove(router, node)


@pytest.mark.parametrize(("outer", "version"), [(4, 4), (4, 6), (6, 6), (6, 4)])
def test_unprotected(lab: TunnelLab, outer: int, version: int) -> None:
    """From elsewhere, with the outer addresses of the tunnel's ends, at both ends."""
    wan, lan = lab.mac("b", "wan"), lab.mac("mn", "wlan0")
    for kind, heard in (("plain", [b"forged"]), ("esp", [])):
        router, node = lab.ends(kind, outer, (version,))
        lab.create(router, node)
        try:
            flow = Flow(lab, NEW[version])
            flow.settle()
            far = CN[version], flow.far.getsockname()[1]
            near = NEW[version], flow.near.getsockname()[1]
            inner = datagram(NEW[version], far, b"forged")
            forged = encapsulated(OLD[outer], ROUTER_B[outer], INSIDE[version], inner)
            lab.inject("core", "rb", wan, forged)
            assert flow.arrived_far(len(heard)) == heard
            inner = datagram(CN[version], near, b"forged")
            forged = encapsulated(ROUTER_B[outer], OLD[outer], INSIDE[version], inner)
            lab.inject("a", "lan", lan, forged)
            assert flow.arrived(len(heard)) == heard
            assert flow.down(1) == flow.arrived(1)
            assert flow.up(1) == flow.arrived_far(1)
            flow.close()
        finally:
            lab.remove(router, node)


@pytest.mark.parametrize("version", [4, 6])
def test_another_nodes_keys_do_not_open_it(lab: TunnelLab, version: int) -> None:
    """Somebody who has keys of his own with the router speaks as the node: from its outer address,
    of its inner one. The control has the node's own keys."""
    router, node = lab.ends("esp", 4, (version,))
    own = node.plan.protection
    assert isinstance(own, Esp)
    lab.create(router, node)
    try:
        flow = Flow(lab, NEW[version])
        flow.settle()
        far = CN[version], flow.far.getsockname()[1]
        words = "xfrm state add src 10.0.2.254 dst 10.0.2.1 proto esp spi 0x9009 mode transport"
        words += f" reqid {REQUEST_ID}"
        key = bytes(range(100, 120))
        aead = ("aead", "rfc4106(gcm(aes))", f"0x{key.hex()}", "128", "flag", "esn")
        window = ("replay-window", "64")
        lab.ip("b", *words.split(), *window, *aead, "output-mark", "0x99")
        inner = datagram(NEW[version], far, b"forged")
        for spi, secret, heard in ((0x9009, key, []), (own.spi_out, own.key_out, [b"forged"])):
            octets = protected(spi, secret, INSIDE[version], inner)
            packet = encapsulated(OLD[4], ROUTER_B[4], 50, octets)
            lab.inject("core", "rb", lab.mac("b", "wan"), packet)
            assert flow.arrived_far(len(heard)) == heard
        assert "spi 0x00009009" in lab.ip("b", "xfrm", "state")
        flow.close()
    finally:
        lab.remove(router, node)
        lab.ip("b", *["xfrm", "state", "del", "dst", "10.0.2.1", "proto", "esp", "spi", "0x9009"])


def protected(spi: int, key: bytes, following: int, octets: bytes) -> bytes:
    """An ESP packet with a sequence number that is far ahead (RFC 4303 s2, RFC 4106 s5)."""
    sequence = struct.pack("!Q", 200)
    padding = -(len(octets) + 2) % 4
    plain = octets + bytes(range(1, padding + 1)) + bytes((padding, following))
    head = struct.pack("!I", spi)
    sealed = AESGCM(key[:16]).encrypt(key[16:] + sequence, plain, head + sequence)
    return head + sequence[4:] + sequence + sealed
