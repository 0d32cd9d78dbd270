"""What a `prepare` command says about holding:

hold               next (router), old, both, off
hold_limit_ms, hold_limit_octets, hold_limit_packets   bounds at each router
flows, old_flows   choices for single flows at either router: octets of `tunnel.flows`, hexadecimal
old_realm, old_ar  the network that is left and its access router, "ADDRESS PORT", to hold there
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

from mpa_hil.agents.config import Fields
from mpa_hil.agents.detention import OldRouter
from mpa_hil.errors import DecodeError
from mpa_hil.handover.options import Hold, Level
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.tunnel.flows import MAX_FLOWS, FlowChoice, decode

_PLACES = {"next": Hold.NEXT, "off": Hold.OFF, "old": Hold.OLD, "both": Hold.NEXT | Hold.OLD}


class Holding(NamedTuple):
    """All of it."""

    hold: Hold
    ms: int
    octets: int
    packets: int
    flows: tuple[FlowChoice, ...]
    old: OldRouter | None


def read_holding(fields: Fields, level: Level) -> Holding:
    """Take it out of a command. Without a tunnel there is nothing to hold at the next router,
    without an address nothing to forward to.

    Raises:
        LocalError: with the key that is wrong.
    """
    hold = _PLACES[fields.choice("hold", tuple(_PLACES))]
    if level is not Level.BOUND:
        hold &= Hold.OLD if level is Level.CONFIGURED else Hold.OFF
    old_flows = _flows(fields, "old_flows")
    old = None
    if fields.has("old_ar"):
        old = OldRouter(fields.text("old_realm"), read_endpoint(fields, "old_ar"), old_flows)
    elif hold & Hold.OLD:
        raise fields.fault("old_ar", "nobody is named who could hold")
    return Holding(
        hold,
        fields.integer("hold_limit_ms", 2000, 1, 60_000),
        fields.integer("hold_limit_octets", 1 << 20, 2000, 1 << 30),
        fields.integer("hold_limit_packets", 2048, 1, 1 << 20),
        _flows(fields, "flows"),
        old,
    )


def read_endpoint(fields: Fields, key: str) -> Endpoint:
    """An agent, "ADDRESS PORT".

    Raises:
        LocalError: it is none.
    """
    text = fields.text(key)
    host, _, port = text.rpartition(" ")
    try:
        return Endpoint(ip_address(host), int(port))
    except ValueError:
        raise fields.fault(key, f"{text!r} is no address and port") from None


def _flows(fields: Fields, key: str) -> tuple[FlowChoice, ...]:
    texts = fields.texts(key)
    try:
        found = tuple(decode(bytes.fromhex(text)) for text in texts)
    except (ValueError, DecodeError) as error:
        raise fields.fault(key, f"no choice for a flow: {error}") from None
    if len(found) > MAX_FLOWS:
        raise fields.fault(key, f"{len(found)} choices; {MAX_FLOWS} are the most")
    return found
