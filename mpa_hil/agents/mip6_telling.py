"""What home agent and correspondent of Mobile IPv6 write into the event log."""

from __future__ import annotations

from collections.abc import Iterable

from mpa_hil.agents.stdio import Console
from mpa_hil.mobility.interface import Discarded
from mpa_hil.mobility.mip6.bindings import Binding, Bound, CacheOutput, Refused


def tell(console: Console, output: CacheOutput, t_ns: int, kernel_ns: int) -> None:
    """Write the event of an output, if it has one."""
    match output:
        case Bound():
            shown = output.after or output.before
            said: dict[str, object] = {
                "change": output.change,
                "home_address": output.home_address,
                "care_of": shown[-1].care_of,
                "lifetime_s": shown[-1].lifetime_s,
            }
            if len(shown) > 1:
                said["others"] = [str(binding.care_of) for binding in shown[:-1]]
            if output.change == "changed":
                said["previous"] = output.before[-1].care_of
            if output.reason is not None:
                said["reason"] = output.reason.value
            console.emit("mip6.binding", t_ns, kernel_ns=kernel_ns, **said)
        case Refused():
            console.emit(
                "mip6.refused",
                t_ns,
                home_address=output.home_address,
                care_of=output.care_of,
                status=output.status,
                why=output.why,
            )
        case Discarded():
            console.emit(
                "mip6.discarded",
                t_ns,
                reason=output.reason,
                source=output.source.address,
                security=output.security,
            )


def say_bindings(bindings: Iterable[Binding]) -> dict[str, list[str]]:
    """The care-of addresses by home address, the primary one last."""
    said: dict[str, list[str]] = {}
    for binding in bindings:
        said.setdefault(str(binding.home_address), []).append(str(binding.care_of))
    return said
