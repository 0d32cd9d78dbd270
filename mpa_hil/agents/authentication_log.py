"""The authentication agent's outputs as events. Floods become numbers: few lines a second."""

from __future__ import annotations

import asyncio

from mpa_hil.agents.stdio import Console
from mpa_hil.authentication.agent import AuthenticationAgent
from mpa_hil.authentication.outputs import (
    AgentOutput,
    Authenticated,
    Denied,
    KeyChanged,
    Moved,
    Prepared,
    RecipientReady,
    Started,
    StateChanged,
)
from mpa_hil.mobility.interface import NS_PER_S, Discarded, Endpoint, Instant
from mpa_hil.radius import interface as radius
from mpa_hil.radius.device_keys import KeyGiven, KeyRefused

_PAUSE_S = 1.0
_REASONS = 256
"""Different reasons and kinds that are counted apart within a second; the rest count as one."""


class AgentLog:
    """Writes events. Lives on the running event loop."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._discarded: dict[tuple[str, bool], tuple[str, int]] = {}
        """Source of the first and count, by reason and whether it is a matter of security."""
        self._timer: asyncio.TimerHandle | None = None
        self._lost: dict[str, str] = {}
        """Why each recipient that is away is away."""

    def say(self, output: AgentOutput) -> None:
        """An output that is for the log alone."""
        emit = self._console.emit
        if isinstance(output, Started):
            emit(
                "aa.started",
                session=output.session_id,
                source=place(output.source),
                preauthentication=output.preauthentication,
                reauthentication=output.reauthentication,
            )
        elif isinstance(output, Authenticated):
            emit(
                "aa.authenticated",
                session=output.session_id,
                key_id=output.key_id,
                mobile_node=output.mobile_node,
                source=place(output.source),
                lifetime_s=output.lifetime_s,
                duration_ms=output.duration_ns / 1e6,
                aaa_round_trips=output.aaa_round_trips,
                aaa_ms=output.aaa_ns / 1e6,
            )
        elif isinstance(output, Denied):
            emit(
                "aa.refused",
                session=output.session_id,
                mobile_node=output.mobile_node,
                source=place(output.source),
                decider=output.decider,
                reason=output.reason,
            )
        elif isinstance(output, StateChanged):
            emit(
                "aa.state",
                session=output.session_id,
                mobile_node=output.mobile_node,
                state=output.state.value,
                cause=f"{output.cue.value}: {output.detail}",
            )
        elif isinstance(output, KeyChanged):
            emit(
                "aa.key",
                recipient=output.recipient,
                key=output.name.hex(),
                change=output.change,
                reason=output.reason,
            )
        elif isinstance(output, Prepared):
            emit(
                "aa.prepared",
                session=output.session_id,
                mobile_node=output.mobile_node,
                station=output.station,
                installed=output.installed,
                asked=output.asked,
                duration_ms=output.duration_ns / 1e6,
            )
        elif isinstance(output, Moved):
            emit(
                "aa.address",
                session=output.session_id,
                mobile_node=output.mobile_node,
                address=place(output.address),
                previous=place(output.previous),
            )
        elif isinstance(output, RecipientReady):
            if self._lost.pop(output.recipient, "") != "audit":
                emit("aa.recipient", recipient=output.recipient, up=True, held=output.held)
            self._lost[output.recipient] = "audit"
        elif isinstance(output, Discarded):
            self.discarded(output)

    def aaa(self, output: radius.Output) -> None:
        """News of the AAA servers."""
        if isinstance(output, radius.ServerDown):
            self._console.emit("aa.server", server=output.server, up=False, reason=output.reason)
        elif isinstance(output, radius.ServerUp):
            self._console.emit("aa.server", server=output.server, up=True)
        elif isinstance(output, Discarded):
            self.discarded(output)

    def device_key(self, output: KeyGiven | KeyRefused | Discarded) -> None:
        """An access point asked for a station's key."""
        if isinstance(output, Discarded):
            self.discarded(output)
            return
        self._console.emit(
            "aa.device_key",
            access_point=output.access_point,
            station=output.station,
            bssid=output.bssid or "",
            given=isinstance(output, KeyGiven),
            reason=output.reason if isinstance(output, KeyRefused) else "",
        )

    def recipient_lost(self, name: str, reason: str) -> None:
        """Said once for each reason, however often it is tried again."""
        if self._lost.get(name) != reason:
            self._lost[name] = reason
            self._console.emit("aa.recipient", recipient=name, up=False, reason=reason)

    def sessions(self, agent: AuthenticationAgent, now: Instant) -> None:
        """The answer to the command of that name."""
        entries = [
            {
                "session": association.session_id,
                "mobile_node": association.mobile_node,
                "state": association.state.value,
                "address": place(association.address),
                "station": association.station,
                "left_s": round((association.expires_ns - now.monotonic_ns) / NS_PER_S, 3),
                "keys": {name.hex(): agent.is_held(association, name) for name in association.keys},
            }
            for association in agent.associations
        ]
        self._console.emit(
            "aa.sessions", half_open=agent.half_open, established=len(entries), sessions=entries
        )

    def discarded(self, output: Discarded) -> None:
        """Count it; the first of its kind is told at once."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_S, self._pause_over)
            self._say_discarded(output.reason, output.security, place(output.source), 1)
            return
        key = (output.reason, output.security)
        if key not in self._discarded and len(self._discarded) >= _REASONS:
            key = ("other reasons", output.security)
        source, count = self._discarded.get(key) or (place(output.source), 0)
        self._discarded[key] = (source, count + 1)

    def flush(self) -> None:
        """Tell what was counted."""
        counted, self._discarded = self._discarded, {}
        for (reason, security), (source, count) in counted.items():
            self._say_discarded(reason, security, source, count)

    def _pause_over(self) -> None:
        self._timer = None
        if self._discarded:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_S, self._pause_over)
            self.flush()

    def _say_discarded(self, reason: str, security: bool, source: str, count: int) -> None:
        self._console.emit(
            "aa.discarded", reason=reason, source=source, count=count, security=security
        )


def place(endpoint: Endpoint) -> str:
    """An endpoint for people."""
    address, port = endpoint
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
