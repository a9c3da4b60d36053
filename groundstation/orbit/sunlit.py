"""When a satellite is in sunlight: on passes its panels charge, its radio warms, and an eye may see it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sgp4.api import Satrec

from groundstation.orbit.earth_rotation import DAY_S, Array
from groundstation.orbit.elements import Elements
from groundstation.orbit.observer import UNIX, UNIX_JD, expect_utc
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.sun import sun_km

EARTH_RADIUS_KM = 6378.1366  # as Skyfield's is_sunlit
STEP_S = 20.0
GRAZE_KM = 1.0  # in half a step gravity does not bend a way by more
PARTS = 32
CUTS = 2  # of the step in which the light changes, each into PARTS: what is left, 20 ms, is straight
Span = tuple[datetime, datetime]


def sunlit_spans(elements: Elements, start: datetime, end: datetime) -> list[Span]:
    """Return the stretches between `start` and `end` in which the sun's centre is above the satellite's horizon.

    Edges are those of Skyfield's is_sunlit with de421 to a millisecond, though crossing from full light to full shadow
    takes 8 s or more; a graze of the shadow for less than a second may be overlooked. The earth is a sphere without
    air. Where SGP4 fails there is no light. Raises SunError where de421 does not reach.
    """
    expect_utc(start, end)
    days, in_day = divmod(start - UNIX, timedelta(days=1))
    flight = _Flight(to_satrec(elements), days, in_day / timedelta(days=1))
    window_s = (end - start).total_seconds()
    at_s, clearance = flight.samples(window_s)
    lit = clearance > 0
    changes = np.flatnonzero(lit[1:] != lit[:-1])
    between = flight.edges(at_s[changes], at_s[changes + 1]).tolist() if len(changes) else []
    edges = [0.0, *between, window_s]
    first = 0 if lit[0] else 1
    times = [start + timedelta(seconds=edge) for edge in edges]
    return list(zip(times[first:-1:2], times[first + 1 :: 2], strict=True))


@dataclass(frozen=True, slots=True)
class _Flight:
    """One satellite; seconds count from a moment: whole days since 1970 and a part of a day."""

    satrec: Satrec
    days: int
    part: float

    def samples(self, window_s: float) -> tuple[Array, Array]:
        """Return times and clearances, STEP_S apart, and where the light may change twice between two of them."""
        at_s = np.linspace(0.0, window_s, max(int(window_s / STEP_S), 1) + 1)
        clearance = self.clearance_km(at_s)
        rises = np.diff(clearance)
        turns = (rises[1:] * rises[:-1] < 0) & (np.abs(clearance[1:-1]) < GRAZE_KM)
        if turns.any():
            row = np.flatnonzero(turns)
            vertex = at_s[row + 1] + at_s[1] * (rises[row] + rises[row + 1]) / (rises[row] - rises[row + 1]) / 2
            at_s = np.union1d(at_s, vertex)
            clearance = self.clearance_km(at_s)
        return at_s, clearance

    def clearance_km(self, at_s: Array) -> Array:
        """Return how far the line from satellite to sun passes above the earth; negative in shadow or on an error."""
        part = self.part + at_s / DAY_S
        errors, r, _ = self.satrec.sgp4_array(np.full(len(at_s), UNIX_JD + self.days), part)
        towards = sun_km(self.days + part) - r
        ahead = -(r * towards).sum(axis=1)  # how far along the line the earth's centre is nearest, times its length
        square = (r * r).sum(axis=1)
        square -= np.where(ahead > 0, ahead * ahead / (towards * towards).sum(axis=1), 0.0)
        clearance: Array = np.where(errors > 0, -1.0, np.sqrt(square) - EARTH_RADIUS_KM)
        return clearance

    def edges(self, low_s: Array, high_s: Array) -> Array:
        """Return when the light changes in each bracket."""
        row = np.arange(len(low_s))
        for _ in range(CUTS):
            at_s = low_s[:, None] + (high_s - low_s)[:, None] * np.linspace(0.0, 1.0, PARTS + 1)
            clearance = self.clearance_km(at_s.ravel()).reshape(at_s.shape)
            lit = clearance > 0
            part = (lit[:, 1:] != lit[:, :-1]).argmax(axis=1)
            low_s, high_s = at_s[row, part], at_s[row, part + 1]
        before, after = clearance[row, part], clearance[row, part + 1]
        edges_s: Array = low_s + (high_s - low_s) * before / (before - after)
        return edges_s
