"""The first tunnel made before anybody asks for it, and taken away again.

What tunnels are made of are modules of the kernel and of its cryptography, which it loads, and
tests, at the first use: 0.3 s in which a mobile node's preparation would wait.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from ipaddress import ip_address

from mpa_hil.kernel.objects import IpAddress
from mpa_hil.kernel.router_tunnel import RouterLink, RouterTunnel
from mpa_hil.kernel.tunnel_plan import ESP_KEY_OCTETS, Esp, Plain, TunnelPlan
from radios.errors import MpaError

DEVICE = "mpat0"
"""The sessions' numbers begin with 1; a sweep after a crash takes this one, too."""
_SPIS = 256, 257
_NOBODY: dict[int, tuple[IpAddress, IpAddress]] = {
    4: (ip_address("192.0.2.1"), ip_address("192.0.2.2")),
    6: (ip_address("2001:db8::1"), ip_address("2001:db8::2")),
}
"""Another end and an inner address that nobody has (RFC 5737, RFC 3849)."""


def warm_up(link: RouterLink, own: Iterable[IpAddress], *, protected: bool) -> int:
    """Make and remove one tunnel for each family of the router's own addresses.

    Args:
        own: the router's addresses; one of each family is used.
        protected: under ESP.

    Returns:
        How many were made. What the kernel lacks is told when a tunnel is asked for.
    """
    made = 0
    for address in {each.version: each for each in own}.values():
        end, inner = _NOBODY[address.version]
        keys = os.urandom(ESP_KEY_OCTETS), os.urandom(ESP_KEY_OCTETS)
        protection = Esp(*_SPIS, *keys) if protected else Plain()
        plan = TunnelPlan(DEVICE, address, end, (inner,), protection)
        tunnel = RouterTunnel(link, plan, link.link_layer, capture=False)
        with contextlib.suppress(MpaError):
            tunnel.create()
            tunnel.remove()
            link.state.settled()
            made += 1
    return made
