"""How long the archive keeps what, as the configuration says it: the table [archive.retention]."""

from typing import Annotated

import msgspec
from msgspec import Meta

Days = Annotated[float, Meta(ge=0, le=36_500)]


class SatelliteRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one satellite has otherwise."""

    realtime_d: Days | None = None
    dump_d: Days | None = None


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Days since reception after which something goes; 0 keeps it for ever. Hourly roll-ups always stay."""

    realtime_d: Days = 0
    dump_d: Days = 0
    quarantine_d: Days = 0
    satellites: dict[str, SatelliteRetention] = {}

    def days(self, satellite: str, kind: str) -> float:
        """Return how long the satellite's packets of that kind, realtime or dump, are kept."""
        special = self.satellites.get(satellite, SatelliteRetention())
        own = special.dump_d if kind == "dump" else special.realtime_d
        if own is not None:
            return own
        return self.dump_d if kind == "dump" else self.realtime_d
