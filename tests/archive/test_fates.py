"""Any sequence of stores gives each packet its exact fate, as a set that remembers everything would."""

import asyncio
from collections.abc import Sequence
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundstation.archive import queries
from groundstation.telemetry.packet import Fate, Packet
from tests.archive.places import T0, Place, packet

ATOMS = st.tuples(
    st.integers(0, 5),  # the frame
    st.integers(0, 3),  # the generation time
    st.sampled_from(["hko", "cuhk", "polyu"]),
    st.sampled_from(["realtime", "dump"]),
    st.integers(0, 15),  # 0 makes a packet that no database takes
    st.sampled_from(["housekeeping", "beacon"]),
    st.booleans(),  # whether all its parameters came
)
Atom = tuple[int, int, str, str, int, str, bool]
names = count()


def chosen(satellite: str, atom: Atom) -> Packet:
    frame, time, station, kind, storable, name, whole = atom
    return packet(
        frame,
        satellite=satellite,
        generated_at_us=T0 + time,
        station=station,
        kind=kind,
        packet=name,
        sequence=frame if storable else 2**63,
        values=dict.fromkeys(("p0", "p1", "all") if whole else (f"p{frame % 2}", "all"), f"{name} {frame} {time}"),
        whole=whole,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(ATOMS, max_size=12), max_size=5))
def test_fates_receptions_and_latest_are_those_of_a_model(place: Place, batches: Sequence[Sequence[Atom]]) -> None:
    satellite = f"satellite-{next(names)}"
    asyncio.run(compare(place, satellite, [[chosen(satellite, atom) for atom in batch] for batch in batches]))


async def compare(place: Place, satellite: str, batches: Sequence[Sequence[Packet]]) -> None:
    heard_by: dict[tuple[int, int], set[str]] = {}
    latest: dict[str, tuple[int, object]] = {}
    async with place.writer() as writer, place.reader() as reader:
        for batch in batches:
            wanted = []
            for one in batch:
                if one.sequence == 2**63:
                    wanted.append(Fate.QUARANTINED)
                    continue
                stations = heard_by.setdefault((one.generated_at_us, one.digest), set())
                wanted.append(Fate.DUPLICATE if stations else Fate.STORED)
                stations.add(one.station)
                if one.kind == "realtime":
                    for parameter, value in one.values.items():
                        if parameter not in latest or one.generated_at_us > latest[parameter][0]:
                            latest[parameter] = one.generated_at_us, value
            assert list(await writer.store(batch, [])) == wanted
        receptions = await reader.ask(queries.reception_counts)
        found = await reader.ask(queries.latest, satellite)
    assert sum(n for (of, _), n in receptions.items() if of == satellite) == sum(map(len, heard_by.values()))
    assert {one.parameter: (one.generated_at_us, one.value) for one in found} == latest
