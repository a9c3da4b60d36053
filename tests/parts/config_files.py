"""A small station on disk, so that a test can spoil one thing of it."""

from pathlib import Path

SETTINGS = """\
[[stations]]
slug = "hko"
name = "Hong Kong Observatory"
latitude_deg = 22.30194
longitude_deg = 114.17417
altitude_m = 32
elevation_mask_deg = 5

[[links]]
name = "mqtt"
client_id = "groundstation-test"

[archive]
url = "sqlite:///test.db"

[http]
port = 0
"""
DEFINITION = """\
slug = "one-sat"
version = "1"
name = "One-Sat"
norad_ids = [61231]
status = "in_orbit"

[[packets]]
name = "housekeeping"
match = 1

[[packets.parameters]]
name = "battery_voltage"
raw = "uint"
unit = "V"
linear = { slope = 0.001 }
limits.warning = { low = 7.0, high = 8.4 }
"""
# 2024-173E (Xingshidai-15), epoch 2026-08-22, CelesTrak / Space-Track.
ELEMENTS = """\
2024-173E
1 61231U 24173E   26234.62199417  .00001244  00000+0  62352-4 0  9998
2 61231  97.4113 305.5447 0001523  87.4407 272.7002 15.19170346105844
"""


def write_files(
    directory: Path, *, settings: str = SETTINGS, definition: str = DEFINITION, elements: str = ELEMENTS
) -> Path:
    """Write a station that is good as it stands and return its configuration file."""
    (directory / "satellites").mkdir(parents=True)
    (directory / "tle").mkdir()
    (directory / "satellites" / "one-sat.toml").write_text(definition, encoding="utf-8")
    (directory / "tle" / "one.tle").write_text(elements, encoding="utf-8")
    path = directory / "groundstation.toml"
    path.write_text(settings, encoding="utf-8")
    return path
