"""The configuration file as it stands: which keys there are, of which types and within which bounds."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from groundstation.archive.settings import RetentionSettings
from groundstation.elements.settings import SourceSettings
from groundstation.link.settings import LinkSettings, Slug
from groundstation.orbit.site import Site


class StationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One antenna: where it stands and how low it can see."""

    slug: Slug
    name: str
    latitude_deg: Annotated[float, msgspec.Meta(ge=-90, le=90)]  # geodetic, WGS84, north positive
    longitude_deg: Annotated[float, msgspec.Meta(ge=-180, le=180)]  # east positive
    altitude_m: Annotated[float, msgspec.Meta(ge=-500, le=9000)] = 0.0  # above the WGS84 ellipsoid
    elevation_mask_deg: Annotated[float, msgspec.Meta(ge=0, le=89)] = 5.0
    horizon: tuple[tuple[float, float], ...] = ()  # [azimuth_deg, elevation_deg] of hills, joined by straight lines
    refraction: bool = False  # the mask as the eye sees it, through air
    setup_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0  # from the end of a contact to the next
    min_elevation_deg: Annotated[float, msgspec.Meta(ge=0, lt=90)] = 10.0  # a pass that is taken culminates this high
    min_duration_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0  # and lasts this long

    def site(self) -> Site:
        return Site(
            slug=self.slug,
            name=self.name,
            latitude_deg=self.latitude_deg,
            longitude_deg=self.longitude_deg,
            altitude_m=self.altitude_m,
            mask_deg=self.elevation_mask_deg,
            horizon=self.horizon,
            refraction=self.refraction,
        )


class ArchiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: str = "sqlite:///groundstation.db"
    password_file: Path | None = None
    retention: RetentionSettings = RetentionSettings()


class PassSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    horizon_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 14)] = 24.0  # how far ahead passes are predicted
    refresh_s: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 600.0  # how often they are predicted again


class ContactSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    commit_s: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 900.0  # a contact is promised this long before it begins
    take_without_packets: bool = True  # satellites whose definition has no packets
    priorities: dict[str, Annotated[float, msgspec.Meta(ge=0, le=1000)]] = {}  # by satellite; 1 where none


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9108  # 0 takes a free one


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration file as it stands; README's table is checked against these names."""

    stations: Annotated[tuple[StationSettings, ...], msgspec.Meta(min_length=1)]
    links: tuple[LinkSettings, ...] = ()
    satellites: Path = Path("satellites")  # the directory of definitions
    elements: Path = Path("tle")  # the directory of element sets
    element_sources: tuple[SourceSettings, ...] = ()  # where they are fetched; nowhere unless it is asked for
    archive: ArchiveSettings = ArchiveSettings()
    passes: PassSettings = PassSettings()
    contacts: ContactSettings = ContactSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
