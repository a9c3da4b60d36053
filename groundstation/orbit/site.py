"""Where an antenna stands, and how low it can look."""

from dataclasses import dataclass
from itertools import pairwise

Horizon = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A place on the WGS84 ellipsoid; raises ValueError where it cannot be one."""

    slug: str
    name: str
    latitude_deg: float  # geodetic, north positive
    longitude_deg: float  # east positive
    altitude_m: float = 0.0
    mask_deg: float = 0.0  # a pass begins and ends at this elevation, all round
    horizon: Horizon = ()  # azimuth and elevation in degrees, in order of azimuth, joined by straight lines
    refraction: bool = False  # the mask is meant as the eye sees it, through air: satellites rise earlier

    def __post_init__(self) -> None:
        bounds = {"latitude_deg": 90.0, "longitude_deg": 360.0, "altitude_m": 100_000.0, "mask_deg": 89.0}
        for field, most in bounds.items():
            value = getattr(self, field)
            if not -most <= value <= most:
                raise ValueError(f"site {self.slug}: {field} is {value}, expected {-most:g} to {most:g}")
        for azimuth_deg, elevation_deg in self.horizon:
            if not (0 <= azimuth_deg < 360 and -89 <= elevation_deg <= 89):
                found = f"azimuth {azimuth_deg}, elevation {elevation_deg}"
                raise ValueError(f"site {self.slug}: horizon has {found}, expected 0 to less than 360 and -89 to 89")
        if any(after[0] <= before[0] for before, after in pairwise(self.horizon)):
            raise ValueError(f"site {self.slug}: horizon is {self.horizon}, expected azimuths in ascending order")
