"""The lab file's tables of movement, as frozen, typed objects.

Beside `mpa_hil.scenario.model`, which has the rest and the whole.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mpa_hil.movement.propagation import Fading

from .network import Table


class Point(Table, frozen=True, kw_only=True):
    """One point of a signal trace."""

    t_s: Annotated[float, Meta(description="time since the warm-up ended", ge=0, le=86_400)]
    ap: Annotated[str, Meta(description="access point that is heard")]
    signal_dbm: Annotated[float, Meta(description="its signal as the MN sees it", ge=-110, le=0)]


class Waypoint(Table, frozen=True, kw_only=True):
    """A place on the MN's way."""

    x_m: Annotated[float, Meta(description="east, m", ge=-100_000, le=100_000)]
    y_m: Annotated[float, Meta(description="north, m", ge=-100_000, le=100_000)] = 0.0
    t_s: Annotated[
        Annotated[float, Meta(ge=0, le=86_400)] | None,
        Meta(description="when the MN comes here, since the warm-up ended; or give speed_mps"),
    ] = None
    speed_mps: Annotated[
        Annotated[float, Meta(ge=0.01, le=100)] | None,
        Meta(description="how fast it comes here from the waypoint before, m/s; or give t_s"),
    ] = None
    pause_s: Annotated[float, Meta(description="how long it stays here", ge=0, le=86_400)] = 0.0


class Wall(Table, frozen=True, kw_only=True):
    """A straight wall."""

    x_m: Annotated[float, Meta(description="one end: east, m", ge=-100_000, le=100_000)]
    y_m: Annotated[float, Meta(description="one end: north, m", ge=-100_000, le=100_000)]
    to_x_m: Annotated[float, Meta(description="the other end: east, m", ge=-100_000, le=100_000)]
    to_y_m: Annotated[float, Meta(description="the other end: north, m", ge=-100_000, le=100_000)]
    loss_db: Annotated[float, Meta(description="what a signal loses through it", ge=0, le=100)]


class Propagation(Table, frozen=True, kw_only=True, rename={"walls": "wall"}):
    """What becomes of a signal on its way; drawn by lab.seed and the AP's name."""

    exponent: Annotated[
        float,
        Meta(description="of distance: 2 in free space, 3 to 4 through walls", ge=1.5, le=6),
    ] = 3.0
    reference_loss_db: Annotated[
        float, Meta(description="path loss at 1 m; in free space 40 at 2.4 GHz", ge=0, le=100)
    ] = 40.0
    shadowing_db: Annotated[
        float, Meta(description="standard deviation of log-normal shadowing", ge=0, le=15)
    ] = 4.0
    correlation_m: Annotated[
        float,
        Meta(description="way after which shadowing is correlated by 1/e, m", ge=0.1, le=1000),
    ] = 5.0
    fading: Annotated[
        Fading,
        Meta(description="fast fading; it moves what is measured, not who is within range"),
    ] = "none"
    rician_k_db: Annotated[
        float, Meta(description="for rician: direct wave over all others", ge=-20, le=40)
    ] = 6.0
    surroundings_mps: Annotated[
        float,
        Meta(
            description="speed of what moves around the MN, m/s: one who stands still fades too",
            ge=0,
            le=50,
        ),
    ] = 0.5
    noise_dbm: Annotated[
        float,
        Meta(
            description="noise floor; virtual radios always report -92, so another floor is played"
            " as that much more or less signal",
            ge=-110,
            le=-60,
        ),
    ] = -92.0
    walls: Annotated[
        tuple[Wall, ...], Meta(description="walls; round a corner a signal falls or rises at once")
    ] = ()


class Movement(
    Table, frozen=True, kw_only=True, rename={"points": "point", "waypoints": "waypoint"}
):
    """How the MN moves: as a signal trace, a recorded one, or a walk among placed APs."""

    start: Annotated[str, Meta(description="access point that the MN begins on")]
    leave_dbm: Annotated[
        float, Meta(description="signal below which the MN wants to leave an AP", ge=-110, le=0)
    ] = -75.0
    lost_dbm: Annotated[
        float,
        Meta(
            description="signal at and below which AP and MN do not hear each other", ge=-110, le=0
        ),
    ] = -90.0
    trace: Annotated[
        str | None,
        Meta(
            description="file with a recorded signal trace: what `mpa-hil record` writes, or"
            " CSV with the columns t_s, ap, signal_dbm"
        ),
    ] = None
    points: Annotated[
        tuple[Point, ...],
        Meta(description="signal trace; straight lines between points, level before and after"),
    ] = ()
    repeat: Annotated[
        int,
        Meta(
            description="how often the points are gone through, one time after the other: the trace"
            " must end as it begins",
            ge=1,
            le=1000,
        ),
    ] = 1
    waypoints: Annotated[
        tuple[Waypoint, ...],
        Meta(description="the MN's way, at even speed from one to the next; APs need x_m and y_m"),
    ] = ()
    propagation: Annotated[
        Propagation | None, Meta(description="what the MN hears on that way")
    ] = None
