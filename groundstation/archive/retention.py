"""What the archive forgets, some thousands of rows a transaction, so that the writer never waits for long.

Age is counted from reception: a packet whose satellite has lost its clock is as young as any that came with it. A
packet goes only once its hour is rolled up, and the roll-up stays.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from groundstation.archive.columns import Time
from groundstation.archive.engine import sqlite_cursor
from groundstation.archive.maintenance import free_pages
from groundstation.archive.rows import HOUR_US
from groundstation.archive.settings import RetentionSettings
from groundstation.archive.tables import packet

CHUNK = 1000  # rows: 3 ms on SQLite, where 5000 take 21 ms and now and then half a second
FREE_PAGES = 500  # of SQLite's file, given back in one transaction
DAY_US = 86_400_000_000
KINDS = ("realtime", "dump")

# The hour that a packet belongs to; % keeps the sign, and an hour before 1970 begins below.
HOUR = {
    "sqlite": f"generated_at - ((generated_at % {HOUR_US}) + {HOUR_US}) % {HOUR_US}",
    "postgresql": "date_trunc('hour', generated_at)",
}
# NOT IN is looked up in memory, NOT EXISTS would read all marks for each packet: 17 ms a chunk beside 100 packets/s.
SETTLED = "{hour} NOT IN (SELECT hour FROM rollup_dirty WHERE satellite = {satellite})"
AGED = "satellite = {satellite} AND kind = {kind} AND received_at < {before}"
OLD = {
    "packet": f"{AGED} AND {SETTLED} ORDER BY received_at",
    "reception": f"{AGED} ORDER BY received_at",
    "quarantine": "arrived_at < {before} ORDER BY arrived_at",
}
KEYS = {
    "packet": ("satellite", "generated_at", "digest"),
    "reception": ("satellite", "generated_at", "digest", "station"),
    "quarantine": ("id",),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What goes: rows of a table before a time; of one satellite and kind, where the table has them."""

    table: str
    before_us: int
    satellite: str | None = None
    kind: str | None = None


def rules_of(settings: RetentionSettings, satellites: Iterable[str], now_us: int) -> list[Rule]:
    """Return what goes now."""
    rules = []
    for slug in satellites:
        for kind in KINDS:
            if days := settings.days(slug, kind):
                before_us = now_us - round(days * DAY_US)
                rules += [Rule(table, before_us, slug, kind) for table in ("packet", "reception")]
    if settings.quarantine_d:
        rules.append(Rule("quarantine", now_us - round(settings.quarantine_d * DAY_US)))
    return rules


def satellites_kept(connection: Connection) -> list[str]:
    """Return every satellite with packets, jumping through the index from one to the next."""
    found: list[str] = []
    query = select(func.min(packet.c.satellite))
    slug = connection.scalar(query)
    while slug is not None:
        found.append(slug)
        slug = connection.scalar(query.where(packet.c.satellite > slug))
    return found


def forget(connection: Connection, rule: Rule, most: int = CHUNK) -> int:
    """Delete up to `most` of the oldest rows that the rule means and return how many went."""
    engine = connection.dialect.name
    before: Any = Time().process_bind_param(rule.before_us, connection.dialect)
    given = {"satellite": rule.satellite, "kind": rule.kind, "before": before, "most": most}
    mark = {name: f":{name}" if engine == "sqlite" else f"%({name})s" for name in given}
    old = OLD[rule.table].format(hour=HOUR[engine], **mark)
    if engine == "sqlite":
        sql = f"DELETE FROM {rule.table} WHERE rowid IN (SELECT rowid FROM {rule.table} WHERE {old} LIMIT :most)"  # noqa: S608  (our own names)
        return sqlite_cursor(connection).execute(sql, given).rowcount
    keys = KEYS[rule.table]
    same = " AND ".join(f"{rule.table}.{key} = old.{key}" for key in keys)
    # One statement sees the packets and the marks of one moment: who sees a packet sees the mark that came with it.
    oldest = f"SELECT {', '.join(keys)} FROM {rule.table} WHERE {old} LIMIT %(most)s"  # noqa: S608
    sql = f"DELETE FROM {rule.table} USING ({oldest}) AS old WHERE {same}"  # noqa: S608
    return connection.exec_driver_sql(sql, given).rowcount


def free_some(connection: Connection) -> bool:
    """Give some free pages of a SQLite file back and return whether there are more; PostgreSQL does so by itself."""
    if connection.dialect.name != "sqlite":
        return False
    return free_pages(sqlite_cursor(connection), FREE_PAGES)
