"""Read TOML into a typed value, or say in one line where it is wrong, what was found and what was expected.

`config/x.toml: links[0].port: found "abc", expected int`
"""

import difflib
import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from groundstation.telemetry.text import quoted, shown

T = TypeVar("T")
Step = str | int  # a table's key or an array's index

SECRET = re.compile(r"pass(word|wd|phrase)|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
USERINFO = re.compile(r"(?<=://)[^/@\s]*@")  # user and password in a URL
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
ANY_KEY = "[...]"  # how msgspec writes "some key of this table"


def read_typed(text: str, where: str, type_: type[T], error: type[ValueError]) -> T:
    """Return the TOML `text` as a `type_`, a msgspec Struct that forbids unknown fields.

    Raises `error` with one line beginning with `where`, usually the file's path. No float may be NaN or infinite. The
    value of a key that looks like a secret is never printed.
    """
    raw = parse_toml(text, where, error)
    try:
        typed = convert(raw, type_)
    except msgspec.ValidationError as invalid:
        raise error(f"{where}: {explain(str(invalid), raw, type_)}") from None
    for path, value in leaves(raw):
        if isinstance(value, str) and "\0" in value:
            raise error(f"{where}: {written(path)}: found {found(path, value)}, expected text without NUL")
        if isinstance(value, float) and value - value != 0.0:  # NaN and the infinities
            raise error(f"{where}: {written(path)}: found {found(path, value)}, expected a finite number")
    return typed


def parse_toml(text: str, where: str, error: type[ValueError]) -> dict[str, Any]:
    """Return the tables and values of `text`; raises `error` with the line where the syntax is wrong."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise error(f"{where}: nested too deeply to be read") from None
    except ValueError as invalid:  # TOMLDecodeError, and an integer of thousands of digits
        message, place = str(invalid), ""
        if match := re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message):
            message = message[: match.start()]
            place = (
                f"line {match[1]}, column {match[2]}: " if match[1] else f"line {text.count(chr(10)) + 1}, at the end: "
            )
        raise error(f"{where}: {place}not TOML: {message[:1].lower()}{message[1:]}") from None


def convert(raw: object, type_: type[T]) -> T:
    # TOML's keys are always text: str_keys lets an enumeration have integers for keys.
    return msgspec.convert(raw, type_, strict=True, str_keys=True, dec_hook=decode_path)


def decode_path(type_: type, raw: object) -> object:
    """Make a Path, which msgspec does not know, of a TOML string."""
    if not issubclass(type_, PurePath):
        raise NotImplementedError(f"no TOML value becomes a {type_.__name__}")
    if not isinstance(raw, str) or not raw:
        raise ValueError("Expected `path`")
    return type_(raw)


def explain(message: str, raw: dict[str, Any], type_: type) -> str:
    """Return msgspec's message with the value found and the field's own words."""
    message, _, place = message.partition(" - at `")
    in_key = place.startswith("key` in `")
    steps = place.removeprefix("key` in `").rstrip("`")
    path = find_path(steps + (ANY_KEY if in_key else ""), raw, type_)
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        return f"{written((*path, match[1]))}: unknown key, {suggestion(match[1], known_keys(type_, path))}"
    if match := re.fullmatch(r"Object missing required field `(.*)`", message, re.DOTALL):
        return f"{written((*path, match[1]))}: missing, expected {expectation('', fields_at(type_, (*path, match[1])))}"
    if in_key:
        return f"{written(path)}: found the key {quoted(str(path[-1]))}, expected {expectation(message, [])}"
    if not message.startswith(("Expected", "Invalid")):
        return f"{written(path)}: {message}"
    value = look_up(raw, path)
    return f"{written(path)}: found {found(path, value)}, expected {expectation(message, fields_at(type_, path))}"


def find_path(steps: str, raw: dict[str, Any], type_: type) -> tuple[Step, ...]:
    """Return msgspec's path `$.links[0].port` as steps, with the true key wherever it only says `[...]`."""
    path: tuple[Step, ...] = ()
    for key, index, some in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])", steps):
        if not some:
            path = (*path, key or int(index))
            continue
        # Try each entry of the table alone: the one that fails as the whole did is the culprit.
        table = look_up(raw, path)
        wrong = (key for key in table if not fits(replaced(raw, path, {key: table[key]}), type_, steps))
        path = (*path, next(wrong, ANY_KEY))
    return path


def fits(raw: object, type_: type, steps: str) -> bool:
    """Tell whether `raw` converts without a fault at `steps`."""
    try:
        convert(raw, type_)
    except msgspec.ValidationError as invalid:
        return steps.removesuffix(ANY_KEY) not in str(invalid)
    return True


def replaced(tree: Any, path: tuple[Step, ...], value: object) -> Any:
    """Return a copy of `tree` with `value` at `path`."""
    if not path:
        return value
    copy = tree.copy()
    copy[path[0]] = replaced(tree[path[0]], path[1:], value)
    return copy


def look_up(tree: Any, path: tuple[Step, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def leaves(tree: object, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], object]]:
    """Yield every value that is neither table nor array, with its path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree


def written(path: tuple[Step, ...]) -> str:
    """Return the path as people write it: links[0].port."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if BARE_KEY.fullmatch(step) else quoted(step))
    return text or "the file"


def found(path: tuple[Step, ...], value: object) -> str:
    """Return the value as TOML writes it, or what kind it is; never a secret."""
    if any(isinstance(step, str) and SECRET.search(step) for step in path):
        return "a value that is not shown"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array" if value else "an empty array"
    if isinstance(value, str):
        return quoted(USERINFO.sub("…@", value))
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    return shown(value)


def suggestion(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(sorted(known))}"


def known_keys(type_: type, path: tuple[Step, ...]) -> list[str]:
    """Return the keys that a table at `path` may have."""
    return [
        field.encode_name for s in fields_at(type_, path) if isinstance(s, inspect.StructType) for field in s.fields
    ]


def fields_at(type_: type, path: tuple[Step, ...]) -> list[inspect.Type]:
    """Return what msgspec knows of the types that may stand at `path`: several in a union, none if unknown."""
    types = [inspect.type_info(type_)]
    for step in path:
        types = [inner for outer in alternatives(types) for inner in inside(outer, step)]
    return alternatives(types)


def alternatives(types: list[inspect.Type]) -> list[inspect.Type]:
    flat: list[inspect.Type] = []
    for type_ in types:
        if isinstance(type_, inspect.Metadata):
            flat += alternatives([type_.type])
        elif isinstance(type_, inspect.UnionType):
            flat += alternatives(list(type_.types))
        else:
            flat.append(type_)
    return flat


def inside(outer: inspect.Type, step: Step) -> list[inspect.Type]:
    """Return the types of what `step` reaches in a table or an array."""
    if isinstance(outer, inspect.StructType):
        return [field.type for field in outer.fields if field.encode_name == step]
    if isinstance(outer, inspect.DictType):
        return [outer.value_type]
    if isinstance(outer, inspect.TupleType) and isinstance(step, int):
        return list(outer.item_types[step : step + 1])
    if isinstance(outer, (inspect.VarTupleType, inspect.ListType)):
        return [outer.item_type]
    return []


def expectation(message: str, types: list[inspect.Type]) -> str:
    """Return what was expected, from the type where it says more than msgspec's message."""
    choices = [choice for type_ in types for choice in choices_of(type_)]
    if choices and (not message or message.startswith("Invalid enum")):
        return "one of " + ", ".join(shown(choice) for choice in choices)
    for type_ in types if " | " not in message.replace(" | null", "") else ():
        if isinstance(type_, (inspect.IntType, inspect.FloatType)) and type_.ge is not None and type_.le is not None:
            return f"{name_of(type_)} from {type_.ge} to {type_.le}"
    if not message:
        return " or ".join(name_of(type_) for type_ in types if not isinstance(type_, inspect.NoneType)) or "a value"
    text = message.removeprefix("Expected ").removeprefix("Invalid ").partition(", got")[0].replace("`", "")
    text = text.replace(" | null", "").replace(" | ", " or ").replace("object", "table")
    return text if message.startswith("Expected") else f"a valid {text}"


def choices_of(type_: inspect.Type) -> list[object]:
    if isinstance(type_, inspect.LiteralType):
        return list(type_.values)
    return [member.value for member in type_.cls] if isinstance(type_, inspect.EnumType) else []


def name_of(type_: inspect.Type) -> str:
    if isinstance(type_, inspect.StructType):
        return "table"
    if isinstance(type_, (inspect.VarTupleType, inspect.ListType, inspect.TupleType)):
        return "array"
    if isinstance(type_, inspect.CustomType):
        return type_.cls.__name__.lower()
    return type(type_).__name__.removesuffix("Type").lower().replace("dict", "table")
