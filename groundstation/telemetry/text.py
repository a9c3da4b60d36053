"""Make what strangers sent safe to store and to show: it came over the air or out of a file."""

import math

from msgpack import ExtType, Timestamp

from groundstation.telemetry.unpack import Twice

INTEGER_FIRST, INTEGER_LAST = -(2**63), 2**63 - 1  # what every database holds exactly
SHOWN_MOST = 60  # characters of a found value in an error message


def storable(text: str, most: int = 1000) -> str:
    """Return `text` as every database takes it: no NUL, no lone surrogate, at most `most` characters.

    PostgreSQL refuses U+0000 in text and JSON, and a lone surrogate (bytes that were no UTF-8) has no UTF-8 at all.
    What is replaced becomes U+FFFD, so that one can see that something stood there.
    """
    kept = text if len(text) <= most else text[: most - 1] + "…"
    if "\0" in kept or not kept.isascii():
        kept = kept.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return kept


def is_storable(text: str) -> bool:
    """Tell whether `text` can be stored as it is, whatever its length."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def shown(value: object) -> str:
    """Return one short line that tells a reader what was found."""
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return shown_float(value)
    return shown_kind(value)


def quoted(text: str) -> str:
    """Return `text` between quotation marks on one line, cut to what a message can hold."""
    safe = storable(text, SHOWN_MOST).translate({ord('"'): '\\"', ord("\\"): "\\\\"})
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in safe) + '"'


def shown_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("infinity" if value > 0 else "-infinity")


def shown_kind(value: object) -> str:
    """Return the kind and size of a value that is too big or too strange to print."""
    kind = type(value).__name__
    if isinstance(value, ExtType):  # a tuple too: asked first
        kind = f"msgpack extension {value.code} of {len(value.data)} bytes"
    elif isinstance(value, bytes):
        return f"{len(value)} bytes"
    elif isinstance(value, (list, tuple)):
        kind = f"array of {len(value)}"
    elif isinstance(value, dict):
        kind = f"map of {len(value)}"
    elif isinstance(value, Timestamp):
        kind = "msgpack timestamp"
    return "its key twice" if isinstance(value, Twice) else f"a{'n' if kind[0] in 'aeiou' else ''} {kind}"
