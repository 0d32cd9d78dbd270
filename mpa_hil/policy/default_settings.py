"""Options of the default policy. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from .budget import AUTHENTICATIONS_MOST, Limits
from .filters import FilterName
from .ranking import Weights
from .returns import Guard
from .settings import option


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultSettings:
    """SNRs are of the serving access point, filtered."""

    # signal
    filter: FilterName = option(  # noqa: RUF009 (immutable)
        "kalman", "what makes readings steady"
    )
    filter_s: float = option(1.5, "its time", least=0.05, most=60)
    # when each step begins
    prepare_snr_db: float = option(26.0, "below it: pre-authenticate", least=-20, most=100)
    configure_snr_db: float = option(
        24.0, "below it: pre-configure (address, tunnel)", least=-20, most=100
    )
    bind_snr_db: float = option(20.0, "below it: bind over the tunnel", least=-20, most=100)
    switch_snr_db: float = option(17.0, "below it: switch", least=-20, most=100)
    lost_snr_db: float = option(8.0, "below it the link is as good as lost", least=-20, most=100)
    step_hysteresis_db: float = option(
        3.0, "so much above its threshold a step is wanted no more", least=0, most=30
    )
    confirm_ms: int = option(300, "a step must be wanted for so long", least=0, most=60_000)
    recover_s: float = option(
        3.0, "and be wanted no more for so long before all is let go", least=0, most=600
    )
    fall_db_s: float = option(
        8.0, "a signal that falls faster wants every step at once", least=0.1, most=1000
    )
    least_slope_db_s: float = option(0.3, "a flatter slope predicts nothing", least=0.01, most=100)
    rise_db_s: float = option(
        0.5, "a signal that rises faster wants no step but the switch", least=0, most=1000
    )
    path_exponent: float = option(
        3.0, "of the path loss, for the time left; 0: straight on", least=0, most=8
    )
    prediction_factor: float = option(
        1.5, "a lead time counts as so many times what was measured", least=1, most=10
    )
    margin_s: float = option(0.5, "and so much is added to it", least=0, most=60)
    beacon_loss: int = option(4, "beacons missed in a row: switch", least=1, most=1000)
    # where to
    enough_snr_db: float = option(40.0, "SNR above it is worth nothing more", least=0, most=100)
    trend_s: float = option(0.5, "signals are compared so far ahead", least=0, most=10)
    load_db: float = option(8.0, "a channel that is always busy costs", least=0, most=60)
    cost_db: float = option(3.0, "one unit of a candidate's cost costs", least=0, most=60)
    success_db: float = option(
        0.7, "an earlier move from here that went well is worth; three at most", least=0, most=20
    )
    prepared_db: float = option(1.0, "each level of preparation reached is worth", least=0, most=20)
    refused_s: float = option(
        5.0, "after a failed switch the target is left out for; doubles", least=0, most=600
    )
    stale_s: float = option(15.0, "not heard for longer, it is no candidate", least=0.1, most=600)
    better_db: float = option(
        25.0, "so much better elsewhere: go, however good it is here", least=1, most=100
    )
    # how much ahead
    level: int = option(3, "most that is prepared (RFC 6252 C.4)", least=0, most=3)
    idle_level: int = option(2, "most while no flow is active", least=0, most=3)
    alternatives: int = option(
        1, "candidates prepared besides the best one", least=0, most=AUTHENTICATIONS_MOST
    )
    alternatives_level: int = option(1, "how far", least=1, most=3)
    doubt_db: float = option(
        3.0, "so close to the best, the next one gets an address too (R31)", least=0, most=30
    )
    retry_s: float = option(
        3.0, "after a failed preparation it is tried again; doubles", least=0.1, most=600
    )
    authentications: int = option(
        8, "access points prepared or kept at a time", least=1, most=AUTHENTICATIONS_MOST
    )
    addresses: int = option(4, "addresses held at a time", least=0, most=32)
    tunnels: int = option(2, "tunnels held at a time", least=0, most=32)
    octets_per_minute: int = option(
        200_000, "signalling for preparations; 0: without limit", least=0, most=10**9
    )
    # to and fro
    hysteresis_db: float = option(4.0, "another must be better by", least=0, most=60)
    hysteresis_growth_db: float = option(
        2.0, "and by so much more for each recent return", least=0, most=30
    )
    hysteresis_most_db: float = option(12.0, "but by no more than", least=0, most=60)
    dwell_s: float = option(
        5.0, "least time between moves; times 1 + recent returns", least=0, most=3600
    )
    return_s: float = option(
        120.0, "a move back within it is a return, and recent for as long", least=0, most=3600
    )
    context_s: float = option(60.0, "what is left is kept for", least=0, most=86_400)
    contexts: int = option(2, "of so many networks", least=0, most=16)
    # looking around
    scan_every_s: float = option(8.0, "least time between scans", least=0.1, most=3600)
    fresh_s: float = option(4.0, "candidates heard later need no scan", least=0.1, most=600)
    scan_guard_s: float = option(1.5, "no scan when a switch is predicted within", least=0, most=60)
    reachability_test: bool = option(
        False, "try the target with a frame exchange before the switch (R83)"
    )
    switch_bound_s: float = option(
        30.0, "a switch whose end is not told within it has failed", least=1, most=600
    )

    def weights(self) -> Weights:
        """For the ranking."""
        return Weights(
            self.enough_snr_db,
            self.trend_s,
            self.load_db,
            self.cost_db,
            self.success_db,
            self.prepared_db,
            self.refused_s,
            self.stale_s,
        )

    def limits(self) -> Limits:
        """For the budget."""
        return Limits(self.authentications, self.addresses, self.tunnels, self.octets_per_minute)

    def guard(self) -> Guard:
        """Against going to and fro."""
        return Guard(
            self.dwell_s,
            self.hysteresis_db,
            self.hysteresis_growth_db,
            self.hysteresis_most_db,
            self.return_s,
        )
