"""Where TimescaleDB is, the big tables are hypertables. Debian has no package of it: this tests what it is told."""

import pytest
from sqlalchemy import Connection

from groundstation.archive.tables import metadata
from groundstation.archive.timescale import HYPERTABLES, make_hypertables, statements
from tests.archive.places import Place

# The extension's own signature, as far as we name its arguments; it writes down what it was called with.
STAND_IN = (
    """CREATE TABLE called (relation text, time_column text, chunk interval,
        defaults boolean, again boolean, data boolean)""",
    """CREATE FUNCTION create_hypertable(relation regclass, time_column_name name, chunk_time_interval interval,
        create_default_indexes boolean, if_not_exists boolean, migrate_data boolean) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO called VALUES (relation::text, time_column_name, chunk_time_interval, create_default_indexes,
        if_not_exists, migrate_data) $$""",
)


async def test_without_the_extension_nothing_is_done(place: Place) -> None:
    async with place.writer() as writer:
        assert await writer.commit(make_hypertables) is False


async def test_postgresql_understands_what_it_would_be_told(server: Place) -> None:
    def tell(connection: Connection) -> None:
        for statement in (*STAND_IN, *statements()):
            connection.exec_driver_sql(statement)

    async with server.writer() as writer:
        await writer.commit(tell)
    assert server.rows("SELECT relation, time_column, defaults, again, data FROM called ORDER BY 1") == [
        (table, column, False, True, True) for table, (column, _) in sorted(HYPERTABLES.items())
    ]


@pytest.mark.parametrize("table", sorted(HYPERTABLES))
def test_every_unique_key_holds_the_column_that_partitions(table: str) -> None:
    column, _ = HYPERTABLES[table]
    assert column in metadata.tables[table].primary_key.columns
    assert not [index for index in metadata.tables[table].indexes if index.unique and column not in index.columns]


def test_the_text_is_what_the_extension_documents() -> None:
    assert statements()[0] == (
        "SELECT create_hypertable('packet', 'generated_at', chunk_time_interval => interval '7 days',"
        " create_default_indexes => false, if_not_exists => true, migrate_data => true)"
    )
