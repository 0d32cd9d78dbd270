"""Answers access points that ask for a station's own key (what vendors sell as iPSK), sans-IO.

hostapd with `macaddr_acl=2` and `wpa_psk_radius=2` sends an Access-Request with the station's MAC
address as User-Name before it lets it associate, and takes the key from the Tunnel-Password of the
acceptance (RFC 2868 s3.5): 64 hexadecimal digits are the PMK itself, 8 to 63 characters a
passphrase. So an access point whose control socket nobody can reach gets the keys of
pre-authenticated stations all the same.

It caches an answer for 30 s, a rejection as well: the key must be there before the station comes.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mpa_hil.errors import DecodeError, LocalError
from mpa_hil.mobility.interface import NS_PER_S, Address, Discarded, Endpoint, Instant, Send
from mpa_hil.radius import numbers
from mpa_hil.radius.hiding import hide, salt
from mpa_hil.radius.numbers import Code
from mpa_hil.radius.packet import (
    Packet,
    attribute,
    decode,
    fault_of_request,
    integer,
    signed_answer,
)

_MAC = re.compile(r"([0-9a-f]{2})[:-]?" * 5 + r"([0-9a-f]{2})", re.IGNORECASE)
_CALLED = re.compile(r"([0-9a-f]{2}(?:[:-]?[0-9a-f]{2}){5})(?::(.*))?", re.IGNORECASE | re.DOTALL)
"""Called-Station-Id of an access point: BSSID, then its SSID (RFC 3580 s3.20)."""
_TAG = b"\x00"
"""Tunnel-Password outside of any group of tunnel attributes (RFC 2868 s3.5)."""
_REMEMBERED_NS = 10 * NS_PER_S
"""How long an answer is kept for duplicates: longer than hostapd waits between its first two."""
_MAX_REMEMBERED = 4096
"""Answers kept, about 1 KB each: bounds what an access point gone mad can take."""


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """Who may ask."""

    name: str
    address: Address
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StationKey:
    """What one station is to be let in with: a PMK or a passphrase.

    Raises:
        LocalError: it is no key of WPA2-Personal.
    """

    pmk: bytes | None = field(default=None, repr=False)
    """32 octets."""
    passphrase: str | None = field(default=None, repr=False)
    """8 to 63 printable ASCII characters."""
    lifetime_s: int | None = None
    """The access point sends the station away after that (Session-Timeout); None: it stays."""

    def __post_init__(self) -> None:
        if (self.pmk is None) == (self.passphrase is None):
            raise _no_key("one of PMK and passphrase", "give one of the two")
        text = self.passphrase
        if self.pmk is not None and len(self.pmk) != 32:
            raise _no_key(f"a PMK of {len(self.pmk)} octets", "it has 32")
        if text is not None and not (8 <= len(text) <= 63 and all(" " <= c <= "~" for c in text)):
            raise _no_key("a passphrase that WPA2 does not know", "8 to 63 ASCII characters")

    def password(self) -> bytes:
        """As Tunnel-Password has it."""
        return (self.passphrase or (self.pmk or b"").hex()).encode()


FindKey = Callable[[str, str | None, str | None], StationKey | None]
"""(station, BSSID, SSID) -> its key. MAC addresses as `02:00:00:00:00:01`; BSSID and SSID are None
where the access point did not say."""


@dataclass(frozen=True, slots=True)
class KeyGiven:
    """An access point got a station's key."""

    access_point: str
    station: str
    bssid: str | None


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """An access point was told to keep a station out."""

    access_point: str
    station: str
    bssid: str | None
    reason: str


KeyOutput = Send | KeyGiven | KeyRefused | Discarded


class DeviceKeyAnswerer:
    """The server's side of RADIUS, for nothing but keys of stations.

    Args:
        access_points: who may ask; everybody else gets no answer at all.
        find_key: the key of a station at a BSSID, or None for one that is not known.
        random: so many octets that nobody can foresee (salts).

    Raises:
        LocalError: two access points with one address, or one without a secret.
    """

    def __init__(
        self,
        access_points: Sequence[AccessPoint],
        find_key: FindKey,
        random: Callable[[int], bytes],
    ) -> None:
        self._clients = {point.address: point for point in access_points}
        if len(self._clients) != len(access_points):
            raise LocalError(
                "two access points with one address",
                where="per-device keys",
                remedy="RADIUS knows who asks by the source address: give each its own",
            )
        if not all(point.secret for point in access_points):
            raise LocalError(
                "an access point without a secret", where="per-device keys", remedy="set one"
            )
        self._find_key = find_key
        self._random = random
        self._answers: OrderedDict[tuple[Endpoint, int, bytes], tuple[int, bytes]] = OrderedDict()

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> tuple[KeyOutput, ...]:
        """Answer an access point's request; whatever comes in, this raises nothing."""
        point = self._clients.get(source.address)
        if point is None:
            return (Discarded("not from an access point of ours", source, security=True),)
        try:
            request = decode(datagram)
        except DecodeError as error:
            return (Discarded(error.what, source, security=True),)
        if request.code not in (Code.ACCESS_REQUEST, Code.STATUS_SERVER):
            return (Discarded(f"code {request.code} is no request", source),)
        fault = fault_of_request(request, point.secret)
        if fault is not None:
            return (Discarded(fault, source, security=True),)
        self._forget(now)
        key = (source, request.identifier, request.authenticator)
        kept = self._answers.get(key)
        if kept is not None:
            return (Send(kept[1], source),)
        answer, said = self._answer(request, point)
        self._answers[key] = (now.monotonic_ns + _REMEMBERED_NS, answer)
        return (Send(answer, source), *said)

    def _answer(
        self, request: Packet, point: AccessPoint
    ) -> tuple[bytes, tuple[KeyGiven | KeyRefused, ...]]:
        # RFC 2865 s5.33: what proxies put into a request comes back as it was.
        state = b"".join(
            attribute(numbers.PROXY_STATE, v) for v in request.all(numbers.PROXY_STATE)
        )
        if request.code == Code.STATUS_SERVER:
            return signed_answer(Code.ACCESS_ACCEPT, request, state, point.secret), ()
        station = _mac(request.first(numbers.USER_NAME))
        bssid, ssid = _called(request.first(numbers.CALLED_STATION_ID))
        found: StationKey | None = None
        if station is None:
            reason = "the user name is no MAC address"
        elif request.first(numbers.EAP_MESSAGE) is not None:
            reason = "it asks for EAP, which is answered elsewhere"
        elif _mac(request.first(numbers.CALLING_STATION_ID)) not in (None, station):
            reason = "it names two stations"
        else:
            reason = "no key for that station"
            found = self._find_key(station, bssid, ssid)
        if found is None:
            answer = signed_answer(Code.ACCESS_REJECT, request, state, point.secret)
            return answer, (KeyRefused(point.name, station or "", bssid, reason),)
        hidden = hide(found.password(), point.secret, request.authenticator, salt(self._random(2)))
        body = attribute(numbers.TUNNEL_PASSWORD, _TAG + hidden) + state
        if found.lifetime_s is not None:
            body += integer(numbers.SESSION_TIMEOUT, max(1, found.lifetime_s))
        answer = signed_answer(Code.ACCESS_ACCEPT, request, body, point.secret)
        assert station is not None
        return answer, (KeyGiven(point.name, station, bssid),)

    def _forget(self, now: Instant) -> None:
        answers = self._answers
        while answers:
            until, _ = next(iter(answers.values()))
            if until > now.monotonic_ns and len(answers) < _MAX_REMEMBERED:
                return
            answers.popitem(last=False)


def _mac(value: bytes | None) -> str | None:
    """A MAC address in whatever notation, as this project writes them; None: it is none."""
    match = _MAC.fullmatch(value.decode("ascii", "replace")) if value else None
    return ":".join(match.groups()).lower() if match else None


def _called(value: bytes | None) -> tuple[str | None, str | None]:
    match = _CALLED.fullmatch(value.decode("utf-8", "replace")) if value else None
    return (_mac(match[1].encode()), match[2]) if match else (None, None)


def _no_key(what: str, remedy: str) -> LocalError:
    return LocalError(f"not a station's key: {what}", where="per-device keys", remedy=remedy)
