"""The configuration agent: who may have which address, for how long, and when it goes back.

Sans-IO. It digests requests of mobile nodes (`receive`), frames from the link (`heard`), keys that
come and go, and time; what it returns is to be carried out in order.

An address is held for a mobile node, by the identity that its home network vouched for, under
whichever of its keys it asked last. It is given back when the MN says so; and, unless the MN is
then found on the link, when it has not been heard of for `keep_s` or has no key any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from mpa_hil.authentication.admission import RateLimiter
from mpa_hil.configuration import acquisition as ways
from mpa_hil.configuration import protocol
from mpa_hil.configuration.acquisition import Acquired, Failed, Lease, Transmit
from mpa_hil.configuration.answers import Answers
from mpa_hil.configuration.holdings import Holding, Holdings, Waiting, family
from mpa_hil.configuration.interface import Code, Wish
from mpa_hil.configuration.link import Link
from mpa_hil.configuration.protocol import Ask
from mpa_hil.configuration.record import HoldingRecord
from mpa_hil.configuration.reports import AgentSettings, Gone, Output
from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant, Send
from mpa_hil.signalling.client import NamedSecret
from mpa_hil.signalling.message import Protocol
from mpa_hil.signalling.server import Reply, Request, Server

_SLOTS = 1024
"""Of the tables that limit rates: a few kilobytes, however many mobile nodes."""
_EARLY = 0.8
"""Of T1: an MN that asks then gets more time, later ones too."""


class ConfigurationAgent:
    """All that the agent of one network holds.

    Args:
        mac: the link-layer address of its interface on the network's link.
        random: `os.urandom`.
    """

    def __init__(self, settings: AgentSettings, mac: bytes, random: Callable[[int], bytes]) -> None:
        self._settings = settings
        self._link = Link(settings, mac, random)
        self._server = Server(Protocol.CONFIGURATION, random)
        self._nodes: dict[bytes, str] = {}
        """Mobile nodes by key."""
        self._answers = Answers(self._server, self._nodes)
        self.holdings = Holdings()
        secret = random(16)
        self._rate = RateLimiter(settings.rate_per_s, settings.burst, _SLOTS, secret)
        self._declines = RateLimiter(settings.declines_per_s, settings.declines, _SLOTS, secret)

    def restore(self, records: Iterable[Mapping[str, object]], now: Instant) -> tuple[str, ...]:
        """Hold again what an agent before this one held; call it first of all.

        Returns:
            What was wrong with the records that could not be read.
        """
        faults = []
        for values in records:
            try:
                record = HoldingRecord.read(values, now)
            except DecodeError as error:
                faults.append(error.what)
                continue
            keep_until_ns = now.monotonic_ns + int(self._settings.grace_s * NS_PER_S)
            way = self._link.acquisition(record.wish)
            holding = Holding(b"", record.mobile_node, record.wish, way, keep_until_ns)
            holding.lease = record.lease
            if self.holdings.at(holding.place) or self.holdings.called(holding.client):
                faults.append(f"{record.lease.address} is there twice")
                continue
            self.holdings.add(holding)
            self.holdings.settle(holding)
        return tuple(faults)

    def changes(self, now: Instant) -> tuple[tuple[int, HoldingRecord | None], ...]:
        """What to keep for a restart: by number, None for what is over."""
        return self.holdings.changes(now)

    def begin(self) -> tuple[Output, ...]:
        """At the start."""
        return self._link.begin()

    def key_added(self, key: NamedSecret, mobile_node: str, now: Instant) -> None:
        """Serve a mobile node. What it held before a restart of the agent is its again.

        Raises:
            mpa_hil.errors.LocalError: another key has a name that begins alike.
        """
        self._server.add_key(key)
        self._nodes[key.name] = mobile_node
        for holding in self.holdings.of(mobile_node):
            if not holding.key:
                self._touch(holding, key.name, now)
                self.holdings.settle(holding)

    def key_withdrawn(self, name: bytes, now: Instant) -> tuple[Output, ...]:
        """Serve it no longer; what it has goes back."""
        self._server.remove_key(name)
        node = self._nodes.pop(name, "")
        another = next((key for key, its in self._nodes.items() if its == node), b"")
        outputs: list[Output] = []
        for holding in self.holdings.of(node):
            if holding.key == name and another:  # it authenticated anew
                holding.key = another
            elif holding.key == name and not holding.taken:
                outputs += self._give_back(holding, "withdrawn", now)
        return tuple(outputs)

    @property
    def parting(self) -> bool:
        """Whether something is being given back that is not yet gone."""
        return any(holding.cause for holding in self.holdings.listening)

    def receive(self, datagram: bytes, source: Endpoint, now: Instant) -> tuple[Output, ...]:
        """Digest a datagram; whatever it holds, this raises nothing."""
        received = self._server.receive(datagram, source, now)
        if isinstance(received, Discarded):
            return (received,)
        if isinstance(received, Reply):
            return (Send(received.datagram, source),)
        try:
            return self._serve(received, self._nodes[received.key], now)
        except DecodeError as error:
            return self._answers.deny(received, Code.MALFORMED, error.what, now)

    def heard(self, frame: bytes, now: Instant) -> tuple[Output, ...]:
        """Digest a frame from the link; whatever it holds, this raises nothing."""
        said = self._link.heard(frame, now)
        if said is None or isinstance(said, Transmit):
            return () if said is None else (said,)
        outputs: list[Output] = []
        for holding in self.holdings.concerned(said):
            if holding.absence is not None:
                holding.absence.receive(said)
                outputs += self._part(holding, now)
            else:
                outputs += self._digest(holding, holding.acquisition.receive(said, now), now)
        return tuple(outputs)

    def expire(self, now: Instant) -> tuple[Output, ...]:
        """Do what is due at `next_deadline`; harmless at other times."""
        outputs: list[Output] = []
        for holding in tuple(self.holdings.due(now)):
            outputs += self._look_at(holding, now)
            self.holdings.settle(holding)
        return tuple(outputs)

    def next_deadline(self) -> int | None:
        """Monotonic nanoseconds of the next thing to do, None while there is nothing."""
        return self.holdings.next_deadline()

    # --- requests

    def _serve(self, request: Request, node: str, now: Instant) -> tuple[Output, ...]:
        if request.kind == Ask.CONFIGURE:
            return self._configure(request, protocol.wish_of(request.values), node, now)
        address = protocol.address_of(request.values)
        held = [each for each in self.holdings.of(node) if address in (None, each.address)]
        if request.kind == Ask.RENEW:
            for holding in held:
                if holding.lease is not None and not holding.taken:
                    return self._renew(request, holding, holding.lease, now)
            return self._answers.deny(request, Code.LEASE_LOST, f"{address} is not held", now)
        if request.kind not in (Ask.RELEASE, Ask.TAKE_OVER):
            raise DecodeError(f"request {request.kind}", where="configuration protocol")
        outputs: list[Output] = []
        for holding in held:
            if request.kind == Ask.TAKE_OVER and holding.lease is not None:
                outputs += self._hand_over(holding, holding.lease)
            else:
                outputs += self._release(holding, "released")
        return (*self._answers.done(request, now), *outputs)

    def _configure(
        self, request: Request, wish: Wish, node: str, now: Instant
    ) -> tuple[Output, ...]:
        if wish.method not in self._settings.methods:
            return self._answers.deny(request, Code.UNSUPPORTED, f"no {wish.method.name} here", now)
        held = self.holdings.at((family(wish.method), wish.mac))
        named = self.holdings.called((family(wish.method), wish.client_id))
        strange = held is not None and held.mobile_node != node
        if strange or (named is not None and named is not held):
            what = "this MAC address or client identifier is another's"
            return self._answers.deny(request, Code.IN_USE_BY_ANOTHER, what, now)
        outputs: list[Output] = []
        if held is not None and not _same(held.wish, wish):
            outputs += self._release(held, "replaced")
            if self.holdings.at(held.place) is held:  # it has to wait for the server's answer
                what = "an exchange for the same interface is under way"
                return (*outputs, *self._answers.deny(request, Code.BUSY, what, now))
            held = None
        if held is not None and held.taken:  # it left again: the server knows how that lease is
            self.holdings.remove(held)
            held = None
        if held is None:
            return (*outputs, *self._begin(request, wish, node, now))
        self._touch(held, request.key, now)
        held.absence, held.cause = None, ""
        held.wish = wish
        held.waiting = Waiting(request.token, request.source)  # the one before it is given up
        if held.lease is not None and wish.decline == held.lease.address.ip:
            outputs += self._decline(held, held.lease, now)
        elif held.lease is not None and not held.busy:
            outputs += self._answers.grant(held, now)
        self.holdings.settle(held)
        return tuple(outputs)

    def _begin(self, request: Request, wish: Wish, node: str, now: Instant) -> tuple[Output, ...]:
        settings = self._settings
        if len(self.holdings.of(node)) >= settings.per_node:
            what = f"it has {settings.per_node} addresses here already"
            return self._answers.deny(request, Code.QUOTA, what, now)
        if (
            len(self.holdings) >= settings.maximum
            or len(self.holdings.listening) >= settings.exchanges
        ):
            return self._answers.deny(request, Code.BUSY, "too many mobile nodes at once", now)
        if not self._rate.take(node.encode(), now.monotonic_ns):
            return self._answers.deny(request, Code.QUOTA, "it asks too often", now)
        holding = Holding(
            request.key,
            node,
            wish,
            self._link.acquisition(wish),
            now.monotonic_ns + int(settings.keep_s * NS_PER_S),
        )
        holding.waiting = Waiting(request.token, request.source)
        self.holdings.add(holding)
        return self._digest(holding, holding.acquisition.begin(now), now)

    def _decline(self, holding: Holding, lease: Lease, now: Instant) -> tuple[Output, ...]:
        """The address is in use on the link: another one."""
        node, failed = holding.mobile_node, None
        if lease.address.ip == holding.declined:
            failed = Failed(Code.SERVER_REFUSED, "the server gives the declined address again")
        elif not self._declines.take(node.encode(), now.monotonic_ns):
            failed = Failed(Code.QUOTA, "it declines too many addresses")
        if failed is not None:
            waiting, holding.waiting = holding.waiting, None
            back = self._release(holding, "declined")
            holding.lease, holding.waiting = None, waiting
            return (*back, *self._failed(holding, failed, now))
        said = holding.acquisition.decline(lease)
        holding.lease, holding.declined = None, lease.address.ip
        self.holdings.note(holding)
        holding.acquisition = self._link.acquisition(holding.wish)
        gone = Gone(node, lease.address.ip, "declined")
        return (*said, gone, *self._digest(holding, holding.acquisition.begin(now), now))

    def _renew(
        self, request: Request, holding: Holding, lease: Lease, now: Instant
    ) -> tuple[Output, ...]:
        self._touch(holding, request.key, now)
        holding.waiting = Waiting(request.token, request.source)
        holding.absence, holding.cause = None, ""
        outputs: tuple[Output, ...] = ()
        if not holding.busy:
            soon_ns = lease.since_ns + _EARLY * min(lease.renew_s, lease.life_s) * NS_PER_S
            if now.monotonic_ns >= soon_ns:
                outputs = self._digest(holding, holding.acquisition.renew(lease, now), now)
            else:
                outputs = self._answers.grant(holding, now)
        self.holdings.settle(holding)
        return outputs

    # --- what becomes of holdings

    def _digest(
        self, holding: Holding, outputs: Iterable[ways.Output], now: Instant
    ) -> tuple[Output, ...]:
        made: list[Output] = []
        for output in outputs:
            if isinstance(output, Transmit):
                made.append(output)
            elif isinstance(output, Acquired):
                renewal, holding.lease = bool(holding.lease), output.lease
                self.holdings.note(holding)
                if holding.cause:
                    made += self._release(holding, holding.cause)
                elif output.lease.address.ip == holding.wish.decline:
                    made += self._decline(holding, output.lease, now)
                else:
                    made += self._answers.grant(holding, now, renewal=renewal)
            else:
                made += self._failed(holding, output, now)
        self.holdings.settle(holding)
        return tuple(made)

    def _failed(self, holding: Holding, failed: Failed, now: Instant) -> tuple[Output, ...]:
        lease = holding.lease
        if lease is not None and failed.code is not Code.LEASE_LOST:
            # The server is silent: the lease goes on, and it is asked again.
            spent_s = (now.monotonic_ns - lease.since_ns) / NS_PER_S
            holding.lease = replace(lease, renew_s=spent_s + self._settings.retry_s)
            return () if holding.waiting is None else self._answers.grant(holding, now)
        waiting = holding.waiting
        outputs = self._forget(holding, "lost")
        if waiting is None:
            return outputs
        return (*outputs, *self._answers.refuse(holding.mobile_node, waiting, failed, now))

    def _look_at(self, holding: Holding, now: Instant) -> tuple[Output, ...]:
        if holding.taken:
            self.holdings.remove(holding)
            return ()
        if holding.absence is not None:
            return (*holding.absence.expire(now), *self._part(holding, now))
        expires_ns, renew_ns = holding.expires_ns(), holding.renew_ns()
        if expires_ns is not None and expires_ns <= now.monotonic_ns:
            waiting, lost = holding.waiting, Failed(Code.LEASE_LOST, "its lease ran out")
            outputs = self._forget(holding, "expired")
            holding.lease, holding.waiting = None, waiting
            return (*outputs, *self._failed(holding, lost, now))
        if holding.keep_until_ns <= now.monotonic_ns and not holding.cause:
            return self._give_back(holding, "unheard", now)
        if renew_ns is not None and renew_ns <= now.monotonic_ns and holding.lease is not None:
            return self._digest(holding, holding.acquisition.renew(holding.lease, now), now)
        return self._digest(holding, holding.acquisition.expire(now), now)

    def _give_back(self, holding: Holding, cause: str, now: Instant) -> tuple[Output, ...]:
        """Unasked: only if the MN is not on the link."""
        if holding.lease is None or holding.lease.server is None:
            return self._release(holding, cause)
        holding.cause = cause
        holding.absence = self._link.absence(holding.lease.address.ip, holding.wish.mac)
        outputs = holding.absence.expire(now)
        self.holdings.settle(holding)
        return outputs

    def _part(self, holding: Holding, now: Instant) -> tuple[Output, ...]:
        absence = holding.absence
        if absence is None or not absence.settled:
            return ()
        if absence.present:
            return self._forget(holding, "in use")
        return self._release(holding, holding.cause)

    def _release(self, holding: Holding, cause: str) -> tuple[Output, ...]:
        """Give it back, or the way to it up."""
        if holding.lease is None:
            # The server may be about to grant it: then it is given back.
            holding.cause, holding.waiting = cause, None
            if not holding.busy:
                self.holdings.remove(holding)
            return ()
        said: tuple[Transmit, ...] = ()
        if holding.lease.server is not None:
            said = holding.acquisition.release(holding.lease)
        return (*said, *self._forget(holding, cause))

    def _hand_over(self, holding: Holding, lease: Lease) -> tuple[Output, ...]:
        """The MN sees to it from now on; until the lease could have run out it counts as one."""
        if holding.taken:
            return ()
        holding.taken, holding.absence, holding.cause, holding.waiting = True, None, "", None
        holding.acquisition = self._link.acquisition(holding.wish)
        self.holdings.note(holding)
        self.holdings.settle(holding)
        return (Gone(holding.mobile_node, lease.address.ip, "taken over"),)

    def _forget(self, holding: Holding, cause: str) -> tuple[Output, ...]:
        lease, holding.waiting, holding.absence = holding.lease, None, None
        self.holdings.remove(holding)
        return () if lease is None else (Gone(holding.mobile_node, lease.address.ip, cause),)

    def _touch(self, holding: Holding, key: bytes, now: Instant) -> None:
        holding.key = key
        holding.keep_until_ns = now.monotonic_ns + int(self._settings.keep_s * NS_PER_S)


def _same(before: Wish, after: Wish) -> bool:
    """Whether one lease serves both."""
    return (before.method, before.client_id, before.association) == (
        after.method,
        after.client_id,
        after.association,
    )
