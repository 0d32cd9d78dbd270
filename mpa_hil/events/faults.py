"""Events of faults that are made on purpose (`mpa_hil.experiment.faults`)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .base import Event


class FaultReady(Event, frozen=True, kw_only=True, tag="fault.ready"):
    """The agent that makes faults in a box's messages waits for commands."""


class FaultArmed(Event, frozen=True, kw_only=True, tag="fault.armed"):
    """It looks for the message now."""


class FaultInjected(Event, frozen=True, kw_only=True, tag="fault.injected"):
    """It happened; told each time."""

    what: Annotated[str, Meta(description="what was done")]
    target: Annotated[str, Meta(description="to whom, where it was not to a message")] = ""
    octets: Annotated[int, Meta(description="payload of the message it was tied to", ge=0)] = 0
    address: Annotated[str, Meta(description="address that a DHCP message leases")] = ""


class FaultDisarmed(Event, frozen=True, kw_only=True, tag="fault.disarmed"):
    """It lets all messages pass again."""


class FaultOutcome(Event, frozen=True, kw_only=True, tag="fault.outcome"):
    """Where a run with a fault has ended, and what it left behind."""

    fault: Annotated[str, Meta(description="the fault's name in the lab file")]
    injected: Annotated[int, Meta(description="how often it happened", ge=0)]
    outcome: Annotated[
        str, Meta(description="what the MN says: moved, stayed, lost; or reactive")
    ] = ""
    cause: Annotated[str, Meta(description="what went wrong first, as the MN sees it")] = ""
    network: Annotated[str, Meta(description="access point that the MN is on; empty: none")] = ""
    addresses: Annotated[tuple[str, ...], Meta(description="of the MN's radio")] = ()
    care_of: Annotated[
        str,
        Meta(description="where the home agent's kernel sends the MN's packets; empty: nowhere"),
    ] = ""
    left: Annotated[
        tuple[str, ...], Meta(description="what was not there before the run, box by box")
    ] = ()
    clean_s: Annotated[
        float,
        Meta(description="after so long nothing was left any more, or no longer looked", ge=0),
    ] = 0.0
    trouble: Annotated[str, Meta(description="what else the run met with")] = ""
