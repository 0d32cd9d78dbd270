"""Packet codes, attribute types and sizes of RADIUS, as far as they are used here."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """RFC 2865 s3; RFC 5997 s3 for the last."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCESS_CHALLENGE = 11
    STATUS_SERVER = 12


# Plain integers and not an enumeration: they are compared once for each attribute of each packet.
USER_NAME: Final = 1  # RFC 2865 s5.1
NAS_IP_ADDRESS: Final = 4  # RFC 2865 s5.4
SERVICE_TYPE: Final = 6  # RFC 2865 s5.6
FRAMED_MTU: Final = 12  # RFC 2865 s5.12
REPLY_MESSAGE: Final = 18  # RFC 2865 s5.18
STATE: Final = 24  # RFC 2865 s5.24
CLASS: Final = 25  # RFC 2865 s5.25
VENDOR_SPECIFIC: Final = 26  # RFC 2865 s5.26
SESSION_TIMEOUT: Final = 27  # RFC 2865 s5.27
TERMINATION_ACTION: Final = 29  # RFC 2865 s5.29
CALLED_STATION_ID: Final = 30  # RFC 2865 s5.30
CALLING_STATION_ID: Final = 31  # RFC 2865 s5.31
NAS_IDENTIFIER: Final = 32  # RFC 2865 s5.32
PROXY_STATE: Final = 33  # RFC 2865 s5.33
NAS_PORT_TYPE: Final = 61  # RFC 2865 s5.41
TUNNEL_PASSWORD: Final = 69  # RFC 2868 s3.5
EAP_MESSAGE: Final = 79  # RFC 3579 s3.1
MESSAGE_AUTHENTICATOR: Final = 80  # RFC 3579 s3.2
NAS_IPV6_ADDRESS: Final = 95  # RFC 3162 s2.1
ERROR_CAUSE: Final = 101  # RFC 5176 s3.5

MICROSOFT: Final = 311
"""Vendor of the keys (RFC 2548)."""
MS_MPPE_SEND_KEY: Final = 16  # RFC 2548 s2.4.2
MS_MPPE_RECV_KEY: Final = 17  # RFC 2548 s2.4.3

SERVICE_FRAMED: Final = 2
"""The one Service-Type that is provided here (RFC 2865 s5.6)."""

HEADER_OCTETS: Final = 20
AUTHENTICATOR_OCTETS: Final = 16
MAX_PACKET_OCTETS: Final = 4096
"""RFC 2865 s3; also over TLS (RFC 6613 s2.6.4)."""
MAX_VALUE_OCTETS: Final = 253
"""Of one attribute: its length field is one octet and counts itself and the type."""
