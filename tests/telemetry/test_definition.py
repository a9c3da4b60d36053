# ruff: noqa: E501  (one row of a table is one line)

import hashlib
import textwrap
from datetime import date
from pathlib import Path

import pytest

from groundstation.telemetry import definition as definition_module
from groundstation.telemetry.definition import Bounds, Definition, DefinitionError, FrameKeys, Limits, load_definition
from groundstation.telemetry.packet import Level
from tests.telemetry.definitions import HEAD, packet

CATALOGUE = sorted((Path(__file__).parents[2] / "config" / "satellites").glob("*.toml"))
WHERE = "config/satellites/test-sat.toml"
AT = "packets[0].parameters[0]"
PATHS = "expected names and array positions separated by single dots"


def told(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        load_definition(text, WHERE)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{WHERE}: ") for line in lines)
    return [line.removeprefix(f"{WHERE}: ") for line in lines]


def hk(body: str) -> str:
    """Return a definition with one parameter `a`."""
    return HEAD + packet(f'name = "a"\n{body}')


UINT, TEXT = 'raw = "uint"\n', 'raw = "string"\n'
SWITCH = UINT + 'enumeration = { 0 = "OFF", 1 = "ON" }\n'

FAULTS = {
    # identity
    HEAD.replace("test-sat", "other"): 'slug: found "other", expected "test-sat", the file\'s name',
    HEAD.replace("test-sat", "Test Sat"): "slug: found \"Test Sat\", expected str matching regex '^[a-z0-9][a-z0-9-]{0,62}$'",
    HEAD.replace("simulated", "flying"): 'status: found "flying", expected one of "decayed", "in_orbit", "simulated"',
    HEAD + "norad_ids = [5]": "norad_ids: found some, expected none: a simulated satellite is in no catalogue",
    HEAD + "norad_ids = [0]": "norad_ids[0]: found 0, expected int from 1 to 999999999",
    HEAD.replace("simulated", "in_orbit") + "norad_ids = [7, 8, 7]": "norad_ids[2]: found 7 again, already at norad_ids[0]",
    HEAD + 'cospar_ids = ["2026-027A", "2026-027A"]': 'cospar_ids[1]: found "2026-027A" again, already at cospar_ids[0]',
    HEAD + 'cospar_ids = ["26027A"]': 'cospar_ids[0]: found "26027A", expected str matching regex '
    "'^[0-9]{4}-[0-9]{3}[A-Z]{1,3}$'",
    HEAD + 'confidence = "sure"': 'confidence: found "sure", expected one of "certain", "likely", "unverified"',
    HEAD + 'launched = "soon"': 'launched: found "soon", expected a valid RFC3339 encoded date',
    HEAD + 'operater = "us"': "operater: unknown key, did you mean operator?",
    HEAD.replace('version = "1"\n', ""): "version: missing, expected str",
    # downlinks
    HEAD + '[[downlinks]]\nname = "a"\nfrequency_hz = 437.5': "downlinks[0].frequency_hz: found 437.5, "
    "expected float from 100000.0 to 1000000000000.0",
    HEAD + '[[downlinks]]\nname = "a"\nfrequency_hz = 1e9\n' * 2: 'downlinks[1].name: found "a" again, already at downlinks[0]',
    # frame
    HEAD + '[frame]\ntime_unit = "min"': 'frame.time_unit: found "min", expected one of "ms", "ns", "s", "us"',
    HEAD + "[frame]\nepoch = 2000-01-01T12:00:00": "frame.epoch: found 2000-01-01T12:00:00, "
    "expected datetime with a timezone component",
    HEAD + "[frame]\nmodulus = 1": "frame.modulus: found 1, expected int from 2 to 9223372036854775807",
    HEAD + '[frame]\ndata = "d..x"': f'frame.data: found "d..x", {PATHS}',
    HEAD + '[frame]\npacket = "."': f'frame.packet: found ".", {PATHS}',
    HEAD + '[frame]\nsequence = "n n"': f'frame.sequence: found "n n", {PATHS}',
    HEAD + '[frame]\ntime = "t."': f'frame.time: found "t.", {PATHS}',
    HEAD + '[frame]\npacket = ""\n' + packet() + packet(head='name = "b"'): 'frame.packet: found "", expected a key path: '
    "nothing else tells 2 packets apart",
    # packets
    HEAD + packet(head='name = "HK"'): "packets[0].name: found \"HK\", expected str matching regex '^[a-z][a-z0-9_]{0,62}$'",
    HEAD + packet(head='name = "a"') * 2: 'packets[1].name: found "a" again, already at packets[0]',
    HEAD + packet() + packet(head='name = "b"\nmatch = 1'): "packets[1].match: found 1, which packets[0] matches already",
    HEAD + packet() + packet(head='name = "b"\nmatch = "hk"'): 'packets[1].match: found "hk", which packets[0] matches already',
    HEAD + packet(head='name = "b"\nmatch = "hk"') + packet(): 'packets[0].match: found "hk", which packets[1] matches already',
    HEAD + packet(head='name = "b"\nmatch = 1.5'): "packets[0].match: found 1.5, expected int or str",
    HEAD + packet(head='name = "b"\nperiod_s = 0'): "packets[0].period_s: found 0, expected float > 0.0",
    # parameters
    HEAD + packet('name = "a"\nraw = "uint"', 'name = "a"\nraw = "int"'): 'packets[0].parameters[1].name: found "a" again, '
    "already at packets[0].parameters[0]",
    hk("").strip(): f'{AT}.raw: missing, expected one of "binary", "bool", "float", "int", "string", "uint"',
    hk('raw = "u16"'): f'{AT}.raw: found "u16", expected one of "binary", "bool", "float", "int", "string", "uint"',
    hk(UINT + 'key = "eps."'): f'{AT}.key: found "eps.", {PATHS} (hk.a)',
    hk(UINT + 'key = "eps..0"'): f'{AT}.key: found "eps..0", {PATHS} (hk.a)',
    # calibrators
    hk(SWITCH + "polynomial = [1.0]"): f"{AT}.enumeration: found beside polynomial, expected one calibrator (hk.a)",
    hk(UINT + "linear = {slope = 1.0}\npolynomial = [1.0]"): f"{AT}.polynomial: found beside linear, expected one calibrator (hk.a)",
    hk(UINT + "linear = {offset = 1.0}"): f"{AT}.linear.slope: missing, expected float",
    hk(UINT + "linear = {slope = nan}"): f"{AT}.linear.slope: found NaN, expected a finite number",
    hk(UINT + "polynomial = []"): f"{AT}.polynomial: found an empty array, expected array of length >= 1",
    hk(UINT + 'polynomial = [1, "x"]'): f'{AT}.polynomial[1]: found "x", expected float',
    hk(UINT + "enumeration = {}"): f"{AT}.enumeration: found a table, expected table of length >= 1",
    hk(UINT + 'enumeration = {on = "ON"}'): f'{AT}.enumeration.on: found the key "on", expected int',
    hk(UINT + f"enumeration = {{1 = '{'x' * 101}'}}"): f'{AT}.enumeration.1: found "{"x" * 59}…", expected str of length <= 100',
    hk(UINT + "enumeration = {1 = 1}"): f"{AT}.enumeration.1: found 1, expected str",
    hk(TEXT + "linear = {slope = 1.0}"): f'{AT}.linear: found on raw "string", expected raw "int" or "uint" or "float" (hk.a)',
    hk('raw = "bool"\npolynomial = [1.0]'): f'{AT}.polynomial: found on raw "bool", expected raw "int" or "uint" or "float" (hk.a)',
    hk('raw = "float"\nenumeration = {1 = "ON"}'): f'{AT}.enumeration: found on raw "float", expected raw "int" or "uint" (hk.a)',
    # valid range and limits
    hk(UINT + "valid_range = {}"): f"{AT}.valid_range: found no bound, expected low, high or both (hk.a)",
    hk(UINT + "valid_range = {low = 2, high = 1}"): f"{AT}.valid_range.low: found 2.0, expected below high, which is 1.0 (hk.a)",
    hk(TEXT + "valid_range = {low = 2}"): f'{AT}.valid_range: found on raw "string", expected a number (hk.a)',
    hk(TEXT + "limits.warning = {low = 2}"): f'{AT}.limits: found on raw "string", expected a number (hk.a)',
    hk('raw = "bool"\nlimits.warning = {low = 2}'): f'{AT}.limits: found on raw "bool", expected a number (hk.a)',
    hk(SWITCH + "limits.warning = {low = 2}"): f"{AT}.limits: found on an enumeration: use levels, expected a number (hk.a)",
    hk(UINT + "limits = {}"): f"{AT}.limits: found no level, expected watch, warning, distress, critical or severe (hk.a)",
    hk(UINT + "limits.red = {low = 2}"): f"{AT}.limits.red: unknown key, expected one of critical, distress, severe, warning, watch",
    hk(UINT + "limits.watch = {}"): f"{AT}.limits.watch: found no bound, expected low, high or both (hk.a)",
    hk(UINT + "limits.watch = {low = 3, high = 3}"): f"{AT}.limits.watch.low: found 3.0, expected below high, which is 3.0 (hk.a)",
    hk(UINT + "limits.watch = {lo = 3}"): f"{AT}.limits.watch.lo: unknown key, did you mean low?",
    hk(UINT + "limits.warning = {low = 7.0}\nlimits.critical = {low = 7.1}"): f"{AT}.limits.critical.low: found 7.1, "
    "expected below 7.0, the low of warning (hk.a)",
    hk(UINT + "limits.warning = {low = 7.0}\nlimits.critical = {low = 7.0}"): f"{AT}.limits.critical.low: found 7.0, "
    "expected below 7.0, the low of warning (hk.a)",
    hk(UINT + "limits.watch = {high = 2}\nlimits.severe = {low = 2}"): f"{AT}.limits.severe.low: found 2.0, "
    "expected below 2.0, the high of watch (hk.a)",
    hk(UINT + "limits.watch = {high = 8}\nlimits.severe = {high = 8}"): f"{AT}.limits.severe.high: found 8.0, "
    "expected above 8.0, the high of watch (hk.a)",
    hk(UINT + "limits.watch = {high = 1}\nlimits.severe = {low = 2}"): f"{AT}.limits.severe.low: found 2.0, "
    "expected below 1.0, the high of watch (hk.a)",
    # levels
    hk(UINT + 'levels = {ON = "watch"}'): f"{AT}.levels: found without an enumeration, expected limits for a number (hk.a)",
    hk(SWITCH + 'levels = {ONN = "watch"}'): f"{AT}.levels.ONN: found no such label in the enumeration, expected one of OFF, ON (hk.a)",
    hk(SWITCH + 'levels = {ON = "red"}'): f'{AT}.levels.ON: found "red", expected one of "critical", "distress", "severe", '
    '"warning", "watch"',
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FAULTS.items())
def test_a_mistake_is_told_by_file_and_key(text: str, expected: str) -> None:
    assert told(text) == [expected]


def test_every_mistake_is_told_at_once() -> None:
    both = hk(TEXT + "linear = {slope = 1.0}\nlimits.watch = {}")
    assert (
        len(told(both.replace('name = "hk"', 'name = "hk"\n') + "[[downlinks]]\nname = 'a'\nfrequency_hz = 1e9\n" * 2))
        == 4
    )


def load(text: str) -> Definition:
    return load_definition(text, "test-sat.toml")


def test_the_hash_does_not_see_comments_layout_order_and_written_defaults() -> None:
    plain = HEAD + packet('name = "a"\nraw = "uint"\nenumeration = { 0 = "OFF", 1 = "ON" }')
    other = (
        '# a comment\nstatus = "simulated"\n'
        + HEAD.replace('status = "simulated"\n', "\n")
        + "[frame]\nmodulus = 16384\n"
    )
    other += packet('enumeration = { 1 = "ON", 0 = "OFF" }\nraw   =   "uint"\nname = "a"\noptional = false')
    assert load(plain).hash == load(other).hash
    assert len(bytes.fromhex(load(plain).hash)) == 16


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('version = "1"', 'version = "2"'),
        ("0.001", "0.002"),
        ("low = 7.0", "low = 7"),
        ("low = 7.0", "low = 7.1"),
        ("match = 1", "match = 2"),
    ],
)
def test_the_hash_changes_with_the_content_and_only_with_it(old: str, new: str) -> None:
    text = hk(UINT + "linear = { slope = 0.001 }\nlimits.watch = { low = 7.0 }")
    assert old in text
    assert (load(text).hash == load(text.replace(old, new)).hash) == (new == "low = 7")


def test_the_hash_is_of_what_differs_from_the_defaults_as_sorted_json() -> None:
    # Kept with every stored packet: were it to change with the software, the archive would say that the file changed.
    canonical = (
        '{"name":"Test-Sat","packets":[{"match":1,"name":"hk","parameters":[{"linear":{"slope":0.001},"name":"a",'
        '"raw":"uint"}]}],"slug":"test-sat","status":"simulated","version":"1"}'
    )
    expected = hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
    assert load(hk(UINT + "linear = { slope = 0.001 }")).hash == expected == "620ef23a5e3fb825e487d0484883dc33"


def test_the_drawing_at_the_modules_top_is_a_definition_with_every_default_as_drawn() -> None:
    drawn = "\n".join(line for line in (definition_module.__doc__ or "").splitlines() if line.startswith("    "))
    loaded = load_definition(textwrap.dedent(drawn), "demo-sat.toml")
    assert loaded.frame == FrameKeys()
    assert [parameter.name for parameter in loaded.packets[0].parameters] == ["battery_voltage", "mode"]


def test_limits_are_listed_mildest_first() -> None:
    limits = Limits(severe=Bounds(low=1.0), watch=Bounds(low=3.0), critical=Bounds(low=2.0))
    assert [level for level, _ in limits.by_level()] == [Level.WATCH, Level.CRITICAL, Level.SEVERE]


def shipped() -> dict[str, Definition]:
    return {file.stem: load_definition(file.read_text(encoding="utf-8"), str(file)) for file in CATALOGUE}


def test_the_catalogue_has_the_satellites_of_hong_kong_and_the_demo() -> None:
    catalogue = shipped()
    by_status = {
        status: {s for s, d in catalogue.items() if d.status == status}
        for status in ("in_orbit", "decayed", "simulated")
    }
    assert by_status["in_orbit"] == {"hkust-fybb-1", "hong-kong-youth-1", "cuhk-1"}
    assert len(by_status["decayed"]) == 12
    assert by_status["simulated"] == {"demo-sat"}
    assert catalogue["cuhk-1"].norad_ids == tuple(range(67746, 67753))
    assert catalogue["hkust-fybb-1"].launched == date(2023, 8, 25)


def test_no_two_satellites_of_the_catalogue_share_a_number_or_a_name() -> None:
    numbers = [number for definition in shipped().values() for number in definition.norad_ids]
    names = [name for definition in shipped().values() for name in (definition.name, *definition.names)]
    assert len(set(numbers)) == len(numbers) == 21
    assert len(set(names)) == len(names)


def test_every_real_satellite_has_a_chinese_name_confidence_and_sources_and_no_invented_packets() -> None:
    for definition in shipped().values():
        assert any("\u4e00" <= character <= "\u9fff" for name in definition.names for character in name)
        if definition.status != "simulated":
            assert definition.confidence is not None
            assert definition.sources
            assert not definition.packets


def test_the_only_shipped_packets_say_that_they_are_invented() -> None:
    demo = shipped()["demo-sat"]
    assert [packet.name for packet in demo.packets] == ["housekeeping", "payload"]
    assert "Invented" in demo.notes
    assert demo.frame.modulus == 16384
