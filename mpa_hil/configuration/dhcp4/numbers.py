"""DHCPv4 options that the configuration agent sends or reads (RFC 2132). Sans-IO."""

from __future__ import annotations

from enum import IntEnum


class Option(IntEnum):
    """By number."""

    PAD = 0
    SUBNET_MASK = 1
    ROUTER = 3
    DNS = 6
    HOSTNAME = 12
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_ID = 54
    PARAMETERS = 55
    MESSAGE = 56
    MAXIMUM_SIZE = 57
    RENEWAL_TIME = 58
    """T1."""
    REBINDING_TIME = 59
    """T2."""
    CLIENT_ID = 61
    END = 255
