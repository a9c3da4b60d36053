"""Read element sets from text of any of the four forms, told apart by how the text begins."""

from groundstation.orbit.elements import Elements, ElementsError
from groundstation.orbit.omm import parse_csv, parse_json, parse_xml
from groundstation.orbit.tle import parse_tle


def parse_elements(text: str, where: str) -> list[Elements]:
    """Return every set in TLE or OMM (JSON, CSV, XML) `text`; one fault refuses all.

    `where`, usually the file's path, begins each message. Raises ElementsError.
    """
    text = text.removeprefix("\ufeff")
    start = text.lstrip()
    if start[:1] in {"[", "{"}:
        return parse_json(text, where)
    if start[:9].lower() == "<!doctype" or start[:5].lower() == "<html":
        raise ElementsError(f"{where}:1: found an HTML page or a document type, expected TLE or OMM")
    if start.startswith("<"):
        return parse_xml(start, where)
    if "NORAD_CAT_ID" in start.partition("\n")[0].split(","):
        return parse_csv(start, where)
    return parse_tle(text, where)
