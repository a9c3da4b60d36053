"""What the tests of links share: the broker, and the engines, all of which every one of these tests must pass."""

import pytest

from groundstation.link.mqtt import Connect
from tests.parts.mosquitto import mosquitto
from tests.parts.receiver import ENGINES, ENGINES_OF_MQTT_5

__all__ = ["mosquitto"]


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Connect:
    return ENGINES[request.param]


@pytest.fixture(params=list(ENGINES_OF_MQTT_5))
def engine_of_mqtt_5(request: pytest.FixtureRequest) -> Connect:
    return ENGINES_OF_MQTT_5[request.param]
