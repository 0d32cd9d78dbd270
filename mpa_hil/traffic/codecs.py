"""Traffic shapes by codec name: spacing, payload size, RTP clock, and E-model constants.

``ie`` and ``bpl`` are the equipment impairment factor and the packet-loss robustness factor of
ITU-T G.113 Appendix I (11/2007), for the narrow-band E-model. They are None where no narrow-band
value is published for the codec, and for probes, which carry no voice: no MOS is computed then,
rather than an invented one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from radios.errors import LocalError

RTP_HEADER_BYTES = 12
MINIMUM_PAYLOAD_BYTES = 12
"""Send stamp and full sequence number ride inside the payload (`mpa_hil.traffic.endpoint`)."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One traffic shape."""

    name: str
    payload_type: int
    """RTP payload type (RFC 3551 s6); 96 and up are dynamic."""
    clock_hz: int
    """RTP timestamp rate."""
    spacing_ms: float
    payload_bytes: int
    """Octets of codec payload in one packet, without RTP, UDP and IP headers."""
    ie: float | None = None
    bpl: float | None = None

    @property
    def spacing_ns(self) -> int:
        """Nominal time between two packets, ns."""
        return round(self.spacing_ms * 1e6)

    @property
    def udp_payload_bytes(self) -> int:
        """What one packet hands to UDP, octets."""
        return RTP_HEADER_BYTES + self.payload_bytes


CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        # Bpl 25.1 is with the packet-loss concealment of G.711 Appendix I; without any it is 4.3.
        Codec("g711", 0, 8000, 20, 160, ie=0, bpl=25.1),
        Codec("g711-10ms", 0, 8000, 10, 80, ie=0, bpl=25.1),
        Codec("g711-no-plc", 0, 8000, 20, 160, ie=0, bpl=4.3),
        # G.113 states Bpl for G.729A with silence suppression.
        Codec("g729", 18, 8000, 20, 20, ie=11, bpl=19.0),
        # The RTP clock of G.722 is 8000 Hz by historical accident (RFC 3551 s4.5.2).
        Codec("g722", 9, 8000, 20, 160),
        # AMR 12.2 kbit/s is bit-exact GSM-EFR, for which the factors are stated.
        Codec("amr", 96, 8000, 20, 32, ie=5, bpl=10.0),
        Codec("opus", 97, 48000, 20, 80),
        Codec("probe-1ms", 98, 1_000_000, 1, 12),
        Codec("probe-2ms", 98, 1_000_000, 2, 12),
    )
}


def codec(name: str, *, spacing_ms: float | None = None, payload_bytes: int | None = None) -> Codec:
    """The codec called `name`, its spacing or payload size overridden where given.

    An override keeps Ie but drops nothing else: Bpl was stated for the codec's usual packet time,
    so a MOS for another spacing is an approximation.

    Raises:
        LocalError: no such codec, spacing not positive, or a payload too small for the stamps.
    """
    try:
        found = CODECS[name]
    except KeyError:
        known = ", ".join(CODECS)
        raise LocalError(f"no codec is called {name!r}", remedy=f"use one of {known}") from None
    if spacing_ms is not None:
        if not 0 < spacing_ms <= 10_000:
            raise LocalError(
                f"spacing_ms is {spacing_ms}", where=f"codec {name}", remedy="use 0.1 to 10000"
            )
        found = replace(found, spacing_ms=spacing_ms)
    if payload_bytes is not None:
        if not MINIMUM_PAYLOAD_BYTES <= payload_bytes <= 1400:
            raise LocalError(
                f"payload_bytes is {payload_bytes}",
                where=f"codec {name}",
                remedy=f"use {MINIMUM_PAYLOAD_BYTES} to 1400: stamps ride inside the payload",
            )
        found = replace(found, payload_bytes=payload_bytes)
    return found
