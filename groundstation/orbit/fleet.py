"""Many satellites at once: SGP4 for each at its own times, and the mean elements that a search begins from."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sgp4.api import Satrec

from groundstation.orbit.earth_rotation import DAY_S, Array
from groundstation.orbit.observer import Observer

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class States:
    """TEME positions and velocities in three rows; `failed` where SGP4 reports an error, whatever numbers it left."""

    r: Array
    v: Array
    failed: Flags


@dataclass(frozen=True, slots=True)
class Fleet:
    satrecs: Sequence[Satrec]
    observer: Observer

    def states(self, index: Index, at_s: Array) -> States:
        """Return each state of satellite index[k] at at_s[k]; `index` must not decrease."""
        count = len(index)
        whole = np.full(count, self.observer.jd_whole)
        fraction = at_s / DAY_S + self.observer.jd_fraction
        errors = np.empty(count, np.uint8)
        r, v = np.empty((count, 3)), np.empty((count, 3))
        firsts = np.flatnonzero(np.diff(index, prepend=-1)).tolist()
        for first, last in pairwise([*firsts, count]):
            # sgp4_array() without its copies and its five new arrays a call.
            self.satrecs[index[first]]._sgp4(  # noqa: SLF001 -- a test fails when it moves
                whole[first:last], fraction[first:last], errors[first:last], r[first:last], v[first:last]
            )
        return States(np.ascontiguousarray(r.T), np.ascontiguousarray(v.T), errors > 0)

    def seen(self, index: Index, at_s: Array) -> tuple[Array, Array, Flags]:
        """Return positions and velocities in the turning frame, and where SGP4 failed."""
        states = self.states(index, at_s)
        return *self.observer.earth_fixed(at_s, states.r, states.v), states.failed
