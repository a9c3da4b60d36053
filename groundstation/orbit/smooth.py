"""A satellite's way without SGP4's smallest steps, for extremes so flat that these would place them.

SGP4 solves Kepler's equation to 1e-12 rad and then takes sine and cosine from the round before, so a position jumps by
up to 40 µm wherever it needs one round more. Where a geostationary satellite culminates, elevation bends by only
5e-12 rad/s² or less: there a jump moves the greatest elevation by up to a tenth of a second, depending on how it is
looked for. A polynomial laid through hours of the orbit has no jumps. What is fitted is the orbit, not elevation:
the earth's turning, whose rate changes at midnights, stays as exact as it is known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from groundstation.orbit.earth_rotation import Array
from groundstation.orbit.fleet import Flags, Fleet, Index
from groundstation.orbit.observer import Observer

NODES, DEGREE = 24, 10  # over half a radian to both sides the degree leaves out 1e-14 of the radius
AT = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)[::-1]
# Least squares at Chebyshev's own nodes: the polynomials are orthogonal there, so each coefficient is a plain sum.
WEIGHTS = chebyshev.chebvander(AT, DEGREE).T * (np.where(np.arange(DEGREE + 1), 2.0, 1.0) / NODES)[:, None]


@dataclass(frozen=True, slots=True)
class SmoothFleet:
    """Satellites around one time each; answers like a Fleet, by row."""

    observer: Observer
    centre_s: Array
    half_s: Array
    coefficients: Array  # degree, coordinate, row
    failed: Flags  # SGP4 does not reach all of the time

    def seen(self, index: Index, at_s: Array) -> tuple[Array, Array, Flags]:
        """Return positions and velocities in the turning frame, and where there are none."""
        at, of = (at_s - self.centre_s[index]) / self.half_s[index], self.coefficients[..., index]
        slopes: Array = np.asarray(chebyshev.chebder(of)) / self.half_s[index]
        r, v = _sum(of, at), _sum(slopes, at)
        return *self.observer.earth_fixed(at_s, r, v), self.failed[index]


def smooth_fleet(fleet: Fleet, index: Index, centre_s: Array, half_s: Array) -> SmoothFleet:
    """Return the satellites `index` (in order), each from `half_s` before its time to as long after it."""
    at_s = centre_s[:, None] + half_s[:, None] * AT
    states = fleet.states(np.repeat(index, NODES), at_s.ravel())
    coefficients = np.einsum("dn,crn->dcr", WEIGHTS, states.r.reshape(3, -1, NODES))
    failed = states.failed.reshape(-1, NODES).max(axis=1, initial=False)
    return SmoothFleet(fleet.observer, centre_s, half_s, coefficients, failed)


def _sum(coefficients: Array, at: Array) -> Array:
    return np.asarray(chebyshev.chebval(at, coefficients, tensor=False))
