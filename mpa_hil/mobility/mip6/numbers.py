"""Numbers of Mobile IPv6 and where each is from; timers and limits in `Tuning`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from radios.errors import LocalError

MOBILITY_HEADER = 135
"""Next Header value (RFC 6275 s6.1.1)."""
NO_NEXT_HEADER = 59
LIFETIME_UNIT_S = 4
"""Of the Lifetime fields (s6.1.7)."""
INFINITE_LIFETIME = 0xFFFF


class MhType(IntEnum):
    """Mobility Header types (s6.1)."""

    BINDING_REFRESH_REQUEST = 0
    HOME_TEST_INIT = 1
    CARE_OF_TEST_INIT = 2
    HOME_TEST = 3
    CARE_OF_TEST = 4
    BINDING_UPDATE = 5
    BINDING_ACKNOWLEDGEMENT = 6
    BINDING_ERROR = 7


class UpdateFlag(IntFlag):
    """Flags of a Binding Update (s6.1.7; O: RFC 5648 s4.2)."""

    ACKNOWLEDGE = 0x8000
    HOME = 0x4000
    LINK_LOCAL = 0x2000
    KEY_MANAGEMENT = 0x1000
    OVERWRITE = 0x0040


class Status(IntEnum):
    """Of a Binding Acknowledgement (s6.1.8; 144 to 146: RFC 4285 s4; 4, 164 to 168: RFC 5648)."""

    ACCEPTED = 0
    ACCEPTED_PREFIX_DISCOVERY = 1
    NOT_COMPLETE = 4
    UNSPECIFIED = 128
    PROHIBITED = 129
    RESOURCES = 130
    HOME_REGISTRATION_NOT_SUPPORTED = 131
    NOT_HOME_SUBNET = 132
    NOT_HOME_AGENT = 133
    DUPLICATE_ADDRESS = 134
    SEQUENCE_OUT_OF_WINDOW = 135
    EXPIRED_HOME_NONCE = 136
    EXPIRED_CARE_OF_NONCE = 137
    EXPIRED_NONCES = 138
    TYPE_CHANGE_DISALLOWED = 139
    ID_MISMATCH = 144
    ID_REQUIRED = 145
    AUTHENTICATION_FAILED = 146
    MALFORMED_BID = 164
    NON_BID_BINDING_EXISTS = 165
    BID_PROHIBITED = 166
    UNKNOWN_BID_CARE_OF = 167
    BULK_PROHIBITED = 168
    INVALID_CARE_OF = 174


REFUSED = 128
"""From this status on a Binding Update was refused."""

_MEANINGS = {
    Status.ACCEPTED_PREFIX_DISCOVERY: "accepted, but prefix discovery is necessary",
    Status.NOT_COMPLETE: "accepted, but not for all binding identifiers",
    Status.UNSPECIFIED: "no reason given",
    Status.PROHIBITED: "administratively prohibited",
    Status.RESOURCES: "insufficient resources",
    Status.NOT_HOME_AGENT: "not home agent for this node",
    Status.DUPLICATE_ADDRESS: "somebody else on the home link has the home address",
    Status.ID_MISMATCH: "time stamp outside the window or not newer",
    Status.ID_REQUIRED: "a time stamp is needed",
    Status.INVALID_CARE_OF: "invalid care-of address",
}


def meaning(status: int) -> str:
    """A status in words."""
    try:
        known = Status(status)
    except ValueError:
        return f"status {status}"
    return _MEANINGS.get(known, known.name.lower().replace("_", " "))


class ErrorStatus(IntEnum):
    """Of a Binding Error (s6.1.9)."""

    UNKNOWN_BINDING = 1
    UNRECOGNIZED_TYPE = 2


MAX_TOKEN_LIFETIME_S = 210
MAX_NONCE_LIFETIME_S = 240
MAX_RR_BINDING_LIFETIME_S = 420
MAX_RO_FAILURE = 3
PATIENCE_S = 3.0
"""So long a change of care-of address waits for a correspondent that knows the one before. Ours:
time for two lost messages; one that is dead must not keep the node from moving."""
MAX_UPDATE_RATE = 3
"""Messages of one type to one correspondent within a second."""
MAX_DELETE_BCE_TIMEOUT_S = 10
NONCE_INTERVAL_S = 30
"""A new nonce so often makes a token last from 210 to 240 s (s5.2.7)."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Replace single fields with `dataclasses.replace`; all times in seconds (s12, s13)."""

    lifetime_s: int = 1800
    """Lifetime asked of the home agent; rounded down to units of 4 s."""

    first_interval_s: float = 1.5
    """InitialBindackTimeoutFirstReg: the home agent checks first that the address is free."""

    minimum_interval_s: float = 1.0
    """INITIAL_BINDACK_TIMEOUT."""

    maximum_interval_s: float = 32.0
    """MAX_BINDACK_TIMEOUT."""

    attempts: int = 6
    """Updates for a new binding before it is given up: ours; 1+2+4+8+16+32 s. A refresh goes on
    until what it refreshes runs out."""

    resynchronisations: int = 4
    """Answers 135 or 144 in a row that are mended before they are believed."""

    renew_fraction: float = 2 / 3
    """Renewal starts when this part of a lifetime is over (s11.7.3: well before the end)."""

    maximum_lifetime_s: int = 3600
    """Longest that a home agent grants."""

    maximum_bindings: int = 1000
    """Bindings at one home agent or correspondent, status 130 beyond."""

    timestamp_window_s: float = 7.0
    """Clock difference that a home agent tolerates (as RFC 5944 s5.7.1; RFC 4285 names none)."""

    error_interval_s: float = 1.0
    """At most one Binding Error to one address in this time (s9.3.3)."""

    def __post_init__(self) -> None:
        if not (0 < self.renew_fraction < 1 and self.attempts >= 1 and self.minimum_interval_s > 0):
            raise LocalError(
                "renew_fraction must lie between 0 and 1, attempts be 1 or more, times positive",
                where="Mobile IPv6 tuning",
            )
        if not (
            LIFETIME_UNIT_S <= self.lifetime_s <= 0xFFFE * LIFETIME_UNIT_S
            and LIFETIME_UNIT_S <= self.maximum_lifetime_s <= 0xFFFE * LIFETIME_UNIT_S
        ):
            raise LocalError("lifetimes must be 4 to 262136 seconds", where="Mobile IPv6 tuning")


def is_after(sequence: int, last: int) -> bool:
    """Whether a sequence number is greater than the last one, modulo 2**16 (s9.5.1)."""
    return 0 < (sequence - last) & 0xFFFF < 0x8000
