import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from groundstation.pipeline import Inbox
from groundstation.replay.player import Player
from groundstation.replay.recording import Recording, RecordingError, write_recording
from groundstation.telemetry.packet import Fate, Message
from tests.parts.virtual_time import run_virtually
from tests.replay.recordings import HEADER, messages

AT_S = [0.0, 0.25, 0.25, 1.0, 4.0, 3.5, 10.0]  # the recording station's clock stepped back once


class Audience:
    """An inbox that always has room and writes down when each message came."""

    full = False

    def __init__(self) -> None:
        self.heard: list[tuple[float, Message]] = []

    def put(self, message: Message) -> None:
        self.heard.append((asyncio.get_running_loop().time(), message))

    async def room(self) -> None:
        raise AssertionError("asked for room while there is some")


def recorded(tmp_path: Path, at_s: list[float]) -> Recording:
    return write_recording(tmp_path / "a.gspass", HEADER, messages(at_s))


def played_at_s(player: Player) -> list[float]:
    """Return when each message was played, in seconds since the first."""
    audience = Audience()

    async def play() -> None:
        await player.run(audience, asyncio.Event())

    run_virtually(play())
    assert [message for _, message in audience.heard] == [
        replace(message, link="replay") for message in player.recording.messages()
    ]
    assert player.played == player.total == len(audience.heard)
    return [at - audience.heard[0][0] for at, _ in audience.heard]


@pytest.mark.parametrize("speed", [0.5, 1.0, 20.0])
def test_messages_are_played_when_they_were_heard(tmp_path: Path, speed: float) -> None:
    player = Player(recording=recorded(tmp_path, AT_S), link="replay", speed=speed)
    assert played_at_s(player) == pytest.approx(
        [0, 0.25 / speed, 0.25 / speed, 1 / speed, 4 / speed, 4 / speed, 10 / speed]
    )


def test_max_takes_no_time_at_all(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, [float(at) for at in range(3000)]), link="replay", speed=None)
    assert set(played_at_s(player)) == {0.0}


def test_long_silences_are_shortened_and_short_ones_kept(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, AT_S), link="replay", speed=2.0, longest_gap_s=1.0)
    assert played_at_s(player) == pytest.approx([at / 2 for at in (0, 0.25, 0.25, 1, 2, 2, 3)])


def test_a_day_long_recording_does_not_drift(tmp_path: Path) -> None:
    at_s = [round(n * 86.4000007, 6) for n in range(1001)]
    player = Player(recording=recorded(tmp_path, at_s), link="replay", speed=7.0)
    assert max(abs(at - wanted / 7) for at, wanted in zip(played_at_s(player), at_s, strict=True)) < 1e-6


def test_an_empty_recording_ends_at_once(tmp_path: Path) -> None:
    assert list(recorded(tmp_path, []).messages()) == []
    player = Player(recording=recorded(tmp_path, []), link="replay")
    run_virtually(player.run(Audience(), asyncio.Event()))
    assert player.total == player.played == 0


def test_a_stop_ends_a_silence_at_once(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, [0.0, 1.0, 3600.0]), link="replay")

    async def stop_in_the_silence() -> float:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        began = loop.time()
        loop.call_later(5.0, stopping.set)
        await player.run(Audience(), stopping)
        return loop.time() - began

    assert run_virtually(stop_in_the_silence()) == pytest.approx(5.0)
    assert player.played == 2


def test_a_stop_is_obeyed_while_the_inbox_is_full(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, [0.0] * 50), link="replay", speed=None)

    async def stop_while_full() -> Inbox:
        inbox, stopping = Inbox(["replay"], capacity=10), asyncio.Event()
        asyncio.get_running_loop().call_later(5.0, stopping.set)
        await player.run(inbox, stopping)
        return inbox

    inbox = run_virtually(stop_while_full())
    assert player.played == inbox.accounts["replay"].received == 10


def test_a_stop_before_the_start_plays_nothing(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, AT_S), link="replay")

    async def stopped() -> None:
        stopping = asyncio.Event()
        stopping.set()
        await player.run(Audience(), stopping)

    run_virtually(stopped())
    assert player.played == 0


def test_the_player_waits_for_room_and_loses_nothing(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, [0.0] * 1000), link="replay", speed=None)

    async def with_a_slow_reader() -> tuple[Inbox, list[bytes], int]:
        inbox, most = Inbox(["replay"], capacity=40), 0
        taken: list[bytes] = []

        async def read() -> None:
            nonlocal most
            while batch := await inbox.batch(most=30):
                most = max(most, inbox.held()["replay"])
                taken.extend(message.payload for message in batch)
                inbox.settle([Fate.STORED] * len(batch))
                await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            await player.run(inbox, asyncio.Event())
            inbox.close()
        return inbox, taken, most

    inbox, taken, most = run_virtually(with_a_slow_reader())
    assert taken == [str(number).encode() for number in range(1000)]
    assert most <= 40
    assert inbox.imbalance() == {"replay": 0}


def test_other_tasks_get_their_turn_at_full_speed(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, [0.0] * 5000), link="replay", speed=None)

    async def beside_another() -> int:
        turns = 0

        async def another() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(another())
        await player.run(Audience(), asyncio.Event())
        task.cancel()
        return turns

    assert run_virtually(beside_another()) >= 5000 // 200 - 1


def test_a_cancelled_player_leaves_no_task_behind(tmp_path: Path) -> None:
    player = Player(recording=recorded(tmp_path, [0.0, 3600.0]), link="replay")

    async def cancel_in_the_silence() -> set[asyncio.Task[None]]:
        task = asyncio.create_task(player.run(Audience(), asyncio.Event()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return {other for other in asyncio.all_tasks() if other is not asyncio.current_task()}

    assert run_virtually(cancel_in_the_silence()) == set()
    assert player.played == 1


def test_a_file_changed_under_the_player_is_told(tmp_path: Path) -> None:
    recording = recorded(tmp_path, AT_S)
    recorded(tmp_path, AT_S[:3])
    with pytest.raises(RecordingError, match="3 messages"):
        run_virtually(Player(recording=recording, link="replay", speed=None).run(Audience(), asyncio.Event()))
