"""A definition as TOML again, for where the file that it came from is gone or says something else by now."""

import json

import msgspec

from groundstation.telemetry.definition import Definition, content


def definition_toml(definition: Definition) -> str:
    """Return text that `load_definition` reads as the same definition, hash and all; comments are not in it."""
    told: dict[str, object] = msgspec.to_builtins(content(definition), str_keys=True)
    return "".join(f"{key} = {value_text(value, between=chr(10))}\n" for key, value in told.items())


def value_text(value: object, between: str = "") -> str:
    """Return one TOML value; `between` parts the members of an array, where a line may end."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{string_text(key)} = {value_text(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{between}{f', {between}'.join(value_text(inner) for inner in value)}{between}]"
    return string_text(value) if isinstance(value, str) else json.dumps(value)  # JSON's numbers are TOML's


def string_text(text: str) -> str:
    """Return a basic string: JSON's, but for the one control character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
