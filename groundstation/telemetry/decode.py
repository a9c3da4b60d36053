"""From a message to a packet, or to a rejection with its reason: total, bounded, and fast.

What depends on the definition alone is worked out once, in a `Plan` for each packet; what is left for each parameter
of each frame is a type check, a calibration and one comparison. Everything unusual takes the slow way through
`settle`, which says what is wrong.

An engineering value is a finite float, an integer of 64 bits, a bool, a text without NUL of at most 256 characters,
or None: all of it JSON, all of it what SQLite and PostgreSQL store unchanged.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from typing import Any

from groundstation.telemetry.calibration import Calibrator, calibrator
from groundstation.telemetry.definition import Definition, FrameKeys, PacketDefinition, Parameter
from groundstation.telemetry.envelope import (
    INTEGER_FIRST,
    INTEGER_LAST,
    Envelope,
    EnvelopeError,
    open_envelope,
    split_topic,
)
from groundstation.telemetry.limits import innermost, level_of
from groundstation.telemetry.packet import Level, Message, Packet, Reason, Rejection, Value
from groundstation.telemetry.text import is_storable, shown, storable
from groundstation.telemetry.unpack import MICROSECONDS_IN, UnpackError, to_microseconds, unpack

TEXT_MOST = 256  # characters of a text value
TOPIC_MOST = 1024  # characters of a topic that are kept with a rejection

Path = tuple[str, ...]


class Absent:
    """Stands where a frame has nothing at a key path; nil is something."""


ABSENT = Absent()

RAW_TYPES: Mapping[str, frozenset[type]] = {
    "int": frozenset({int}),
    "uint": frozenset({int}),
    "float": frozenset({float, int}),
    "bool": frozenset({bool}),
    "string": frozenset({str}),
    "binary": frozenset({bytes}),
}
EXPECTED = {
    "int": "an integer",
    "uint": "an integer of 0 or more",
    "float": "a finite number",
    "bool": "true or false",
    "string": "text",
    "binary": "bytes",
}


class RefusedError(ValueError):
    """A frame that cannot become a packet, with the reason it is counted under."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Step:
    """What is known beforehand about one parameter."""

    parameter: Parameter
    types: frozenset[type]  # that msgpack may bring; exact, since a bool is also an int
    calibrate: Calibrator | None
    plain: Calibrator | None  # `calibrate`, but None for every text that is not storable or not within limits
    low: float | None  # from low to high a number is storable, valid and within every limit; None for a text
    high: float | None
    levels: Mapping[str, Level]  # of an enumeration's labels


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known beforehand about one packet of a definition."""

    name: str
    steps: tuple[tuple[str, frozenset[type], Calibrator | None, Any, Any, Step], ...]  # a tuple is read in one go
    pick: Callable[[Any], tuple[object, ...]] | None  # every raw value of a map at once, where no path goes deeper
    is_flat: bool  # no path goes deeper than one name
    positional: bool  # no parameter has a key: an array is taken in order
    map_paths: tuple[Path, ...]
    array_paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class SatellitePlan:
    slug: str
    definition_hash: str
    plans: Mapping[int | str, Plan]  # by packet id and by name
    only: Plan | None  # where frames carry no packet id
    packet: Path
    sequence: Path
    modulus: int
    time: Path
    unit: tuple[int, int]
    epoch_us: int
    data: Path
    roots: frozenset[str]  # keys of the frame that its [frame] describes


class Decoder:
    """Decode messages of the configured links, stations and satellites; never raises, whatever the message."""

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        stations: Collection[str],
        topic_prefix_by_link: Mapping[str, str],
    ) -> None:
        self._stations = frozenset(stations)
        self._prefixes = dict(topic_prefix_by_link)
        self._plans = {slug: plan_satellite(slug, definition) for slug, definition in definitions.items()}
        self._routes: dict[tuple[str, str], tuple[str, SatellitePlan]] = {
            (link, f"{prefix}/{station}/{slug}/telemetry"): (station, plan)
            for link, prefix in self._prefixes.items()
            for station in self._stations
            for slug, plan in self._plans.items()
        }

    def __call__(self, message: Message) -> Packet | Rejection:
        """Return the packet that the message carries, or why it carries none."""
        try:
            route = self._routes.get((message.link, message.topic))
            if route is None:
                raise self._unrouted(message)
            return decode(message, open_envelope(message.payload), *route)
        except (EnvelopeError, RefusedError) as error:
            return Rejection(
                link=message.link,
                topic=storable(message.topic, TOPIC_MOST),
                payload=message.payload,
                arrived_at_us=message.arrived_at_us,
                reason=error.reason,
                error=storable(str(error)),
            )

    def _unrouted(self, message: Message) -> RefusedError:
        """Return why the message's topic leads to no satellite of ours."""
        prefix = self._prefixes.get(message.link)
        if prefix is None:
            return RefusedError(Reason.TOPIC, f"link: found {shown(message.link)}, expected a configured one")
        parts = split_topic(prefix, message.topic)
        if parts is None:
            wanted = f"{prefix}/<station>/<satellite>/telemetry"
            return RefusedError(Reason.TOPIC, f"topic: found {shown(message.topic)}, expected {wanted}")
        station, satellite = parts
        if station not in self._stations:
            return RefusedError(Reason.STATION, f"topic: found station {shown(station)}, expected a configured one")
        return RefusedError(Reason.SATELLITE, f"topic: found satellite {shown(satellite)}, expected a configured one")


def decode(message: Message, envelope: Envelope, station: str, satellite: SatellitePlan) -> Packet:
    """Return the packet in the envelope; raises RefusedError."""
    received_at_us = message.arrived_at_us if envelope.received_at_us is None else envelope.received_at_us
    frame = open_frame(envelope.frame, satellite)
    plan = choose_plan(frame, satellite)
    faults: list[str] = []
    sequence = read_sequence(frame, satellite, faults)
    generated_at_us = read_time(frame, satellite, received_at_us)
    data = at(frame, satellite.data)
    raws = raw_values(data, plan, satellite)
    values, levels = engineering_values(plan, raws, faults)
    return Packet(
        link=message.link,
        satellite=satellite.slug,
        station=station,
        packet=plan.name,
        kind=envelope.kind,
        sequence=sequence,
        generated_at_us=generated_at_us,
        received_at_us=received_at_us,
        digest=digest_of(satellite.slug, envelope.frame),
        definition_hash=satellite.definition_hash,
        frame=envelope.frame,
        values=values,
        levels=levels,
        faults=tuple(faults),
        reception=envelope.link,
        unknown=envelope.unknown + unknown_in(frame, data, len(values), plan, satellite),
        message=message,
    )


def digest_of(satellite: str, frame: bytes) -> int:
    """Return BLAKE2b-64 of slug, NUL and frame as a signed integer: a packet's identity beside its generation time."""
    return int.from_bytes(blake2b(satellite.encode() + b"\0" + frame, digest_size=8).digest(), "big", signed=True)


def open_frame(packed: bytes, satellite: SatellitePlan) -> dict[object, object] | list[object]:
    if not satellite.plans:
        raise RefusedError(Reason.PACKET, f"the definition of {satellite.slug} has no packets")
    try:
        frame = unpack(packed)
    except UnpackError as error:
        raise RefusedError(Reason.FRAME, f"frame: not msgpack: {error}") from None
    if isinstance(frame, dict) or type(frame) is list:
        return frame
    raise RefusedError(Reason.FRAME, f"frame: found {shown(frame)}, expected a map")


def at(tree: object, path: Path) -> object:
    """Return what stands at `path`, the tree itself for the empty path, ABSENT for a path that leads nowhere."""
    for segment in path:
        if type(tree) is dict:
            tree = tree.get(segment, ABSENT)
        elif type(tree) is list and segment.isdecimal() and len(segment) <= 6 and int(segment) < len(tree):
            tree = tree[int(segment)]
        else:
            return ABSENT
    return tree


def choose_plan(frame: object, satellite: SatellitePlan) -> Plan:
    if satellite.only is not None:
        return satellite.only
    found = at(frame, satellite.packet)
    if type(found) is not int and type(found) is not str:
        key = ".".join(satellite.packet)
        raise RefusedError(Reason.FRAME, f"{key}: {shown_or_missing(found)}, expected a packet id or name")
    plan = satellite.plans.get(found)
    if plan is None:
        known = ", ".join(sorted({plan.name for plan in satellite.plans.values()}))
        raise RefusedError(
            Reason.PACKET, f"{'.'.join(satellite.packet)}: found {shown(found)}, expected one of {known}"
        )
    return plan


def read_sequence(frame: object, satellite: SatellitePlan, faults: list[str]) -> int | None:
    """Return the sequence count, None where the frame has none, or none that can be: then with a fault."""
    found = at(frame, satellite.sequence) if satellite.sequence else ABSENT
    if found is ABSENT or (type(found) is int and 0 <= found < satellite.modulus):
        return found if type(found) is int else None
    key = ".".join(satellite.sequence)
    faults.append(f"{key}: found {shown(found)}, expected a sequence count from 0 to {satellite.modulus - 1}")
    return None


def read_time(frame: object, satellite: SatellitePlan, received_at_us: int) -> int:
    """Return the generation time, or the reception time where the frame carries none."""
    found = at(frame, satellite.time) if satellite.time else None
    if found is None or found is ABSENT:
        return received_at_us
    try:
        return to_microseconds(found, satellite.unit, satellite.epoch_us)
    except UnpackError as error:
        raise RefusedError(Reason.TIME, f"{'.'.join(satellite.time)}: found {shown(found)}, {error}") from None


def raw_values(data: object, plan: Plan, satellite: SatellitePlan) -> Sequence[object]:
    """Return the raw value of each parameter in the plan's order, ABSENT where there is none."""
    if type(data) is dict:
        if plan.pick is not None:
            try:
                return plan.pick(data)
            except KeyError:
                pass  # one is missing
        return [at(data, path) for path in plan.map_paths]
    if type(data) is list:
        if plan.positional:
            count = len(plan.steps)
            return data[:count] + [ABSENT] * (count - len(data))
        return [at(data, path) for path in plan.array_paths]
    if not plan.steps:
        return ()
    key = ".".join(satellite.data) or "frame"
    raise RefusedError(Reason.FRAME, f"{key}: {shown_or_missing(data)}, expected a map or an array of raw values")


def engineering_values(
    plan: Plan, raws: Sequence[object], faults: list[str]
) -> tuple[dict[str, Value], dict[str, Level]]:
    """Return the values, and the levels of those out of limits; what is wrong is told to `faults`."""
    values: dict[str, Value] = {}
    levels: dict[str, Level] = {}
    for (name, types, plain, low, high, step), raw in zip(plan.steps, raws, strict=True):
        if type(raw) in types:
            value: Any = raw if plain is None else plain(raw)
            if value is not None if low is None else low <= value <= high:  # false for NaN
                values[name] = value
                continue
        if raw is not ABSENT:
            values[name] = settle(step, raw, levels, faults)
        elif not step.parameter.optional:
            faults.append(f"{name}: missing")
    return values, levels


def settle(step: Step, raw: Any, levels: dict[str, Level], faults: list[str]) -> Value:
    """Return the value of whatever is not plainly within limits, or None and why."""
    parameter = step.parameter
    if type(raw) not in step.types or (parameter.raw == "uint" and raw < 0):
        faults.append(f"{parameter.name}: found {shown(raw)}, expected {EXPECTED[parameter.raw]}")
        return None
    value: Value = raw if step.calibrate is None else step.calibrate(raw)
    expected = expected_of_text(value, parameter) if step.low is None else expected_of_number(value, parameter)
    if expected is not None:
        found = raw if parameter.enumeration is not None else value
        faults.append(f"{parameter.name}: found {shown(found)}, expected {expected}")
        return None
    if isinstance(value, str):
        level = step.levels.get(value, Level.IN_LIMITS)
    else:
        level = level_of(value or 0, parameter.limits)
    if level is not Level.IN_LIMITS:
        levels[parameter.name] = level
    return value


def expected_of_text(value: Value, parameter: Parameter) -> str | None:
    """Return what a text should have been, or None where it is as it should be."""
    if value is None:
        return "a number that its enumeration has"
    if not isinstance(value, str) or len(value) > TEXT_MOST:
        return f"at most {TEXT_MOST} characters" if parameter.raw == "string" else f"at most {TEXT_MOST // 2} bytes"
    return None if is_storable(value) else "UTF-8 without NUL"


def expected_of_number(value: Any, parameter: Parameter) -> str | None:
    """Return what a number should have been, or None where it is storable and valid."""
    if type(value) is float and value - value != 0.0:
        return "a finite number"
    if type(value) is int and not INTEGER_FIRST <= value <= INTEGER_LAST:
        return "an integer of 64 bits, signed"
    valid = parameter.valid_range
    if valid is not None and valid.low is not None and value < valid.low:
        return f"{valid.low} or more, its valid range"
    if valid is not None and valid.high is not None and value > valid.high:
        return f"{valid.high} or less, its valid range"
    return None


def shown_or_missing(found: object) -> str:
    return "missing" if found is ABSENT else f"found {shown(found)}"


def unknown_in(frame: object, data: object, present: int, plan: Plan, satellite: SatellitePlan) -> int:
    """Return how many keys of the frame, and entries of its data, nothing describes; below paths nobody looks.

    `present` is the number of parameters that the data has.
    """
    count = 0
    if type(frame) is dict and satellite.data and not frame.keys() <= satellite.roots:
        count = len(frame.keys() - satellite.roots)
    if (type(data) is dict and plan.is_flat) or (type(data) is list and plan.positional):
        roots = 0 if satellite.data or type(data) is list else sum(root in data for root in satellite.roots)
        count += max(0, len(data) - present - roots)
    return count


def plan_satellite(slug: str, definition: Definition) -> SatellitePlan:
    frame: FrameKeys = definition.frame
    plans: dict[int | str, Plan] = {}
    for packet in definition.packets:
        plans[packet.name] = plan = plan_packet(packet)
        if packet.match is not None:
            plans[packet.match] = plan
    keys = [path_of(key) for key in (frame.packet, frame.sequence, frame.time, frame.data)]
    return SatellitePlan(
        slug=slug,
        definition_hash=definition.hash,
        plans=plans,
        only=None if frame.packet else next(iter(plans.values()), None),
        packet=keys[0],
        sequence=keys[1],
        modulus=frame.modulus,
        time=keys[2],
        unit=MICROSECONDS_IN[frame.time_unit],
        epoch_us=round(frame.epoch.timestamp()) * 1_000_000,
        data=keys[3],
        roots=frozenset(path[0] for path in keys if path),
    )


def path_of(key: str) -> Path:
    return tuple(key.split(".")) if key else ()


def plan_packet(packet: PacketDefinition) -> Plan:
    steps = [plan_step(parameter) for parameter in packet.parameters]
    map_paths = tuple(path_of(parameter.key or parameter.name) for parameter in packet.parameters)
    is_flat = all(len(path) == 1 for path in map_paths)
    return Plan(
        name=packet.name,
        steps=tuple((s.parameter.name, s.types, s.plain, s.low, s.high, s) for s in steps),
        pick=itemgetter(*(path[0] for path in map_paths)) if is_flat and len(map_paths) > 1 else None,
        is_flat=is_flat,
        positional=not any(parameter.key for parameter in packet.parameters),
        map_paths=map_paths,
        array_paths=tuple(path_of(p.key or str(index)) for index, p in enumerate(packet.parameters)),
    )


def plan_step(parameter: Parameter) -> Step:
    low, high = plain_range(parameter)
    calibrate = calibrator(parameter)
    return Step(
        parameter=parameter,
        types=RAW_TYPES[parameter.raw],
        calibrate=calibrate,
        plain=calibrate if low is not None else plain_text(parameter),
        low=low,
        high=high,
        levels={label: Level[name.upper()] for label, name in (parameter.levels or {}).items()},
    )


def plain_text(parameter: Parameter) -> Calibrator:
    """Return the function from raw to a text that is storable and within limits, or to None to look closer."""
    if parameter.enumeration is not None:
        out = parameter.levels or {}
        return {raw: label for raw, label in parameter.enumeration.items() if label not in out}.get
    if parameter.raw == "binary":
        return lambda raw: raw.hex() if len(raw) <= TEXT_MOST // 2 else None
    return lambda raw: raw if len(raw) <= TEXT_MOST and is_storable(raw) else None


def plain_range(parameter: Parameter) -> tuple[float | None, float | None]:
    """Return the range in which a value is storable, valid and within all limits; None and None for a text."""
    if parameter.enumeration is not None or parameter.raw in {"string", "binary"}:
        return None, None
    if parameter.raw == "bool":
        return False, True
    is_float = parameter.raw == "float" or parameter.linear is not None or parameter.polynomial is not None
    least, most = (-sys.float_info.max, sys.float_info.max) if is_float else (INTEGER_FIRST, INTEGER_LAST)
    if parameter.raw == "uint" and not is_float:
        least = 0
    low, high = innermost(parameter.limits)
    valid = parameter.valid_range
    lows = [bound for bound in (least, low, valid.low if valid else None) if bound is not None]
    highs = [bound for bound in (most, high, valid.high if valid else None) if bound is not None]
    return max(lows), min(highs)
