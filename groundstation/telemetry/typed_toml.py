"""Read TOML into a typed value, or say in one line a fault where it is, what was found and what was expected.

`config/x.toml: links[0].port: found "abc", expected int`
"""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator
from datetime import date, datetime, time
from itertools import repeat
from pathlib import PurePath
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from groundstation.telemetry.text import quoted, shown

T = TypeVar("T")
Step = str | int  # a table's key or an array's index
Path = tuple[Step, ...]

SECRET = re.compile(r"pass(word|wd|phrase)|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
USERINFO = re.compile(r"(?<=://)[^/@\s]*@")  # user and password in a URL
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read_typed(text: str, where: str, type_: type[T], error: type[ValueError]) -> T:
    """Return the TOML `text` as a `type_`, a msgspec Struct that forbids unknown fields.

    Raises `error` with a line for each fault that begins with `where`, usually the file's path. No float may be NaN or
    infinite. The value of a key that looks like a secret is never printed.
    """
    raw = parse_toml(text, where, error)
    told = list(misfits(raw, type_))
    told += strange_values(raw, {path for path, _ in told})
    if told:
        raise error("\n".join(f"{where}: {line}" for _, line in told))
    typed: T = convert(raw, type_)
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


def convert(raw: object, type_: Any) -> Any:
    # TOML's keys are always text: str_keys lets an enumeration have integers for keys.
    return msgspec.convert(raw, type_, strict=True, str_keys=True, dec_hook=decode_path)


def decode_path(type_: type, raw: object) -> object:
    """Make a Path, which msgspec does not know, of a TOML string."""
    if not issubclass(type_, PurePath):
        raise NotImplementedError(f"no TOML value becomes a {type_.__name__}")
    if not isinstance(raw, str) or not raw:
        raise ValueError("Expected `path`")
    return type_(raw)


def misfits(raw: object, type_: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield place and line of all that keeps `raw` from being a `type_`.

    msgspec stops at the first fault: what does not convert is taken apart, until each part alone is right or at fault.
    """
    try:
        convert(raw, type_)
    except msgspec.ValidationError as invalid:
        inside = list(misfits_inside(raw, bare(type_), path))
        yield from inside or [(path, misfit(str(invalid), raw, type_, path))]


def misfits_inside(raw: object, type_: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the faults of a table's or an array's parts; none where it is at fault itself, or is neither."""
    origin, arguments = get_origin(type_), get_args(type_)
    if isinstance(raw, dict) and origin is dict:
        for key, value in raw.items():
            yield from misfits_of_key(key, arguments[0], (*path, key))
            yield from misfits(value, arguments[1], (*path, key))
    elif isinstance(raw, dict) and origin is None and issubclass(type_, msgspec.Struct):
        yield from misfits_of_struct(raw, type_, path)
    elif isinstance(raw, list) and origin is tuple:
        every = repeat(arguments[0]) if arguments[-1] is ... else arguments
        if arguments[-1] is ... or len(arguments) == len(raw):
            for index, (item, part) in enumerate(zip(raw, every, strict=False)):
                yield from misfits(item, part, (*path, index))


def misfits_of_struct(raw: dict[str, Any], type_: type[msgspec.Struct], path: Path) -> Iterator[tuple[Path, str]]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    meant = []
    for key, value in raw.items():
        if key in fields:
            yield from misfits(value, fields[key].type, (*path, key))
        else:
            near = difflib.get_close_matches(key, fields, n=1)
            meant += near
            suggestion = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(sorted(fields))}"
            yield (*path, key), f"{written((*path, key))}: unknown key, {suggestion}"
    for key, field in fields.items():
        if field.required and key not in raw and key not in meant:  # who wrote it wrongly has not left it out too
            yield (*path, key), f"{written((*path, key))}: missing, expected {expectation('', field.type)}"


def misfits_of_key(key: str, type_: Any, path: Path) -> Iterator[tuple[Path, str]]:
    try:
        convert({key: None}, GenericAlias(dict, (type_, Any)))
    except msgspec.ValidationError as invalid:
        expected = expectation(str(invalid).partition(" - at `")[0], Any)
        yield path, f"{written(path)}: found the key {quoted(key)}, expected {expected}"


def bare(type_: Any) -> Any:
    """Return a type without its bounds and without `| None`."""
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return bare(arguments[0])
    some = [one for one in arguments if one is not NoneType] if origin in (Union, UnionType) else []
    return bare(some[0]) if len(some) == 1 else type_


def misfit(message: str, raw: object, type_: Any, path: Path) -> str:
    """Return msgspec's message with the value found and the field's own words."""
    message = message.partition(" - at `")[0]
    if not message.startswith(("Expected", "Invalid")):
        return f"{written(path)}: {message}"
    return f"{written(path)}: found {found(path, raw)}, expected {expectation(message, type_)}"


def strange_values(raw: object, told: Collection[Path]) -> Iterator[tuple[Path, str]]:
    """Yield place and line of what TOML can say and nothing of ours can mean, but not below what was `told`."""
    for path, value in leaves(raw, told):
        if isinstance(value, str) and "\0" in value:
            yield path, f"{written(path)}: found {found(path, value)}, expected text without NUL"
        if isinstance(value, float) and value - value != 0.0:  # NaN and the infinities
            yield path, f"{written(path)}: found {found(path, value)}, expected a finite number"


def leaves(tree: object, without: Collection[Path], path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield every value that is neither table nor array, with its path.

    Where nobody knows a key, tables may be nested thousands deep: there is no going `without` that.
    """
    if path in without:
        return
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, without, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, without, (*path, index))
    else:
        yield path, tree


def written(path: Path) -> str:
    """Return the path as people write it: links[0].port."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if BARE_KEY.fullmatch(step) else quoted(step))
    return text or "the file"


def found(path: Path, value: object) -> str:
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


def expectation(message: str, type_: Any) -> str:
    """Return what was expected, from the type where it says more than msgspec's message."""
    types = alternatives([inspect.type_info(type_)])
    choices = [choice for one in types for choice in choices_of(one)]
    if choices and (not message or message.startswith("Invalid enum")):
        return "one of " + ", ".join(shown(choice) for choice in choices)
    for one in types if " | " not in message.replace(" | null", "") else ():
        if isinstance(one, (inspect.IntType, inspect.FloatType)) and one.ge is not None and one.le is not None:
            return f"{name_of(one)} from {one.ge} to {one.le}"
    if not message:
        return " or ".join(name_of(one) for one in types if not isinstance(one, inspect.NoneType)) or "a value"
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
