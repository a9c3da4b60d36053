"""What a simulated satellite sends, as a function of time: values within limits, calibrated backwards into frames.

Nothing here reads a clock or talks to anyone; `simulator` does. The same definition, seed and times give the same
bytes.
"""

import hashlib
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgpack

from groundstation.telemetry.calibration import calibrator
from groundstation.telemetry.definition import Definition, PacketDefinition, Parameter
from groundstation.telemetry.envelope import seal, timestamp

RAW_RANGES = {"uint": (0.0, 65535.0), "int": (-32768.0, 32767.0), "float": (-1e5, 1e5)}
STEPS = 4096  # of a raw range in which a polynomial is inverted
UNIT_US = {"s": 1_000_000, "ms": 1000, "us": 1}  # microseconds in one
FLIGHT_US = 3000  # from the satellite to the antenna, at 900 km
DRIFT_EVERY_US = 600_000_000  # where a pass has no end, one parameter drifts every ten minutes


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong on purpose; 0 turns a fault off."""

    duplicate_every: int = 40  # this message is sent twice, byte for byte, as a broker's redelivery would be
    corrupt_every: int = 60  # this frame arrives cut short: it goes to quarantine and its sequence count is missing


@dataclass(frozen=True, slots=True)
class Transmission:
    at_us: int  # when to publish it
    payload: bytes
    nature: Literal["frame", "duplicate", "corrupted"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One parameter leaves its limits and comes back: out at the middle of the time given."""

    parameter: str
    start_us: int
    end_us: int

    def share(self, at_us: int) -> float:
        """Return how far it has gone, from 0 (normal) to 1 (farthest out)."""
        passed = (at_us - self.start_us) / (self.end_us - self.start_us)
        return math.sin(math.pi * passed) ** 2 if 0 < passed < 1 else 0.0


@dataclass(frozen=True, slots=True)
class Band:
    """Where a parameter's engineering value moves, and how far it goes when it drifts."""

    low: float
    high: float
    farthest: float

    def value(self, at_us: int, phase: float, drift: float) -> float:
        """Return a value that moves smoothly: in some minutes there and back, with a faster ripple on it."""
        t = at_us / 1e6
        wave = 0.75 * math.sin(2 * math.pi * (t / (300 + 600 * phase) + phase))
        ripple = 0.25 * math.sin(2 * math.pi * (t / (40 + 30 * phase) + 3 * phase))
        normal = (self.low + self.high) / 2 + (wave + ripple) * (self.high - self.low) / 2
        return normal + drift * (self.farthest - normal)


@dataclass(frozen=True, slots=True)
class Inverse:
    """A polynomial backwards, on the longest stretch of raw values where it is monotonous."""

    values: tuple[float, ...]  # ascending
    raws: tuple[float, ...]

    def raw(self, value: float) -> float:
        right = min(max(bisect_left(self.values, value), 1), len(self.values) - 1)
        (v0, v1), (r0, r1) = self.values[right - 1 : right + 1], self.raws[right - 1 : right + 1]
        share = (value - v0) / (v1 - v0) if v1 > v0 else 0.0
        return r0 + min(max(share, 0.0), 1.0) * (r1 - r0)


class SimulatedSatellite:
    """Frames of every packet of a definition, in turn."""

    def __init__(self, definition: Definition, seed: int = 0) -> None:
        if not definition.packets:
            raise ValueError(f"{definition.slug}: the definition has no packets to simulate")
        self.definition = definition
        self._seed = seed
        self._bands = {p.name: band(p) for packet in definition.packets for p in packet.parameters if is_number(p)}
        self._inverses = {
            p.name: inverse(p) for packet in definition.packets for p in packet.parameters if p.polynomial is not None
        }

    def limited(self) -> str | None:
        """Return the first parameter that has limits to leave, for a drift."""
        every = (p for packet in self.definition.packets for p in packet.parameters)
        return next((p.name for p in every if p.limits is not None and p.name in self._bands), None)

    def frame(self, number: int, at_us: int, drift: Drift | None = None) -> bytes:
        """Return the `number`th frame that the satellite sends, generated at `at_us`."""
        packets = self.definition.packets
        turn, index = divmod(number, len(packets))
        packet, keys = packets[index], self.definition.frame
        tree: dict[str, Any] = {}
        place(tree, keys.packet, packet.match if packet.match is not None else packet.name)
        place(tree, keys.sequence, (number if keys.sequence_per == "satellite" else turn) % keys.modulus)
        place(tree, keys.time, self._time(at_us))
        place(tree, keys.data, self._data(packet, turn, at_us, drift))
        packed: bytes = msgpack.packb(listed(tree))
        return packed

    def _time(self, at_us: int) -> object:
        keys = self.definition.frame
        epoch_us = round(keys.epoch.timestamp()) * 1_000_000
        if keys.time_unit == "s" and epoch_us == 0:
            return timestamp(at_us)
        if keys.time_unit == "ns":
            return (at_us - epoch_us) * 1000
        since = (at_us - epoch_us) / UNIT_US[keys.time_unit]
        return since if keys.time_unit == "s" else round(since)

    def _data(self, packet: PacketDefinition, turn: int, at_us: int, drift: Drift | None) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for parameter in packet.parameters:
            if parameter.optional and turn % 5 == 4:
                continue
            drifted = drift.share(at_us) if drift is not None and drift.parameter == parameter.name else 0.0
            place(data, parameter.key or parameter.name, self._raw(parameter, at_us, drifted))
        return data

    def _raw(self, parameter: Parameter, at_us: int, drift: float) -> object:
        phase = share_of(self._seed, self.definition.slug, parameter.name)
        if parameter.name in self._bands:
            value = self._bands[parameter.name].value(at_us, phase, drift)
            return whole(parameter, self._uncalibrated(parameter, value))
        step = int(at_us / 1e6 / 90 + phase * 7)  # what has no number changes now and then
        if parameter.enumeration is not None:
            usual = [raw for raw, label in parameter.enumeration.items() if label not in (parameter.levels or {})]
            choices = usual or list(parameter.enumeration)
            return choices[0] if step % 4 else choices[step // 4 % len(choices)]
        if parameter.raw == "bool":
            return step % 3 != 0
        return f"{parameter.name} {step % 10}" if parameter.raw == "string" else (step % 2**32).to_bytes(4, "big")

    def _uncalibrated(self, parameter: Parameter, value: float) -> float:
        if parameter.linear is not None:
            return (value - parameter.linear.offset) / parameter.linear.slope if parameter.linear.slope else 0.0
        if parameter.polynomial is not None:
            return self._inverses[parameter.name].raw(value)
        return value


def transmissions(
    satellite: SimulatedSatellite,
    *,
    start_us: int,
    end_us: int | None,
    rate_hz: float,
    faults: Faults,
    elevation_deg: Callable[[int], float] | None = None,
) -> Iterator[Transmission]:
    """Return everything the station publishes, in order of time."""
    parameter = satellite.limited()
    for number, at_us in times(start_us, end_us, rate_hz):
        frame = satellite.frame(number, at_us, drift_at(parameter, at_us, start_us, end_us))
        corrupted = is_due(number, faults.corrupt_every)
        if corrupted:
            frame = frame[: len(frame) // 2]
        received_at_us = at_us + FLIGHT_US
        payload = seal(frame, received_at_us, link=heard(at_us, elevation_deg(at_us) if elevation_deg else None))
        yield Transmission(received_at_us, payload, "corrupted" if corrupted else "frame")
        if is_due(number, faults.duplicate_every) and not corrupted:
            yield Transmission(received_at_us, payload, "duplicate")


def is_due(number: int, every: int) -> bool:
    return every > 0 and number % every == every - 1


def drift_at(parameter: str | None, at_us: int, start_us: int, end_us: int | None) -> Drift | None:
    """Return the drift of the pass, or of the ten minutes that `at_us` is in where the pass has no end."""
    if parameter is None:
        return None
    span_us = DRIFT_EVERY_US if end_us is None else max(end_us - start_us, 1)
    first_us = start_us if end_us is not None else at_us - (at_us - start_us) % DRIFT_EVERY_US
    return Drift(parameter, first_us + span_us * 35 // 100, first_us + span_us * 75 // 100)


def times(start_us: int, end_us: int | None, rate_hz: float) -> Iterator[tuple[int, int]]:
    """Return the number of each frame and the time when it is generated."""
    number = 0
    while end_us is None or start_us + round(number * 1e6 / rate_hz) <= end_us:
        yield number, start_us + round(number * 1e6 / rate_hz)
        number += 1


def heard(at_us: int, elevation_deg: float | None) -> Mapping[str, float]:
    """Return how well the station hears: better the higher the satellite, with a flicker."""
    sine = math.sin(math.radians(max(elevation_deg, 0.0))) if elevation_deg is not None else 0.5
    snr_db = 3 + 14 * sine + 0.8 * math.sin(at_us / 1.7e6) + 0.5 * math.sin(at_us / 0.31e6)
    return {"rssi_dbm": round(snr_db - 128.0, 1), "snr_db": round(snr_db, 1)}


def share_of(seed: int, *names: str) -> float:
    """Return a number from 0 to 1 that depends on these alone, on any machine."""
    digest = hashlib.blake2b("\0".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def is_number(parameter: Parameter) -> bool:
    return parameter.raw in RAW_RANGES and parameter.enumeration is None


def band(parameter: Parameter) -> Band:
    """Return a band well inside all limits, and a value beyond the severest but one that is still valid."""
    bounds = [bounds for _, bounds in parameter.limits.by_level()] if parameter.limits is not None else []
    valid = [parameter.valid_range] if parameter.valid_range is not None else []
    low = max((b.low for b in (*bounds, *valid) if b.low is not None), default=None)
    high = min((b.high for b in (*bounds, *valid) if b.high is not None), default=None)
    if low is None and high is None:
        low, high = usual_range(parameter)
    elif low is None:
        assert high is not None
        low = high - max(abs(high), 1.0)
    elif high is None:
        high = low + max(abs(low), 1.0)
    assert high is not None
    width = high - low
    highs = [b.high for b in bounds if b.high is not None]
    lows = [b.low for b in bounds if b.low is not None]
    farthest = max(highs) + 0.05 * width if highs else min(lows) - 0.05 * width if lows else high
    for limit in valid:
        farthest = farthest if limit.low is None else max(farthest, limit.low)
        farthest = farthest if limit.high is None else min(farthest, limit.high)
    return Band(low + 0.2 * width, high - 0.2 * width, farthest)


def usual_range(parameter: Parameter) -> tuple[float, float]:
    """Return engineering values of raw values that a parameter without limits may well have."""
    calibrate = calibrator(parameter) or float
    first, last = (0.0, 1.0) if parameter.raw == "float" else (100.0, 1000.0)
    ends = calibrate(first), calibrate(last)
    return min(ends), max(ends)


def inverse(parameter: Parameter) -> Inverse:
    calibrate = calibrator(parameter)
    assert calibrate is not None
    first, last = RAW_RANGES[parameter.raw]
    raws = [first + (last - first) * step / STEPS for step in range(STEPS + 1)]
    values = [calibrate(raw) for raw in raws]
    middle = bands_middle(parameter)
    best = max(monotonous(values), key=lambda run: (values_hold(values, run, middle), run[1] - run[0]))
    pairs = sorted((values[i], raws[i]) for i in range(best[0], best[1] + 1))
    return Inverse(tuple(value for value, _ in pairs), tuple(raw for _, raw in pairs))


def bands_middle(parameter: Parameter) -> float:
    found = band(parameter)
    return (found.low + found.high) / 2


def values_hold(values: list[float], run: tuple[int, int], value: float) -> bool:
    ends = values[run[0]], values[run[1]]
    return min(ends) <= value <= max(ends)


def monotonous(values: list[float]) -> list[tuple[int, int]]:
    """Return first and last index of every stretch that only rises or only falls."""
    runs, start = [], 0
    for i in range(1, len(values) - 1):
        if (values[i] - values[i - 1]) * (values[i + 1] - values[i]) <= 0:
            runs.append((start, i))
            start = i
    return [*runs, (start, len(values) - 1)]


def whole(parameter: Parameter, raw: float) -> int | float:
    if parameter.raw == "float":
        return raw
    return max(round(raw), 0) if parameter.raw == "uint" else round(raw)


def place(tree: dict[str, Any], key: str, value: object) -> None:
    """Put `value` at a key path; at the empty path nothing, or a map's own entries."""
    if not key:
        if isinstance(value, dict):
            tree.update(value)
        return
    *outer, last = key.split(".")
    for segment in outer:
        tree = tree.setdefault(segment, {})
    if isinstance(value, dict):
        tree = tree.setdefault(last, {})
        tree.update(value)
    else:
        tree[last] = value


def listed(tree: Any) -> Any:
    """Return the tree with an array for every map whose keys count up from 0."""
    if not isinstance(tree, dict):
        return tree
    inner = {key: listed(value) for key, value in tree.items()}
    positions = [str(position) for position in range(len(inner))]
    return [inner[position] for position in positions] if inner and set(positions) == set(inner) else inner
