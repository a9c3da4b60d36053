"""Element sets that the tests share: official verification vectors, our own files, and ways to spoil them."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements
from groundstation.orbit.site import Site
from groundstation.orbit.tle import checksum

OBSERVATORY = Site("hko", "Hong Kong Observatory", 22.30194, 114.17417, 32.0, mask_deg=5.0)

KUANFU = """JILIN-1 KUANFU 02A
1 57696U 23127A   26234.62989146  .00003718  00000+0  22558-3 0  9993
2 57696  97.5555 327.6192 0012962 108.7287 251.5351 15.11079105165660
"""


def shipped() -> list[Elements]:
    """Return the sets of our own tle/ folder."""
    path = Path(__file__).parents[2] / "tle" / "hong-kong.tle"
    return parse_elements(path.read_text(encoding="utf-8"), path.name)


def verification_text() -> str:
    """Return SGP4-VER.TLE of the sgp4 package (Vallado and others, AIAA 2006-6753) without its time columns.

    Where a line is only 67 or 68 columns long, as those of Spacetrack Report #3, it is left out with its pair.
    """
    lines = (files("sgp4") / "SGP4-VER.TLE").read_text(encoding="ascii").splitlines()
    pairs = [
        (lines[i].rstrip(), lines[i + 1][:69].rstrip()) for i in range(len(lines) - 1) if lines[i].startswith("1 ")
    ]
    whole = [pair for pair in pairs if all(len(line) == 69 for line in pair)]
    return "\n".join(f"{one}\n{two}" for one, two in whole)


def verification_sets() -> list[Elements]:
    """Return the verification sets whose checksums are right, the first of each object."""
    lines = verification_text().splitlines()
    pairs = zip(lines[::2], lines[1::2], strict=True)
    right = [pair for pair in pairs if all(int(line[68]) == checksum(line) for line in pair)]
    every = [parse_elements("\n".join(pair), "SGP4-VER.TLE")[0] for pair in right]
    return list({one.norad_id: one for one in reversed(every)}.values())


def with_checksums(text: str) -> str:
    """Return the set with both checksums made right again after a deliberate change."""
    lines = text.splitlines()
    return "\n".join(line[:68] + str(checksum(line)) if line[:2] in {"1 ", "2 "} else line for line in lines)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
