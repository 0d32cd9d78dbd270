"""What of a session must outlive the access router's process. Sans-IO.

No secret is among it. So a tunnel that is protected cannot be made again from it: its MN makes a
new one when its next refresh is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from mpa_hil.errors import DecodeError
from mpa_hil.light import light
from mpa_hil.mobility.interface import NS_PER_S, Instant
from mpa_hil.tunnel import flows
from mpa_hil.tunnel.interface import Protect, TunnelWish
from mpa_hil.tunnel.sessions import Session
from mpa_hil.tunnel.states import State

_NS_PER_MS = 1_000_000


@light
class Record:
    """One session as it is written down."""

    session: Session
    unix_ns: int
    """When."""
    left_ns: int
    """How long it would still have lived."""

    def values(self) -> dict[str, object]:
        """As JSON has it."""
        session, wish = self.session, self.session.wish
        return {
            "number": session.number,
            "owner": session.owner,
            "key": session.key.hex(),
            "router": str(session.router),
            "outer": str(wish.outer),
            "inner": [str(address) for address in wish.inner],
            "mac": wish.mac.hex(),
            "life_s": wish.life_s,
            "hold": [wish.hold_ms, wish.hold_octets, wish.hold_packets],
            "bicast": wish.bicast,
            "flows": [flows.encode(choice).hex() for choice in wish.flows],
            "advertise": wish.advertise,
            "mtu": session.mtu,
            "ends_ms": (self.unix_ns + self.left_ns) // _NS_PER_MS,
        }


def record(session: Session, now: Instant) -> Record | None:
    """What to write down; None: nothing of it can be taken up again.

    Only where packets go through the tunnel is it known that the MN is still away: whatever else
    it was, without the router's help packets go straight onto the link, where the MN is or comes.
    """
    again = session.state is State.TUNNELLED and session.wish.protect is Protect.PLAIN
    if not again or session.detained:
        return None
    return Record(session, now.unix_ns, session.expires_ns - now.monotonic_ns)


def restored(values: Mapping[str, object], now: Instant) -> Session | None:
    """The session of a record; None: its life is over.

    Raises:
        DecodeError: it is no record.
    """
    try:
        hold_ms, hold_octets, hold_packets = _ints(values["hold"])
        (number, life_s, mtu, ends_ms) = _ints(
            [values[name] for name in ("number", "life_s", "mtu", "ends_ms")]
        )
        inner = values["inner"]
        if not isinstance(inner, list) or not inner:
            raise ValueError("inner")
        wish = TunnelWish(
            ip_address(str(values["outer"])),
            tuple(ip_address(str(address)) for address in inner),
            bytes.fromhex(str(values["mac"])),
            Protect.PLAIN,
            life_s,
            hold_ms,
            hold_octets,
            hold_packets,
            bool(values["bicast"]),
            bool(values["advertise"]),
            flows=_flows(values["flows"]),
        )
        key, router = bytes.fromhex(str(values["key"])), ip_address(str(values["router"]))
        owner = str(values["owner"])
    except (DecodeError, KeyError, TypeError, ValueError) as error:
        raise DecodeError(f"no record of a session: {error}", where="tunnel store") from None
    left_ns = min(ends_ms * _NS_PER_MS - now.unix_ns, life_s * NS_PER_S)
    if left_ns <= 0:
        return None
    session = Session(number, owner, key, wish, router, mtu, State.TUNNELLED)
    session.used_ns, session.expires_ns = now.monotonic_ns, now.monotonic_ns + left_ns
    return session


def _flows(values: object) -> tuple[flows.FlowChoice, ...]:
    if not isinstance(values, list) or len(values) > flows.MAX_FLOWS:
        raise ValueError("flows")
    return tuple(flows.decode(bytes.fromhex(str(value))) for value in values)


def _ints(values: object) -> list[int]:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise ValueError("numbers are missing")
    return values
