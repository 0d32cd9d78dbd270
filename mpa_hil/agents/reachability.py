"""Whether an access point answers, by an exchange of management frames before it is gone to (RFC
6252 s7.6.3).

One that offers interworking (802.11u) is asked by ANQP: one frame there and one back, each
acknowledged, on its channel; it need not be left for longer than that takes. wpa_supplicant would
wait a second for an answer, off its channel: that wait is ended here. Any other is probed, and the
kernel asked whether a probe response came. Who does not answer is listened for, so that a deaf
access point is told from one that is not there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from radios import anqp
from radios.control import Refused
from radios.errors import RemoteError
from radios.management import Management, Sent
from radios.replies import Bss
from radios.supplicant import Supplicant
from radios.wpa_text import find_mac, mac_address

ANQP, PROBE_RESPONSE, BEACON, NOTHING, SCAN = "anqp", "probe-response", "beacon", "nothing", "scan"
ANSWER_S = 0.03
"""An access point that has acknowledged a question answers it within some milliseconds."""
_BOUND_S = 5.0
_INTERWORKING = 107
"""Element that says who answers ANQP (IEEE 802.11 s9.4.2.91)."""
_CAPABILITIES = 257
"""What is asked for: every access point with ANQP has it."""
_NOW_S = 1
"""Age of an entry, which counts whole seconds, that a scan just made."""

Quietly = Callable[[Awaitable[object]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Reached:
    """How a test ended.

    Attributes:
        by: what it answered with, or was heard by (this module's constants).
        away_ns: the radio was off its channel for so long.
    """

    by: str
    away_ns: int

    @property
    def answers(self) -> bool:
        """Whether it did; of one that was found by a scan alone it is believed."""
        return self.by in (ANQP, PROBE_RESPONSE, SCAN)


async def reach(
    supplicant: Supplicant,
    bssid: str,
    frequency_mhz: int,
    kernel: Management | None,
    quietly: Quietly | None = None,
) -> Reached:
    """Whether it answers.

    Args:
        kernel: None: the interface is not here, and nobody can be asked.
        quietly: has packets held during a scan; None: nobody holds any. The exchange by ANQP is
            over before a router could hold: for it the radio and the access point keep them.

    Raises:
        MpaError: the supplicant is gone, or busy for too long.
    """
    away_ns = 0
    known = await supplicant.bss(bssid)
    if kernel is not None and known is not None and offers(known.elements):
        answers, away_ns = await _ask(supplicant, bssid, kernel)
        if answers:
            return Reached(ANQP, away_ns)
    elif kernel is None:
        away_ns = await _scan(supplicant, frequency_mhz, quietly, passive=False)
        found = _is_fresh(await supplicant.bss(bssid))
        return Reached(SCAN if found else NOTHING, away_ns)
    else:
        before = kernel.answered().get(bssid)
        away_ns = await _scan(supplicant, frequency_mhz, quietly, passive=False)
        after = kernel.answered().get(bssid)
        if after is not None and after != before:
            return Reached(PROBE_RESPONSE, away_ns)
        if _is_fresh(await supplicant.bss(bssid)):
            return Reached(BEACON, away_ns)
    away_ns += await _scan(supplicant, frequency_mhz, quietly, passive=True)
    heard = _is_fresh(await supplicant.bss(bssid))
    return Reached(BEACON if heard else NOTHING, away_ns)


def offers(elements: bytes) -> bool:
    """Whether an access point says that it answers ANQP, in its beacon or probe response."""
    at = 0
    while at + 2 <= len(elements):
        if elements[at] == _INTERWORKING:
            return True
        at += 2 + elements[at + 1]
    return False


async def _ask(supplicant: Supplicant, bssid: str, kernel: Management) -> tuple[bool, int]:
    """By ANQP; whether it answered, and for how long the radio was away."""
    loop = asyncio.get_running_loop()
    began_ns = back_ns = time.monotonic_ns()
    waits: list[tuple[Sent, asyncio.TimerHandle]] = []

    def give_up(sent: Sent) -> None:
        nonlocal back_ns
        kernel.give_up(sent)
        back_ns = time.monotonic_ns()

    def on_sent() -> None:
        for sent in kernel.sent():
            if sent.to == bssid:
                patience_s = ANSWER_S if sent.acknowledged else 0.0
                waits.append((sent, loop.call_later(patience_s, give_up, sent)))

    told = kernel.watch()
    loop.add_reader(told, on_sent)
    try:
        with supplicant.control.subscribe() as events:
            await supplicant.control.command("ANQP_GET", mac_address(bssid), _CAPABILITIES)
            done = await events.wait_for(
                lambda event: (
                    event.name == anqp.QUERY_DONE
                    and find_mac(event.fields.get("addr", "")) == bssid
                ),
                _BOUND_S,
            )
    except Refused:
        return False, 0
    finally:
        for sent, wait in waits:
            wait.cancel()
            kernel.give_up(sent)  # nobody may want the answer any more
        loop.remove_reader(told)
        kernel.unwatch()
    answers = done.fields.get("result") == "SUCCESS"
    return answers, (done.t_ns if answers else back_ns) - began_ns


async def _scan(
    supplicant: Supplicant, frequency_mhz: int, quietly: Quietly | None, *, passive: bool
) -> int:
    """Scan a channel, and say how long that took."""
    began_ns = ended_ns = 0

    async def scan() -> None:
        nonlocal began_ns, ended_ns
        began_ns = time.monotonic_ns()
        await supplicant.scan_and_wait((frequency_mhz,), timeout_s=_BOUND_S, passive=passive)
        ended_ns = time.monotonic_ns()

    work = scan()
    try:
        await (work if quietly is None else quietly(work))
    finally:
        work.close()  # it may not have come to its turn
    if not ended_ns:
        raise RemoteError("the scan was not carried out", where=f"{frequency_mhz} MHz")
    return ended_ns - began_ns


def _is_fresh(bss: Bss | None) -> bool:
    return bss is not None and (bss.age_s or 0) <= _NOW_S
