"""Read element sets from text of any of the four forms, told apart by how the text begins."""

from groundstation.orbit.elements import Elements, ElementsError
from groundstation.orbit.omm import Sets, csv_sets, json_sets, xml_sets
from groundstation.orbit.tle import tle_sets


def parse_elements(text: str, where: str) -> list[Elements]:
    """Return every set in TLE or OMM (JSON, CSV, XML) `text`; one fault refuses all.

    `where`, usually the file's path, begins each message. Raises ElementsError.
    """
    found = [read() for read in element_sets(text, where)]
    if not found:
        raise ElementsError(f"{where}: no element set found, expected at least one")
    return found


def examine_elements(text: str, where: str) -> tuple[list[Elements], list[str]]:
    """Return the sets that are good, and a line for each fault: of one set, or of what cannot be told into sets."""
    good: list[Elements] = []
    faults: list[str] = []
    try:
        for read in element_sets(text, where):
            try:
                good.append(read())
            except ElementsError as error:
                faults.append(str(error))
    except ElementsError as error:
        faults.append(str(error))
    if not good and not faults:
        faults.append(f"{where}: no element set found, expected at least one")
    return good, faults


def element_sets(text: str, where: str) -> Sets:
    """Return a reader for each set; it raises ElementsError for its own set, the iterator where no set can be found."""
    text = text.removeprefix("\ufeff")
    start = text.lstrip()
    if start[:1] in {"[", "{"}:
        return json_sets(text, where)
    if start[:9].lower() == "<!doctype" or start[:5].lower() == "<html":
        raise ElementsError(f"{where}:1: found an HTML page or a document type, expected TLE or OMM")
    if start.startswith("<"):
        return xml_sets(start, where)
    if "NORAD_CAT_ID" in start.partition("\n")[0].split(","):
        return csv_sets(start, where)
    return tle_sets(text, where)
