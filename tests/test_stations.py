"""Stations are known by their own word: what a status topic says, who says it, and what is kept when it ends."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from groundstation.link.publisher import Publisher
from groundstation.link.settings import LinkSettings
from groundstation.link.simulator import SOFTWARE
from groundstation.link.status import StationStatus, pack_status
from groundstation.monitor.health import StationHealth
from groundstation.stations import Stations
from groundstation.telemetry.packet import Fate, Packet
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto
from tests.parts.rig import rig

T0 = 1_795_000_000_000_000
TOPIC = "gs/v1/hko/status"
UP = {"mqtt"}


def now_us() -> int:
    return time.time_ns() // 1000


def heard(*said: tuple[str, StationStatus]) -> Stations:
    """Return what is known once each status has come over its link."""
    stations = Stations(["hko"])
    for link, status in said:
        stations.hear(link, TOPIC, pack_status(status), retained=False)
    return stations


def of_hko(stations: Stations, *up: str) -> StationHealth:
    [one] = stations.health(up or UP)
    return one


def packet(received_at_us: int) -> Packet:
    return Packet(
        link="mqtt",
        satellite="one-sat",
        station="hko",
        packet="housekeeping",
        kind="realtime",
        sequence=1,
        generated_at_us=received_at_us,
        received_at_us=received_at_us,
        digest=1,
        definition_hash="x",
        frame=b"",
        values={},
        levels={},
    )


def test_a_station_that_has_said_nothing_is_unknown_and_not_offline() -> None:
    assert of_hko(Stations(["hko"])) == StationHealth("hko")


def test_what_it_says_is_what_is_known() -> None:
    said = StationStatus(online=True, at_us=T0, clock_synchronised=True, software="rig 2")
    assert of_hko(heard(("mqtt", said))) == StationHealth("hko", True, T0, True, "rig 2")


def test_the_last_word_counts_and_a_will_does_not_move_last_seen() -> None:
    stations = heard(
        ("mqtt", StationStatus(online=True, at_us=T0, clock_synchronised=True)),
        ("mqtt", StationStatus(online=False)),
    )
    assert of_hko(stations) == StationHealth("hko", online=False, last_seen_at_us=T0)


def test_an_old_word_that_comes_late_does_not_move_last_seen_back() -> None:
    stations = heard(("mqtt", StationStatus(True, T0 + 5)), ("mqtt", StationStatus(True, T0)))
    assert of_hko(stations).last_seen_at_us == T0 + 5


def test_a_clock_that_is_ahead_cannot_make_a_station_seen_tomorrow() -> None:
    one = of_hko(heard(("mqtt", StationStatus(online=True, at_us=now_us() + 86_400_000_000))))
    assert one.last_seen_at_us is not None
    assert now_us() - 60_000_000 < one.last_seen_at_us <= now_us()


def test_without_a_time_in_it_a_live_word_is_of_now_and_a_retained_one_of_nobody_knows_when() -> None:
    stations, payload = Stations(["hko"]), pack_status(StationStatus(online=True))
    stations.hear("mqtt", TOPIC, payload, retained=True)
    assert of_hko(stations) == StationHealth("hko", online=True)
    before = now_us()
    stations.hear("mqtt", TOPIC, payload, retained=False)
    assert before <= (of_hko(stations).last_seen_at_us or 0) <= now_us()


def test_a_packet_shows_that_its_station_was_there() -> None:
    stations = Stations(["hko"])
    stations.observe([(packet(T0 + 7), Fate.STORED), (packet(T0), Fate.DUPLICATE)])
    assert of_hko(stations) == StationHealth("hko", last_seen_at_us=T0 + 7)


def test_a_word_over_a_link_that_is_down_is_old_and_no_longer_counts() -> None:
    stations = heard(("mqtt", StationStatus(online=True, at_us=T0)))
    assert of_hko(stations, "another") == StationHealth("hko", last_seen_at_us=T0)


def test_of_two_links_one_that_says_online_is_enough() -> None:
    stations = heard(("a", StationStatus(online=True)), ("b", StationStatus(online=False)))
    assert [of_hko(stations, *up).online for up in (("a", "b"), ("a",), ("b",))] == [True, True, False]


def test_a_status_that_is_taken_back_leaves_the_station_unknown() -> None:
    stations = heard(("mqtt", StationStatus(online=True, at_us=T0)))
    stations.hear("mqtt", TOPIC, b"", retained=False)
    assert of_hko(stations).online is None


@pytest.mark.parametrize("payload", [b"online", b"{}", b"\xff", b"[" * 4000])
def test_what_cannot_be_read_changes_nothing(payload: bytes) -> None:
    stations = heard(("mqtt", StationStatus(online=True, at_us=T0)))
    stations.hear("mqtt", TOPIC, payload, retained=False)
    assert of_hko(stations) == StationHealth("hko", online=True, last_seen_at_us=T0)


def test_a_station_that_is_not_configured_gets_no_entry() -> None:
    stations = Stations(["hko"])
    for n in range(1000):
        stations.hear("mqtt", f"gs/v1/station-{n}/status", pack_status(StationStatus(online=True)), retained=False)
    assert stations.health(UP) == (StationHealth("hko"),)


# With the whole daemon on real Mosquitto.


def station(daemon: DaemonProcess) -> dict[str, Any]:
    [one] = daemon.get("/api/status")[1]["stations"]
    return dict(one)


def text(daemon: DaemonProcess, path: str) -> str:
    with urllib.request.urlopen(daemon.url() + path, timeout=10) as answer:
        return str(answer.read().decode())


def series(daemon: DaemonProcess) -> dict[str, float]:
    """Return the samples of the metrics that speak of stations."""
    lines = text(daemon, "/metrics").splitlines()
    found = (line.rsplit(" ", 1) for line in lines if line.startswith("groundstation_station_"))
    return {name.removeprefix("groundstation_station_"): float(value) for name, value in found}


def wait_until(daemon: DaemonProcess, claim: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while not claim(one := station(daemon)):
        assert time.monotonic() < deadline, one
        time.sleep(0.05)
    return one


def test_a_station_is_online_by_its_retained_word_and_offline_by_its_will(
    daemon: DaemonProcess, broker: Mosquitto
) -> None:
    with rig(broker.port) as station_software:  # it spoke before the daemon was there: only the broker knows
        daemon.start().wait_until_ready()
        there = wait_until(daemon, lambda one: one["online"] is True)
        assert (there["clock_synchronised"], there["software"]) == (True, SOFTWARE)
        shown = series(daemon)
        assert shown['up{station="hko"}'] == shown['clock_synchronized{station="hko"}'] == 1
        assert time.time() - 60 < shown['last_seen_timestamp_seconds{station="hko"}'] <= time.time()
        station_software.kill()
        gone = wait_until(daemon, lambda one: one["online"] is False)
    assert (gone["clock_synchronised"], gone["last_seen_at"]) == (None, there["last_seen_at"])
    assert series(daemon) == {'up{station="hko"}': 0} | {
        name: value for name, value in shown.items() if "last_seen" in name
    }
    with rig(broker.port):
        back = wait_until(daemon, lambda one: one["online"] is True)
    assert back["last_seen_at"] > there["last_seen_at"]


async def test_hostile_statuses_make_no_series_and_break_no_page(daemon: DaemonProcess, broker: Mosquitto) -> None:
    daemon.start().wait_until_ready()
    settings = LinkSettings(name="test", port=broker.port, client_id="hostile")
    hostile = json.dumps({"state": "online", "at": 1e300, "software": "<script>\ud800\x00" + "x" * 3000})
    async with Publisher(settings) as publisher:
        for n in range(100):
            await publisher.publish(f"gs/v1/nobody-{n}/status", b'{"state": "online"}', retain=True)
        await publisher.publish(TOPIC, b"\xff" * 5000, retain=True)
        await publisher.publish(TOPIC, hostile.encode())
    one = wait_until(daemon, lambda one: one["online"] is True)
    assert one["software"].startswith("<script>?")
    assert set(series(daemon)) == {'up{station="hko"}', 'last_seen_timestamp_seconds{station="hko"}'}
    assert "&lt;script&gt;" in text(daemon, "/")
