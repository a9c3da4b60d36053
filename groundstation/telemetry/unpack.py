"""Unpack msgpack from strangers within bounds of memory and time; envelope.py says what becomes of what is odd."""

from datetime import UTC, datetime
from typing import Any

import msgpack

ITEMS_MOST = 512  # entries of one array or map: with msgpack's own depth limit of 1024 this bounds memory
CONTAINERS_MOST = 1024  # arrays and maps in all: this bounds time, for 64 KiB of empty maps take 24 ms
TIME_END_US = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

# As numerator and denominator of microseconds, so that integers stay exact.
MICROSECONDS_IN = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}


class UnpackError(ValueError):
    """Bytes that are not one msgpack value within our bounds, or a value that is no time."""


class Twice:
    """Stands where a map has a key twice: of no type that anything expects, so it can only become a fault."""


TWICE = Twice()


def marked(pairs: list[tuple[object, object]]) -> dict[object, object]:
    """Return the map, with TWICE for the value of every key that is there twice: msgpack would let the last win."""
    unpacked = dict(pairs)
    if len(unpacked) != len(pairs):
        seen: set[object] = set()
        for key, _ in pairs:
            if key in seen:
                unpacked[key] = TWICE
            seen.add(key)
    return unpacked


class Counter:
    """Counts arrays and maps as they are made, and raises UnpackError at one too many."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = CONTAINERS_MOST

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise UnpackError(f"more than {CONTAINERS_MOST} arrays and maps")

    def map(self, pairs: list[tuple[object, object]]) -> dict[object, object]:
        self.take()
        return marked(pairs)

    def array(self, entries: list[object]) -> list[object]:
        self.take()
        return entries


def unpack(packed: bytes) -> object:
    """Return the one value in `packed`, whose length the caller has bounded; raises UnpackError.

    Lengths of text and binary need no bound of their own: msgpack takes none longer than the input. Text that is no
    UTF-8 comes with lone surrogates, so that one broken text does not cost the whole packet.
    """
    # Each takes a byte at least, so short input needs no counting.
    counter = Counter() if len(packed) > CONTAINERS_MOST else None
    try:
        return msgpack.unpackb(
            packed,
            object_pairs_hook=counter.map if counter else marked,
            list_hook=counter.array if counter else None,
            strict_map_key=True,
            unicode_errors="surrogateescape",
            timestamp=0,
            max_array_len=ITEMS_MOST,
            max_map_len=ITEMS_MOST,
        )
    except msgpack.StackError:
        raise UnpackError("nested too deeply") from None
    except msgpack.ExtraData as error:
        raise UnpackError(f"{len(error.extra)} bytes left over after the value") from None
    except msgpack.FormatError:
        raise UnpackError("a byte that msgpack does not have") from None
    except ValueError as error:
        raise UnpackError(str(error)) from None


def to_microseconds(time: Any, unit: tuple[int, int] = (1_000_000, 1), epoch_us: int = 0) -> int:
    """Return the microseconds since 1970 of a msgpack timestamp, or of a number in `unit` since `epoch_us`.

    Raises UnpackError for anything else and for times outside 1970 … 2199, which no spacecraft of ours can mean; a
    clock that restarted at 1970 or 2000 is data, not an error.
    """
    numerator, denominator = unit
    if type(time) is msgpack.Timestamp:
        at_us: int = time.seconds * 1_000_000 + time.nanoseconds // 1000
    elif type(time) is int:
        at_us = epoch_us + time * numerator // denominator
    elif type(time) is float and abs(time) < 1e20:  # false for NaN and the infinities too
        at_us = epoch_us + round(time * numerator / denominator)
    else:
        raise UnpackError("expected a msgpack timestamp or a finite number")
    if not 0 <= at_us < TIME_END_US:
        raise UnpackError("expected a time from 1970 to 2199")
    return at_us
