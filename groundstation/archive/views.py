"""One wide view a packet type, for people who type SQL: a column a parameter, as today's definitions have them.

    SELECT time, battery_voltage FROM telemetry_demo_sat_housekeeping WHERE generated_at > …

`time` is what Grafana plots: unix seconds in SQLite, a timestamp in PostgreSQL. Filter by `generated_at`, which the
index has. A view carries a comment that says whose it is and what it was made of: only what changed is made again.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from groundstation.archive.chunks import json_path
from groundstation.archive.engine import FAILURES, one_line
from groundstation.archive.migrate import LOCK as MIGRATION_LOCK
from groundstation.telemetry.definition import Definition, PacketDefinition, Parameter

log = logging.getLogger(__name__)

LOCK = MIGRATION_LOCK + 2
NAME_MOST = 63  # bytes of a name in PostgreSQL
COLUMNS = ("time", "generated_at", "received_at", "station", "kind", "sequence")
COMMENT = re.compile(r"groundstation ([a-z0-9-]+) ([0-9a-f]{16})")
EXISTING = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'view'",
    "postgresql": """SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
        WHERE relkind = 'v' AND relnamespace = current_schema()::regnamespace""",
}


@dataclass(frozen=True, slots=True)
class View:
    name: str
    satellite: str
    select: str

    @property
    def comment(self) -> str:
        digest = hashlib.blake2b(self.select.encode(), digest_size=8).hexdigest()
        return f"groundstation {self.satellite} {digest}"


def keep_views(connection: Connection, definitions: Iterable[Definition]) -> None:
    """Make the views of these definitions as they are now, and drop those of packets that they have no longer.

    Views of other satellites stay: another daemon may know them. A view that cannot be made costs a warning.
    """
    engine = connection.dialect.name
    if engine == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    given = list(definitions)
    wanted = {view.name: view for view in views_of(given, engine)}
    there = {
        name: found for name, text in connection.exec_driver_sql(EXISTING[engine]) if (found := COMMENT.search(text))
    }
    slugs = {one.slug for one in given}
    for name, comment in there.items():
        if name not in wanted and comment[1] in slugs:
            _try(connection, name, [f'DROP VIEW "{name}"'])
    for name, view in wanted.items():
        if name not in there or there[name][0] != view.comment:
            _try(connection, name, [f'DROP VIEW IF EXISTS "{name}"', *creation(view, engine)])


def creation(view: View, engine: str) -> list[str]:
    if engine == "sqlite":
        return [f'CREATE VIEW "{view.name}" AS /* {view.comment} */ {view.select}']
    return [f'CREATE VIEW "{view.name}" AS {view.select}', f"COMMENT ON VIEW \"{view.name}\" IS '{view.comment}'"]


def _try(connection: Connection, name: str, statements: Iterable[str]) -> None:
    """Run the statements or none of them: a view that people built upon ours keeps it from being replaced."""
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.exec_driver_sql(statement)
    except FAILURES as error:
        log.warning("the view %s stays as it is: %s", name, one_line(error))


def views_of(definitions: Iterable[Definition], engine: str) -> list[View]:
    """Return the views, each under a name of its own."""
    found: dict[str, View] = {}
    for definition in sorted(definitions, key=lambda one: one.slug):
        for packet in definition.packets:
            name = view_name(definition.slug, packet.name, found)
            found[name] = View(name, definition.slug, select_of(definition.slug, packet, engine))
    return list(found.values())


def view_name(slug: str, packet: str, taken: Mapping[str, View]) -> str:
    """Return telemetry_<satellite>_<packet>; a digest distinguishes what would be too long, or there already."""
    name = f"telemetry_{slug}_{packet}".replace("-", "_")
    if len(name) <= NAME_MOST and name not in taken:
        return name
    digest = hashlib.blake2b(f"{slug}/{packet}".encode(), digest_size=4).hexdigest()
    return f"{name[: NAME_MOST - 9]}_{digest}"


def select_of(slug: str, packet: PacketDefinition, engine: str) -> str:
    time = "generated_at / 1e6" if engine == "sqlite" else "generated_at"
    columns = [f"{time} AS time", *COLUMNS[1:]]
    names = {parameter.name for parameter in packet.parameters} | set(COLUMNS)
    for parameter in packet.parameters:
        name = parameter.name
        while name in COLUMNS or (name != parameter.name and name in names):
            name += "_"
        value = sqlite_value(parameter) if engine == "sqlite" else postgresql_value(parameter)
        columns.append(f'{value} AS "{name}"')
        names.add(name)
    # Slugs and names are letters, digits, - and _ alone, which the definition has checked.
    return f"SELECT {', '.join(columns)} FROM packet WHERE satellite = '{slug}' AND name = '{packet.name}'"  # noqa: S608


def sqlite_value(parameter: Parameter) -> str:
    return f"json_extract(parameters, '{json_path(parameter.name)}')"


def postgresql_value(parameter: Parameter) -> str:
    """Return a number, or text for what is no number; a value that an older definition made otherwise is NULL."""
    if parameter.enumeration is not None or parameter.raw in ("string", "binary"):
        return f"parameters ->> '{parameter.name}'"
    item = f"(parameters -> '{parameter.name}')"
    text = f"({item} #>> '{{}}')"
    truth = f"{text}::boolean::int::float8"
    return f"CASE jsonb_typeof({item}) WHEN 'number' THEN {text}::float8 WHEN 'boolean' THEN {truth} END"
