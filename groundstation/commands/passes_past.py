"""The passes that are over, as the archive has them: the number by which `record` and `replay` take each one."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table

from groundstation.archive.pass_queries import PredictedPass, passes_heard
from groundstation.archive.queries import Reader
from groundstation.config import Config, ConfigError
from groundstation.last_passes import GRACE_US
from groundstation.telemetry.moments import microseconds, moment_of

MOST = 1000
FIELDS = ("number", "satellite", "norad_id", "station", "aos", "los", "max_elevation_deg", "packets")


@dataclass(frozen=True, slots=True)
class PastPass:
    """A pass under its lasting number; `packets` is how many of them its station heard."""

    of: PredictedPass
    packets: int


def query_past(
    config: Config, satellites: Sequence[str], station: str | None, start: datetime, end: datetime
) -> list[PastPass]:
    """Return the passes that ended in the window, the last one first, of the satellites over the station if named.

    Raises ConfigError for what the archive cannot know, ArchiveUnavailableError.
    """
    if station is not None and station not in config.sites:
        raise ConfigError([f"--site: found {station}, expected {', '.join(config.sites)}"])
    reader = Reader(config.settings.archive.url, config.settings.archive.password_file)
    window = microseconds(start), microseconds(end)
    found = reader.ask_now(passes_heard, *window, grace_us=GRACE_US, satellites=satellites, station=station, most=MOST)
    return [PastPass(of, packets) for of, packets in found]


def plain(one: PastPass) -> dict[str, Any]:
    of = one.of
    return {
        "number": of.id,
        "satellite": of.satellite,
        "norad_id": of.norad_id,
        "station": of.station,
        "aos": iso(of.aos_us),
        "los": iso(of.los_us),
        "max_elevation_deg": of.max_elevation_deg,
        "packets": one.packets,
    }


def iso(at_us: int | None) -> str | None:
    return None if at_us is None else moment_of(at_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_json(passes: Sequence[PastPass]) -> str:
    return json.dumps([plain(one) for one in passes], indent=2, ensure_ascii=False)


def as_csv(passes: Sequence[PastPass]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(one) for one in passes)
    return text.getvalue()


def as_table(passes: Sequence[PastPass], names: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("pass", "satellite", "station", "AOS (UTC)", "LOS", "max", "packets"):
        table.add_column(heading, justify="left" if heading in {"satellite", "station"} else "right", no_wrap=True)
    for one in passes:
        of = one.of
        table.add_row(
            str(of.id),
            names.get(of.satellite, of.satellite),
            of.station,
            f"{moment_of(of.aos_us):%Y-%m-%d %H:%M:%S}" if of.aos_us is not None else "before",
            f"{moment_of(of.los_us):%H:%M:%S}" if of.los_us is not None else "after",
            f"{of.max_elevation_deg:.0f}°",
            str(one.packets),
        )
    return table
