"""Whether an access point answers: what the kernel's words and the supplicant's come to."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from mpa_hil.agents import reachability
from mpa_hil.agents.reachability import Reached, offers, reach
from radios.genetlink import Message, encode_attributes
from radios.management import Sent, decode_answer, decode_sent
from radios.replies import Bss
from radios.wpa_events import Event, parse_event

B1 = "02:00:00:00:0b:01"
OCTETS = bytes.fromhex(B1.replace(":", ""))
OFFERS = bytes((0, 1)) + b"b" + bytes((107, 1, 0))
SILENT = bytes((0, 1)) + b"b"


def told(command: int, *attributes: tuple[int, bytes]) -> Message:
    return Message(30, 0, struct.pack("=BBH", command, 1, 0) + encode_attributes(attributes))


def test_what_became_of_a_frame() -> None:
    frame = b"\xd0\0\0\0" + OCTETS + bytes(12)
    cookie = bytes(range(8))
    assert decode_sent(told(60, (51, frame), (88, cookie), (92, b""))) == Sent(B1, True, cookie)
    assert decode_sent(told(60, (51, frame), (88, cookie))) == Sent(B1, False, cookie)
    assert decode_sent(told(59, (51, frame), (88, cookie))) is None
    assert decode_sent(told(60, (51, frame[:9]), (88, cookie))) is None
    assert decode_sent(Message(30, 0, told(60).payload + b"\3\0")) is None
    assert decode_sent(Message(30, 0, b"")) is None


def test_only_a_probe_response_is_an_answer() -> None:
    def entry(*attributes: tuple[int, bytes]) -> Message:
        return told(34, (47, encode_attributes(attributes)))

    tsf = struct.pack("=Q", 7_000_000)
    assert decode_answer(entry((1, OCTETS), (3, tsf), (14, b""))) == (B1, 7_000_000)
    assert decode_answer(entry((1, OCTETS), (3, tsf))) is None
    assert decode_answer(entry((1, OCTETS[:5]), (3, tsf), (14, b""))) is None
    assert decode_answer(told(34, (47, b"\1\0"))) is None


def test_who_offers_interworking() -> None:
    assert offers(OFFERS)
    assert not offers(SILENT)
    assert not offers(b"")
    assert not offers(OFFERS[:4])


class Radio:
    """A supplicant, the kernel, and an access point of which one may say what it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, elements: bytes, **does: bool) -> None:
        self.elements, self.does = elements, does
        self.age_s = 9
        self.clock = 5
        self.done: list[str] = []
        self.control = self
        self.events: list[Event] = []
        monkeypatch.setattr(reachability, "ANSWER_S", 0.001)

    # --- the kernel

    def watch(self) -> socket.socket:
        self.here, self.there = socket.socketpair()
        return self.here

    def sent(self) -> list[Sent]:
        self.here.recv(1)
        return [Sent(B1, self.does["acknowledges"], b"c" * 8)]

    def give_up(self, sent: Sent) -> None:
        self.done.append("give up")
        self.finish("FAILURE")

    def unwatch(self) -> None:
        self.here.close()
        self.there.close()

    def answered(self) -> dict[str, int]:
        return {B1: self.clock}

    # --- supplicant and control socket

    async def bss(self, bssid: str) -> Bss | None:
        return Bss(bssid, 2437, -70, None, self.age_s, 100, (), b"b", self.elements)

    async def scan_and_wait(
        self, frequencies: tuple[int, ...], *, timeout_s: float, passive: bool
    ) -> None:
        self.done.append("listen" if passive else "scan")
        await asyncio.sleep(0.001)
        if not passive and self.does.get("answers"):
            self.clock += 1
        if (self.does.get("answers") and not passive) or (passive and self.does.get("beacons")):
            self.age_s = 0

    async def command(self, *words: object) -> None:
        self.done.append("ask")
        self.there.send(b"x")
        if self.does["answers"]:
            self.finish("SUCCESS")

    def subscribe(self) -> Radio:
        self.over = asyncio.get_running_loop().create_future()
        return self

    def finish(self, result: str) -> None:
        if not self.over.done():
            text = f"<3>ANQP-QUERY-DONE addr={B1} result={result}"
            self.over.set_result(parse_event(text.encode(), time.monotonic_ns()))

    def __enter__(self) -> Radio:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    async def wait_for(self, wanted: Callable[[Event], bool], timeout_s: float) -> Event:
        event = await self.over
        assert wanted(event)
        return cast(Event, event)

    def reach(self, *, here: bool = True) -> Reached:
        async def quietly(work: Awaitable[object]) -> None:
            self.done.append("hold")
            await work

        return asyncio.run(
            reach(cast(Any, self), B1, 2437, cast(Any, self) if here else None, quietly)
        )


def test_one_that_answers_anqp(monkeypatch: pytest.MonkeyPatch) -> None:
    radio = Radio(monkeypatch, OFFERS, answers=True, acknowledges=True)
    reached = radio.reach()
    assert (reached.by, reached.answers) == ("anqp", True)
    assert "scan" not in radio.done
    assert "hold" not in radio.done


@pytest.mark.parametrize("acknowledges", [True, False])
@pytest.mark.parametrize("beacons", [True, False])
def test_one_that_does_not(
    monkeypatch: pytest.MonkeyPatch, acknowledges: bool, beacons: bool
) -> None:
    radio = Radio(monkeypatch, OFFERS, answers=False, acknowledges=acknowledges, beacons=beacons)
    reached = radio.reach()
    assert (reached.by, reached.answers) == ("beacon" if beacons else "nothing", False)
    assert radio.done[:2] == ["ask", "give up"], "the radio does not stay away for a second"
    assert radio.done[-2:] == ["hold", "listen"]
    assert reached.away_ns > 0


def test_one_without_anqp_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    radio = Radio(monkeypatch, SILENT, answers=True)
    assert radio.reach().by == "probe-response"
    assert radio.done == ["hold", "scan"]
    deaf = Radio(monkeypatch, SILENT, answers=False, beacons=True)
    assert deaf.reach().by == "beacon"
    assert deaf.done == ["hold", "scan", "hold", "listen"]
    gone = Radio(monkeypatch, SILENT, answers=False, beacons=False)
    assert gone.reach().by == "nothing"


def test_where_the_kernel_cannot_be_asked_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    radio = Radio(monkeypatch, OFFERS, answers=True)
    reached = radio.reach(here=False)
    assert (reached.by, reached.answers) == ("scan", True)
    radio.age_s, radio.does = 9, {"answers": False}
    assert radio.reach(here=False).by == "nothing"
