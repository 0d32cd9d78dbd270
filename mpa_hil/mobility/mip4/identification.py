"""Replay protection by timestamps: the Identification field (RFC 5944 s5.7.1).

64 bits as in NTP: seconds since 1900 in the high half, the fraction of a second in the low half.
It is time stamp, sequence number and transaction number at once.
"""

from __future__ import annotations

import math

from mpa_hil.mobility.interface import NS_PER_S

NTP_UNIX_OFFSET_S = 2_208_988_800
"""Seconds from 1900-01-01 to 1970-01-01 (RFC 5905 s6)."""
LOW_MASK = 0xFFFFFFFF


def from_unix_ns(unix_ns: int) -> int:
    """The identification for a moment (rounded down to 2^-32 s; wraps in 2036, as NTP)."""
    seconds, rest_ns = divmod(unix_ns, NS_PER_S)
    return ((seconds + NTP_UNIX_OFFSET_S) & LOW_MASK) << 32 | (rest_ns << 32) // NS_PER_S


def difference_s(later: int, earlier: int) -> float:
    """`later` minus `earlier`, in seconds; right across the wrap, within 68 years."""
    delta = (later - earlier) & 0xFFFFFFFFFFFFFFFF
    return (delta - (1 << 64) if delta >> 63 else delta) / (1 << 32)


def is_after(identification: int, other: int) -> bool:
    """Whether `identification` is later than `other`, in the arithmetic of `difference_s`."""
    return 0 < (identification - other) & 0xFFFFFFFFFFFFFFFF < 1 << 63


def ahead_ns(identification: int, unix_ns: int) -> int:
    """How far an identification is ahead of the calendar; 0: it is not."""
    ahead_s = difference_s(identification, from_unix_ns(unix_ns))
    return math.ceil(ahead_s * NS_PER_S) if ahead_s > 0 else 0


def mismatch(identification: int, now_unix_ns: int) -> int:
    """The identification of a reply with code 133: the peer's low half under our own seconds."""
    return from_unix_ns(now_unix_ns) & ~LOW_MASK | identification & LOW_MASK


def clock_correction_ns(reply: int, sent: int) -> int:
    """By how much to move the clock that made `sent`, from the 133 that answers it.

    The low halves are equal, so what remains is whole seconds: that is all the answer tells.
    """
    return round(difference_s(reply, sent)) * NS_PER_S
