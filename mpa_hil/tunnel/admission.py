"""What an MN may ask an access router for (R92, A6, A17). Sans-IO."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace

from mpa_hil.errors import MpaError
from mpa_hil.mobility.interface import Address, Endpoint
from mpa_hil.tunnel.interface import Code, Protect, TunnelWish
from mpa_hil.tunnel.messages import COOKIE_OCTETS, PROVE
from mpa_hil.tunnel.sessions import Session, Sessions
from mpa_hil.tunnel.settings import RouterSettings

_MINIMUM_HOLD_OCTETS = 4096
_COOKIE_KEY_OCTETS = 32


class Refuse(MpaError):
    """The request is refused.

    Attributes:
        code: `Code`, or PROVE with a cookie.
    """

    def __init__(self, code: int, why: str, cookie: bytes = b"") -> None:
        super().__init__(why)
        self.code = code
        self.cookie = cookie


class Admission:
    """Checks wishes against the link, the other sessions and the limits."""

    def __init__(
        self, settings: RouterSettings, sessions: Sessions, random: Callable[[int], bytes]
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._cookie_key = random(_COOKIE_KEY_OCTETS)

    def outer(self, key: bytes, address: Address, source: Endpoint, cookie: bytes) -> Address:
        """The router's end for this outer address of the MN.

        The MN must have sent the request from there, and must have been reached there: else an MN
        could turn a stream on somebody else.

        Raises:
            Refuse: it may not be the MN's, or has not been proved.
        """
        router = self._settings.router(address.version)
        if router is None:
            raise Refuse(Code.UNSUPPORTED, f"no tunnels over IPv{address.version} here")
        if address != source.address:
            raise Refuse(Code.NOT_YOURS, f"{address} is not where the request comes from")
        known = self._sessions.under(key)
        if known is None or known.detained or known.wish.outer != address:
            self.prove(key, address, cookie)
        return router

    def tunnel(
        self, owner: str, key: bytes, wish: TunnelWish, source: Endpoint, cookie: bytes
    ) -> Address:
        """As `outer`, for a whole wish; also that nobody else has what it names.

        Raises:
            Refuse: it cannot be granted.
        """
        self._kind(wish)
        self._inner(owner, wish)
        return self.outer(key, wish.outer, source, cookie)

    def detention(
        self, owner: str, key: bytes, wish: TunnelWish, source: Endpoint, cookie: bytes
    ) -> Address:
        """As `tunnel`, at the old router: there the MN proves that the inner address is its own.

        Raises:
            Refuse: it cannot be granted.
        """
        self._kind(wish)
        if wish.protect is not Protect.PLAIN or wish.bicast:
            raise Refuse(Code.UNSUPPORTED, "what is detained is forwarded plainly")
        router = self._settings.router(wish.outer.version)
        if router is None:
            raise Refuse(Code.UNSUPPORTED, f"no tunnels over IPv{wish.outer.version} here")
        self._inner(owner, wish)
        if wish.inner != (source.address,):
            raise Refuse(Code.NOT_YOURS, "only for the address that the request comes from")
        if self._on_link(wish.outer):
            raise Refuse(Code.NOT_YOURS, f"{wish.outer} is on this link")
        self.prove(key, wish.inner[0], cookie)
        return router

    def granted(self, wish: TunnelWish, replaced: tuple[Session, ...]) -> TunnelWish:
        """The wish within the limits.

        Args:
            replaced: sessions that the new one takes the place of.

        Raises:
            Refuse: nothing worth having is left.
        """
        limits = self._settings.limits
        given_back = sum(session.wish.hold_octets for session in replaced)
        left = limits.all_hold_octets - self._sessions.hold_octets + given_back
        packets = max(min(wish.hold_packets, limits.hold_packets), 1)
        octets = min(wish.hold_octets, limits.hold_octets, left)
        if octets < min(_MINIMUM_HOLD_OCTETS, wish.hold_octets):
            raise Refuse(Code.QUOTA, "all room for held packets is taken")
        return replace(
            wish,
            life_s=min(wish.life_s, limits.life_s),
            hold_ms=min(wish.hold_ms, limits.hold_ms),
            hold_octets=octets,
            hold_packets=packets,
        )

    def room(self, owner: str, replaced: tuple[Session, ...], now_ns: int) -> Session | None:
        """Who has to give way for one more session of this MN, if anybody.

        Args:
            replaced: sessions that the new one takes the place of.

        Raises:
            Refuse: there is no room.
        """
        limits = self._settings.limits
        mine = [session for session in self._sessions.of(owner) if session not in replaced]
        if len(mine) >= limits.sessions_per_node:
            raise Refuse(Code.QUOTA, f"{len(mine)} sessions are this MN's already")
        if len(self._sessions) - len(replaced) < limits.sessions:
            return None
        oldest = self._sessions.longest_unused()
        if oldest is None or now_ns - oldest.used_ns < limits.idle_s * 1_000_000_000:
            raise Refuse(Code.QUOTA, f"{len(self._sessions)} sessions are in use")
        return oldest

    def _kind(self, wish: TunnelWish) -> None:
        if wish.protect not in self._settings.protections:
            raise Refuse(Code.UNSUPPORTED, f"no {wish.protect.name} tunnels here")
        if wish.bicast and not self._settings.bicast:
            raise Refuse(Code.UNSUPPORTED, "no bicasting here")
        if wish.mac[0] & 1 or not any(wish.mac) or wish.mac == self._settings.mac:
            raise Refuse(Code.NOT_YOURS, f"{wish.mac.hex(':')} is no MN's")
        versions = [address.version for address in wish.inner]
        if len(set(versions)) != len(versions):
            raise Refuse(Code.UNSUPPORTED, "one inner address of each family")

    def _inner(self, owner: str, wish: TunnelWish) -> None:
        for address in wish.inner:
            usable = self._on_link(address) and address not in self._settings.reserved
            if not usable or address == wish.outer or address in self._settings.outer:
                raise Refuse(Code.NOT_YOURS, f"{address} is for no MN here")
            rival = self._sessions.with_inner(address)
            if rival is not None and rival.owner != owner:
                raise Refuse(Code.ADDRESS_IN_USE, f"{address} is another MN's")

    def _on_link(self, address: Address) -> bool:
        if address.is_multicast or address.is_unspecified or address.is_loopback:
            return False
        for network in self._settings.networks:
            if address.version == network.version and address in network:
                edges = {network.network_address, network.broadcast_address}
                return network.num_addresses <= 2 or address not in edges
        return False

    def prove(self, key: bytes, address: Address, cookie: bytes) -> None:
        """The MN of this key is reached at this address.

        Raises:
            Refuse: with the cookie that proves it, to be sent there.
        """
        right = hmac.digest(self._cookie_key, key + address.packed, "sha256")[:COOKIE_OCTETS]
        if not hmac.compare_digest(right, cookie):
            raise Refuse(PROVE, f"{address} has to be proved", right)
