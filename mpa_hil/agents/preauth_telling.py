"""What the mobile node's pre-authentication returns, as events of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpa_hil.agents.stdio import Console
from mpa_hil.discovery import wire
from mpa_hil.discovery.description import Learnt, Source
from mpa_hil.mobility.interface import NS_PER_S, Endpoint
from mpa_hil.preauthentication import interface as out

_PREAUTHENTICATION, _INSTALLATION = "pre-authentication", "key-installation"
_QUIET_NS = NS_PER_S
"""Between two events about datagrams dropped for the same reason."""


class Teller:
    """Writes events; the two phases of preparation are told as phases too.

    Args:
        also: told every output, before it is written.
    """

    def __init__(
        self, console: Console, also: Callable[[out.Output], None] = lambda _: None
    ) -> None:
        self._console = console
        self._also = also
        self._dropped: dict[tuple[str, str], tuple[int, int]] = {}
        """By network and reason: when it was last told, and how many since."""

    def tell(self, output: out.Output, now_ns: int) -> None:
        """Write what there is to write of one output."""
        self._also(output)
        match output:
            case out.Started():
                if output.attempt == 1:
                    self._phase(_PREAUTHENTICATION, now_ns, output.realm)
                self._emit(
                    "started", output, now_ns, aa=_host(output.agent), attempt=output.attempt
                )
            case out.Authenticated():
                self._authenticated(output, now_ns)
            case out.PointReady():
                self._emit(
                    "keys",
                    output,
                    now_ns,
                    point=output.point.name,
                    bssid=output.point.bssid,
                    pmkid=output.pmkid.hex(),
                    access_point=output.agent.name.lower(),
                    supplicant=output.supplicant,
                    reason=output.detail,
                )
            case out.Prepared():
                self._prepared(output, now_ns)
            case out.Failed():
                self._failed(output, now_ns)
            case out.Arrived():
                self._emit("arrived", output, now_ns, bssid=output.bssid)
            case out.Serving():
                said = {"bssid": output.bssid, "duration_ns": output.duration_ns}
                self._emit("serving", output, now_ns, **said)
            case out.Left():
                hold_s = max(0, output.until_ns - now_ns) / NS_PER_S
                self._emit("left", output, now_ns, hold_s=hold_s)
            case out.Missed():
                self._emit("missed", output, now_ns, bssid=output.bssid)
            case out.Dropped():
                bssids = [point.bssid for point in output.points]
                self._emit("dropped", output, now_ns, count=len(bssids), bssids=bssids)
            case out.Ended():
                if output.cause is out.EndCause.EXPIRED:
                    self._emit("expired", output, now_ns)
                else:
                    said_why = {"cause": output.cause.value, "reason": output.detail}
                    self._emit("ended", output, now_ns, **said_why)
            case out.Ignored():
                self._ignored(output, now_ns)

    def address(self, realm: str, address: str) -> None:
        """A network's agent is told of a new address."""
        self._console.emit("preauth.address", realm=realm, address=address)

    def described(self, realm: str, learnt: Sequence[Learnt], duration_ns: int) -> None:
        """A network's agent has told what networks it knows."""
        own = [each.network for each in learnt if each.source is Source.OWN_AA]
        others = [each.network for each in learnt if each.source is not Source.OWN_AA]
        self._console.emit(
            "preauth.described",
            realm=realm,
            own=wire.encode(own).hex() if own else "",
            others=wire.encode(others).hex() if others else "",
            count=len(learnt),
            duration_ns=duration_ns,
        )

    def _authenticated(self, output: out.Authenticated, now_ns: int) -> None:
        if not output.renewal:
            self._phase(_PREAUTHENTICATION, now_ns, output.realm, "done")
            self._phase(_INSTALLATION, now_ns, output.realm)
        traffic = output.traffic
        self._emit(
            "authenticated",
            output,
            now_ns,
            method=output.method,
            detail=output.detail,
            server=output.server,
            resumed=output.resumed,
            renewal=output.renewal,
            messages_sent=traffic.messages_sent,
            octets_sent=traffic.octets_sent,
            messages_received=traffic.messages_received,
            octets_received=traffic.octets_received,
            round_trips=traffic.round_trips,
            duration_ns=output.duration_ns,
            lifetime_s=output.lifetime_s,
        )

    def _prepared(self, output: out.Prepared, now_ns: int) -> None:
        if not output.renewal:
            self._phase(_INSTALLATION, now_ns, output.realm, "done")
        self._emit(
            "prepared",
            output,
            now_ns,
            ready=output.ready,
            wanted=output.wanted,
            duration_ns=output.duration_ns,
            total_ns=output.total_ns,
            renewal=output.renewal,
        )

    def _failed(self, output: out.Failed, now_ns: int) -> None:
        installing = output.stage is out.Stage.INSTALLING
        phase = _INSTALLATION if installing else _PREAUTHENTICATION
        if output.attempts:
            self._phase(phase, now_ns, output.realm, "failed")
        said = {"stage": output.stage.value, "reason": output.reason, "attempts": output.attempts}
        self._emit("failed", output, now_ns, **said)

    def _ignored(self, output: out.Ignored, now_ns: int) -> None:
        key = (output.realm, output.reason)
        told_ns, count = self._dropped.get(key, (now_ns - _QUIET_NS, 0))
        if now_ns - told_ns < _QUIET_NS:
            self._dropped[key] = (told_ns, count + 1)
            return
        self._dropped[key] = (now_ns, 0)
        self._emit(
            "discarded",
            output,
            now_ns,
            reason=output.reason,
            source=_host(output.source),
            count=count + 1,
            security=output.security,
        )

    def _phase(self, name: str, t_ns: int, realm: str, outcome: str = "") -> None:
        if outcome:
            self._console.emit("phase.ended", t_ns, phase=name, outcome=outcome, cause=realm)
        else:
            self._console.emit("phase.started", t_ns, phase=name, cause=realm)

    def _emit(self, kind: str, output: out.Output, t_ns: int, **fields: object) -> None:
        self._console.emit(f"preauth.{kind}", t_ns, realm=output.realm, **fields)


def _host(endpoint: Endpoint) -> str:
    address, port = endpoint
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
