"""Packets and rejections as rows: plain tuples in the order of their columns, ready for the driver."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

from groundstation.archive.columns import EARLIEST_US, LATEST_US, encode_json, encode_json_lines
from groundstation.telemetry.packet import Level, Packet, Reason, Rejection

Row = tuple[Any, ...]
Key = tuple[str, int, int]  # satellite, generation time, digest

PACKET_COLUMNS = (
    "satellite", "generated_at", "digest", "name", "sequence", "kind", "received_at", "stored_at", "station", "link",
    "definition_hash", "frame", "parameters", "levels", "faults", "link_quality",
)  # fmt: skip
GENERATED_AT, STORED_AT = PACKET_COLUMNS.index("generated_at"), PACKET_COLUMNS.index("stored_at")
RECEPTION_COLUMNS = (
    "satellite", "generated_at", "digest", "station", "kind", "received_at", "stored_at", "link", "link_quality",
)  # fmt: skip
LATEST_PACKET_COLUMNS = (
    "satellite", "packet", "generated_at", "received_at", "stored_at", "station", "parameters", "levels",
)  # fmt: skip
LATEST_PARAMETER_COLUMNS = (
    "satellite", "parameter", "packet", "generated_at", "received_at", "stored_at", "station", "value", "level",
)  # fmt: skip
as_latest = itemgetter(
    *(PACKET_COLUMNS.index("name" if column == "packet" else column) for column in LATEST_PACKET_COLUMNS)
)
DIRTY_COLUMNS = ("satellite", "hour")
ROLLUP_COLUMNS = ("satellite", "parameter", "hour", "min", "max", "mean", "n")
QUARANTINE_COLUMNS = (
    "link", "hour", "reason", "digest", "arrived_at", "last_arrived_at", "times", "stored_at", "topic", "payload",
    "payload_bytes", "error",
)  # fmt: skip

HOUR_US = 3_600_000_000
LEVEL_NAMES = {level: level.name.lower() for level in Level}
IN_LIMITS = LEVEL_NAMES[Level.IN_LIMITS]
PAYLOAD_MOST = 1 << 20  # bytes kept of a quarantined payload: no frame is this long, but an SD card is soon full
ERROR_MOST = 2000  # characters
NUL_ESCAPED = b"\\u0000"


class RowError(ValueError):
    """No database can hold this packet as it is: what was found, what was expected."""


def key_of(packet: Packet) -> Key:
    return packet.satellite, packet.generated_at_us, packet.digest


def packet_row(packet: Packet, stored_at_us: int) -> Row:
    """Return the packet's row. Raises RowError where a time is not between the years 1 and 9999."""
    generated_at_us, received_at_us = packet.generated_at_us, packet.received_at_us
    if not (EARLIEST_US <= generated_at_us <= LATEST_US and EARLIEST_US <= received_at_us <= LATEST_US):
        raise RowError(f"found a time of {generated_at_us} or {received_at_us} µs, expected a year from 1 to 9999")
    levels = packet.levels
    return (
        packet.satellite,
        generated_at_us,
        packet.digest,
        packet.packet,
        packet.sequence,
        packet.kind,
        received_at_us,
        stored_at_us,
        packet.station,
        packet.link,
        packet.definition_hash,
        packet.frame,
        json_text(packet.values),
        json_text({name: LEVEL_NAMES[level] for name, level in levels.items()}) if levels else None,
        json_text(packet.faults) if packet.faults else None,
        json_text(packet.reception) if packet.reception else None,
    )


def reception_row(packet: Packet, stored_at_us: int) -> Row:
    return (
        packet.satellite,
        packet.generated_at_us,
        packet.digest,
        packet.station,
        packet.kind,
        packet.received_at_us,
        stored_at_us,
        packet.link,
        json_text(packet.reception) if packet.reception else None,
    )


def latest_packet_rows(kept: Sequence[tuple[Packet, Row]]) -> list[Row]:
    """Return the newest of each kind among the whole realtime packets, in the order of the key.

    `kept` has each packet with its row, in order of arrival: of equal times the first to come stays.
    """
    newest: dict[tuple[str, str], Row] = {}
    for packet, row in kept:
        if packet.whole and packet.kind == "realtime":
            kind = packet.satellite, packet.packet
            if kind not in newest or row[GENERATED_AT] > newest[kind][GENERATED_AT]:
                newest[kind] = row
    return [as_latest(newest[kind]) for kind in sorted(newest)]


def latest_parameter_rows(kept: Sequence[tuple[Packet, Row]]) -> list[Row]:
    """Return the newest value of each parameter among the other realtime packets, in the order of the key.

    In the same order everywhere, so that two daemons cannot wait for each other's rows.
    """
    live = [one for one in kept if one[0].kind == "realtime" and not one[0].whole]
    live.sort(key=lambda one: one[0].generated_at_us, reverse=True)  # stable: of equals the first to come stays
    newest: dict[str, dict[str, tuple[Packet, Row]]] = {}
    for one in reversed(live):
        newest.setdefault(one[0].satellite, {}).update(dict.fromkeys(one[0].values, one))
    rows = []
    for parameters in newest.values():
        for one in {id(one): one for one in parameters.values()}.values():
            rows += [row for row in _values_of(*one) if parameters[row[1]] is one]
    rows.sort()
    return rows


def _values_of(packet: Packet, row: Row) -> list[Row]:
    levels = packet.levels
    place = (packet.packet, packet.generated_at_us, packet.received_at_us, row[STORED_AT], packet.station)
    return [
        (
            packet.satellite,
            parameter,
            *place,
            None if value is None else text,
            LEVEL_NAMES[levels.get(parameter, Level.IN_LIMITS)] if levels else IN_LIMITS,
        )
        for (parameter, value), text in zip(packet.values.items(), json_texts(packet.values.values()), strict=True)
    ]


def dirty_rows(packets: Sequence[Packet]) -> list[Row]:
    """Return the hours that the packets belong to by generation time."""
    return sorted({(packet.satellite, packet.generated_at_us // HOUR_US * HOUR_US) for packet in packets})


def quarantine_rows(rejections: Sequence[Rejection], stored_at_us: int) -> list[Row]:
    """Return rows that no database refuses: text without NUL or lone surrogates, a huge payload cut short.

    Equal messages of an hour are one row that counts them. In the order of the key, as all that two daemons write.
    """
    alike: dict[Row, list[int]] = {}
    for place, rejection in enumerate(rejections):
        alike.setdefault(_quarantine_key(rejection), []).append(place)
    rows = []
    for key, places in sorted(alike.items()):
        rejection, arrivals = rejections[places[0]], [rejections[place].arrived_at_us for place in places]
        rows.append(
            (
                *key,
                min(arrivals),
                max(arrivals),
                len(places),
                stored_at_us + places[0],
                storable_text(rejection.topic),
                rejection.payload[:PAYLOAD_MOST],
                len(rejection.payload),
                storable_text(rejection.error)[:ERROR_MOST],
            )
        )
    return rows


def _quarantine_key(rejection: Rejection) -> Row:
    content = hashlib.blake2b(storable_text(rejection.topic).encode() + b"\0", digest_size=8)
    content.update(rejection.payload)
    digest = int.from_bytes(content.digest(), "big", signed=True)
    return rejection.link, rejection.arrived_at_us // HOUR_US * HOUR_US, str(rejection.reason), digest


def refused(packet: Packet, error: str, now_us: int) -> Rejection:
    """Return what goes to quarantine for a packet that the database refuses."""
    message = packet.message
    if message is None:
        topic = f"{packet.station}/{packet.satellite}"
        return Rejection(packet.link, topic, packet.frame, now_us, Reason.UNSTORABLE, error)
    return Rejection(packet.link, message.topic, message.payload, message.arrived_at_us, Reason.UNSTORABLE, error)


def json_text(value: object) -> str:
    """Return JSON that both databases take: NaN and infinities as null, no NUL, no lone surrogates.

    The frame is kept beside it, so nothing is lost that the satellite sent.
    """
    try:
        text = encode_json(value)
    except UnicodeEncodeError:
        text = encode_json(_cleaned(value))
    if NUL_ESCAPED in text:
        text = encode_json(_cleaned(value))
    return text.decode()


def json_texts(values: Collection[object]) -> Sequence[str]:
    """Return `json_text` of each, in a quarter of its time."""
    try:
        lines = encode_json_lines(values)
    except UnicodeEncodeError:
        return [json_text(value) for value in values]
    if NUL_ESCAPED in lines:
        return [json_text(value) for value in values]
    return lines.decode().split("\n")[:-1]


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {storable_text(str(name)): _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return value


def storable_text(text: str) -> str:
    """Return `text` with NUL as U+FFFD and lone surrogates as escapes; PostgreSQL takes neither."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
