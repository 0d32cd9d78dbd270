"""How the mobile node is to get an address on a network, as commands say it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from mpa_hil.agents.config import Fields
from mpa_hil.mobility.interface import Address as IpAddress


@dataclass(frozen=True, slots=True)
class Plan:
    """How to get an address on a network.

    Attributes:
        static: the address to keep; None: DHCP.
        router: the default router's address, with a static one.
        router_mac: its link-layer address, so that nothing has to be asked after the switch.
        rapid_commit: ask DHCP for two messages instead of four.
        keep_address: keep it while the link is down, for the next access point of the same link.
        same_link: the access point bridges to the link that the node is on: nothing changes.
        hold_port: of the router's hold agent.
    """

    static: IPv4Interface | IPv6Interface | None = None
    router: IpAddress | None = None
    router_mac: bytes = b""
    rapid_commit: bool = False
    keep_address: bool = False
    same_link: bool = False
    hold_port: int = 4340

    @classmethod
    def read(cls, fields: Fields) -> Plan:
        """The LAYER3 part of a command.

        Raises:
            LocalError: with the key that is wrong.
        """
        if not fields.has("static"):
            return cls(
                rapid_commit=fields.truth("rapid_commit", False),
                keep_address=fields.truth("keep_address", False),
                same_link=fields.truth("same_link", False),
            )
        text = fields.text("static")
        try:
            static = ip_interface(text)
        except ValueError:
            raise fields.fault("static", f"{text!r} is no address with prefix length") from None
        return cls(
            static,
            fields.address("router") if static.version == 4 else fields.address6("router"),
            bytes.fromhex(fields.text("router_mac").replace(":", "")),
            hold_port=fields.integer("hold_port", 4340, 1, 65535),
        )
