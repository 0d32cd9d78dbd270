"""What a run without a policy says of its node, in the words that a policy would be told. Pure.

A policy's run has all in `policy.input`. Of other schemes the same picture is put together from
what the node's own programs say: where it attached, what the supplicant heard and lost, and how far
each preparation came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mpa_hil.policy import interface as say
from mpa_hil.policy.interface import Input

_SIGNAL = re.compile(r"signal=(-?\d+) noise=(-?\d+)")
_BSSID = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)
_KEYS = 1


class Plain:
    """One run's events, in their order.

    Args:
        realms: of each access point by name.
        names: access points by BSSID, in small letters.
    """

    def __init__(self, realms: Mapping[str, str], names: Mapping[str, str]) -> None:
        self._realms = dict(realms)
        self._names = dict(names)
        self._on = ""
        self._joined = ""
        """BSSID of the last connection: who attaches after it tells its name."""

    def begin(self, t_ns: int) -> list[Input]:
        """The access points that there are."""
        known = self._realms.items()
        return [say.CandidateSeen(t_ns, say.Candidate(ap, realm)) for ap, realm in known]

    def hear(self, told: Mapping[str, object]) -> list[Input]:
        """What one event of host `mn` comes to; most come to nothing."""
        kind, t_ns = str(told.get("type")), told.get("t_ns")
        if not isinstance(t_ns, int):
            raise ValueError("an event without a time")
        network = str(told.get("network", ""))
        if kind == "mobile_node.attached" and network:
            return self._attached(t_ns, network)
        if kind == "wpa.event":
            return self._supplicant(t_ns, str(told.get("name")), str(told.get("text")))
        if kind == "preauth.keys" and told.get("supplicant"):
            return [say.Holding(t_ns, str(told.get("point")), _KEYS)]
        if kind == "handover.ready":
            level = told.get("level")
            return [say.Holding(t_ns, network, level if isinstance(level, int) else _KEYS)]
        if kind == "handover.finished":
            return [say.Holding(t_ns, network, 0)]
        return []

    def _attached(self, t_ns: int, ap: str) -> list[Input]:
        if self._joined:
            self._names[self._joined] = ap
        if ap == self._on:
            return []
        self._on = ap
        return [say.Attached(t_ns, ap)]

    def _supplicant(self, t_ns: int, name: str, text: str) -> list[Input]:
        if name == "CTRL-EVENT-SIGNAL-CHANGE" and self._on:
            found = _SIGNAL.search(text)
            if found is None:
                return []
            return [say.Sample(t_ns, self._on, float(found[1]), float(found[2]))]
        bssid = _BSSID.search(text)
        if name == "CTRL-EVENT-CONNECTED" and bssid:
            self._joined = bssid[0].lower()
            ap = self._names.get(self._joined, "")
            return self._attached(t_ns, ap) if ap else []
        if name == "CTRL-EVENT-DISCONNECTED" and self._on:
            lost, self._on, self._joined = self._on, "", ""
            return [say.LinkLost(t_ns, lost)]
        return []
