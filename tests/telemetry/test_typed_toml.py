from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from groundstation.telemetry.typed_toml import read_typed


class SettingsError(ValueError):
    pass


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Link(Part, frozen=True, kw_only=True):
    name: Annotated[str, Meta(pattern="^[a-z]+$")] = "main"
    port: Annotated[int, Meta(ge=1, le=65535)]
    protocol: Literal["mqtt", "amqp"] = "mqtt"
    password_file: Path | None = None
    url: Annotated[str, Meta(pattern="^mqtts:")] = "mqtts:"
    ca_file: Path | None = None
    retry_s: Annotated[float, Meta(gt=0)] = 1.0
    client_id: Annotated[str, Meta(max_length=4)] | None = None


class Settings(Part, frozen=True):
    links: Annotated[tuple[Link, ...], Meta(max_length=2)] = ()
    labels: dict[int, str] = {}
    weights: dict[str, float] = {}
    home: Link | None = None
    mask_deg: float = 0.0
    pair: tuple[int, str] = (0, "")


def message(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_typed(text, "config/x.toml", Settings, SettingsError)
    return str(caught.value)


LINK = "[[links]]\nport = 1883\n"
DEEP = "a" + ".a" * 5000 + " = 1"

FAULTS = {
    '[[links]]\nport = "abc"': 'links[0].port: found "abc", expected int from 1 to 65535',
    "[[links]]\nport = 0": "links[0].port: found 0, expected int from 1 to 65535",
    "[[links]]\nport = 70000": "links[0].port: found 70000, expected int from 1 to 65535",
    "[[links]]\nport = 2.0": "links[0].port: found 2.0, expected int from 1 to 65535",
    "[[links]]\nport = true": "links[0].port: found true, expected int from 1 to 65535",
    "[[links]]\nport = []": "links[0].port: found an empty array, expected int from 1 to 65535",
    "[[links]]\nport = [1]": "links[0].port: found an array, expected int from 1 to 65535",
    "[[links]]\nport = {a = 1}": "links[0].port: found a table, expected int from 1 to 65535",
    "[[links]]\nport = 2026-11-22": "links[0].port: found 2026-11-22, expected int from 1 to 65535",
    "[[links]]\nprot = 1": "links[0].prot: unknown key, did you mean port?",
    LINK + "xyz = 1": "links[0].xyz: unknown key, expected one of ca_file, client_id, name, password_file, port, "
    "protocol, retry_s, url",
    "lonks = 1": "lonks: unknown key, did you mean links?",
    '"a b" = 1': '"a b": unknown key, expected one of home, labels, links, mask_deg, pair, weights',
    "[home]\nprot = 1": "home.prot: unknown key, did you mean port?",
    "[[links]]": "links[0].port: missing, expected int from 1 to 65535",
    "[home]": "home.port: missing, expected int from 1 to 65535",
    LINK + LINK + 'name = "A"': "links[1].name: found \"A\", expected str matching regex '^[a-z]+$'",
    LINK + 'protocol = "http"': 'links[0].protocol: found "http", expected one of "amqp", "mqtt"',
    LINK + "retry_s = 0": "links[0].retry_s: found 0, expected float > 0.0",
    LINK + 'client_id = "abcde"': 'links[0].client_id: found "abcde", expected str of length <= 4',
    LINK + "client_id = 5": "links[0].client_id: found 5, expected str",
    LINK + "ca_file = 5": "links[0].ca_file: found 5, expected path",
    LINK + 'ca_file = ""': 'links[0].ca_file: found "", expected path',
    LINK * 3: "links: found an array, expected array of length <= 2",
    "links = 3": "links: found 3, expected array",
    "home = 3": "home: found 3, expected table",
    'pair = [1, "a", 2]': "pair: found an array, expected array of length 2",
    "pair = [1, 2]": "pair[1]: found 2, expected str",
    'mask_deg = "5"': 'mask_deg: found "5", expected float',
    "mask_deg = nan": "mask_deg: found NaN, expected a finite number",
    "weights = {a = 1.0, b = -inf}": "weights.b: found -infinity, expected a finite number",
    'weights = {a = 1.0, "b c" = "x", d = 2}': 'weights."b c": found "x", expected float',
    'labels = {1 = "a", two = "b"}': 'labels.two: found the key "two", expected int',
    'labels = {1 = "a", 2 = 3}': "labels.2: found 3, expected str",
    'labels = {1 = "a\\u0000"}': 'labels.1: found "a\ufffd", expected text without NUL',
    f'mask_deg = "{"x" * 500}"': f'mask_deg: found "{"x" * 59}…", expected float',
    'mask_deg = "a\\nb\\u001b[31m"': 'mask_deg: found "a\\u000ab\\u001b[31m", expected float',
    "port = \n": "line 1, column 8: not TOML: invalid value",
    "mask_deg = 1\nmask_deg = 2": "line 2, at the end: not TOML: cannot overwrite a value",
    "[[links]]\nport = 1\n\n[links": None,
    f"mask_deg = {'9' * 5000}": None,
}


@pytest.mark.parametrize(("text", "expected"), [(text, told) for text, told in FAULTS.items() if told])
def test_every_fault_is_one_line_with_file_key_value_and_expectation(text: str, expected: str) -> None:
    assert message(text) == f"config/x.toml: {expected}"


@pytest.mark.parametrize("text", [*FAULTS, "a = " + "[" * 5000, DEEP, f"[home]\nport = 1\n{DEEP}"])
def test_a_fault_is_always_one_line_that_begins_with_the_file(text: str) -> None:
    told = message(text)
    assert told.startswith("config/x.toml: ")
    assert "\n" not in told
    assert len(told) < 250


def test_all_faults_of_a_file_are_told_in_its_order_each_once() -> None:
    text = """\
lonks = 1
mask_deg = nan
pair = ["a", 2]
weights = {a = "x", b = 1, "c d" = inf}
labels = {one = "a", 2 = 3}

[[links]]
prot = 1883
retry_s = 0

[[links]]
name = "A"
password = "hunter2"

[[links]]
port = nan
"""
    assert message(text).splitlines() == [
        f"config/x.toml: {line}"
        for line in (
            "lonks: unknown key, did you mean links?",
            'pair[0]: found "a", expected int',
            "pair[1]: found 2, expected str",
            'weights.a: found "x", expected float',
            'labels.one: found the key "one", expected int',
            "labels.2: found 3, expected str",
            "links[0].prot: unknown key, did you mean port?",
            "links[0].retry_s: found 0, expected float > 0.0",
            "links[1].name: found \"A\", expected str matching regex '^[a-z]+$'",
            "links[1].password: unknown key, did you mean password_file?",
            "links[1].port: missing, expected int from 1 to 65535",
            "links[2].port: found NaN, expected int from 1 to 65535",
            "mask_deg: found NaN, expected a finite number",
            'weights."c d": found infinity, expected a finite number',
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        LINK + 'password = "hunter2"',
        LINK + 'password_file = ["hunter2"]',
        LINK + "password_file = nan\n[home]\nport = 1",
        LINK + 'api_key = "hunter2"',
        LINK + 'url = "amqp://station:hunter2@broker/"',
        'weights = {token = "hunter2"}',
        'labels = {1 = "hunter2"',
        '[links.secret]\nmask_deg = "hunter2"',
    ],
)
def test_a_secret_is_never_printed(text: str) -> None:
    assert "hunter2" not in message(text)


def test_a_url_shows_everything_but_its_password() -> None:
    told = message(LINK + 'url = "amqp://station:hunter2@broker/"')
    assert told == "config/x.toml: links[0].url: found \"amqp://…@broker/\", expected str matching regex '^mqtts:'"


def test_what_is_right_is_typed() -> None:
    text = LINK + 'password_file = "secrets/mqtt"\n[labels]\n1 = "one"\n-2 = "minus two"\n[weights]\na = 1'
    settings = read_typed(text, "x", Settings, SettingsError)
    assert settings.links == (Link(port=1883, password_file=Path("secrets/mqtt")),)
    assert settings.labels == {1: "one", -2: "minus two"}
    assert settings.weights == {"a": 1.0}
