"""Passes as a calendar without an archive: `passes --format ics`."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from groundstation.commands.passes_query import Found
from groundstation.pass_calendar import Event, light
from groundstation.telemetry.moments import EPOCH

HALF_HOUR = timedelta(minutes=30)


def events_of_prediction(found: Found, now: datetime) -> Iterator[Event]:
    """Yield the passes that begin and end.

    Without an archive a pass is known by its object, site and the half hour of its culmination: who imports newer
    elements' passes gets most events moved, and twice the few that cross from one half hour into the next.
    """
    given: set[str] = set()
    site = found.site
    for one in found.passes:
        if one.aos is None or one.los is None:
            continue
        half_hour = one.culmination - (one.culmination - EPOCH) % HALF_HOUR
        name = f"{one.norad_id}-{site.latitude_deg:.4f}-{site.longitude_deg:.4f}-{half_hour:%Y%m%dT%H%M}"
        while name in given:
            name += "-next"
        given.add(name)
        yield Event(
            uid=f"{name}@groundstation",
            sequence=(one.elements_epoch - EPOCH) // timedelta(minutes=1),  # newer elements have later epochs
            revised_at=now,
            satellite=one.satellite,
            norad_id=one.norad_id,
            site=site,
            aos=one.aos,
            culmination=one.culmination,
            los=one.los,
            azimuths_deg=(one.aos_azimuth_deg, one.culmination_azimuth_deg, one.los_azimuth_deg),
            max_elevation_deg=one.max_elevation_deg,
            tca_range_km=one.tca_range_km,
            elements_epoch=one.elements_epoch,
            aos_uncertainty_s=found.aos_uncertainty_s.get(one),
            light=light(found.elements[one.norad_id], one.aos, one.los),
        )
