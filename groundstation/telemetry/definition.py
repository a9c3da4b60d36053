"""What a satellite is and what its packets mean: one TOML file, one frozen `Definition`.

    slug = "demo-sat"              # the file's name without .toml, and the topic's <satellite>
    version = "1"                  # yours to raise; what counts is the content's hash, kept with every packet
    name = "Demo-Sat"
    status = "simulated"           # or in_orbit, decayed

    [frame]                        # where a frame keeps what it must say; these are the defaults
    packet = "p"                   # packet id or name; "" where every frame is the one packet defined
    sequence = "n"                 # sequence count; "" for none
    modulus = 16384                # the count after modulus - 1 is 0
    time = "t"                     # generation time: a msgpack timestamp, or a number of time_unit since epoch
    time_unit = "s"
    epoch = 1970-01-01T00:00:00Z   # for GPS time write 1980-01-05T23:59:42Z: its 18 leap seconds are in it
    data = "d"                     # map or array of raw values; "" where they stand in the frame itself

    [[packets]]
    name = "housekeeping"
    match = 1                      # the packet id; the name always matches too
    period_s = 10.0

    [[packets.parameters]]
    name = "battery_voltage"
    key = "eps.0"                  # path below data; by default the name in a map, the position in an array
    raw = "uint"
    unit = "V"
    linear = { slope = 0.001, offset = 0.0 }
    valid_range = { low = 0.0, high = 12.0 }
    limits.warning = { low = 7.0, high = 8.4 }    # what is OUT: below 7.0 or above 8.4; the bounds are in
    limits.critical = { low = 6.6 }

    [[packets.parameters]]
    name = "mode"
    raw = "uint"                   # or int, float, bool, string, binary (kept as hexadecimal text)
    enumeration = { 0 = "NOMINAL", 1 = "SAFE" }   # or linear, or polynomial = [c0, c1, c2, …]
    levels = { SAFE = "critical" } # watch, warning, distress, critical, severe: XTCE's, mildest first
    optional = true                # a frame may leave it out

The words are XTCE's (CCSDS 660.0-B-2). A key path is names and array positions separated by dots.
"""

import hashlib
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from groundstation.telemetry.consistency import faults_in
from groundstation.telemetry.packet import Level
from groundstation.telemetry.typed_toml import read_typed

Slug = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,62}$")]  # also a column's name in the archive's views
Words = Annotated[str, Meta(min_length=1, max_length=2000)]
Label = Annotated[str, Meta(min_length=1, max_length=100)]
KeyPath = Annotated[str, Meta(max_length=200)]
CatalogueNumber = Annotated[int, Meta(ge=1, le=999_999_999)]
CosparId = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{3}[A-Z]{1,3}$")]
Integer64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
LevelName = Literal["watch", "warning", "distress", "critical", "severe"]
RawType = Literal["int", "uint", "float", "bool", "string", "binary"]

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OUT_OF_LIMITS = (Level.WATCH, Level.WARNING, Level.DISTRESS, Level.CRITICAL, Level.SEVERE)


class DefinitionError(ValueError):
    """A definition that means nothing, or two things: one line for each fault, by file and key."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Anything in a definition file."""


class Bounds(Part, frozen=True):
    """Below `low` or above `high` is out; the bounds themselves are in."""

    low: float | None = None
    high: float | None = None


class Limits(Part, frozen=True):
    """What is out of limits at each of XTCE's concern levels; a severer level lies outside a milder one."""

    watch: Bounds | None = None
    warning: Bounds | None = None
    distress: Bounds | None = None
    critical: Bounds | None = None
    severe: Bounds | None = None

    def by_level(self) -> list[tuple[Level, Bounds]]:
        """Return the levels that have bounds, mildest first."""
        every = (self.watch, self.warning, self.distress, self.critical, self.severe)
        return [(level, bounds) for level, bounds in zip(OUT_OF_LIMITS, every, strict=True) if bounds is not None]


class Linear(Part, frozen=True):
    """value = slope × raw + offset."""

    slope: float
    offset: float = 0.0


class Parameter(Part, frozen=True, kw_only=True):
    name: Name
    key: KeyPath = ""
    raw: RawType
    unit: Annotated[str, Meta(max_length=32)] = ""
    description: Annotated[str, Meta(max_length=500)] = ""
    linear: Linear | None = None
    polynomial: Annotated[tuple[float, ...], Meta(min_length=1, max_length=16)] | None = None  # constant term first
    enumeration: Annotated[dict[Integer64, Label], Meta(min_length=1, max_length=1024)] | None = None
    valid_range: Bounds | None = None  # of the engineering value; outside, there is no value
    limits: Limits | None = None
    levels: dict[str, LevelName] | None = None  # for an enumeration: the level of a label
    optional: bool = False  # a frame may leave it out


class PacketDefinition(Part, frozen=True, kw_only=True):
    name: Name
    match: Annotated[str, Meta(min_length=1, max_length=100)] | Integer64 | None = None
    period_s: Annotated[float, Meta(gt=0)] | None = None  # how often one is expected
    description: Annotated[str, Meta(max_length=500)] = ""
    parameters: Annotated[tuple[Parameter, ...], Meta(max_length=512)] = ()


class FrameKeys(Part, frozen=True):
    """Where a frame keeps what it must say, as key paths from its root."""

    packet: KeyPath = "p"
    sequence: KeyPath = "n"
    modulus: Annotated[int, Meta(ge=2, le=2**63 - 1)] = 16384
    sequence_per: Literal["packet", "satellite"] = "packet"  # CCSDS 133.0-B counts by APID
    time: KeyPath = "t"
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    epoch: Annotated[datetime, Meta(tz=True)] = UNIX_EPOCH
    data: KeyPath = "d"


class Downlink(Part, frozen=True):
    name: Words
    frequency_hz: Annotated[float, Meta(ge=1e5, le=1e12)]
    mode: Annotated[str, Meta(max_length=100)] = ""
    note: Annotated[str, Meta(max_length=500)] = ""


class Definition(Part, frozen=True, kw_only=True, dict=True):
    """A satellite and the meaning of its packets."""

    slug: Slug
    version: Annotated[str, Meta(min_length=1, max_length=40)]
    name: Words
    names: tuple[Words, ...] = ()  # by which catalogues and people know it
    norad_ids: tuple[CatalogueNumber, ...] = ()  # several where it is not known which object it is
    cospar_ids: tuple[CosparId, ...] = ()
    status: Literal["in_orbit", "decayed", "simulated"]
    operator: Annotated[str, Meta(max_length=200)] = ""
    launched: date | None = None
    confidence: Literal["certain", "likely", "unverified"] | None = None  # that the numbers are this satellite's
    notes: Annotated[str, Meta(max_length=2000)] = ""
    sources: tuple[Words, ...] = ()
    downlinks: tuple[Downlink, ...] = ()
    frame: FrameKeys = FrameKeys()
    packets: Annotated[tuple[PacketDefinition, ...], Meta(max_length=64)] = ()

    @cached_property
    def hash(self) -> str:
        """Return BLAKE2b-128 of the content in hex: comments, layout and the order of keys do not count.

        Keys left at their default are not in it, so that a new kind of key leaves the old hashes as they are.
        """
        canonical = msgspec.json.encode(msgspec.to_builtins(content(self), str_keys=True), order="sorted")
        return hashlib.blake2b(canonical, digest_size=16).hexdigest()


def content(part: object) -> object:
    """Return what differs from the defaults, as maps and arrays.

    msgspec's omit_defaults compares by identity and so would keep a default that the file spells out.
    """
    if isinstance(part, msgspec.Struct):
        told = ((field, getattr(part, field.name)) for field in msgspec.structs.fields(part))
        return {field.name: content(value) for field, value in told if value != field.default}
    return [content(item) for item in part] if isinstance(part, tuple) else part


def load_definition(text: str, where: str) -> Definition:
    """Return what the file `where` defines; raises DefinitionError with a line for each fault."""
    definition = read_typed(text, where, Definition, DefinitionError)
    if faults := [f"{where}: {fault}" for fault in faults_in(definition, where)]:
        raise DefinitionError("\n".join(faults))
    return definition
