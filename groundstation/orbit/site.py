"""Where an antenna stands, and how low it can look."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """A place on the WGS84 ellipsoid; raises ValueError where it cannot be one."""

    slug: str
    name: str
    latitude_deg: float  # geodetic, north positive
    longitude_deg: float  # east positive
    altitude_m: float = 0.0
    mask_deg: float = 0.0  # a pass begins and ends at this elevation, all round

    def __post_init__(self) -> None:
        bounds = {"latitude_deg": 90.0, "longitude_deg": 360.0, "altitude_m": 100_000.0, "mask_deg": 89.0}
        for field, most in bounds.items():
            value = getattr(self, field)
            if not -most <= value <= most:
                raise ValueError(f"site {self.slug}: {field} is {value}, expected {-most:g} to {most:g}")
