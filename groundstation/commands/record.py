"""`groundstation record`: a pass taken out of the archive into one portable file.

archive ──► heard ──► messages again ──► recording (.gspass)
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundstation import __version__
from groundstation.archive.element_supply import set_of
from groundstation.archive.pass_queries import PredictedPass, pass_at, pass_of
from groundstation.archive.provenance import definition_kept
from groundstation.archive.queries import Heard, Quarantined, Reader, heard
from groundstation.commands.flags import config_path
from groundstation.commands.outcome import FAILED, report_failures, warn
from groundstation.commands.times_asked import time_asked
from groundstation.config import Config, ConfigError, load_config
from groundstation.last_passes import GRACE_US
from groundstation.replay.from_archive import messages_again, under_prefix
from groundstation.replay.omm_figures import omm_figures
from groundstation.replay.recording import (
    DefinitionText,
    Header,
    Prediction,
    PredictionRow,
    Recording,
    RecordingError,
    write_recording,
)
from groundstation.telemetry.definition import Definition, DefinitionError
from groundstation.telemetry.definition_toml import definition_toml
from groundstation.telemetry.moments import microseconds

DIGITS_MOST = 18  # of a number that a database takes
DEFAULT_PREFIX = "gs/v1"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that was made, and what its reader should know of it."""

    recording: Recording
    outside: int  # messages that came before AOS or after LOS
    notes: tuple[str, ...]


def command(options: argparse.Namespace) -> int:
    config = load_config(config_path(options))

    done: list[Recorded] = []
    failed = report_failures(lambda: done.append(record_pass(config, options.of, options.file)))
    for one in done:
        recording, outside = one.recording, f", {one.outside} of them before AOS or after LOS" if one.outside else ""
        print(f"{recording.path}: {recording.count} messages of {recording.header.satellite} recorded{outside}")
        warn([*one.notes, *(["nothing was heard in this pass"] if not recording.count else [])])
    return failed or (0 if all(one.recording.count for one in done) else FAILED)


def record_pass(config: Config, wanted: str, file: Path) -> Recorded:
    """Write the pass `wanted` from the archive into `file`.

    Raises ConfigError where there is no such pass, ArchiveUnavailableError, RecordingError and OSError.
    """
    reader = Reader(config.settings.archive.url, config.settings.archive.password_file)
    of = find_pass(reader, wanted)
    if of.aos_us is None or of.los_us is None:
        raise ConfigError([f"PASS: found {wanted}, whose edges are unknown, expected one with AOS and LOS"])
    rows = reader.ask_now(heard, of.satellite, of.station, of.aos_us - GRACE_US, of.los_us + GRACE_US)
    packets = [row for row in rows if isinstance(row, Heard)]
    prefixes = {link.name: link.topic_prefix for link in config.settings.links}
    prefix = next(iter(prefixes.values()), DEFAULT_PREFIX)
    quarantined = [
        replace(row, topic=under_prefix(row.topic, prefixes.get(row.link, prefix), prefix))
        for row in rows
        if isinstance(row, Quarantined)
    ]
    definition, notes = definition_in_force(config, reader, of.satellite, packets)
    header = header_of(reader, of, prefix, definition)
    recording = write_recording(file, header, messages_again(packets, quarantined, prefix))
    times = [row.received_at_us if isinstance(row, Heard) else row.arrived_at_us for row in rows]
    return Recorded(recording, sum(not of.aos_us <= at <= of.los_us for at in times), notes)


def find_pass(reader: Reader, wanted: str) -> PredictedPass:
    """Return the pass with the number `wanted`, or the one under way at SATELLITE@TIME or SATELLITE@TIME@STATION."""
    satellite, at, rest = wanted.partition("@")
    if at:
        time_text, _, station = rest.partition("@")
        try:
            moment = time_asked(time_text)
        except ValueError as error:
            raise ConfigError([f"PASS: after @ {error}"]) from error
        found = reader.ask_now(pass_at, satellite, microseconds(moment), station or None)
    elif wanted.isdecimal():
        found = reader.ask_now(pass_of, int(wanted)) if len(wanted) <= DIGITS_MOST else None
    else:
        expected = "a recording's file, a number, SATELLITE@TIME or SATELLITE@TIME@STATION"
        raise ConfigError([f"PASS: found {wanted}, expected {expected}"])
    if found is None:
        raise ConfigError([f"PASS: found {wanted}, expected a pass that the archive knows"])
    return found


def definition_in_force(
    config: Config, reader: Reader, satellite: str, packets: Sequence[Heard]
) -> tuple[DefinitionText | None, tuple[str, ...]]:
    """Return what the packets meant when they were stored, which today's file may have corrected, and what to say.

    Where the definition changed during the pass it is the last one. Raises RecordingError.
    """
    today = config.definitions.get(satellite)
    hashes = [one.definition_hash for one in sorted(packets, key=lambda one: one.stored_at_us)]
    last = hashes[-1] if hashes else today.hash if today else None
    others = sorted(set(hashes) - {last})
    notes = [
        f"{hashes.count(one)} packets were stored under definition {one}, the others under {last}" for one in others
    ]
    if today is not None and today.hash == last:
        return definition_text(config, today), tuple(notes)
    if last is None:
        return None, (f"there is no definition of {satellite}, and none is recorded",)
    try:
        kept = reader.ask_now(definition_kept, last)
    except DefinitionError as error:
        raise RecordingError(str(error)) from error
    if kept is None:
        notes.append(f"the archive does not keep definition {last}, and none is recorded")
    return (DefinitionText(last, definition_toml(kept)) if kept else None), tuple(notes)


def definition_text(config: Config, definition: Definition) -> DefinitionText:
    """Return today's definition as its file has it, comments and all."""
    file = config.settings.satellites / f"{definition.slug}.toml"
    return DefinitionText(definition.hash, file.read_text(encoding="utf-8"))


def header_of(reader: Reader, of: PredictedPass, topic_prefix: str, definition: DefinitionText | None) -> Header:
    used = reader.ask_now(set_of, of.satellite, of.norad_id, of.elements_epoch_us)
    row = PredictionRow(
        of.norad_id,
        of.culmination_us,
        of.tca_us,
        of.aos_azimuth_deg,
        of.culmination_azimuth_deg,
        of.los_azimuth_deg,
        of.tca_range_km,
        of.elements_epoch_us,
        of.predicted_at_us,
    )
    return Header(
        created_at_us=time.time_ns() // 1000,
        software=f"groundstation {__version__}",
        satellite=of.satellite,
        station=of.station,
        topic_prefix=topic_prefix,
        prediction=Prediction(of.aos_us, of.los_us, of.max_elevation_deg, row),
        elements=omm_figures(used) if used else None,
        definition=definition,
    )
