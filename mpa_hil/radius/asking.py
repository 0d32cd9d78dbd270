"""The attributes of an Access-Request (RFC 2865, RFC 3579 s3), sans-IO.

What is the same in each request of an agent is encoded once.
"""

from __future__ import annotations

from mpa_hil.errors import LocalError
from mpa_hil.radius import numbers
from mpa_hil.radius.interface import Ask, ClientSettings
from mpa_hil.radius.packet import attribute, eap_attributes, integer

_MAX_BODY = numbers.MAX_PACKET_OCTETS - numbers.HEADER_OCTETS - 18
"""Octets of a request's attributes, less its Message-Authenticator."""


class Asking:
    """Makes requests' attributes for one agent.

    Raises:
        LocalError: settings that cannot be.
    """

    def __init__(self, settings: ClientSettings) -> None:
        _check(settings)
        self.name = attribute(numbers.NAS_IDENTIFIER, settings.nas_identifier.encode())
        """NAS-Identifier, encoded."""
        parts = [self.name]
        for address in settings.nas_addresses:
            kind = numbers.NAS_IP_ADDRESS if address.version == 4 else numbers.NAS_IPV6_ADDRESS
            parts.append(attribute(kind, address.packed))
        parts.append(integer(numbers.SERVICE_TYPE, numbers.SERVICE_FRAMED))
        if settings.framed_mtu is not None:
            parts.append(integer(numbers.FRAMED_MTU, settings.framed_mtu))
        if settings.nas_port_type is not None:
            parts.append(integer(numbers.NAS_PORT_TYPE, settings.nas_port_type))
        self._common = b"".join(parts)

    def body(self, ask: Ask) -> bytes | str:
        """Its attributes, encoded, all but the Message-Authenticator; or what of the peer's does
        not fit into a request.

        Raises:
            LocalError: a station id that no attribute holds, an empty EAP packet.
        """
        if not 0 < len(ask.identity) <= numbers.MAX_VALUE_OCTETS:
            return f"an identity of {len(ask.identity)} octets"
        if not ask.eap:
            raise LocalError(
                "no EAP packet to ask with", where="RADIUS request", remedy="give the response"
            )
        parts = [attribute(numbers.USER_NAME, ask.identity), self._common]
        for kind, text in (
            (numbers.CALLED_STATION_ID, ask.called_station_id),
            (numbers.CALLING_STATION_ID, ask.calling_station_id),
        ):
            if text:
                parts.append(attribute(kind, text.encode()))
        parts.append(eap_attributes(ask.eap))
        if ask.continuation is not None and ask.continuation.state is not None:
            parts.append(attribute(numbers.STATE, ask.continuation.state))
        body = b"".join(parts)
        return body if len(body) <= _MAX_BODY else f"an EAP packet of {len(ask.eap)} octets"


def _check(settings: ClientSettings) -> None:
    if not settings.servers:
        raise LocalError("no RADIUS server", where="RADIUS client", remedy="name at least one")
    if not settings.nas_identifier:
        raise LocalError("no NAS identifier", where="RADIUS client", remedy="name the agent")
    if len({address.version for address in settings.nas_addresses}) < len(settings.nas_addresses):
        raise LocalError(
            "two NAS addresses of one family",
            where="RADIUS client",
            remedy="give at most one of each (RFC 2865 s5.44)",
        )
    for server in settings.servers:
        if not server.secret:
            raise LocalError(
                "an empty shared secret",
                where=f"RADIUS server {server.name}",
                remedy="RFC 2865 s3 forbids it: anybody could answer",
            )
