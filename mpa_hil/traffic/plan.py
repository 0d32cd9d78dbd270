"""Which flows a lab file asks for, numbered: names, ports and SSRCs that all sides agree on.

The collector configures the endpoints from it and the evaluation reads their records by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal

from mpa_hil.scenario import Flow, Scenario
from mpa_hil.traffic import codecs
from mpa_hil.traffic.codecs import Codec

Direction = Literal["downlink", "uplink"]
Address = IPv4Address | IPv6Address

FIRST_PORT = 20_000
"""Above what daemons of a lab listen on, below Linux' ephemeral ports: a sender's own port must
never be one that is to be received at. Streams and downloads are numbered apart: UDP and TCP do not
share ports."""
RATE_MBIT = 4.0
"""Of a download that does not say: four voice calls at 1 ms beside it, and the guest keeps up."""


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """One stream in one direction.

    Attributes:
        name: the lab file's, with ``-2``, ``-3``, ... for further streams of one entry.
        codec: spacing and payload.
        port: UDP port at the receiver.
        offset_ns: it begins so much later than the others: several streams of one entry take turns.
    """

    name: str
    direction: Direction
    codec: Codec
    port: int
    ssrc: int
    offset_ns: int = 0


@dataclass(frozen=True, slots=True)
class PlannedTransfer:
    """One download.

    Attributes:
        name: as of a `PlannedFlow`.
        port: TCP port at the CN.
    """

    name: str
    port: int
    rate_mbit: float


def planned_flows(scenario: Scenario) -> tuple[PlannedFlow, ...]:
    """Every stream of packets, in the lab file's order; port and SSRC differ for each."""
    flows: list[PlannedFlow] = []
    for flow in scenario.flows:
        if flow.kind != "udp":
            continue
        codec = flow_codec(flow)
        for number, name in enumerate(_names(flow)):
            offset_ns = number * codec.spacing_ns // flow.count
            for direction in _directions(flow):
                port = FIRST_PORT + len(flows)
                ssrc = len(flows) + 1
                flows.append(PlannedFlow(name, direction, codec, port, ssrc, offset_ns))
    return tuple(flows)


def planned_transfers(scenario: Scenario) -> tuple[PlannedTransfer, ...]:
    """Every download, in the lab file's order."""
    wanted = [
        (name, flow.rate_mbit or RATE_MBIT)
        for flow in scenario.flows
        if flow.kind == "tcp"
        for name in _names(flow)
    ]
    return tuple(
        PlannedTransfer(name, FIRST_PORT + number, rate_mbit)
        for number, (name, rate_mbit) in enumerate(wanted)
    )


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
    scenario: Scenario, host: str, local: Address, remote: Address, output: str
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
                "offset_ns": flow.offset_ns,
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


def transfer_config(
    scenario: Scenario, host: str, local: Address, remote: Address, output: str
) -> dict[str, Any]:
    """The configuration of the downloads on ``mn`` or ``cn`` (`mpa_hil.traffic.transfer`)."""
    return {
        "host": host,
        "output": output,
        "transfers": [
            {
                "flow": transfer.name,
                "role": "receive" if host == "mn" else "send",
                "local": str(local),
                "remote": str(remote),
                "port": transfer.port,
                "rate_octets_s": round(transfer.rate_mbit * 125_000),
            }
            for transfer in planned_transfers(scenario)
        ],
    }


def _names(flow: Flow) -> Iterator[str]:
    """The lab file's, then ``-2``, ``-3``, ..."""
    for number in range(flow.count):
        yield flow.name if number == 0 else f"{flow.name}-{number + 1}"


def _directions(flow: Flow) -> tuple[Direction, ...]:
    if flow.direction == "both":
        return ("downlink", "uplink")
    return (flow.direction,)
