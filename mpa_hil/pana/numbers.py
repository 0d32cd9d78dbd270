"""Registered numbers of PANA: messages, flags, AVPs, results, causes and algorithms, sans-IO."""

from __future__ import annotations

from enum import IntEnum, IntFlag

PANA_PORT = 716
"""UDP; every PANA peer listens on it (RFC 5191 s6.1)."""
HEADER_OCTETS = 16
MAX_MESSAGE_OCTETS = 8192
"""Longer datagrams are refused unread. EAP over RADIUS stays below 4096 octets (RFC 2865 s3)."""
MAX_AVPS = 32
"""In one message; the longest genuine one has ten. Bounds what one datagram can cost."""


class MessageType(IntEnum):
    """RFC 5191 s7 and RFC 6345 s4.1; the R flag tells a request from its answer."""

    CLIENT_INITIATION = 1
    AUTH = 2
    TERMINATION = 3
    NOTIFICATION = 4
    RELAY = 5


class Flag(IntFlag):
    """RFC 5191 s6.2; bit 0 is the leftmost of sixteen."""

    REQUEST = 0x8000
    START = 0x4000
    COMPLETE = 0x2000
    REAUTHENTICATION = 0x1000
    PING = 0x0800
    IP_RECONFIGURATION = 0x0400
    PREAUTHENTICATION = 0x0200
    """RFC 5873 s4: this run is for a network that the PaC has not entered yet."""


class AvpCode(IntEnum):
    """RFC 5191 s8, RFC 6345 s5, RFC 6786 s4 and s5."""

    AUTH = 1
    EAP_PAYLOAD = 2
    INTEGRITY_ALGORITHM = 3
    KEY_ID = 4
    NONCE = 5
    PRF_ALGORITHM = 6
    RESULT_CODE = 7
    SESSION_LIFETIME = 8
    TERMINATION_CAUSE = 9
    PAC_INFORMATION = 10
    RELAYED_MESSAGE = 11
    ENCRYPTION_ENCAP = 12
    ENCRYPTION_ALGORITHM = 13


class ResultCode(IntEnum):
    """What the last PANA-Auth-Request says (RFC 5191 s8.7)."""

    SUCCESS = 0
    AUTHENTICATION_REJECTED = 1
    AUTHORIZATION_REJECTED = 2


class TerminationCause(IntEnum):
    """Why the sender of a PANA-Termination-Request ends the session (RFC 5191 s8.9)."""

    LOGOUT = 1
    ADMINISTRATIVE = 4
    SESSION_TIMEOUT = 8


class Prf(IntEnum):
    """IKEv2 transform type 2, the part of it that is spoken here."""

    HMAC_SHA1 = 2
    """Every implementation has it (RFC 5191 s8.6)."""
    HMAC_SHA2_256 = 5
    """RFC 4868."""


class Integrity(IntEnum):
    """IKEv2 transform type 3, the part of it that is spoken here."""

    HMAC_SHA1_160 = 7
    """Every implementation has it (RFC 5191 s8.3, RFC 4595)."""
    HMAC_SHA2_256_128 = 12
    """RFC 4868."""


class Encryption(IntEnum):
    """RFC 6786 s4."""

    AES128_CTR = 1
