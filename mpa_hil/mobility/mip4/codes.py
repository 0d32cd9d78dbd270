"""The Code field of a Registration Reply (RFC 5944 s3.4; 74-76 and 137-139 are RFC 3024's)."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Why a registration was accepted or denied."""

    ACCEPTED = 0
    ACCEPTED_NOT_SIMULTANEOUS = 1
    FA_UNSPECIFIED = 64
    FA_PROHIBITED = 65
    FA_RESOURCES = 66
    FA_MOBILE_AUTHENTICATION = 67
    FA_HOME_AUTHENTICATION = 68
    FA_LIFETIME_TOO_LONG = 69
    FA_POOR_REQUEST = 70
    FA_POOR_REPLY = 71
    FA_ENCAPSULATION = 72
    FA_RESERVED = 73
    FA_REVERSE_TUNNEL = 74
    FA_REVERSE_TUNNEL_MANDATORY = 75
    FA_TOO_DISTANT = 76
    FA_CARE_OF_ADDRESS = 77
    FA_TIMEOUT = 78
    FA_HOME_NETWORK_UNREACHABLE = 80
    FA_HOME_HOST_UNREACHABLE = 81
    FA_HOME_PORT_UNREACHABLE = 82
    FA_HOME_UNREACHABLE = 88
    HA_UNSPECIFIED = 128
    HA_PROHIBITED = 129
    HA_RESOURCES = 130
    HA_MOBILE_AUTHENTICATION = 131
    HA_FOREIGN_AUTHENTICATION = 132
    HA_IDENTIFICATION = 133
    HA_POOR_REQUEST = 134
    HA_TOO_MANY_BINDINGS = 135
    HA_UNKNOWN_ADDRESS = 136
    HA_REVERSE_TUNNEL = 137
    HA_REVERSE_TUNNEL_MANDATORY = 138
    HA_ENCAPSULATION = 139
    FA_INVALID_HOME_AGENT = 194


_MEANINGS = {
    Code.ACCEPTED: "accepted",
    Code.ACCEPTED_NOT_SIMULTANEOUS: "accepted, simultaneous bindings are not supported",
    Code.FA_UNSPECIFIED: "foreign agent: no reason given",
    Code.FA_PROHIBITED: "foreign agent: administratively prohibited",
    Code.FA_RESOURCES: "foreign agent: out of resources",
    Code.FA_MOBILE_AUTHENTICATION: "foreign agent: the mobile node failed authentication",
    Code.FA_HOME_AUTHENTICATION: "foreign agent: the home agent failed authentication",
    Code.FA_LIFETIME_TOO_LONG: "foreign agent: the lifetime asked for is too long",
    Code.FA_POOR_REQUEST: "foreign agent: poorly formed request",
    Code.FA_POOR_REPLY: "foreign agent: poorly formed reply",
    Code.FA_ENCAPSULATION: "foreign agent: encapsulation unavailable",
    Code.FA_RESERVED: "foreign agent: reserved and unavailable",
    Code.FA_REVERSE_TUNNEL: "foreign agent: reverse tunnel unavailable",
    Code.FA_REVERSE_TUNNEL_MANDATORY: "foreign agent: reverse tunnel is mandatory",
    Code.FA_TOO_DISTANT: "foreign agent: the mobile node is too distant",
    Code.FA_CARE_OF_ADDRESS: "foreign agent: invalid care-of address",
    Code.FA_TIMEOUT: "foreign agent: registration timed out",
    Code.FA_HOME_NETWORK_UNREACHABLE: "foreign agent: home network unreachable",
    Code.FA_HOME_HOST_UNREACHABLE: "foreign agent: home agent host unreachable",
    Code.FA_HOME_PORT_UNREACHABLE: "foreign agent: home agent port unreachable",
    Code.FA_HOME_UNREACHABLE: "foreign agent: home agent unreachable",
    Code.HA_UNSPECIFIED: "no reason given",
    Code.HA_PROHIBITED: "administratively prohibited",
    Code.HA_RESOURCES: "the home agent is out of resources",
    Code.HA_MOBILE_AUTHENTICATION: "the mobile node failed authentication",
    Code.HA_FOREIGN_AUTHENTICATION: "the foreign agent failed authentication",
    Code.HA_IDENTIFICATION: "identification mismatch (clocks apart, or a replay)",
    Code.HA_POOR_REQUEST: "poorly formed request",
    Code.HA_TOO_MANY_BINDINGS: "too many simultaneous bindings",
    Code.HA_UNKNOWN_ADDRESS: "not this home agent's address",
    Code.HA_REVERSE_TUNNEL: "reverse tunnel unavailable",
    Code.HA_REVERSE_TUNNEL_MANDATORY: "reverse tunnel is mandatory",
    Code.HA_ENCAPSULATION: "encapsulation unavailable",
    Code.FA_INVALID_HOME_AGENT: "foreign agent: invalid home agent address",
}


def meaning(code: int) -> str:
    """The code in words; codes that nobody registered are said to be so."""
    try:
        return _MEANINGS[Code(code)]
    except ValueError:
        return f"unregistered code {code}"


def is_accepted(code: int) -> bool:
    """Whether the code grants the registration (0 and 1)."""
    return code in (Code.ACCEPTED, Code.ACCEPTED_NOT_SIMULTANEOUS)
