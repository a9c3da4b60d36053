"""Hand elements to SGP4 exactly as published."""

from datetime import UTC, datetime, timedelta
from math import pi, radians

from sgp4.api import SGP4_ERRORS, WGS72, Satrec

from groundstation.orbit.elements import Elements, ElementsError

SGP4_EPOCH = datetime(1949, 12, 31, tzinfo=UTC)
SGP4_EPOCH_JD = 2433281.5
INCLINED_DEG = 1e-9  # nobody publishes less; SGP4 divides by the sine's square and, from 1e-160 on, answers NaN
CATALOGUE_MOST = 339_999  # sgp4 keeps the number as Alpha-5; it plays no part in the orbit
REV_DAY_PER_RAD_MINUTE = 1440.0 / (2.0 * pi)


def to_satrec(elements: Elements) -> Satrec:
    """Return SGP4's record (WGS72, improved mode), the same as from the TLE's own text.

    Raises ElementsError where SGP4 cannot begin with these elements.
    """
    whole_days, in_day = divmod(elements.epoch - SGP4_EPOCH, timedelta(days=1))
    fraction = in_day / timedelta(days=1)
    satrec = Satrec()
    satrec.sgp4init(
        WGS72,
        "i",
        elements.norad_id if elements.norad_id <= CATALOGUE_MOST else 0,
        whole_days + fraction,
        elements.bstar_per_earth_radius,
        elements.mean_motion_dot_rev_day2 / (REV_DAY_PER_RAD_MINUTE * 1440.0),
        elements.mean_motion_ddot_rev_day3 / (REV_DAY_PER_RAD_MINUTE * 1440.0 * 1440),
        elements.eccentricity,
        radians(elements.argument_of_perigee_deg),
        radians(elements.inclination_deg) if elements.inclination_deg > INCLINED_DEG else 0.0,
        radians(elements.mean_anomaly_deg),
        elements.mean_motion_rev_day / REV_DAY_PER_RAD_MINUTE,
        radians(elements.raan_deg),
    )
    if satrec.error:
        raise ElementsError(
            f"{elements.source}: SGP4 says {SGP4_ERRORS[satrec.error]}, expected an orbit it can propagate"
        )
    # One double holds days since 1949 to 0.6 µs only, which is 4 mm along the orbit: set both halves ourselves.
    satrec.jdsatepoch, satrec.jdsatepochF = SGP4_EPOCH_JD + whole_days, fraction
    return satrec
