"""What tunnel requests and answers say, as values of protected signalling. Sans-IO.

The kinds of requests are `interface.Kind`; an answer has kind OK or REFUSED. DISABLE, ENABLE,
ARRIVED and DELETE say nothing but their kind.
"""

from __future__ import annotations

from dataclasses import field

from mpa_hil.light import light
from mpa_hil.mobility.interface import Address
from mpa_hil.signalling.message import DecodeError
from mpa_hil.signalling.values import Pair, Values
from mpa_hil.tunnel import flows
from mpa_hil.tunnel.interface import MAX_INNER, Code, Protect, TunnelWish

OK = 64
REFUSED = 65
"""Kinds of answers."""
MAC_OCTETS = 6
NONCE_OCTETS = 16
COOKIE_OCTETS = 8
PROVE = 64
"""Code of a refusal that only wants the request again, with the cookie that it brings: so the MN
shows that it can be reached at the outer address that it named."""
MAXIMUM_LIFE_S = 86400

_OUTER, _INNER, _MAC, _PROTECT, _LIFE, _HOLD = 1, 2, 3, 4, 5, 6
_EXTRAS, _NONCE, _SPI, _PUBLIC, _PORT, _COOKIE, _FLOW = 7, 8, 9, 10, 11, 12, 13
_ROUTER, _MTU, _DRAINED = 16, 17, 18
_CODE, _TEXT = 32, 160
_BICAST, _ADVERTISE = 1, 2
_HOLD_OCTETS = 12


@light
class Create:
    """The values of CREATE and DETAIN."""

    wish: TunnelWish
    nonce: bytes = field(repr=False)
    spi: int = 0
    """ESP only: of packets to the MN."""
    cookie: bytes = b""


@light
class Refresh:
    """The values of REFRESH."""

    outer: Address
    life_s: int
    cookie: bytes = b""


@light
class Grant:
    """The values of OK to CREATE, DETAIN and REFRESH."""

    outer: Address
    router: Address
    inner: tuple[Address, ...]
    life_s: int
    hold_ms: int
    hold_octets: int
    hold_packets: int
    bicast: bool
    mtu: int
    router_mac: bytes
    nonce: bytes = field(default=b"", repr=False)
    spi: int = 0
    """ESP only: of packets to the router."""
    public: bytes = b""
    port: int = 0


def encode_create(create: Create) -> list[Pair]:
    """For a request."""
    wish = create.wish
    pairs = [
        (_OUTER, wish.outer.packed),
        *((_INNER, address.packed) for address in wish.inner),
        (_MAC, wish.mac),
        (_PROTECT, bytes((wish.protect,))),
        (_LIFE, wish.life_s.to_bytes(4, "big")),
        (_HOLD, _hold(wish.hold_ms, wish.hold_octets, wish.hold_packets)),
        (_EXTRAS, bytes((_BICAST * wish.bicast | _ADVERTISE * wish.advertise,))),
        (_NONCE, create.nonce),
        *((_FLOW, flows.encode(choice)) for choice in wish.flows),
    ]
    if wish.protect is Protect.ESP:
        pairs.append((_SPI, create.spi.to_bytes(4, "big")))
    elif wish.protect is Protect.WIREGUARD:
        pairs += [(_PUBLIC, wish.public), (_PORT, wish.port.to_bytes(2, "big"))]
    if create.cookie:
        pairs.append((_COOKIE, create.cookie))
    return pairs


def decode_create(values: Values) -> Create:
    """Out of a request.

    Raises:
        errors.DecodeError: it is not what it should be.
    """
    protect = values.number(_PROTECT, 1)
    if protect not in Protect.__members__.values():
        raise DecodeError(f"protection {protect}")
    inner = values.addresses(_INNER)
    if not 1 <= len(inner) <= MAX_INNER or len(set(inner)) != len(inner):
        raise DecodeError(f"{len(inner)} inner addresses")
    extras = values.number(_EXTRAS, 1)
    if extras & ~(_BICAST | _ADVERTISE):
        raise DecodeError(f"extras {extras:#x}")
    spi, public, port = 0, b"", 0
    if protect == Protect.ESP:
        spi = values.number(_SPI, 4)
        if spi < 256:
            raise DecodeError(f"reserved SPI {spi}")  # RFC 4303 s2.1
    elif protect == Protect.WIREGUARD:
        public, port = values.one(_PUBLIC, 32), values.number(_PORT, 2)
    hold_ms, hold_octets, hold_packets = _read_hold(values)
    choices = tuple(flows.decode(octets) for octets in values.all(_FLOW))
    if len(choices) > flows.MAX_FLOWS:
        raise DecodeError(f"choices for {len(choices)} flows")
    wish = TunnelWish(
        values.address(_OUTER),
        inner,
        values.one(_MAC, MAC_OCTETS),
        Protect(protect),
        _life(values),
        hold_ms,
        hold_octets,
        hold_packets,
        bool(extras & _BICAST),
        bool(extras & _ADVERTISE),
        public,
        port,
        choices,
    )
    cookie = values.optional(_COOKIE, COOKIE_OCTETS) or b""
    create = Create(wish, values.one(_NONCE, NONCE_OCTETS), spi, cookie)
    values.done()
    return create


def encode_refresh(refresh: Refresh) -> list[Pair]:
    """For a request."""
    pairs = [(_OUTER, refresh.outer.packed), (_LIFE, refresh.life_s.to_bytes(4, "big"))]
    return [*pairs, (_COOKIE, refresh.cookie)] if refresh.cookie else pairs


def decode_refresh(values: Values) -> Refresh:
    """Out of a request; raises as `decode_create`."""
    cookie = values.optional(_COOKIE, COOKIE_OCTETS) or b""
    refresh = Refresh(values.address(_OUTER), _life(values), cookie)
    values.done()
    return refresh


def encode_claim(cookie: bytes) -> list[Pair]:
    """For ENABLE of a detention, from where it forwards to; every other ENABLE says nothing."""
    return [(_COOKIE, cookie)] if cookie else []


def decode_claim(values: Values) -> bytes:
    """Out of it: the cookie, empty if there is none; raises as `decode_create`."""
    cookie = values.optional(_COOKIE, COOKIE_OCTETS) or b""
    values.done()
    return cookie


def encode_grant(grant: Grant) -> list[Pair]:
    """For an answer."""
    pairs = [
        (_OUTER, grant.outer.packed),
        (_ROUTER, grant.router.packed),
        *((_INNER, address.packed) for address in grant.inner),
        (_LIFE, grant.life_s.to_bytes(4, "big")),
        (_HOLD, _hold(grant.hold_ms, grant.hold_octets, grant.hold_packets)),
        (_EXTRAS, bytes((_BICAST * grant.bicast,))),
        (_MTU, grant.mtu.to_bytes(2, "big")),
        (_MAC, grant.router_mac),
    ]
    if grant.nonce:
        pairs.append((_NONCE, grant.nonce))
    if grant.spi:
        pairs.append((_SPI, grant.spi.to_bytes(4, "big")))
    if grant.public:
        pairs += [(_PUBLIC, grant.public), (_PORT, grant.port.to_bytes(2, "big"))]
    return pairs


def decode_grant(values: Values) -> Grant:
    """Out of an answer; raises as `decode_create`."""
    hold_ms, hold_octets, hold_packets = _read_hold(values)
    public = values.optional(_PUBLIC, 32) or b""
    grant = Grant(
        values.address(_OUTER),
        values.address(_ROUTER),
        values.addresses(_INNER),
        _life(values),
        hold_ms,
        hold_octets,
        hold_packets,
        bool(values.number(_EXTRAS, 1) & _BICAST),
        values.number(_MTU, 2),
        values.one(_MAC, MAC_OCTETS),
        values.optional(_NONCE, NONCE_OCTETS) or b"",
        values.number(_SPI, 4, 0),
        public,
        values.number(_PORT, 2) if public else 0,
    )
    values.done()
    return grant


def encode_drained(drained: bool) -> list[Pair]:
    """For the OK to ARRIVED; the OKs to DISABLE, ENABLE and DELETE are empty."""
    return [(_DRAINED, b"")] if drained else []


def is_drained(values: Values) -> bool:
    """Out of it."""
    return values.optional(_DRAINED, 0) is not None


def encode_refusal(code: int, text: str = "", cookie: bytes = b"") -> list[Pair]:
    """For an answer of kind REFUSED."""
    pairs = [(_CODE, bytes((code,)))]
    if text:
        pairs.append((_TEXT, text.encode()[:200].decode(errors="ignore").encode()))
    return [*pairs, (_COOKIE, cookie)] if cookie else pairs


def decode_refusal(values: Values) -> tuple[Code | None, str, bytes]:
    """Why, in words, and the cookie; no code: it was only PROVE. Raises as `decode_create`."""
    code, cookie = values.number(_CODE, 1), values.optional(_COOKIE, COOKIE_OCTETS) or b""
    if code == PROVE and cookie:
        return None, "", cookie
    if code not in Code.__members__.values():
        raise DecodeError(f"refusal {code}")
    return Code(code), values.text(_TEXT, ""), cookie


def _hold(hold_ms: int, octets: int, packets: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in (hold_ms, octets, packets))


def _read_hold(values: Values) -> tuple[int, int, int]:
    octets = values.one(_HOLD, _HOLD_OCTETS)
    first, second, third = (int.from_bytes(octets[at : at + 4], "big") for at in (0, 4, 8))
    return first, second, third


def _life(values: Values) -> int:
    life_s = values.number(_LIFE, 4)
    if not 1 <= life_s <= MAXIMUM_LIFE_S:
        raise DecodeError(f"a life of {life_s} s")
    return life_s
