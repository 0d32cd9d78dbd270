"""Which flows a lab file asks for, numbered: names, ports and SSRCs that all sides agree on.

The collector configures the endpoints from it and the evaluation reads their records by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any, Literal

from mpa_hil.scenario import Flow, Scenario
from mpa_hil.traffic import codecs
from mpa_hil.traffic.codecs import Codec

Direction = Literal["downlink", "uplink"]

FIRST_PORT = 40_000
"""Above what daemons of a lab listen on, below Linux' ephemeral ports' usual end."""


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """One stream in one direction.

    Attributes:
        name: the lab file's, with ``-2``, ``-3``, ... for further streams of one entry.
        codec: spacing and payload.
        port: UDP port at the receiver.
    """

    name: str
    direction: Direction
    codec: Codec
    port: int
    ssrc: int


def planned_flows(scenario: Scenario) -> tuple[PlannedFlow, ...]:
    """Every stream of the lab, in the lab file's order; port and SSRC differ for each."""
    flows: list[PlannedFlow] = []
    for flow in scenario.flows:
        for number in range(flow.count):
            name = flow.name if number == 0 else f"{flow.name}-{number + 1}"
            for direction in _directions(flow):
                port = FIRST_PORT + len(flows)
                flows.append(PlannedFlow(name, direction, flow_codec(flow), port, len(flows) + 1))
    return tuple(flows)


def flow_codec(flow: Flow) -> Codec:
    """The codec that a lab file's flow names, or the nameless one that its numbers make."""
    if flow.codec is not None:
        return codecs.codec(
            flow.codec, spacing_ms=flow.spacing_ms, payload_bytes=flow.payload_bytes
        )
    shape = codecs.CODECS["probe-1ms"]
    assert flow.spacing_ms is not None  # checked when the lab file was read
    payload = flow.payload_bytes or shape.payload_bytes
    return replace(shape, name=flow.name, spacing_ms=flow.spacing_ms, payload_bytes=payload)


def endpoint_config(
    scenario: Scenario, host: str, local: IPv4Address, remote: IPv4Address, output: str
) -> dict[str, Any]:
    """The configuration of the endpoint on ``mn`` or ``cn`` (`mpa_hil.traffic.endpoint`)."""
    sending: Direction = "uplink" if host == "mn" else "downlink"
    flows = planned_flows(scenario)
    return {
        "host": host,
        "output": output,
        "send": [
            {
                "flow": flow.name,
                "local": str(local),
                "remote": str(remote),
                "port": flow.port,
                "ssrc": flow.ssrc,
                "payload_type": flow.codec.payload_type,
                "clock_hz": flow.codec.clock_hz,
                "spacing_ns": flow.codec.spacing_ns,
                "payload_bytes": flow.codec.payload_bytes,
            }
            for flow in flows
            if flow.direction == sending
        ],
        "receive": [
            {"address": str(local), "port": flow.port}
            for flow in flows
            if flow.direction != sending
        ],
    }


def _directions(flow: Flow) -> tuple[Direction, ...]:
    if flow.direction == "both":
        return ("downlink", "uplink")
    return (flow.direction,)
