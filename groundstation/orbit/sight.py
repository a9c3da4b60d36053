"""A satellite as one site sees it: height, distance and their derivatives, from one state in the turning frame."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from groundstation.orbit.earth_rotation import EARTH_RAD_S, Array
from groundstation.orbit.observer import MU_KM3_S2, Observer

TURN = 2 * np.pi
Rows = NDArray[np.intp] | NDArray[np.bool_] | slice


@dataclass(frozen=True, slots=True)
class Sight:
    """Arrays over all states, vectors as three rows; a prime is a derivative by time."""

    away: Array  # from the site to the satellite, km, in the turning frame
    velocity: Array
    acceleration: Array
    distance: Array  # d
    rate: Array  # d′
    bend: Array  # d″
    height: Array  # km above the site's horizontal plane
    climb: Array  # height′
    lift: Array  # height″

    def take(self, rows: Rows) -> Self:
        return type(self)(*(getattr(self, field.name)[..., rows] for field in fields(self)))

    def copy(self) -> Self:
        return type(self)(*(getattr(self, field.name).copy() for field in fields(self)))

    def put(self, rows: Rows, other: "Sight") -> None:
        """Replace some rows in place."""
        for field in fields(self):
            getattr(self, field.name)[..., rows] = getattr(other, field.name)

    def sine_slopes(self) -> tuple[Array, Array, Array]:
        """Return q, q′ and q″ of the sine of elevation."""
        q = self.height / self.distance
        q1 = (self.climb - q * self.rate) / self.distance
        q2 = (self.lift - 2 * q1 * self.rate - q * self.bend) / self.distance
        return q, q1, q2

    def over_mask(self, sine_mask: float) -> tuple[Array, Array, Array]:
        """Return f, f′ and f″ of height − d·sin(mask): zero where elevation crosses the mask, and nearly straight."""
        return (
            self.height - sine_mask * self.distance,
            self.climb - sine_mask * self.rate,
            self.lift - sine_mask * self.bend,
        )

    def moved(self, by_s: Array) -> Array:
        """Return the vector from the site a moment later."""
        moved: Array = self.away + by_s * (self.velocity + 0.5 * by_s * self.acceleration)
        return moved


def sight(observer: Observer, position: Array, velocity: Array, acceleration: Array | None = None) -> Sight:
    """Return what the site sees of a state; acceleration is two-body where none is given, 0.1 % good."""
    if acceleration is None:
        acceleration = fall(position, velocity)
    x, y, z = away = position - observer.place[:, None]
    distance = np.sqrt(x * x + y * y + z * z)
    u, v, w = velocity
    a, b, c = acceleration
    rate = (x * u + y * v + z * w) / distance
    up = observer.up
    return Sight(
        away=away,
        velocity=velocity,
        acceleration=acceleration,
        distance=distance,
        rate=rate,
        bend=(u * u + v * v + w * w + x * a + y * b + z * c - rate * rate) / distance,
        height=up @ away,
        climb=up @ velocity,
        lift=up @ acceleration,
    )


def fall(position: Array, velocity: Array) -> Array:
    """Return the two-body acceleration as it appears in the turning frame: with Coriolis and centrifugal terms."""
    x, y, z = position
    square = x * x + y * y + z * z
    pull = -MU_KM3_S2 / (square * np.sqrt(square))
    acceleration: Array = pull * position
    acceleration[0] += EARTH_RAD_S * (EARTH_RAD_S * x + 2 * velocity[1])
    acceleration[1] += EARTH_RAD_S * (EARTH_RAD_S * y - 2 * velocity[0])
    return acceleration


def azimuth(observer: Observer, away: Array) -> Array:
    """Return radians from true north through east, 0 to 2π."""
    bearing: Array = np.arctan2(observer.east @ away, observer.north @ away)
    return np.where(bearing < 0, bearing + TURN, bearing)


def length(vectors: Array) -> Array:
    x, y, z = vectors
    norm: Array = np.sqrt(x * x + y * y + z * z)
    return norm
