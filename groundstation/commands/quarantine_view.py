"""The quarantine as people and programs read it: a table, one message whole, JSON, JSON lines."""

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from groundstation.archive.queries import Quarantined
from groundstation.commands.quarantine_reprocess import Reprocessed
from groundstation.figures import iso, printable
from groundstation.telemetry.moments import moment_of
from groundstation.telemetry.packet import Reason

BYTES_A_LINE = 16


def as_table(held: Sequence[Quarantined], total: int, times: int) -> Table:
    shown = f"{len(held)} of {total} messages in quarantine" if len(held) < total else f"{total} messages in quarantine"
    shown += f", which came {times} times" if times > total else ""
    table = Table(title=shown, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in ("number", "arrived (UTC)", "times", "bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("reason", "topic", "error"):
        table.add_column(heading)
    for one in held:
        arrived = f"{moment_of(one.arrived_at_us):%Y-%m-%d %H:%M:%S}"
        # Text and not str: what somebody sent must not be read as rich's markup.
        numbers = (str(one.id), arrived, str(one.times), str(one.payload_bytes))
        table.add_row(*numbers, one.reason, Text(one.topic), Text(one.error))
    return table


def as_json(held: Iterable[Quarantined]) -> str:
    return json.dumps([plain(one) for one in held], indent=2, ensure_ascii=False)


def as_json_line(one: Quarantined) -> str:
    return json.dumps(plain(one), ensure_ascii=False)


def plain(one: Quarantined) -> dict[str, Any]:
    """Return the message for programs; the payload in base64."""
    return {
        "number": one.id,
        "link": one.link,
        "topic": one.topic,
        "arrived_at": iso(moment_of(one.arrived_at_us)),
        "last_arrived_at": iso(moment_of(one.last_arrived_at_us)),
        "times": one.times,
        "stored_at": iso(moment_of(one.stored_at_us)),
        "reason": one.reason,
        "error": one.error,
        "payload_bytes": one.payload_bytes,
        "payload": base64.b64encode(one.payload).decode(),
    }


def as_text(one: Quarantined) -> str:
    """Return everything of one message, the payload as a hexadecimal dump."""
    facts = {
        "number": str(one.id),
        "link": one.link,
        "topic": one.topic,
        "arrived": iso(moment_of(one.arrived_at_us)) + again(one),
        "reason": one.reason,
        "error": one.error,
        "payload": f"{one.payload_bytes} bytes",
    }
    lines = [f"{name:9}{printable(value)}" for name, value in facts.items()]
    if one.payload_bytes > len(one.payload):
        lines.append(f"         of which the first {len(one.payload)} were kept")
    return "\n".join([*lines, *hex_dump(one.payload)])


def again(one: Quarantined) -> str:
    """Return how often and until when it came, where it came more than once."""
    return f", {one.times} times until {iso(moment_of(one.last_arrived_at_us))}" if one.times > 1 else ""


def hex_dump(payload: bytes) -> list[str]:
    lines = []
    for start in range(0, len(payload), BYTES_A_LINE):
        part = payload[start : start + BYTES_A_LINE]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<{3 * BYTES_A_LINE}} {text}")
    return lines


def result_lines(result: Reprocessed, *, dry_run: bool) -> list[str]:
    verb = "would become packets" if dry_run else "became packets"
    lines = [f"{result.seen} messages decoded again: {result.stored} {verb}, {result.duplicate} were there already"]
    lines += [f"{count} stay: {Reason(reason).value}" for reason, count in result.stay.most_common()]
    return lines


def result_json(result: Reprocessed) -> str:
    counts = {
        "seen": result.seen,
        "stored": result.stored,
        "duplicate": result.duplicate,
        "stay": {Reason(reason).value: count for reason, count in result.stay.items()},
    }
    return json.dumps(counts, indent=2)
