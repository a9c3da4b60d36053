"""TimescaleDB, where a database has it: the tables that grow become hypertables, partitioned by time.

The extension is the administrator's to create; an archive is converted at the next start or `groundstation db upgrade`,
and everything else stays as it is on plain PostgreSQL: each unique key holds the column that partitions.
"""

import logging

from sqlalchemy import Connection

log = logging.getLogger(__name__)

INSTALLED = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
# By table: the column, and how much time lies in a chunk, which at best is as much as memory holds.
HYPERTABLES = {
    "packet": ("generated_at", "7 days"),
    "reception": ("generated_at", "7 days"),
    "rollup_1h": ("hour", "90 days"),
}


def statements() -> list[str]:
    """Return what makes the hypertables; a table that is one already stays as it is.

    In the words that every version since 1.0 understands: `by_range` came with 2.13.
    """
    return [
        f"SELECT create_hypertable('{table}', '{column}', chunk_time_interval => interval '{chunk}',"
        " create_default_indexes => false, if_not_exists => true, migrate_data => true)"
        for table, (column, chunk) in HYPERTABLES.items()
    ]


def make_hypertables(connection: Connection) -> bool:
    """Make the hypertables and return whether the database has TimescaleDB."""
    if connection.dialect.name != "postgresql" or connection.exec_driver_sql(INSTALLED).scalar() is None:
        return False
    for statement in statements():
        connection.exec_driver_sql(statement)
    log.info("the archive's tables are hypertables of TimescaleDB")
    return True
