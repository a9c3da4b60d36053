"""What the tests of links share: the broker, and the engines, all of which every one of these tests must pass."""

import pytest

from groundstation.link.mqtt import Connect, connect_mqtt_5, connect_mqtt_311
from groundstation.link.mqtt5_connection import Mqtt5Connection
from tests.parts.mosquitto import mosquitto

__all__ = ["mosquitto"]

ENGINES_OF_MQTT_5: dict[str, Connect] = {"mqtt5": Mqtt5Connection, "aiomqtt-5": connect_mqtt_5}
ENGINES = {**ENGINES_OF_MQTT_5, "aiomqtt-3.1.1": connect_mqtt_311}


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Connect:
    return ENGINES[request.param]


@pytest.fixture(params=list(ENGINES_OF_MQTT_5))
def engine_of_mqtt_5(request: pytest.FixtureRequest) -> Connect:
    return ENGINES_OF_MQTT_5[request.param]
