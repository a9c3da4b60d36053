"""What a definition says of decoding, worked out once, so that little is left to do for each frame."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from groundstation.telemetry.calibration import Calibrator, calibrator
from groundstation.telemetry.definition import Definition, FrameKeys, PacketDefinition, Parameter
from groundstation.telemetry.limits import innermost
from groundstation.telemetry.packet import Level
from groundstation.telemetry.text import INTEGER_FIRST, INTEGER_LAST, is_storable
from groundstation.telemetry.unpack import MICROSECONDS_IN

TEXT_MOST = 256  # characters of a text value

Path = tuple[str, ...]

RAW_TYPES: Mapping[str, frozenset[type]] = {
    "int": frozenset({int}),
    "uint": frozenset({int}),
    "float": frozenset({float, int}),
    "bool": frozenset({bool}),
    "string": frozenset({str}),
    "binary": frozenset({bytes}),
}


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
