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

CHUNK = 5000  # rows: 45 ms on SQLite
FREE_PAGES = 500  # of SQLite's file, given back in one transaction
DAY_US = 86_400_000_000
KINDS = ("realtime", "dump")

HOUR = {"sqlite": str(HOUR_US), "postgresql": "interval '1 hour'"}
SETTLED = """NOT EXISTS (SELECT 1 FROM rollup_dirty WHERE rollup_dirty.satellite = packet.satellite
    AND packet.generated_at >= rollup_dirty.hour AND packet.generated_at < rollup_dirty.hour + {hour})"""
OLD = {
    "packet": f"satellite = {{mark}} AND kind = {{mark}} AND received_at < {{mark}} AND {SETTLED} ORDER BY received_at",
    "reception": "satellite = {mark} AND kind = {mark} AND received_at < {mark} ORDER BY received_at",
    "quarantine": "arrived_at < {mark} ORDER BY arrived_at",
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
    mark = "?" if engine == "sqlite" else "%s"
    old = OLD[rule.table].format(mark=mark, hour=HOUR[engine])
    before: Any = Time().process_bind_param(rule.before_us, connection.dialect)
    given = (before, most) if rule.satellite is None else (rule.satellite, rule.kind, before, most)
    if engine == "sqlite":
        sql = f"DELETE FROM {rule.table} WHERE rowid IN (SELECT rowid FROM {rule.table} WHERE {old} LIMIT ?)"  # noqa: S608  (our own names)
        return sqlite_cursor(connection).execute(sql, given).rowcount
    keys = KEYS[rule.table]
    same = " AND ".join(f"{rule.table}.{key} = old.{key}" for key in keys)
    # One statement sees the packets and the marks of one moment: who sees a packet sees the mark that came with it.
    oldest = f"SELECT {', '.join(keys)} FROM {rule.table} WHERE {old} LIMIT %s"  # noqa: S608
    sql = f"DELETE FROM {rule.table} USING ({oldest}) AS old WHERE {same}"  # noqa: S608
    return connection.exec_driver_sql(sql, given).rowcount


def free_some(connection: Connection) -> bool:
    """Give some free pages of a SQLite file back and return whether there are more; PostgreSQL does so by itself."""
    if connection.dialect.name != "sqlite":
        return False
    return free_pages(sqlite_cursor(connection), FREE_PAGES)
