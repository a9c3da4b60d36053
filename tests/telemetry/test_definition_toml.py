"""What is written as TOML again is the same definition."""

from pathlib import Path

import pytest

from groundstation.telemetry.definition import load_definition
from groundstation.telemetry.definition_toml import definition_toml

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "satellites").glob("*.toml"))
EVERYTHING = r"""
slug = "every-sat"
version = "1 \"quoted\" \\ \u007f \u0001 ü 🛰"
name = "Every-Sat"
norad_ids = [99001, 99002]
status = "in_orbit"
launched = 2026-02-03
notes = '''two
lines'''

[frame]
modulus = 9223372036854775807
sequence_per = "satellite"
time_unit = "ms"
epoch = 1980-01-05T23:59:42.000001Z

[[downlinks]]
name = "UHF"
frequency_hz = 437_375_000.0

[[packets]]
name = "housekeeping"
match = -9223372036854775808
period_s = 1e-05

[[packets.parameters]]
name = "battery_voltage"
raw = "uint"
polynomial = [1, 1e300, 1e22, 0.1]
limits.warning = { low = 7.0, high = 8.4 }
limits.critical = { low = 6.6 }
optional = true

[[packets.parameters]]
name = "mode"
raw = "uint"
enumeration = { -1 = "NONE", 0 = "NOMINAL", 1 = "SAFE MODE" }
levels = { "SAFE MODE" = "critical" }
"""


@pytest.mark.parametrize("text", [EVERYTHING, *(file.read_text(encoding="utf-8") for file in SHIPPED)])
def test_a_definition_comes_back_as_it_was(text: str) -> None:
    given = load_definition(text, "given")
    again = load_definition(definition_toml(given), "again")
    assert again == given
    assert again.hash == given.hash
