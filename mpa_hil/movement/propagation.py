"""What is received of a transmitter at a place: path loss, shadowing, fast fading. Sans-IO.

Everything is a function of place and time, drawn once from seed and access point: walking back, the
MN meets the same shadows at the same places, and it does not matter in which order, how often or
how densely one asks.

- Path loss: log-distance, `reference_loss_db + 10 exponent log10(d / 1 m)`, no less than 1 m away.
- Shadowing: a Gaussian field with the autocorrelation exp(-distance / correlation_m) of Gudmundson
  ("Correlation model for shadow fading in mobile radio systems", Electronics Letters 27, 1991), as
  a sum of plane waves. In the plane that autocorrelation has wave numbers k (rad/m) with the
  distribution function 1 - 1 / sqrt(1 + (k correlation_m)^2), in all directions alike.
- Walls: what is between costs what they cost; round a corner a signal falls or rises at once.
- Fast fading: the sum of waves from all directions (Clarke), with a direct one of `rician_k_db`
  times their power for Rician. Its phase turns once a wavelength, so coherence goes by speed:
  about 0.18 wavelengths of way. What moves around the MN adds a Doppler of its own, so that it
  fades for one who stands still, too.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import Literal

from mpa_hil.movement.draws import stratified, uniforms

Fading = Literal["none", "rayleigh", "rician"]

LIGHT_MPS = 299_792_458.0
REFERENCE_M = 1.0
"""Nearer than that the model does not hold."""
_SHADOW_WAVES = 48
_FADING_WAVES = 16
_DEEPEST = 1e-6
"""Of the mean power: a fade of 60 dB, so that its logarithm is finite."""


@dataclass(frozen=True, slots=True)
class Wall:
    """A straight wall from (x_m, y_m) to (to_x_m, to_y_m), and what passing it costs."""

    x_m: float
    y_m: float
    to_x_m: float
    to_y_m: float
    loss_db: float

    def between(self, x_m: float, y_m: float, other_x_m: float, other_y_m: float) -> bool:
        """Whether it is crossed on the way from one place to the other."""
        along_x, along_y = self.to_x_m - self.x_m, self.to_y_m - self.y_m
        way_x, way_y = other_x_m - x_m, other_y_m - y_m
        side = along_x * (y_m - self.y_m) - along_y * (x_m - self.x_m)
        other = along_x * (other_y_m - self.y_m) - along_y * (other_x_m - self.x_m)
        first = way_x * (self.y_m - y_m) - way_y * (self.x_m - x_m)
        second = way_x * (self.to_y_m - y_m) - way_y * (self.to_x_m - x_m)
        return (side > 0) != (other > 0) and (first > 0) != (second > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Parameters; all access points of a lab share them.

    Attributes:
        exponent: how loss grows with distance; 2 in free space, 3 to 4 behind walls.
        reference_loss_db: at 1 m.
        shadowing_db: standard deviation; 0: none.
        correlation_m: way after which the autocorrelation of shadowing is down to 1/e.
        fading: kind of fast fading.
        rician_k_db: direct wave over all others, for `rician`.
        surroundings_mps: speed of what moves around the MN.
        walls: what stands in the way.
    """

    exponent: float = 3.0
    reference_loss_db: float = 40.0
    shadowing_db: float = 4.0
    correlation_m: float = 5.0
    fading: Fading = "none"
    rician_k_db: float = 6.0
    surroundings_mps: float = 0.5
    walls: tuple[Wall, ...] = ()


@dataclass(frozen=True, slots=True)
class Transmitter:
    """An access point as the model sees it."""

    name: str
    x_m: float
    y_m: float
    power_dbm: float
    frequency_mhz: int

    @property
    def wavelength_m(self) -> float:
        """In air."""
        return LIGHT_MPS / (self.frequency_mhz * 1e6)


class Shadowing:
    """A Gaussian field over the plane: mean 0, the model's deviation and correlation.

    Args:
        name: two names have nothing in common.
    """

    def __init__(self, model: Model, seed: int, name: str) -> None:
        names = (name, "shadowing")
        count = _SHADOW_WAVES if model.shadowing_db else 0
        directions = uniforms(seed, *names, "direction", count=count)
        phases = uniforms(seed, *names, "phase", count=count)
        self._scale = model.shadowing_db * math.sqrt(2 / _SHADOW_WAVES)
        self._waves = []
        for share, turn, phase in zip(
            stratified(seed, *names, "number", count=count), directions, phases, strict=True
        ):
            k = math.sqrt(1 / (1 - share) ** 2 - 1) / model.correlation_m
            angle = math.tau * turn
            self._waves.append((k * math.cos(angle), k * math.sin(angle), math.tau * phase))

    def db(self, x_m: float, y_m: float) -> float:
        """What the shadow adds to the signal at a place."""
        cos = math.cos
        return self._scale * sum([cos(kx * x_m + ky * y_m + p) for kx, ky, p in self._waves])


class FastFading:
    """Power over its local mean, from place and time."""

    def __init__(self, model: Model, seed: int, transmitter: Transmitter) -> None:
        names = (transmitter.name, "fading")
        count = _FADING_WAVES
        turns = stratified(seed, *names, "direction", count=count)
        others = uniforms(seed, *names, "doppler", count=count)
        phases = uniforms(seed, *names, "phase", count=count)
        number = math.tau / transmitter.wavelength_m
        self._waves = [
            (
                number * math.cos(math.tau * turn),
                number * math.sin(math.tau * turn),
                number * model.surroundings_mps * math.cos(math.tau * other),
                math.tau * phase,
            )
            for turn, other, phase in zip(turns, others, phases, strict=True)
        ]
        k = 10 ** (model.rician_k_db / 10) if model.fading == "rician" else 0.0
        self._direct = math.sqrt(k / (k + 1))
        self._scattered = math.sqrt(1 / ((k + 1) * count))
        self._number = number

    def gain(self, x_m: float, y_m: float, t_s: float, distance_m: float) -> complex:
        """Amplitude and phase; the mean power over places is 1.

        Args:
            distance_m: to the transmitter.
        """
        angles = [kx * x_m + ky * y_m + w * t_s + p for kx, ky, w, p in self._waves]
        cos, sin = math.cos, math.sin
        real = self._scattered * sum([cos(angle) for angle in angles])
        imaginary = self._scattered * sum([sin(angle) for angle in angles])
        direct = cmath.rect(self._direct, -self._number * distance_m)
        return complex(real, imaginary) + direct

    def db(self, x_m: float, y_m: float, t_s: float, distance_m: float) -> float:
        """What it adds to the signal."""
        power = abs(self.gain(x_m, y_m, t_s, distance_m)) ** 2
        return 10 * math.log10(max(power, _DEEPEST))


class Channel:
    """From one transmitter to wherever the MN is."""

    def __init__(self, model: Model, seed: int, transmitter: Transmitter) -> None:
        self.transmitter = transmitter
        self._model = model
        self._shadowing = Shadowing(model, seed, transmitter.name)
        self._fading = FastFading(model, seed, transmitter) if model.fading != "none" else None
        self._place: tuple[float, float] | None = None
        self._mean_dbm = 0.0

    def distance_m(self, x_m: float, y_m: float) -> float:
        """To the place."""
        return math.hypot(x_m - self.transmitter.x_m, y_m - self.transmitter.y_m)

    def loss_db(self, distance_m: float) -> float:
        """Path loss."""
        decades = math.log10(max(distance_m, REFERENCE_M) / REFERENCE_M)
        return self._model.reference_loss_db + 10 * self._model.exponent * decades

    def walls_db(self, x_m: float, y_m: float) -> float:
        """What the walls between cost."""
        there = (self.transmitter.x_m, self.transmitter.y_m)
        return sum(w.loss_db for w in self._model.walls if w.between(x_m, y_m, *there))

    def mean_dbm(self, x_m: float, y_m: float) -> float:
        """The local mean: without fast fading."""
        if self._place != (x_m, y_m):
            loss_db = self.loss_db(self.distance_m(x_m, y_m))
            loss_db += self.walls_db(x_m, y_m)
            shadow_db = self._shadowing.db(x_m, y_m)
            self._mean_dbm = self.transmitter.power_dbm - loss_db + shadow_db
            self._place = (x_m, y_m)
        return self._mean_dbm

    def fade_db(self, x_m: float, y_m: float, t_s: float) -> float:
        """What fast fading adds to it at a time."""
        if self._fading is None:
            return 0.0
        return self._fading.db(x_m, y_m, t_s, self.distance_m(x_m, y_m))
