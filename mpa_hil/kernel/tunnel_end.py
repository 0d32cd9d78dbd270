"""What both ends of a PHT have in common: device, protection, and what may enter by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mpa_hil.kernel import filters, wireguard
from mpa_hil.kernel.devices import Encapsulation, WireGuardDevice, raise_quietly
from mpa_hil.kernel.filters import Match
from mpa_hil.kernel.netlink import interface_index
from mpa_hil.kernel.state import KernelState
from mpa_hil.kernel.tunnel_plan import Esp, TunnelPlan, WireGuard
from mpa_hil.kernel.xfrm import EspPair, XfrmSocket

_LAST = 100
"""Priority of the filter that drops what no other let in."""
_PROTOCOL_INSIDE = {4: 4, 6: 41}
_CONF4 = Path("/proc/sys/net/ipv4/conf")
STRICT, LOOSE = 1, 2
"""rp_filter's values; the larger of `all` and the interface's counts."""


def strict_path_check(interface: str) -> bool:
    """Whether the kernel drops IPv4 packets that come in by another interface than it would answer
    through: nothing that moves from one interface to another lives with that."""
    values = [int((_CONF4 / name / "rp_filter").read_text()) for name in ("all", interface)]
    return max(values) == STRICT


class TunnelEnd:
    """The device of one tunnel, its keys, and its ingress filter (RFC 6252 s8: only the session's
    own inner addresses).

    Args:
        state: the ledger.
        plan: this end's.
        allowed: whether to let in what matches, first match; anything else is dropped.
        peer_allowed: what the other end may send from: WireGuard's own check.
    """

    def __init__(
        self,
        state: KernelState,
        plan: TunnelPlan,
        allowed: Sequence[tuple[Match, bool]],
        peer_allowed: Sequence[wireguard.Network],
    ) -> None:
        self._state = state
        self.plan = plan
        self._allowed = allowed
        self._peer_allowed = peer_allowed
        self._esp: EspPair | None = None

    def create(self) -> None:
        """Make it and take it up; nothing unprotected leaves or enters, not even at first.

        Raises:
            MachineError: the kernel refused; what was made on the way is gone again.
        """
        try:
            self._state.apply(self._device())
            self._protect()
            self._guard()
            name = self.plan.device
            if strict_path_check(name):
                (_CONF4 / name / "rp_filter").write_text(str(LOOSE))
            raise_quietly(self._state, name, ipv6=6 in self.plan.versions)
        except BaseException:
            self.remove()
            raise

    def move(self, plan: TunnelPlan) -> None:
        """Other outer addresses, the same keys."""
        former, self.plan = self._esp, plan
        if former is not None:
            self._esp = replace(former, local=plan.outer_local, remote=plan.outer_remote)
            with XfrmSocket() as xfrm:
                xfrm.move(former, self._esp)
        self._state.apply(self._device())
        if isinstance(plan.protection, WireGuard):
            self._protect(update=True)

    def remove(self) -> None:
        """Device, filters and keys go; repeatable."""
        self._state.retire(self._device().key)
        if self._esp is not None:
            _with_xfrm(self._esp, add=False)
            self._esp = None

    def _device(self) -> Encapsulation | WireGuardDevice:
        plan = self.plan
        if isinstance(plan.protection, WireGuard):
            return WireGuardDevice(plan.device, plan.effective_mtu)
        ends = plan.outer_local, plan.outer_remote
        return Encapsulation(plan.device, *ends, plan.versions, plan.effective_mtu)

    def _protect(self, *, update: bool = False) -> None:
        plan = self.plan
        if isinstance(plan.protection, WireGuard):
            end, peer = plan.outer_remote, self._peer_allowed
            wireguard.configure(plan.device, plan.protection, end, peer, update=update)
        elif isinstance(plan.protection, Esp):
            protocols = tuple(_PROTOCOL_INSIDE[version] for version in sorted(plan.versions))
            mark = interface_index(plan.device)
            ends = plan.outer_local, plan.outer_remote
            pair = EspPair(*ends, protocols, plan.protection, mark)
            _with_xfrm(pair, add=True)
            self._esp = pair

    def _guard(self) -> None:
        index = interface_index(self.plan.device)
        # No other packet has this mark: those of another tunnel's association have another one.
        mark = index if isinstance(self.plan.protection, Esp) else None
        verdicts = [
            filters.verdict(index, priority, replace(match, mark=mark), passes=passes)
            for priority, (match, passes) in enumerate(self._allowed, 1)
        ]
        verdicts.append(filters.verdict(index, _LAST, Match(), passes=False))
        messages = filters.entrance(index) + b"".join(verdicts)
        what = f"ingress filter of {self.plan.device}"
        self._state.route.request(messages, what, len(verdicts) + 1)


def _with_xfrm(pair: EspPair, *, add: bool) -> None:
    with XfrmSocket() as xfrm:
        if add:
            xfrm.add(pair)
        else:
            xfrm.remove(pair)
