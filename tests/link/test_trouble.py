"""What can go wrong between a link and its broker: each is named by its reason, said once, and overcome."""

import asyncio
import logging
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt import client as paho

from groundstation.link.aiomqtt_connection import paho_beneath
from groundstation.link.mqtt import Connect, connect_mqtt_311
from tests.parts.certificates import Authority
from tests.parts.debian import need
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.receiver import TOPIC, Receiver, eventually, link_settings, numbered, payloads, publish, receiving
from tests.parts.scripted_broker import CONNACK_5, CONNACK_311, WRONG_VERSION_311, Client, published, scripted_broker

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates") / "authority")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that wants a user name and a password."""
    file = tmp_path / "passwords"
    subprocess.run([need("mosquitto_passwd", "mosquitto"), "-b", "-c", file, "station", PASSWORD], check=True)
    broker = Mosquitto(tmp_path / "guarded", listener=f"allow_anonymous false\npassword_file {file}").start()
    yield broker
    broker.kill9()


@pytest.fixture
def version(engine: Connect) -> int:
    return 311 if engine is connect_mqtt_311 else 5


def tls_broker(directory: Path, authority: Authority, certificate: tuple[Path, Path], extra: str = "") -> Mosquitto:
    files = f"cafile {authority.certificate}\ncertfile {certificate[0]}\nkeyfile {certificate[1]}\n{extra}"
    return Mosquitto(directory / "tls", listener=f"allow_anonymous true\n{files}")


async def failed(receiver: Receiver) -> str:
    """Wait for the first failure and return what was said of it."""
    await eventually(lambda: receiver.source.last_error is not None)
    assert not receiver.source.up
    assert receiver.source.connects == 0
    return receiver.source.last_error or ""


async def test_aiomqtt_still_keeps_its_paho_client_where_we_reach_for_it() -> None:
    beneath = paho_beneath(aiomqtt.Client("localhost"))
    assert isinstance(beneath, paho.Client)
    assert callable(beneath.ack)
    assert callable(beneath.manual_ack_set)


async def test_user_and_password_come_from_settings_and_file(
    guarded: Mosquitto, engine: Connect, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    settings = link_settings(guarded.port, username="station", password_file=secret)
    async with receiving(settings, engine) as receiver:
        assert receiver.source.up


async def test_a_wrong_password_is_said_once_without_itself_and_a_corrected_file_is_enough(
    guarded: Mosquitto, engine: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong battery")
    settings = link_settings(guarded.port, username="station", password_file=secret)
    async with receiving(settings, engine, subscribed=False) as receiver:
        assert (await failed(receiver)).startswith("credentials: ")
        await eventually(lambda: receiver.source.failures["credentials"] == 2)
        assert len(caplog.records) == 1
        secret.write_text(PASSWORD)
        await eventually(lambda: receiver.source.up)
        assert receiver.source.last_error is None
    assert "battery" not in caplog.text


async def test_a_missing_password_file_is_named(engine: Connect, tmp_path: Path) -> None:
    settings = link_settings(free_port(), username="station", password_file=tmp_path / "absent")
    async with receiving(settings, engine, subscribed=False) as receiver:
        assert await failed(receiver) == f"credentials: password_file {tmp_path / 'absent'}: No such file or directory"


async def test_tls_with_an_authority_of_our_own(authority: Authority, engine: Connect, tmp_path: Path) -> None:
    broker = tls_broker(tmp_path, authority, authority.sign("localhost")).start()
    settings = link_settings(broker.port, host="localhost", tls=True, tls_ca_file=authority.certificate)
    try:
        async with receiving(settings, engine) as receiver:
            words = ["-t", TOPIC, "-q", "1", "-l", "--cafile", str(authority.certificate), "-h", "localhost"]
            program = need("mosquitto_pub", "mosquitto-clients")
            lines = b"\n".join(numbered(300))  # so many come several in a TLS record, which no selector can see
            publishing = await asyncio.create_subprocess_exec(
                program, "-p", str(broker.port), *words, stdin=subprocess.PIPE
            )
            await publishing.communicate(lines)
            messages = await receiver.take(300)
            assert payloads(messages) == numbered(300)
    finally:
        broker.kill9()


async def test_messages_that_share_a_tls_record_survive_a_pause(
    authority: Authority, engine: Connect, version: int
) -> None:
    """What TLS has decrypted and nobody has read yet is invisible to a selector."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.sign("localhost"))

    async def at_once(client: Client) -> None:
        await client.connect_and_subscribe(version)
        await client.say(b"".join(published(TOPIC, b"%06d" % n, n + 1, version) for n in range(200)))
        await client.gone()

    async with scripted_broker(at_once, tls=context) as port:
        settings = link_settings(port, host="localhost", tls=True, tls_ca_file=authority.certificate)
        async with receiving(settings, engine, capacity=10) as receiver:
            taken: list[bytes] = []
            while len(taken) < 200:
                assert receiver.held() <= 10
                taken += payloads(await receiver.take(1))
            assert taken == numbered(200)


TLS_TROUBLE = {
    "wrong host name": ({"host": "127.0.0.1"}, 30, "IP address mismatch"),
    "expired certificate": ({"host": "localhost"}, -1, "certificate has expired"),
    "unknown authority": ({"host": "localhost", "tls_ca_file": None}, 30, "certificate in certificate chain"),
}


@pytest.mark.parametrize(("changes", "days", "text"), TLS_TROUBLE.values(), ids=TLS_TROUBLE)
async def test_a_certificate_that_proves_nothing_is_refused(
    authority: Authority, engine: Connect, tmp_path: Path, changes: dict[str, object], days: int, text: str
) -> None:
    broker = tls_broker(tmp_path, authority, authority.sign("localhost", days)).start()
    settings = link_settings(broker.port, **{"tls": True, "tls_ca_file": authority.certificate} | changes)
    try:
        async with receiving(settings, engine, subscribed=False) as receiver:
            said = await failed(receiver)
            assert said.startswith("tls: the broker's certificate is not accepted: ")
            assert text in said
    finally:
        broker.kill9()


async def test_a_client_certificate_is_shown_to_the_broker_that_wants_one(
    authority: Authority, engine: Connect, tmp_path: Path
) -> None:
    broker = tls_broker(tmp_path, authority, authority.sign("localhost"), "require_certificate true").start()
    without = link_settings(broker.port, host="localhost", tls=True, tls_ca_file=authority.certificate)
    certificate, key = authority.sign("station")
    mine = {"tls_certificate_file": certificate, "tls_key_file": key}
    both = link_settings(broker.port, host="localhost", tls=True, tls_ca_file=authority.certificate, **mine)
    try:
        async with receiving(without, engine, subscribed=False) as receiver:
            assert "certificate" in await failed(receiver)
        async with receiving(both, engine) as receiver:
            assert receiver.source.up
    finally:
        broker.kill9()


async def test_tls_to_a_port_without_it_is_named(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving(link_settings(mosquitto.port, tls=True), engine, subscribed=False) as receiver:
        assert (await failed(receiver)).split(":")[0] in {"tls", "network"}


async def test_an_authority_file_that_is_none_is_named(engine: Connect, tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("not a certificate")
    async with receiving(link_settings(free_port(), tls=True, tls_ca_file=bad), engine, subscribed=False) as receiver:
        assert (await failed(receiver)).startswith(f"tls: tls_ca_file {bad}: ")


async def test_a_port_where_nobody_listens_is_said_once_and_tried_again(
    engine: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving(link_settings(free_port()), engine, subscribed=False) as receiver:
        assert await failed(receiver) == "network: connection refused"
        await eventually(lambda: receiver.source.failures["network"] == 2)
    assert len(caplog.records) == 1


async def test_attempts_come_ever_more_seldom_and_not_at_fixed_times(engine: Connect) -> None:
    clock = asyncio.get_running_loop().time
    attempts: list[list[float]] = [[], []]

    def refusing(attempt: list[float]) -> Callable[[Client], Awaitable[None]]:
        async def refuse(_: Client) -> None:
            attempt.append(clock())

        return refuse

    async with (
        scripted_broker(refusing(attempts[0])) as one,
        scripted_broker(refusing(attempts[1])) as other,
        receiving(link_settings(one, client_id="a"), engine, subscribed=False),
        receiving(link_settings(other, client_id="b"), engine, subscribed=False),
    ):
        await eventually(lambda: min(map(len, attempts)) >= 5)
    waits = [[later - earlier for earlier, later in pairwise(times)][:4] for times in attempts]
    for wait in waits:
        for least, waited in zip((0.125, 0.25, 0.5, 1.0), wait, strict=True):
            assert least <= waited < 2 * least + 1  # on a busy machine
    assert max(abs(a - b) for a, b in zip(*waits, strict=True)) > 0.01


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
async def test_a_host_that_is_none_is_named(engine: Connect, host: str) -> None:
    async with receiving(link_settings(1883, host=host), engine, subscribed=False) as receiver:
        assert (await failed(receiver)).startswith("host: the host name ")


async def test_a_stop_in_the_middle_of_an_attempt_is_immediate(engine: Connect) -> None:
    async def silent(client: Client) -> None:
        await client.gone()

    async with scripted_broker(silent) as port, receiving(link_settings(port), engine, subscribed=False) as receiver:
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        receiver.stopping.set()
        await receiver.stopped()
        assert asyncio.get_running_loop().time() - began < 1


async def test_a_broker_that_accepts_and_says_nothing_is_given_up(engine: Connect) -> None:
    async def silent(client: Client) -> None:
        await client.gone()

    async with (
        scripted_broker(silent) as port,
        receiving(link_settings(port, keepalive_s=1), engine, subscribed=False) as receiver,
    ):
        assert await failed(receiver) == "timeout: no answer"


async def test_a_broker_that_never_answers_the_subscription_is_given_up(engine: Connect, version: int) -> None:
    async def half_deaf(client: Client) -> None:
        await client.packet()
        await client.say(CONNACK_5 if version == 5 else CONNACK_311)
        await client.gone()

    async with (
        scripted_broker(half_deaf) as port,
        receiving(link_settings(port, keepalive_s=1), engine, subscribed=False) as receiver,
    ):
        assert (await failed(receiver)).startswith("timeout: nothing heard for ")


async def test_a_reset_in_mid_packet_delivers_nothing_and_is_overcome(engine: Connect, version: int) -> None:
    whole = published(TOPIC, b"whole", 1, version)

    async def broken(client: Client) -> None:
        await client.connect_and_subscribe(version)
        await client.say(whole[:-3])
        await asyncio.sleep(0.05)
        await client.reset()

    async def well(client: Client) -> None:
        await client.connect_and_subscribe(version)
        await client.say(whole)
        await client.gone()

    async with scripted_broker(broken, well) as port, receiving(link_settings(port), engine) as receiver:
        messages = await receiver.take(1)
        assert payloads(messages) == [b"whole"]
        assert receiver.inbox.accounts["mqtt"].received == 1
        assert receiver.source.disconnects == {"network": 1}


NOT_MQTT = {"http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "a packet of no kind": b"\x00\x00", "endless": b"\xff" * 9}


@pytest.mark.parametrize("greeting", NOT_MQTT.values(), ids=NOT_MQTT)
async def test_a_server_that_does_not_speak_mqtt_is_named(engine: Connect, greeting: bytes) -> None:
    async def stranger(client: Client) -> None:
        await client.say(greeting)
        await client.gone()

    async with (
        scripted_broker(stranger) as port,
        receiving(link_settings(port, keepalive_s=1), engine, subscribed=False) as receiver,
    ):
        # paho takes "HT" for the head of a packet of another kind, and waits for the rest of it.
        assert (await failed(receiver)).split(":")[0] in {"protocol", "timeout"}


async def test_garbage_in_an_established_connection_ends_it(engine: Connect, version: int) -> None:
    async def mad(client: Client) -> None:
        await client.connect_and_subscribe(version)
        await client.say(b"\x36\x05\x00\x03abc")  # a PUBLISH of QoS 3
        await client.gone()

    async with scripted_broker(mad) as port, receiving(link_settings(port), engine) as receiver:
        await eventually(lambda: receiver.source.disconnects["protocol"] >= 1)


async def test_a_refused_subscription_is_named(engine: Connect, version: int) -> None:
    async def strict(client: Client) -> None:
        await client.packet()
        await client.say(CONNACK_5 if version == 5 else CONNACK_311)
        subscribe = await client.packet()
        suback = subscribe[2:4] + (b"\x00\x87\x01" if version == 5 else b"\x80\x01")
        await client.say(bytes((0x90, len(suback))) + suback)
        await client.gone()

    async with scripted_broker(strict) as port, receiving(link_settings(port), engine, subscribed=False) as receiver:
        said = await failed(receiver)
        assert said.startswith("refused: the broker grants no QoS 1 on gs/v1/+/+/telemetry")


FAREWELLS = {b"\x8e": "taken_over", b"\x8b": "shutdown", b"\x87": "credentials", b"\x97": "refused"}


@pytest.mark.parametrize(("code", "reason"), FAREWELLS.items(), ids=FAREWELLS.values())
async def test_the_reason_that_an_mqtt_5_broker_gives_is_kept(
    engine_of_mqtt_5: Connect, code: bytes, reason: str
) -> None:
    async def leaving(client: Client) -> None:
        await client.connect_and_subscribe()
        await client.say(b"\xe0\x01" + code)
        await client.gone()

    async with scripted_broker(leaving) as port, receiving(link_settings(port), engine_of_mqtt_5) as receiver:
        await eventually(lambda: receiver.source.disconnects[reason] >= 1)


@pytest.mark.parametrize("answer", [WRONG_VERSION_311, b""], ids=["says so", "hangs up"])
async def test_a_broker_of_mqtt_3_1_1_is_spoken_to_in_it(engine: Connect, answer: bytes) -> None:
    async def refuse(client: Client) -> None:
        await client.packet()
        await client.say(answer)

    async def take(client: Client) -> None:
        await client.connect_and_subscribe(311)
        await client.gone()

    both = (engine, connect_mqtt_311)
    async with scripted_broker(refuse, take) as port, receiving(link_settings(port), *both) as receiver:
        assert receiver.source.up
        assert receiver.source.failures == {"protocol": 1}


async def test_a_link_that_goes_up_and_down_says_each_once(
    mosquitto: Mosquitto, engine: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "groundstation.link.mqtt")
    async with receiving(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, [b"%d" % n for n in range(100)])
        await receiver.take(100)
        mosquitto.stop()
        await eventually(lambda: receiver.source.failures["network"] >= 2)
        mosquitto.start()
        await eventually(lambda: receiver.source.up)
    # aiomqtt complains by itself of a SUBACK that comes while we stop.
    ours = [record for record in caplog.records if record.name == "groundstation.link.mqtt"]
    said = [(record.levelname, record.getMessage().split(":")[1].split()[0]) for record in ours]
    assert said == [("INFO", "up,"), ("WARNING", "lost"), ("WARNING", "cannot"), ("INFO", "up,")]
