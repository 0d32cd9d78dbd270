"""Whether an address that was made ahead of the switch fits the link that the node has come to
(RFC 6252 s7.3.4: if the prefix that its router advertises is the address's, none is acquired anew).

    asking --advertisement--> fits, or another prefix is advertised
        |  --nobody answers--> fits: nothing speaks against it
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from ipaddress import IPv6Address

from mpa_hil.configuration.frames6 import router_solicitation
from mpa_hil.kernel.neighbour_discovery import RouterAdvertisement, parse_router_advertisement
from radios.errors import MachineError

_ETH_IPV6 = 0x86DD
_HEADER_OCTETS = 14
_RECEIVE_OCTETS = 2048
_ASK_S = 0.6
"""Between solicitations: a router answers within half a second (RFC 4861 s6.2.6)."""
_ASKED = 3


def fits(advertised: RouterAdvertisement, address: IPv6Address) -> bool | None:
    """Whether a router's prefixes have an address; None: it advertises none, or is no router."""
    networks = [each.network for each in advertised.prefixes if each.valid_s]
    if not networks or not advertised.life_s:
        return None
    return any(address in network for network in networks)


class PrefixCheck:
    """One check.

    Args:
        interface: on the link.
        mac: its address.
        ended: told the advertised prefixes' text if the address is in none of them, else "".

    Raises:
        MachineError: no such interface, or no CAP_NET_RAW.
    """

    def __init__(
        self, interface: str, mac: bytes, address: IPv6Address, ended: Callable[[str], None]
    ) -> None:
        self._mac = mac
        self._address = address
        self._ended = ended
        self._left = _ASKED
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        try:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_PACKET, kind, 0)
            self._socket.bind((interface, _ETH_IPV6))
        except OSError as error:
            where = f"interface {interface}"
            raise MachineError(f"no packet socket: {error.strerror}", where=where) from error
        self._loop.add_reader(self._socket, self._receive)
        self._ask()

    def close(self) -> None:
        """Ask and listen no more; `ended` is not told. Safe to repeat."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _ask(self) -> None:
        if not self._left:
            self._end("")
            return
        self._left -= 1
        with contextlib.suppress(OSError):  # the link is down for a moment: once more, later
            self._socket.send(router_solicitation(self._mac))
        self._timer = self._loop.call_later(_ASK_S, self._ask)

    def _receive(self) -> None:
        while True:
            try:
                octets, (_, _, direction, *_) = self._socket.recvfrom(_RECEIVE_OCTETS)
            except OSError:  # nothing more, or the link is down
                return
            if direction == socket.PACKET_OUTGOING:
                continue
            advertised = parse_router_advertisement(octets[_HEADER_OCTETS:])
            verdict = None if advertised is None else fits(advertised, self._address)
            if advertised is not None and verdict is not None:
                networks = ", ".join(str(each.network) for each in advertised.prefixes)
                self._end("" if verdict else networks)
                return

    def _end(self, other: str) -> None:
        self.close()
        self._ended(other)
