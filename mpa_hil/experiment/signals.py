"""The messages that a fault can be tied to, as they pass the box that serves the mobile node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mpa_hil.configuration.protocol import Ask
from mpa_hil.lab import mpa_servers
from mpa_hil.mobility.mip4.messages import MOBILE_IP_PORT
from mpa_hil.pana.numbers import PANA_PORT, MessageType
from mpa_hil.signalling.message import Flags
from mpa_hil.tunnel.interface import Kind

_KIND, _FLAGS, _ANSWER = 5, 6, int(Flags.ANSWER)
_RADIUS = 1812
_PANA_TYPE, _PANA_FLAGS, _PANA_REQUEST = 7, 4, 0x80
_LEAVE = "0 255 77", "3 255 76"
"""The end marker of the uplink begins with MPAL; all else of this port with MPA and a version."""
_SIGNALLING = "3 255 2"


@dataclass(frozen=True, slots=True)
class Signal:
    """One kind of message, where a box sees it."""

    port: int
    hook: Literal["in", "out"] = "in"
    transport: str = "udp"
    end: Literal["source", "destination"] = "destination"
    form: tuple[str, ...] = ()
    dhcp: int = 0
    at_home: bool = False
    """The home agent sees it; else the next access router."""
    after: tuple[str, ...] = ()
    """Form of a request to the same port that must have come before: an answer does not say what it
    answers."""

    def command(self) -> dict[str, object]:
        """As `mpa_hil.agents.faults` has it."""
        return {
            "hook": self.hook,
            "transport": self.transport,
            "end": self.end,
            "port": self.port,
            "form": list(self.form),
            "dhcp": self.dhcp,
            "after": list(self.after),
        }


def _request(kind: int) -> tuple[str, ...]:
    return _SIGNALLING, f"{_KIND} 255 {kind}", f"{_FLAGS} {_ANSWER} 0"


def _asked(port: int, kind: int) -> Signal:
    return Signal(port, form=_request(kind))


def _answered(port: int, kind: int) -> Signal:
    """Neither a refusal of what is stale nor word that it is being worked on."""
    form = (_SIGNALLING, f"{_FLAGS} 7 {_ANSWER}")
    return Signal(port, "out", end="source", form=form, after=_request(kind))


def _pana(kind: int, *, request: bool, hook: Literal["in", "out"]) -> Signal:
    flag = _PANA_REQUEST if request else 0
    form = (f"{_PANA_TYPE} 255 {kind}", f"{_PANA_FLAGS} {_PANA_REQUEST} {flag}")
    return Signal(PANA_PORT, hook, end="destination" if hook == "in" else "source", form=form)


def _dhcp(kind: int, hook: Literal["in", "out"]) -> Signal:
    return Signal(67 if hook == "in" else 68, hook, dhcp=kind)


def _keys(port: int) -> Signal:
    return Signal(port, "out", "tcp")


_CA, _AR = mpa_servers.CONFIGURATION_PORT, mpa_servers.TUNNEL_PORT
SIGNALS: Final[dict[str, Signal]] = {
    "pana-initiation": _pana(MessageType.CLIENT_INITIATION, request=False, hook="in"),
    "pana-request": _pana(MessageType.AUTH, request=True, hook="out"),
    "pana-answer": _pana(MessageType.AUTH, request=False, hook="in"),
    "pana-notification": _pana(MessageType.NOTIFICATION, request=True, hook="in"),
    "pana-notification-answer": _pana(MessageType.NOTIFICATION, request=False, hook="out"),
    "radius-request": Signal(_RADIUS, "out"),
    "radius-answer": Signal(_RADIUS, "in", end="source"),
    "keys-to-ca": _keys(mpa_servers.CA_PORT),
    "keys-to-ar": _keys(mpa_servers.AR_PORT),
    "keys-to-ap": _keys(mpa_servers.EP_PORT),
    "configure": _asked(_CA, Ask.CONFIGURE),
    "configure-answer": _answered(_CA, Ask.CONFIGURE),
    "take-over": _asked(_CA, Ask.TAKE_OVER),
    "take-over-answer": _answered(_CA, Ask.TAKE_OVER),
    "dhcp-discover": _dhcp(1, "in"),
    "dhcp-offer": _dhcp(2, "out"),
    "dhcp-request": _dhcp(3, "in"),
    "dhcp-ack": _dhcp(5, "out"),
    "create": _asked(_AR, Kind.CREATE),
    "create-answer": _answered(_AR, Kind.CREATE),
    "registration": Signal(MOBILE_IP_PORT, form=("0 255 1",), at_home=True),
    "registration-answer": Signal(
        MOBILE_IP_PORT, "out", end="source", form=("0 255 3",), at_home=True
    ),
    "disable": _asked(_AR, Kind.DISABLE),
    "disable-answer": _answered(_AR, Kind.DISABLE),
    "leave": Signal(_AR, form=_LEAVE),
    "arrived": _asked(_AR, Kind.ARRIVED),
    "arrived-answer": _answered(_AR, Kind.ARRIVED),
    "delete": _asked(_AR, Kind.DELETE),
    "delete-answer": _answered(_AR, Kind.DELETE),
}
"""By the names that a lab file has for them (`mpa_hil.scenario.faults`)."""
