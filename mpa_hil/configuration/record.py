"""What a restarted configuration agent must know of an address that it holds. Sans-IO.

No secrets: the mobile node's key is delivered to the agent again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

from mpa_hil import errors
from mpa_hil.configuration.acquisition import Lease
from mpa_hil.configuration.interface import Method, Wish
from mpa_hil.mobility.interface import Instant


class DecodeError(errors.DecodeError):
    """The record is none."""

    def __init__(self, what: str) -> None:
        super().__init__(what, where="configuration agent's journal")


@dataclass(frozen=True, slots=True)
class HoldingRecord:
    """One address, and for whom. Times are of the clock on the wall: it outlives a restart."""

    mobile_node: str
    wish: Wish
    lease: Lease
    since_unix_ns: int
    """`Lease.since_ns` by that clock."""

    @classmethod
    def of(cls, mobile_node: str, wish: Wish, lease: Lease, now: Instant) -> HoldingRecord:
        """As it stands now."""
        since_unix_ns = now.unix_ns - (now.monotonic_ns - lease.since_ns)
        return cls(mobile_node, wish, lease, since_unix_ns)

    def values(self) -> dict[str, object]:
        """As JSON has it."""
        wish, lease = self.wish, self.lease
        return {
            "mobile_node": self.mobile_node,
            "method": wish.method.name,
            "mac": wish.mac.hex(":"),
            "client_id": wish.client_id.hex(),
            "iaid": wish.association,
            "hostname": wish.hostname,
            "address": str(lease.address),
            "router": str(lease.router),
            "router_mac": lease.router_mac.hex(":"),
            "dns": [str(each) for each in lease.dns],
            "life_s": None if math.isinf(lease.life_s) else lease.life_s,
            "renew_s": None if math.isinf(lease.renew_s) else lease.renew_s,
            "since_unix_ns": self.since_unix_ns,
            "link_prefixes": [str(each) for each in lease.link_prefixes],
            "server": None if lease.server is None else str(lease.server),
            "server_id": lease.server_id.hex(),
            "ra": lease.ra.hex(),
        }

    @classmethod
    def read(cls, values: Mapping[str, object], now: Instant) -> HoldingRecord:
        """Raises DecodeError."""
        try:
            wish = Wish(
                Method[_text(values, "method")],
                _octets(values, "mac"),
                _octets(values, "client_id"),
                _number(values, "iaid"),
                _text(values, "hostname"),
            )
            since_unix_ns = _number(values, "since_unix_ns")
            lease = Lease(
                ip_interface(_text(values, "address")),
                ip_address(_text(values, "router")),
                _octets(values, "router_mac"),
                tuple(map(ip_address, _texts(values, "dns"))),
                _seconds(values, "life_s"),
                _seconds(values, "renew_s"),
                # No later than now, if the clock was set back: no lease grows by that.
                now.monotonic_ns - max(now.unix_ns - since_unix_ns, 0),
                tuple(map(ip_network, _texts(values, "link_prefixes"))),
                None if values["server"] is None else ip_address(_text(values, "server")),
                _octets(values, "server_id"),
                _octets(values, "ra"),
            )
            return cls(_text(values, "mobile_node"), wish, lease, since_unix_ns)
        except (KeyError, TypeError, ValueError, errors.LocalError) as error:
            raise DecodeError(f"{type(error).__name__}: {error}") from None


def _text(values: Mapping[str, object], key: str) -> str:
    value = values[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _texts(values: Mapping[str, object], key: str) -> list[str]:
    value = values[key]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError(f"{key} is no list of texts")
    return value


def _octets(values: Mapping[str, object], key: str) -> bytes:
    return bytes.fromhex(_text(values, key).replace(":", ""))


def _number(values: Mapping[str, object], key: str) -> int:
    value = values[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{key} is no number")
    return value


def _seconds(values: Mapping[str, object], key: str) -> float:
    value = values[key]
    if value is None:
        return math.inf
    if not isinstance(value, int | float) or not 0 <= value < 1 << 33:
        raise TypeError(f"{key} is no time")
    return float(value)
