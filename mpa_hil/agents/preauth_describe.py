"""Asks the agent of a prepared network what it knows of networks, under the MPA-SA with it.

The socket is of this question alone, so that its answer is nobody else's: the agent answers where
a question came from.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence
from ipaddress import ip_address

from mpa_hil.authentication.service import SERVICE_PORT
from mpa_hil.clock import instant
from mpa_hil.discovery.asking import Asking
from mpa_hil.discovery.description import Learnt
from mpa_hil.discovery.information import Failed, InformationOutput, Obtained, SendQuery
from mpa_hil.errors import DecodeError, RemoteError
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.association import SecurityAssociation

_RECEIVE_OCTETS = 2048
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


async def describe(
    sa: SecurityAssociation,
    realm: str,
    agent: Endpoint,
    *,
    near: str | None = None,
    realms: Sequence[str] = (),
) -> tuple[Learnt, ...]:
    """What an agent says of its own network and of others.

    Args:
        realm: of the agent's network.
        agent: where it is; the port is the service's own.
        near: BSSID of where the node is.
        realms: only these networks; empty: all.

    Raises:
        RemoteError: no answer in time (`InformationSettings.timeout_s`), or an unwilling one.
    """
    asking = Asking(sa, realm, os.urandom)
    service = Endpoint(agent.address, SERVICE_PORT)
    outputs = asking.ask(instant(), near=near, realms=realms)
    family = _FAMILIES[agent.address.version]
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as opened:
        while True:
            for output in outputs:
                match output:
                    case SendQuery():
                        with contextlib.suppress(OSError):  # as good as lost: it is repeated
                            opened.sendto(output.octets, (str(service.address), service.port))
                    case Obtained():
                        return output.learnt
                    case Failed():
                        raise RemoteError(output.reason, where=f"agent of {realm}")
            outputs = await _next(asking, opened, service)


async def _next(
    asking: Asking, opened: socket.socket, service: Endpoint
) -> tuple[InformationOutput, ...]:
    """What the next datagram, or the next deadline, brings."""
    due_ns = asking.next_deadline()
    assert due_ns is not None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(max(0.0, (due_ns - time.monotonic_ns()) / 1e9)):
            datagram, (address, port, *_) = await loop.sock_recvfrom(opened, _RECEIVE_OCTETS)
    except TimeoutError:
        return asking.expire(instant())
    except OSError:
        return ()  # an ICMP error about a question: it is repeated
    if Endpoint(ip_address(address.split("%")[0]), port) != service:
        return ()
    try:
        return asking.receive(datagram, instant())
    except DecodeError:
        return ()  # somebody else's word; the agent's may yet come
