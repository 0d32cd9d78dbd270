"""RADIUS packets, hidden keys, authentic nonsense and TLS streams, fuzzed."""

from __future__ import annotations

from ipaddress import ip_address

from fuzzing import fuzz
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from radius_peers import (
    EAP_RESPONSE,
    SECRET,
    Octets,
    Responder,
    at,
    challenge,
    client_settings,
    keys,
    reject,
    server,
)

from mpa_hil.errors import DecodeError
from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.radius import numbers, packet
from mpa_hil.radius.client import RadiusClient
from mpa_hil.radius.device_keys import AccessPoint, DeviceKeyAnswerer, KeyGiven, StationKey
from mpa_hil.radius.hiding import hide, master_session_key, reveal
from mpa_hil.radius.interface import (
    Accepted,
    Ask,
    Challenged,
    Discarded,
    Output,
    Refused,
    Transmit,
    Unreachable,
)
from mpa_hil.radius.numbers import Code

AUTHENTICATOR = bytes(range(16))
BODY = (
    packet.attribute(numbers.USER_NAME, b"mn@home.example")
    + packet.integer(numbers.SESSION_TIMEOUT, 3600)
    + packet.attribute(numbers.STATE, b"state")
    + packet.eap_attributes(bytes((1, 2, 1, 44)) + bytes(296))
)
REQUEST = packet.signed_request(Code.ACCESS_REQUEST, 1, AUTHENTICATOR, BODY, SECRET)
ASKED = packet.decode(REQUEST)
CORPUS = [
    REQUEST,
    packet.signed_answer(Code.ACCESS_CHALLENGE, ASKED, BODY, SECRET),
    packet.signed_answer(Code.ACCESS_ACCEPT, ASKED, keys(AUTHENTICATOR), SECRET),
    packet.signed_answer(Code.ACCESS_REJECT, ASKED, b"", SECRET),
]


def test_packets() -> None:
    fuzz("radius", packet.decode, CORPUS, encode=packet.encode)


def test_hidden_values() -> None:
    corpus = [
        hide(value, SECRET, AUTHENTICATOR, b"\x80\x01")
        for value in (b"", bytes(15), bytes(32), bytes(239))
    ]
    fuzz("radius hidden", lambda octets: reveal(octets, SECRET, AUTHENTICATOR), corpus)


def test_keys_in_authentic_packets() -> None:
    def read(body: bytes) -> bytes:
        sealed = packet.Packet(2, 1, AUTHENTICATOR, _attributes(body), b"", None)
        return master_session_key(sealed, SECRET, AUTHENTICATOR)

    fuzz("radius keys", read, [keys(AUTHENTICATOR)])


def _attributes(body: bytes) -> tuple[tuple[int, bytes], ...]:
    head = bytes((2, 1)) + (20 + len(body)).to_bytes(2, "big") + AUTHENTICATOR
    return packet.decode(head + body).attributes


def test_a_client_of_a_server_that_says_nonsense_under_its_seal() -> None:
    """Whatever the attributes are, the outcome is one of three, and a success has 64 octets."""

    def ask(body: bytes) -> Output:
        client = RadiusClient(client_settings(), Octets())
        (sent,) = client.request("mn", Ask(EAP_RESPONSE, b"mn"), at(0))
        assert isinstance(sent, Transmit)
        asked = packet.decode(sent.packet)
        code = (2, 3, 11, 2)[sum(body) % 4]
        _attributes(body)
        if 80 in [kind for kind, _ in _attributes(body)] or len(body) > 4000:
            raise DecodeError("has a signature already, or no room for one")
        answer = packet.signed_answer(code, asked, body, SECRET)
        (output,) = client.receive(answer, sent.lane, at(0))
        if isinstance(output, Accepted):
            assert len(output.msk) == 64
            assert output.eap[0] == 3
        else:
            assert isinstance(output, Refused | Challenged | Discarded)
        return output

    first = RadiusClient(client_settings(), Octets()).request("mn", Ask(b"x", b"x"), at(0))[0]
    assert isinstance(first, Transmit)
    good = packet.eap_attributes(bytes((3, 1, 0, 4))) + keys(first.packet[4:20])
    fuzz("radius verdict", ask, [good, good + BODY[:30], BODY])


def test_access_points_that_say_nonsense() -> None:
    source = Endpoint(ip_address("192.0.2.10"), 40000)
    key = StationKey(pmk=bytes(32))
    answerer = DeviceKeyAnswerer(
        [AccessPoint("ap", source.address, SECRET)], lambda *_: key, Octets()
    )
    mac = packet.attribute(numbers.USER_NAME, b"020000000001")
    called = packet.attribute(numbers.CALLED_STATION_ID, b"02-00-00-00-0B-01:operator b")

    def ask(body: bytes) -> bytes:
        sealed = packet.signed_request(1, 1, AUTHENTICATOR, body[:4000], SECRET)
        packet.decode(sealed)
        outputs = answerer.receive(sealed, source, at(0))
        answerer._answers.clear()
        if isinstance(outputs[0], Discarded):
            raise DecodeError(outputs[0].reason)
        assert isinstance(outputs[0], Send)
        answer = packet.decode(outputs[0].datagram)
        assert packet.fault_of_answer(answer, AUTHENTICATOR, SECRET) is None
        assert (answer.code == Code.ACCESS_ACCEPT) is isinstance(outputs[-1], KeyGiven)
        return b""

    fuzz("radius device keys", ask, [mac, mac + called, called])


class ClientMachine(RuleBasedStateMachine):
    """Any order of requests, answers, forgeries, losses and waits: one outcome for each request,
    and no success that no server gave."""

    def __init__(self) -> None:
        super().__init__()
        self.client = RadiusClient(
            client_settings(server("one", 1, status_server=True), server("two", 2)), Octets()
        )
        self.now = at(0)
        self.token = 0
        self.wire: list[Transmit] = []
        self.open: set[int] = set()
        self.accepted: set[bytes] = set()

    def take(self, outputs: tuple[Output, ...], *, genuine: bool = False) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self.wire.append(output)
            elif isinstance(output, Accepted | Challenged | Refused | Unreachable):
                assert isinstance(output.token, int)
                assert genuine or isinstance(output, Unreachable)
                self.open.remove(output.token)

    @rule()
    def ask(self) -> None:
        self.token += 1
        self.open.add(self.token)
        self.take(self.client.request(self.token, Ask(EAP_RESPONSE, b"mn"), self.now))

    @rule(pick=st.integers(0), kind=st.integers(0, 2))
    def answer(self, pick: int, kind: int) -> None:
        if self.wire:
            sent = self.wire[pick % len(self.wire)]
            responder = (Responder(), challenge(), reject())[kind]
            octets = responder.answer(sent.packet)
            self.take(self.client.receive(octets, sent.lane, self.now), genuine=True)

    @rule(pick=st.integers(0), place=st.integers(0), change=st.integers(1, 255))
    def forge(self, pick: int, place: int, change: int) -> None:
        if self.wire:
            sent = self.wire[pick % len(self.wire)]
            octets = bytearray(Responder().answer(sent.packet))
            octets[place % len(octets)] ^= change
            self.take(self.client.receive(bytes(octets), sent.lane, self.now))

    @rule(pick=st.integers(0))
    def lose_a_lane(self, pick: int) -> None:
        if self.wire:
            lane = self.wire[pick % len(self.wire)].lane
            self.take(self.client.lane_lost(lane, "reset", self.now))

    @rule(pick=st.integers(0))
    def forget(self, pick: int) -> None:
        if self.open:
            token = sorted(self.open)[pick % len(self.open)]
            self.client.forget(token)
            self.open.discard(token)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        until = self.now.monotonic_ns + int(seconds * 1e9)
        while (due := self.client.next_deadline()) is not None and due <= until:
            assert due >= self.now.monotonic_ns
            self.now = Instant(due, due)
            self.take(self.client.expire(self.now))
        self.now = Instant(until, until)

    @invariant()
    def the_client_waits_for_what_is_open(self) -> None:
        assert self.client.outstanding == len(self.open)
        if self.open:
            assert self.client.next_deadline() is not None


TestClientMachine = ClientMachine.TestCase
