"""What an element set is, whichever text it came from: checked numbers in the units that TLE and OMM share."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

CATALOGUE_MOST = 999_999_999  # nine digits, the longest number that CCSDS 502 and Space-Track foresee
MEAN_MOTION_MOST = 18.0  # rev/day; a circle on the earth's surface takes 17.05
SPUTNIK = datetime(1957, 10, 4, tzinfo=UTC)


class ElementsError(ValueError):
    """One line: where, what was found, what was expected."""


@dataclass(frozen=True, slots=True)
class Elements:
    """SGP4 mean elements in the TEME frame at `epoch`, as published; raises ElementsError when out of range."""

    norad_id: int  # up to nine digits
    name: str
    cospar_id: str  # "1998-067A", or what stood there
    epoch: datetime  # aware, UTC; a TLE's hundred-millionth of a day is 864 whole microseconds
    mean_motion_rev_day: float  # Kozai, as published
    eccentricity: float
    inclination_deg: float
    raan_deg: float
    argument_of_perigee_deg: float
    mean_anomaly_deg: float
    bstar_per_earth_radius: float = 0.0
    mean_motion_dot_rev_day2: float = 0.0  # half the first derivative, as published; SGP4 does not use it
    mean_motion_ddot_rev_day3: float = 0.0  # a sixth of the second derivative, likewise
    classification: str = "U"
    element_set_no: int = 999
    revolutions: int = 0  # at epoch
    source: str = ""  # "file:line", for messages

    def __post_init__(self) -> None:
        self._expect("norad_id", 1 <= self.norad_id <= CATALOGUE_MOST, f"1 to {CATALOGUE_MOST}")
        if self.epoch.tzinfo is None or self.epoch.utcoffset():
            raise ElementsError(f"{self.source}: epoch is {self.epoch.isoformat()}, expected an aware UTC time")
        self._expect("epoch", self.epoch >= SPUTNIK, "1957-10-04 or later")
        self._expect(
            "mean_motion_rev_day",
            0 < self.mean_motion_rev_day <= MEAN_MOTION_MOST,
            f"above 0 and at most {MEAN_MOTION_MOST}",
        )
        self._expect("eccentricity", 0 <= self.eccentricity < 1, "0 or more and less than 1")
        self._expect("inclination_deg", 0 <= self.inclination_deg <= 180, "0 to 180")
        for angle in ("raan_deg", "argument_of_perigee_deg", "mean_anomaly_deg"):
            self._expect(angle, 0 <= getattr(self, angle) <= 360, "0 to 360")
        for number in ("bstar_per_earth_radius", "mean_motion_dot_rev_day2", "mean_motion_ddot_rev_day3"):
            self._expect(number, math.isfinite(getattr(self, number)), "a finite number")
        self._expect("element_set_no", self.element_set_no >= 0, "0 or more")
        self._expect("revolutions", self.revolutions >= 0, "0 or more")

    def _expect(self, field: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ElementsError(f"{self.source}: {field} is {getattr(self, field)}, expected {expected}")


def newest(elements: Iterable[Elements]) -> dict[int, Elements]:
    """Return the set with the latest epoch for each catalogue number; of equals, the last given."""
    latest: dict[int, Elements] = {}
    for one in elements:
        held = latest.get(one.norad_id)
        if held is None or one.epoch >= held.epoch:
            latest[one.norad_id] = one
    return latest
