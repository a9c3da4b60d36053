"""Why a definition whose every key is well typed can still be wrong: one line for each fault, by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from groundstation.telemetry.text import quoted

if TYPE_CHECKING:  # definition.py calls us: at run time it is not yet complete
    from groundstation.telemetry.definition import Bounds, Definition, Limits, PacketDefinition, Parameter

NUMBERS = ("int", "uint", "float")
INTEGERS = ("int", "uint")
CALIBRATORS = ("linear", "polynomial", "enumeration")


def faults_in(definition: Definition, where: str) -> Iterator[str]:
    """Yield what is wrong, each as `key.path: found …, expected …`, in the order of the file."""
    slug = PurePath(where).stem
    if where.endswith(".toml") and slug != definition.slug:
        yield f"slug: found {quoted(definition.slug)}, expected {quoted(slug)}, the file's name"
    yield from repeated("norad_ids", definition.norad_ids)
    yield from repeated("cospar_ids", definition.cospar_ids)
    if definition.status == "simulated" and definition.norad_ids:
        yield "norad_ids: found some, expected none: a simulated satellite is in no catalogue"
    yield from repeated("downlinks", [link.name for link in definition.downlinks], "name")
    yield from frame_faults(definition)
    yield from repeated("packets", [packet.name for packet in definition.packets], "name")
    yield from ambiguous(definition.packets)
    for index, packet in enumerate(definition.packets):
        at = f"packets[{index}].parameters"
        yield from repeated(at, [parameter.name for parameter in packet.parameters], "name")
        for number, parameter in enumerate(packet.parameters):
            for fault in parameter_faults(parameter):
                yield f"{at}[{number}].{fault} ({packet.name}.{parameter.name})"


def repeated(key: str, values: Iterable[object], field: str = "") -> Iterator[str]:
    """Yield a fault for each value that stood before; `field` is its key where the values are tables."""
    first: dict[object, int] = {}
    for index, value in enumerate(values):
        if value in first:
            found = quoted(value) if isinstance(value, str) else value
            yield f"{key}[{index}]{'.' if field else ''}{field}: found {found} again, already at {key}[{first[value]}]"
        first.setdefault(value, index)


def frame_faults(definition: Definition) -> Iterator[str]:
    frame = definition.frame
    for name, path in (
        ("packet", frame.packet),
        ("sequence", frame.sequence),
        ("time", frame.time),
        ("data", frame.data),
    ):
        if path and not is_key_path(path):
            yield f"frame.{name}: found {quoted(path)}, {PATH_EXPECTED}"
    if not frame.packet and len(definition.packets) > 1:
        yield f'frame.packet: found "", expected a key path: nothing else tells {len(definition.packets)} packets apart'


PATH_EXPECTED = "expected names and array positions separated by single dots"


def is_key_path(path: str) -> bool:
    """Tell whether `path` is names and array positions separated by single dots, without blanks."""
    return all(segment and segment.isprintable() and " " not in segment for segment in path.split("."))


def ambiguous(packets: Sequence[PacketDefinition]) -> Iterator[str]:
    """Yield a fault for each packet id that another packet's id or name already means."""
    meaning: dict[int | str, int] = {packet.name: index for index, packet in enumerate(packets)}
    for index, packet in enumerate(packets):
        if packet.match is not None and (other := meaning.setdefault(packet.match, index)) != index:
            found = quoted(packet.match) if isinstance(packet.match, str) else packet.match
            yield f"packets[{index}].match: found {found}, which packets[{other}] matches already"


def parameter_faults(parameter: Parameter) -> Iterator[str]:
    if parameter.key and not is_key_path(parameter.key):
        yield f"key: found {quoted(parameter.key)}, {PATH_EXPECTED}"
    calibrators = [name for name in CALIBRATORS if getattr(parameter, name) is not None]
    for other in calibrators[1:]:
        yield f"{other}: found beside {calibrators[0]}, expected one calibrator"
    for name in calibrators:
        wanted = INTEGERS if name == "enumeration" else NUMBERS
        if parameter.raw not in wanted:
            yield f"{name}: found on raw {quoted(parameter.raw)}, expected raw {' or '.join(map(quoted, wanted))}"
    yield from number_faults(parameter)
    yield from level_faults(parameter)


def number_faults(parameter: Parameter) -> Iterator[str]:
    """Yield faults of what only a number can have: a valid range and limits."""
    is_number = parameter.raw in NUMBERS and parameter.enumeration is None
    for name, present in (("valid_range", parameter.valid_range), ("limits", parameter.limits)):
        if present is not None and not is_number:
            kind = "an enumeration: use levels" if parameter.enumeration is not None else f"raw {quoted(parameter.raw)}"
            yield f"{name}: found on {kind}, expected a number"
    if parameter.valid_range is not None:
        yield from bounds_faults("valid_range", parameter.valid_range)
    if parameter.limits is not None:
        yield from limits_faults(parameter.limits)


def bounds_faults(key: str, bounds: Bounds) -> Iterator[str]:
    if bounds.low is None and bounds.high is None:
        yield f"{key}: found no bound, expected low, high or both"
    elif bounds.low is not None and bounds.high is not None and bounds.low >= bounds.high:
        yield f"{key}.low: found {bounds.low}, expected below high, which is {bounds.high}"


def limits_faults(limits: Limits) -> Iterator[str]:
    """Yield a fault for each bound that a milder level would never let a value reach."""
    low: tuple[float, str] | None = None
    high: tuple[float, str] | None = None
    if not limits.by_level():
        yield "limits: found no level, expected watch, warning, distress, critical or severe"
    for level, bounds in limits.by_level():
        name = level.name.lower()
        key = f"limits.{name}"
        yield from bounds_faults(key, bounds)
        if bounds.low is not None:
            if low is not None and bounds.low >= low[0]:
                yield f"{key}.low: found {bounds.low}, expected below {low[0]}, the low of {low[1]}"
            low = (bounds.low, name)
        if bounds.high is not None:
            if high is not None and bounds.high <= high[0]:
                yield f"{key}.high: found {bounds.high}, expected above {high[0]}, the high of {high[1]}"
            high = (bounds.high, name)
    yield from crossed_faults(limits)


def crossed_faults(limits: Limits) -> Iterator[str]:
    """Yield a fault where one level's low stands at or above another level's high: every value would be out."""
    lows = [(b.low, level) for level, b in limits.by_level() if b.low is not None]
    highs = [(b.high, level) for level, b in limits.by_level() if b.high is not None]
    if lows and highs:
        (low, low_level), (high, high_level) = max(lows), min(highs)
        if low >= high and low_level != high_level:
            name = high_level.name.lower()
            yield f"limits.{low_level.name.lower()}.low: found {low}, expected below {high}, the high of {name}"


def level_faults(parameter: Parameter) -> Iterator[str]:
    if parameter.levels is None:
        return
    if parameter.enumeration is None:
        yield "levels: found without an enumeration, expected limits for a number"
        return
    labels = set(parameter.enumeration.values())
    for label in parameter.levels:
        if label not in labels:
            known = ", ".join(sorted(labels))
            yield f"levels.{label}: found no such label in the enumeration, expected one of {known}"
