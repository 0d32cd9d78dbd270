"""What must hold for faults."""

from __future__ import annotations

from collections.abc import Iterator

from .faults import BEGINNING, MESSAGES, MOMENTS, PROCESSES, STEP_OF, Fault, targets
from .model import Scenario
from .movement import switches
from .problem import Problem, repeated
from .schemes import SCHEMES
from .shape import suggestion

_RESTARTED = ("aa", "ca", "ar", "ep", "aaa", "hostapd", "supplicant")


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with the faults of a lab whose values each have the right type."""
    faults = scenario.faults
    count = len(switches(scenario)) if faults else 1
    if count != 1:
        yield Problem(
            "fault",
            f"a run with a fault has one switch, and this movement asks for {count or 'none'}",
            "let one AP's signal fall below leave_dbm once",
        )
    if faults and scenario.lab.family != "ipv4":
        yield Problem(
            "fault",
            "faults are tied to messages over IPv4",
            'write lab.family = "ipv4", or leave the faults out',
        )
    for fault in faults:
        yield from _fault(scenario, f"fault.{fault.name}", fault)
    yield from repeated(((f"fault.{f.name}.name", f.name) for f in faults), "fault name")


def _fault(scenario: Scenario, key: str, fault: Fault) -> Iterator[Problem]:
    if not fault.name or not fault.name.replace("-", "").replace("_", "").isalnum():
        yield Problem(f"{key}.name", f"'{fault.name}' cannot be a name", "letters, digits, - and _")
    for scheme in fault.schemes:
        if scheme not in SCHEMES or scheme == "l2-floor":
            known = tuple(each for each in SCHEMES if each != "l2-floor")
            yield Problem(f"{key}.schemes", f"'{scheme}' has no faults", suggestion(scheme, known))
    known = (*MOMENTS, *STEP_OF)
    if fault.at not in known:
        yield Problem(f"{key}.at", f"no such moment: '{fault.at}'", suggestion(fault.at, known))
    elif fault.what in MESSAGES and fault.at in MOMENTS:
        yield Problem(
            f"{key}.at",
            f"'{fault.at}' is no message that one could {fault.what}",
            f"name one: {', '.join(STEP_OF)}",
        )
    elif fault.what in ("pool-empty", "tunnel-refused") and fault.at != BEGINNING:
        yield Problem(f"{key}.at", f"{fault.what} is so from the beginning", "leave it out")
    elif fault.what == "duplicate-address" and fault.at not in (BEGINNING, "dhcp-ack"):
        yield Problem(
            f"{key}.at", "the address is known when it is leased", 'leave it out: it is "dhcp-ack"'
        )
    if fault.at in MOMENTS and (fault.skip or fault.times != 1):
        field = "skip" if fault.skip else "times"
        yield Problem(f"{key}.{field}", f"'{fault.at}' comes once", "leave it out")
    yield from _target(scenario, key, fault)


def _target(scenario: Scenario, key: str, fault: Fault) -> Iterator[Problem]:
    aps = {domain.name: tuple(ap.name for ap in domain.aps) for domain in scenario.domains}
    known: tuple[str, ...] = ()
    if fault.what in PROCESSES:
        known = targets(aps)
    elif fault.what == "refuse":
        known = tuple(ap.name for ap in scenario.aps)
    if fault.target is not None and not known:
        yield Problem(f"{key}.target", f"{fault.what} has none", "leave it out")
    elif known and fault.target not in known:
        yield Problem(
            f"{key}.target",
            f"{fault.what} needs one" if fault.target is None else f"no such: '{fault.target}'",
            suggestion(fault.target or "", known),
        )
    if fault.restart_ms is None:
        return
    restarts = fault.target == "home-agent" or (fault.target or "").endswith(
        tuple(f"-{agent}" for agent in _RESTARTED)
    )
    if fault.what != "kill" or not restarts:
        yield Problem(
            f"{key}.restart_ms",
            "only what was killed is started again, and no DHCP server is",
            'leave it out, or write what = "kill" with another target',
        )
