"""Make an orbit that passes where and when it is wanted: for the demonstration and for tests, and labelled so."""

from datetime import UTC, datetime, timedelta
from math import acos, asin, atan2, cos, degrees, pi, radians, sin, sqrt

from groundstation.orbit.elements import Elements
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.site import Site

EARTH_RADIUS_KM, EARTH_MU = 6378.135, 398600.8  # WGS72, as SGP4
ORBIT_RADIUS_KM = EARTH_RADIUS_KM + 500.0
MEAN_MOTION_REV_DAY = 86400 / (2 * pi) * sqrt(EARTH_MU / ORBIT_RADIUS_KM**3)
INCLINATION_DEG = 97.4  # sun-synchronous at this height, as most satellites that watch the earth
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
BEFORE, AFTER = timedelta(minutes=25), timedelta(minutes=35)  # less than a revolution: one pass
CLOSE_S, CLOSE_DEG, TRIES = 0.001, 0.1, 12


def rising_over(site: Site, aos: datetime, max_elevation_deg: float, norad_id: int, name: str) -> Elements:
    """Return a circular northbound orbit 500 km high that rises over `site` at `aos`, within 0.1 s.

    It culminates within a degree of `max_elevation_deg` where such an orbit can: not near the poles, of which its
    track stays 7.4° clear. Raises ValueError where there is no such pass.
    """
    aim_deg, culmination = max_elevation_deg, aos + timedelta(minutes=4)
    for attempt in range(TRIES):
        elements = _culminating(site, culmination, aim_deg, norad_id, name)
        found = _pass_near(elements, site, culmination)
        if found is None or found.aos is None:
            break
        late, low_deg = found.aos - aos, max_elevation_deg - found.max_elevation_deg
        if abs(late.total_seconds()) < CLOSE_S and (abs(low_deg) < CLOSE_DEG or attempt > TRIES // 2):
            return elements
        culmination -= late
        aim_deg = min(max(aim_deg + low_deg, site.mask_deg), 90.0)
    raise ValueError(f"no pass over {site.slug} was found that culminates at {max_elevation_deg}°")


def _pass_near(elements: Elements, site: Site, moment: datetime) -> Pass | None:
    near = find_passes([elements], site, moment - BEFORE, moment + AFTER)
    return min(near, key=lambda one: abs(one.culmination - moment), default=None)


def _culminating(site: Site, moment: datetime, max_elevation_deg: float, norad_id: int, name: str) -> Elements:
    """Return an orbit that passes `site` abeam at `moment`, from spherical geometry: good to about a degree.

    The track's distance from the site fixes the angle between orbit normal and site, hence the ascending node;
    of the two nodes that fit, the one is taken whose satellite is northbound.
    """
    elevation, inclination, latitude = radians(max_elevation_deg), radians(INCLINATION_DEG), radians(site.latitude_deg)
    abeam = acos(cos(elevation) * EARTH_RADIUS_KM / ORBIT_RADIUS_KM) - elevation
    sidereal = radians(280.46062 + 360.98564737 * ((moment - J2000) / timedelta(days=1)) + site.longitude_deg)
    sine = (sin(abeam) - cos(inclination) * sin(latitude)) / max(sin(inclination) * cos(latitude), 1e-9)
    east = asin(min(max(sine, -1.0), 1.0))
    for raan in (sidereal + east, sidereal + pi - east):
        along = cos(latitude) * cos(sidereal - raan)
        across = cos(latitude) * sin(sidereal - raan) * cos(inclination) + sin(latitude) * sin(inclination)
        if along >= 0:
            break
    return Elements(
        norad_id=norad_id,
        name=name,
        cospar_id="",
        epoch=moment,
        mean_motion_rev_day=MEAN_MOTION_REV_DAY,
        eccentricity=0.0,
        inclination_deg=INCLINATION_DEG,
        raan_deg=degrees(raan) % 360,
        argument_of_perigee_deg=0.0,
        mean_anomaly_deg=degrees(atan2(across, along)) % 360,
        source="synthetic",
    )
