"""From a message to a packet, or to a rejection with its reason: total, bounded, and fast.

What depends on the definition alone is worked out once, in a `Plan` for each packet; what is left for each parameter
of each frame is a type check, a calibration and one comparison. Everything unusual takes the slow way through
`settle`, which says what is wrong.

An engineering value is a finite float, an integer of 64 bits, a bool, a text without NUL of at most 256 characters,
or None: all of it JSON, all of it what SQLite and PostgreSQL store unchanged.
"""

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from groundstation.telemetry.definition import Definition, Parameter
from groundstation.telemetry.envelope import Envelope, EnvelopeError, open_envelope, split_topic, telemetry_topic
from groundstation.telemetry.limits import level_of
from groundstation.telemetry.packet import Level, Message, Packet, Reason, Rejection, Value
from groundstation.telemetry.plan import TEXT_MOST, Path, Plan, SatellitePlan, Step, plan_satellite
from groundstation.telemetry.text import INTEGER_FIRST, INTEGER_LAST, is_storable, shown, storable
from groundstation.telemetry.unpack import UnpackError, to_microseconds, unpack

TOPIC_MOST = 1024  # characters of a topic that are kept with a rejection


class Absent:
    """Stands where a frame has nothing at a key path; nil is something."""


ABSENT = Absent()

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
            (link, telemetry_topic(prefix, station, slug)): (station, plan)
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
        whole=len(values) == len(plan.steps),
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
