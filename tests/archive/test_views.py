"""People see each packet type as a table with a column a parameter, and always as today's definition has it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from groundstation.archive.views import NAME_MOST, keep_views, view_name, views_of
from groundstation.telemetry.definition import Definition, PacketDefinition, Parameter
from tests.archive.places import T0, Place, packet

VOLTAGE = Parameter(name="battery_v", raw="float")
MODE = Parameter(name="mode", raw="uint", enumeration={0: "SAFE"})
HEATER = Parameter(name="heater_on", raw="bool")
HORYU = Definition(
    slug="horyu-4",
    version="1",
    name="Horyu-4",
    status="in_orbit",
    packets=(PacketDefinition(name="housekeeping", match=1, parameters=(VOLTAGE, MODE, HEATER)),),
)
VIEW = "telemetry_horyu_4_housekeeping"


def with_packets(definition: Definition, *packets: PacketDefinition) -> Definition:
    return msgspec.structs.replace(definition, packets=packets)


async def keep(place: Place, *definitions: Definition) -> None:
    async with place.writer() as writer:
        await writer.commit(keep_views, definitions)


def columns(place: Place, view: str) -> list[str]:
    with place.reader()._engine.connect() as connection:
        return list(connection.exec_driver_sql(f"SELECT * FROM {view}").keys())


def ours(place: Place) -> list[str]:
    sql = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY 1",
        "postgresql": "SELECT viewname FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    }
    return [name for (name,) in place.rows(sql[place.engine]) if name.count("_") > 1]


async def test_a_packet_type_is_a_table_of_its_parameters(place: Place) -> None:
    await keep(place, HORYU)
    other = packet(2, packet="beacon")
    async with place.writer() as writer:
        await writer.store([packet(1), other, packet(3, satellite="aalto-1")], [])
    [row] = place.rows(f"SELECT time, station, sequence, battery_v, mode, heater_on FROM {VIEW}")
    time = row[0] if place.engine == "sqlite" else row[0].timestamp()
    assert (time, *row[1:]) == (T0 / 1e6 + 1, "hko", 1, 8.25, "SAFE", 1)


async def test_a_changed_definition_replaces_its_view_and_an_equal_one_leaves_it(place: Place) -> None:
    await keep(place, HORYU)
    packets = HORYU.packets[0]
    more = msgspec.structs.replace(packets, parameters=(MODE, Parameter(name="reboots", raw="uint")))
    changed = with_packets(HORYU, more, PacketDefinition(name="beacon", match=2, parameters=(VOLTAGE,)))
    await keep(place, changed)
    assert columns(place, VIEW)[6:] == ["mode", "reboots"]
    assert ours(place) == ["telemetry_horyu_4_beacon", VIEW]
    async with place.writer() as writer:
        await writer.commit(lambda c: c.exec_driver_sql(f"CREATE VIEW of_people AS SELECT time FROM {VIEW}"))
    await keep(place, changed)  # would fail on PostgreSQL if it touched the view
    assert columns(place, "of_people") == ["time"]


async def test_views_go_with_their_packets_and_those_of_others_stay(place: Place) -> None:
    aalto = msgspec.structs.replace(HORYU, slug="aalto-1")
    await keep(place, HORYU, aalto)
    await keep(place, with_packets(HORYU))
    assert ours(place) == ["telemetry_aalto_1_housekeeping"]


async def test_a_view_that_people_built_upon_stays_with_a_warning(
    server: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await keep(server, HORYU)
    async with server.writer() as writer:
        await writer.commit(lambda c: c.exec_driver_sql(f"CREATE VIEW of_people AS SELECT battery_v FROM {VIEW}"))
    beacon = PacketDefinition(name="beacon", match=2, parameters=(VOLTAGE,))
    await keep(server, with_packets(HORYU, PacketDefinition(name="housekeeping", match=1, parameters=(MODE,)), beacon))
    assert f"the view {VIEW} stays as it is" in caplog.text
    assert "battery_v" in columns(server, VIEW)
    assert "telemetry_horyu_4_beacon" in ours(server)


async def test_parameters_may_be_called_like_our_own_columns_and_sql_words(place: Place) -> None:
    names = ("time", "time_", "kind", "select", "from", "order", "v")
    given = tuple(Parameter(name=name, raw="int") for name in names)
    await keep(place, with_packets(HORYU, PacketDefinition(name="odd", match=1, parameters=given)))
    async with place.writer() as writer:
        await writer.store([packet(1, packet="odd", values={name: n for n, name in enumerate(names)})], [])
    assert columns(place, "telemetry_horyu_4_odd")[6:] == ["time__", "time_", "kind_", "select", "from", "order", "v"]
    assert place.rows('SELECT time__, time_, kind_, "select", v FROM telemetry_horyu_4_odd') == [(0, 1, 2, 3, 6)]


async def test_a_value_of_another_kind_does_not_spoil_the_view(place: Place) -> None:
    await keep(place, HORYU)
    odd: list[dict[str, Any]] = [{"battery_v": "SAFE", "mode": 7}, {"battery_v": None}, {}]
    async with place.writer() as writer:
        await writer.store([packet(n, values=values) for n, values in enumerate(odd)], [])
    rows = place.rows(f"SELECT battery_v FROM {VIEW} WHERE battery_v IS NOT NULL")
    assert rows in ([], [("SAFE",)])
    assert place.rows(f"SELECT count(*) FROM {VIEW}") == [(3,)]


def test_names_are_short_and_never_twice() -> None:
    long = [PacketDefinition(name=f"{'p' * 60}{n}", match=n) for n in range(3)]
    given = [
        with_packets(msgspec.structs.replace(HORYU, slug="a-b"), PacketDefinition(name="c", match=1)),
        with_packets(msgspec.structs.replace(HORYU, slug="a"), PacketDefinition(name="b_c", match=1), *long),
    ]
    names = [view.name for view in views_of(given, "sqlite")]
    assert len(set(names)) == len(names) == 5
    assert "telemetry_a_b_c" in names
    assert max(len(name) for name in names) <= NAME_MOST
    assert view_name("demo-sat", "housekeeping", {}) == "telemetry_demo_sat_housekeeping"
    assert replace(views_of(given, "sqlite")[0], select="x").comment != views_of(given, "sqlite")[0].comment
