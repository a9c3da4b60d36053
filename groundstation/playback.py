"""A pass taken out of the archive, and put through the pipeline again: `record` and `replay`.

archive ──► heard ──► messages again ──► recording (.gspass)
                                             │
recording ──► Player ──► Inbox ──► pipeline ──► another archive
                           └─────► Publisher ──► broker
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from groundstation import __version__
from groundstation.archive.element_supply import set_of
from groundstation.archive.migrate import migrate
from groundstation.archive.queries import Heard, PredictedPass, Quarantined, Reader, heard, pass_at, pass_of
from groundstation.archive.url import UrlError, check_url
from groundstation.archive.writer import Writer
from groundstation.config import Config, ConfigError, absolute_url
from groundstation.link.publisher import Outgoing, Publisher
from groundstation.pipeline import Inbox, record
from groundstation.replay.digest import DecodedDigest
from groundstation.replay.from_archive import messages_again
from groundstation.replay.omm_figures import omm_figures
from groundstation.replay.player import Player
from groundstation.replay.recording import (
    DefinitionText,
    Header,
    Prediction,
    Recording,
    open_recording,
    write_recording,
)
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.definition import Definition, load_definition
from groundstation.telemetry.moments import microseconds
from groundstation.telemetry.packet import Fate

LINK = "replay"
GRACE_US = 120_000_000  # a station may clear its queue for a while after LOS


@dataclass(frozen=True, slots=True)
class Played:
    """What a replay did; `digest` is over the decoded packets and equal for every speed."""

    messages: int
    total: int
    summary: str
    digest: str | None


def record_pass(config: Config, wanted: str, file: Path) -> Recording:
    """Write the pass `wanted` from the archive into `file` and return it.

    Raises ConfigError where there is no such pass, ArchiveUnavailableError, RecordingError and OSError.
    """
    reader = Reader(config.settings.archive.url, config.settings.archive.password_file)
    of = find_pass(reader, wanted)
    if of.aos_us is None or of.los_us is None:
        raise ConfigError([f"PASS: found {wanted}, whose edges are unknown, expected one with AOS and LOS"])
    rows = reader.ask_now(heard, of.satellite, of.station, of.aos_us, of.los_us + GRACE_US)
    prefix = next((link.topic_prefix for link in config.settings.links), "gs/v1")
    packets = [row for row in rows if isinstance(row, Heard)]
    quarantined = [row for row in rows if isinstance(row, Quarantined)]
    return write_recording(file, header_of(config, reader, of, prefix), messages_again(packets, quarantined, prefix))


def find_pass(reader: Reader, wanted: str) -> PredictedPass:
    """Return the pass with the number `wanted`, or the one under way at SATELLITE@TIME."""
    satellite, at, time_text = wanted.partition("@")
    if not at:
        if not wanted.isdecimal():
            raise ConfigError([f"PASS: found {wanted}, expected a recording's file, a number, or SATELLITE@TIME"])
        found = reader.ask_now(pass_of, int(wanted))
    else:
        try:
            moment = datetime.fromisoformat(time_text)
        except ValueError as error:
            raise ConfigError([f"PASS: found {time_text} after @, expected a time like 2026-11-22T10:00Z"]) from error
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        found = reader.ask_now(pass_at, satellite, microseconds(moment))
    if found is None:
        raise ConfigError([f"PASS: found {wanted}, expected a pass that the archive knows"])
    return found


def header_of(config: Config, reader: Reader, of: PredictedPass, topic_prefix: str) -> Header:
    definition = config.definitions.get(of.satellite)
    used = reader.ask_now(set_of, of.satellite, of.norad_id, of.elements_epoch_us)
    return Header(
        created_at_us=time.time_ns() // 1000,
        software=f"groundstation {__version__}",
        satellite=of.satellite,
        station=of.station,
        topic_prefix=topic_prefix,
        prediction=Prediction(of.aos_us, of.los_us, of.max_elevation_deg),
        elements=omm_figures(used) if used else None,
        definition=definition_text(config, definition) if definition else None,
    )


def definition_text(config: Config, definition: Definition) -> DefinitionText:
    file = config.settings.satellites / f"{definition.slug}.toml"
    return DefinitionText(definition.hash, file.read_text(encoding="utf-8"))


async def replay(config: Config, wanted: str, speed: float | None, to: str, stopping: asyncio.Event) -> Played:
    """Play the recording or archived pass `wanted` to the broker (`to` is "mqtt") or into the archive at URL `to`."""
    with recording_of(config, wanted) as recording:
        player = Player(recording=recording, link=LINK, speed=speed)
        if to == "mqtt":
            return await to_broker(config, player, stopping)
        return await to_archive(config, player, target_url(config, to), stopping)


@contextmanager
def recording_of(config: Config, wanted: str) -> Iterator[Recording]:
    """Yield the recording in the file `wanted`, or one made of the archived pass `wanted` for this while."""
    if Path(wanted).exists() or wanted.endswith(".gspass"):
        yield open_recording(Path(wanted))
        return
    with tempfile.TemporaryDirectory(prefix="groundstation-replay-") as directory:
        yield record_pass(config, wanted, Path(directory) / "pass.gspass")


def target_url(config: Config, to: str) -> str:
    """Return the URL of another archive than the station's own, into which a replay would add nothing."""
    url = absolute_url(to, Path.cwd())
    try:
        target = check_url(url)
    except UrlError as error:
        raise ConfigError([f"--to: {error}, or mqtt"]) from error
    if target == check_url(config.settings.archive.url):
        raise ConfigError([f"--to: found {to}, the station's own archive, expected another one"])
    return url


async def to_archive(config: Config, player: Player, url: str, stopping: asyncio.Event) -> Played:
    """Decode and store as the daemon does; the archive is created where there is none."""
    header = player.recording.header
    definitions = definitions_for(config, player.recording)
    decode = Decoder(definitions, {*config.sites, header.station}, {LINK: header.topic_prefix})
    digest = DecodedDigest()
    await asyncio.to_thread(migrate, url)
    async with Writer(url) as writer:
        await writer.save_definitions(list(definitions.values()))
        inbox = await feed(player, stopping, lambda inbox: record(inbox, decode, writer, digest.observe))
    account = inbox.accounts[LINK]
    summary = (
        f"received {account.received} = stored {account.stored} + duplicate {account.duplicate}"
        f" + quarantined {account.quarantined} + in flight {inbox.held().total()}"
    )
    return Played(player.played, player.total, summary, digest.hexdigest())


async def to_broker(config: Config, player: Player, stopping: asyncio.Event) -> Played:
    """Publish every message again under its old topic, at QoS 1."""
    if not config.settings.links:
        raise ConfigError(["--to: found mqtt, expected a link in the configuration"])
    # The daemon may be running: under its client id the broker would throw it out.
    link = msgspec.structs.replace(config.settings.links[0], client_id=f"groundstation-replay-{os.getpid()}")
    async with Publisher(link) as publisher:

        async def publish(inbox: Inbox) -> None:
            while not inbox.finished:
                batch = await inbox.batch()
                await publisher.publish_all([Outgoing(message.topic, message.payload) for message in batch])
                inbox.settle([Fate.STORED] * len(batch))

        inbox = await feed(player, stopping, publish)
    confirmed = inbox.accounts[LINK].stored
    return Played(player.played, player.total, f"{confirmed} messages confirmed by {link.host}:{link.port}", None)


async def feed(player: Player, stopping: asyncio.Event, sink: Callable[[Inbox], Coroutine[Any, Any, None]]) -> Inbox:
    """Play into an inbox of its own until the end or `stopping`, and return it once `sink` has emptied it."""
    inbox = Inbox([LINK])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sink(inbox), name="sink")
        await player.run(inbox, stopping)
        inbox.close()
    return inbox


def definitions_for(config: Config, recording: Recording) -> dict[str, Definition]:
    """Return the configuration's definitions, and the recording's own where they do not know its satellite."""
    definitions = dict(config.definitions)
    header = recording.header
    if header.satellite not in definitions and header.definition is not None:
        where = f"{recording.path}: definition"
        definitions[header.satellite] = load_definition(header.definition.toml, where)
    return definitions
