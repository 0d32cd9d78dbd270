"""A handover with the real machines on both sides, a wire that does what a test wants, and a clock
that is a number.

Packets of the user are not sent; at any moment the world can say what would become of one
(`downlink`, `uplink`), and it keeps how long none would have come through.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

from handover_node import Node
from handover_peers import (
    CA,
    HOME_AGENT,
    MS,
    OLD,
    ROUTER,
    Authenticator,
    Configurer,
    Home,
    Peer,
    Router,
    S,
    instant,
)

from mpa_hil.handover.options import Options
from mpa_hil.handover.states import State
from mpa_hil.mobility.interface import Endpoint, Instant
from mpa_hil.signalling.message import DecodeError, decode
from mpa_hil.tunnel.material import is_leave

NEAR_NS, FAR_NS = 5 * MS, 20 * MS
"""One way to B's agents, and to the home agent."""

Fault = Callable[[int, str], Sequence[int]]
"""Number and label of a message -> by how much each copy is late, ns; none: lost."""


def prompt(number: int, label: str) -> Sequence[int]:
    """A good wire."""
    return (0,)


class World:
    """Everything, and the time."""

    def __init__(self, options: Options | None = None, *, fault: Fault = prompt) -> None:
        self.now_ns = 1000 * S
        self.dice = random.Random("handover world")
        self.keyed = False
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self.fault: Fault = prompt
        self.sent: list[str] = []
        self.aa, self.ca = Authenticator(self), Configurer(self)
        self.ar, self.ha = Router(self), Home(self)
        self.peers: dict[str, Peer] = {"AA": self.aa, "CA": self.ca, "AR": self.ar, "HA": self.ha}
        self.node = Node(self, options or Options())
        self.on_state: Callable[[State], None] = lambda state: None
        self.dark_ns = {"down": 0, "up": 0}
        """The longest time in which packets were lost."""
        self._lost_since: dict[str, int] = {}
        self.node.mip_do(self.node.mip.register(OLD, self.now))
        self.run(3)
        self.fault = fault
        self.sent.clear()
        self.dark_ns = {"down": 0, "up": 0}

    @property
    def now(self) -> Instant:
        """The present moment."""
        return instant(self.now_ns)

    def later(self, delay_ns: int, what: Callable[[], object]) -> None:
        """Do something after a while."""
        self._count += 1
        heapq.heappush(self._agenda, (self.now_ns + delay_ns, self._count, what))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass; s that passed until something was so, or in all."""
        begun_ns = self.now_ns
        end_ns = begun_ns + round(seconds * 1000) * MS
        while not until():
            due = [peer.next_deadline() for peer in self.peers.values() if peer.alive]
            due += [self._agenda[0][0] if self._agenda else None, self.node.next_deadline()]
            next_ns = min((each for each in due if each is not None), default=end_ns + 1)
            self.now_ns = max(self.now_ns, min(next_ns, end_ns))
            if next_ns > end_ns:
                break
            while self._agenda and self._agenda[0][0] <= self.now_ns:
                heapq.heappop(self._agenda)[2]()
            for peer in self.peers.values():
                if peer.alive:
                    peer.expire()
            self.node.expire()
            self._look()
        self._look()
        return (self.now_ns - begun_ns) / S

    def run_until(self, *states: State, most_s: float = 60) -> float:
        """Until the handover is in one of these; how long that took, s."""
        return self.run(most_s, lambda: self.node.handover.state in states)

    # --- the wire

    def transmit(self, label: str, path_ns: int, deliver: Callable[[], object]) -> None:
        """A message sets out."""
        self.sent.append(label)
        for late_ns in self.fault(len(self.sent) - 1, label):
            self.later(path_ns + late_ns, deliver)

    def send_to_agent(self, datagram: bytes, to: Endpoint, source: Endpoint, way: str) -> None:
        """From the node; `way`: old, tunnel or new."""
        peer: Peer = {CA: self.ca, ROUTER: self.ar, HOME_AGENT: self.ha}[to.address]  # type: ignore[index]
        node, path_ns = self.node, FAR_NS if peer is self.ha else NEAR_NS
        label = f"{name_of(datagram)} > {way}"
        possible = node.radio == ("B" if way == "new" else "A")
        if way == "tunnel":
            possible = possible and node.tunnel
        if way == "new":
            possible = possible and (node.turned or node.direct or node.on_link is not None)
        if not possible:
            return

        def deliver() -> None:
            inner = source.address
            assert isinstance(inner, IPv4Address)
            if way == "tunnel" and not self.ar.takes(inner):
                return
            if peer.alive:
                peer.receive(datagram, source)

        self.transmit(label, path_ns, deliver)

    def send_to_node(self, datagram: bytes, to: Endpoint, sender: str) -> None:
        """From an agent, to whichever of the node's addresses it heard from."""
        path_ns = FAR_NS if sender == "HA" else NEAR_NS
        address = to.address
        assert isinstance(address, IPv4Address)

        def deliver() -> None:
            if address == OLD:
                if self.node.radio == "A":
                    self.node.receive(datagram, sender)
            else:
                self.ar.forward(address, arrive)

        def arrive(way: str) -> None:
            if self.node.reached(address, way):
                self.node.receive(datagram, sender)

        self.transmit(f"{name_of(datagram)} < {sender}", path_ns, deliver)

    # --- the user's packets

    def downlink(self) -> str:
        """What becomes of a packet for the home address that is at the home agent now."""
        address = self.ha.care_of
        if address is None:
            return "lost"
        if address == OLD:
            return "there" if self.node.radio == "A" else "lost"
        way = self.ar.kernel.get(address)
        if way is not None and way.mode == "hold":
            return "held"
        route = "tunnel" if way is not None and way.mode == "tunnel" else "link"
        return "there" if self.node.reached(address, route) else "lost"

    def uplink(self) -> str:
        """What becomes of a packet that the node's user sends now."""
        node = self.node
        if node.sending_from == OLD:
            return "there" if node.radio == "A" else "lost"
        if node.turned:
            return "held"
        if node.direct or node.on_link:
            return "there" if node.radio == "B" else "lost"
        through = node.tunnel and node.radio == "A" and self.ar.takes(node.address)
        return "there" if through else "lost"

    def _look(self) -> None:
        for direction, fate in (("down", self.downlink()), ("up", self.uplink())):
            if fate != "lost":
                self._lost_since.pop(direction, None)
                continue
            dark_ns = self.now_ns - self._lost_since.setdefault(direction, self.now_ns)
            self.dark_ns[direction] = max(self.dark_ns[direction], dark_ns)


def name_of(datagram: bytes) -> str:
    """What a message is."""
    if is_leave(datagram):
        return "LEAVE"
    try:
        message = decode(datagram)
    except DecodeError:
        return "registration"
    protocol = ("", "configuration", "tunnel")[message.protocol]
    return f"{protocol} {message.kind}{'a' if message.flags else ''}"
