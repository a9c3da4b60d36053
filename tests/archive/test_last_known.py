"""What a restarted daemon learns about the satellites it knew."""

from groundstation.archive.last_known import LastKnown, last_known
from tests.archive.places import SECOND, T0, Place, packet


async def test_the_last_reception_is_of_any_kind_and_the_values_are_realtime(place: Place) -> None:
    late = packet(1, kind="dump", received_at_us=T0 + 50 * SECOND)
    async with place.writer() as writer:
        await writer.store([packet(3), packet(5), late, packet(9, satellite="aalto-1")], [])
        found = await writer.commit(last_known, ["horyu-4", "no-such-sat"])
    assert found["no-such-sat"] == LastKnown(None, ())
    assert found["horyu-4"].received_at_us == T0 + 50 * SECOND
    newest = packet(5)
    assert {one.parameter: one.value for one in found["horyu-4"].values} == newest.values
    assert {one.generated_at_us for one in found["horyu-4"].values} == {newest.generated_at_us}
