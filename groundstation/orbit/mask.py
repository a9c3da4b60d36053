"""How high a satellite must stand to be seen: by azimuth, and with or without the air that lifts it."""

import numpy as np
from skyfield.earthlib import refraction

from groundstation.orbit.earth_rotation import Array
from groundstation.orbit.site import Site

TEMPERATURE_C, SEA_LEVEL_MBAR, SCALE_HEIGHT_M = 10.0, 1010.0, 9100.0  # Skyfield's standard air


def lowest_mask_deg(site: Site) -> float:
    """Return the geometric elevation below which the site sees nothing, at whatever azimuth."""
    profile = [max(elevation, site.mask_deg) for _, elevation in site.horizon]
    return float(_geometric_deg(site, np.array([min(profile, default=site.mask_deg)]))[0])


def mask_deg(site: Site, azimuth_rad: Array) -> Array:
    """Return the geometric elevation at which a satellite appears at each azimuth."""
    azimuths, elevations = np.array(site.horizon or ((0.0, site.mask_deg),)).T
    profile = np.interp(np.degrees(azimuth_rad), azimuths, elevations, period=360)
    return _geometric_deg(site, np.maximum(profile, site.mask_deg))


def _geometric_deg(site: Site, apparent_deg: Array) -> Array:
    """Return the elevation without air of what appears at `apparent_deg` (Bennett's formula, in standard air)."""
    if not site.refraction:
        return apparent_deg
    pressure = SEA_LEVEL_MBAR * np.exp(-site.altitude_m / SCALE_HEIGHT_M)
    geometric: Array = apparent_deg - refraction(apparent_deg, TEMPERATURE_C, pressure)
    return geometric
