"""What an operator is told to come for."""

from typing import Any

import pytest

from groundstation.monitor.health import LinkHealth
from tests.parts.station import Station

GOOD = {"links": (LinkHealth("antenna", up=True),)}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tasks": {"record": 119.0, "receive-antenna": 121.4}}, "no progress: receive-antenna for 121 s"),
        ({"links": (LinkHealth("antenna", up=False),)}, "link antenna is down"),
        ({"links": (LinkHealth("antenna", up=False, error="host: no such"),)}, "link antenna is down: host: no such"),
        ({"links": (LinkHealth("antenna", up=True, received=2, stored=1),)}, "link antenna does not balance by 1"),
    ],
)
def test_each_trouble_is_one_line(changes: dict[str, Any], problem: str) -> None:
    assert Station(changes=GOOD | changes).health().problems() == [problem]


def test_a_station_in_order_has_no_problem() -> None:
    assert Station(changes=dict(GOOD)).health().problems() == []
