"""PANA relay: the element itself, and the message it wraps others in (RFC 6345), sans-IO."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from mpa_hil.mobility.interface import Discarded, Endpoint, Send

from .message import Avp, DecodeError, Message, decode
from .numbers import AvpCode, MessageType


def pac_information(pac: Endpoint) -> bytes:
    """The value of a PaC-Information AVP (RFC 6345 s5.1)."""
    return pac.address.packed + pac.port.to_bytes(2, "big")


def parse_pac_information(value: bytes) -> Endpoint:
    """The endpoint in a PaC-Information AVP.

    Raises:
        DecodeError: neither an IPv4 nor an IPv6 address and a port.
    """
    port = int.from_bytes(value[-2:], "big")
    if not port or len(value) not in (6, 18):
        raise DecodeError(f"PaC-Information of {len(value)} octets with port {port}")
    if len(value) == 6:
        return Endpoint(IPv4Address(value[:4]), port)
    return Endpoint(IPv6Address(value[:16]), port)


def relayed(message: bytes, pac: Endpoint) -> bytes:
    """A PANA-Relay message around another (RFC 6345 s4.1)."""
    avps = (
        Avp(AvpCode.PAC_INFORMATION, pac_information(pac)),
        Avp(AvpCode.RELAYED_MESSAGE, message),
    )
    return Message(MessageType.RELAY, 0, 0, 0, avps).encode()


def unwrapped(message: Message) -> tuple[bytes, Endpoint]:
    """The message inside a PANA-Relay message, and the PaC that it is from or for.

    Raises:
        DecodeError: no usable address, or a relayed message in a relayed one (RFC 6345 s2).
    """
    inner = message.value(AvpCode.RELAYED_MESSAGE) or b""
    information = message.value(AvpCode.PAC_INFORMATION) or b""
    if inner[6:8] == MessageType.RELAY.to_bytes(2, "big"):
        raise DecodeError("a relayed message relays another")
    return inner, parse_pac_information(information)


class Relay:
    """A PANA relay element between PaCs and one PAA (RFC 6345 s2). It keeps nothing.

    To a PaC it looks like the PAA: what it sends there must leave from port 716.
    """

    def __init__(self, paa: Endpoint) -> None:
        self.paa = paa

    def receive(self, datagram: bytes, source: Endpoint) -> Send | Discarded:
        """Wrap what a PaC sends; unwrap what the PAA sends."""
        try:
            message = decode(datagram)
            if source == self.paa:
                return self._from_paa(message, source)
            return self._from_pac(datagram, message, source)
        except (DecodeError, ValueError) as error:
            return Discarded(str(error), source)

    def _from_paa(self, message: Message, source: Endpoint) -> Send | Discarded:
        if message.type != MessageType.RELAY:
            return Discarded("the PAA talks to the relay itself", source)
        inner, pac = unwrapped(message)
        decode(inner)
        return Send(inner, pac)

    def _from_pac(self, datagram: bytes, message: Message, source: Endpoint) -> Send | Discarded:
        if message.type == MessageType.RELAY:
            return Discarded("already relayed once", source, security=True)
        return Send(relayed(datagram, source), self.paa)
