"""The outputs of an access router's tunnel machine as events; floods become numbers."""

from __future__ import annotations

import asyncio
import time

from mpa_hil.agents.stdio import Console, Json
from mpa_hil.mobility.interface import Discarded
from mpa_hil.tunnel.interface import Code
from mpa_hil.tunnel.outputs import Changed, Failed, Refusal, RouterOutput
from mpa_hil.tunnel.sessions import Session

_PAUSE_S = 1.0
_REASONS = 64
"""Different reasons that are counted apart within a second; the rest count as one."""


class TunnelLog:
    """Writes events. Lives on the running event loop."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts: dict[tuple[str, bool], tuple[str, int]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def say(self, output: RouterOutput) -> None:
        """An output that is for the log alone, `Changed` excepted."""
        if isinstance(output, Refusal):
            self._console.emit(
                "tunnel.refused",
                mobile_node=output.owner,
                request="unknown" if output.kind is None else output.kind.name.lower(),
                code=output.code.name.lower(),
                reason=output.why,
                source=str(output.source.address),
            )
        elif isinstance(output, Failed):
            number, order = output.session.number, output.order.value
            self._console.emit("tunnel.failed", session=number, order=order, error=output.why)
        elif isinstance(output, Discarded):
            self._discarded(output)

    def changed(
        self, change: Changed, at_ns: int, took_ns: tuple[int, int], counts: tuple[int, int]
    ) -> None:
        """A session's state is another.

        Args:
            took_ns: from the request to its answer (0: there was none), and the kernel alone.
            counts: packets that were held, and that were too many.
        """
        session = change.session
        held = {}
        if change.held_ns:
            packets, dropped = counts
            held = {"held_packets": packets, "dropped_packets": dropped}
            held["held_ns"] = change.held_ns
        self._console.emit(
            "tunnel.changed",
            at_ns,
            session=session.number,
            mobile_node=session.owner,
            before=change.before.value,
            state=change.state.value,
            cause=change.cue.value,
            inner=[str(address) for address in session.wish.inner],
            outer=str(session.wish.outer),
            protection=session.wish.protect.name.lower(),
            detained=session.detained,
            answer_ns=took_ns[0],
            act_ns=took_ns[1],
            **held,
        )

    def checked(self, session: Session, fault: Code | None, took_ns: int) -> None:
        """Duplicate address detection is over."""
        self._console.emit(
            "tunnel.checked",
            session=session.number,
            inner=[str(address) for address in session.wish.inner],
            free=fault is None,
            reason="" if fault is None else fault.name.lower(),
            took_ms=took_ns / 1e6,
        )

    def flush(self) -> None:
        """Write what was counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, {}
        for (reason, security), (source, count) in counts.items():
            self._console.emit(
                "tunnel.discarded", reason=reason, source=source, security=security, count=count
            )

    def _discarded(self, output: Discarded) -> None:
        place = output.reason, output.security
        if place not in self._counts and len(self._counts) >= _REASONS:
            place = "many other reasons", output.security
        source, count = self._counts.get(place, (str(output.source.address), 0))
        self._counts[place] = source, count + 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_S, self.flush)


def listed(session: Session) -> Json:
    """A session for `tunnel.sessions`."""
    left_s = max(session.expires_ns - time.monotonic_ns(), 0) / 1e9
    return {
        "session": session.number,
        "mobile_node": session.owner,
        "state": session.state.value,
        "inner": [str(address) for address in session.wish.inner],
        "outer": str(session.wish.outer),
        "key": session.key.hex(),
        "left_s": round(left_s, 3),
    }
