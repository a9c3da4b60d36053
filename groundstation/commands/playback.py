"""A pass put through the pipeline again: `replay`.

recording ──► Player ──► Inbox ──► pipeline ──► another archive
                           └─────► Publisher ──► broker
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from groundstation.archive.identity import same_archive
from groundstation.archive.migrate import migrate
from groundstation.archive.predictions import keep_replayed
from groundstation.archive.queries import Reader, decoded_otherwise
from groundstation.archive.url import UrlError, check_url, with_password
from groundstation.archive.writer import Writer
from groundstation.commands.record import record_pass
from groundstation.config import Config, ConfigError, absolute_url
from groundstation.link.publisher import Outgoing, Publisher
from groundstation.orbit.elements import ElementsError
from groundstation.pipeline import Account, Inbox, record
from groundstation.replay.digest import DecodedDigest
from groundstation.replay.from_archive import under_prefix
from groundstation.replay.omm_figures import elements_from
from groundstation.replay.player import Player
from groundstation.replay.recording import Header, Recording, RecordingError, open_recording
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.definition import Definition, DefinitionError, load_definition
from groundstation.telemetry.packet import Fate, Packet, Rejection

LINK = "replay"
DRAIN_S = 5.0  # after a stop, for what was played already
LEAVE_S = 8.0  # after a stop, where even then a thread waits for an archive that does not answer


@dataclass(frozen=True, slots=True)
class Target:
    """An archive to play into."""

    url: str
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What a replay did; `digest` is over the decoded packets and equal for every speed, None for a part of them."""

    messages: int
    total: int
    summary: str
    digest: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # why this is not what was asked for

    @property
    def whole(self) -> bool:
        return self.messages == self.total


@dataclass(slots=True)
class Observed:
    """What the pipeline told of a replay."""

    digest: DecodedDigest = field(default_factory=DecodedDigest)
    duplicates: list[Packet] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)

    def observe(self, packets: Sequence[tuple[Packet, Fate]], rejections: Sequence[Rejection]) -> None:
        self.digest.observe(packets, rejections)
        self.duplicates += [packet for packet, fate in packets if fate is Fate.DUPLICATE]
        self.reasons |= {rejection.reason.value for rejection in rejections}


async def replay(
    config: Config,
    wanted: str,
    speed: float | None,
    to: str,
    stopping: asyncio.Event,
    *,
    password_file: Path | None = None,
) -> Played:
    """Play the recording or archived pass `wanted` to the broker (`to` is "mqtt") or into the archive at URL `to`.

    `password_file` is the archive's. Ends soon after `stopping`, with what was played until then.
    """
    if to == "mqtt" and password_file is not None:
        raise ConfigError(["--password-file: found with --to mqtt, expected with an archive's URL"])
    target = None if to == "mqtt" else target_of(config, to, password_file)
    with recording_of(config, wanted) as (recording, notes):
        player = Player(recording=recording, link=LINK, speed=speed)
        if target is None:
            played = await to_broker(config, player, stopping)
        else:
            played = await to_archive(config, player, target, stopping)
        return replace(played, notes=(*played.notes, *notes))


@contextmanager
def recording_of(config: Config, wanted: str) -> Iterator[tuple[Recording, Sequence[str]]]:
    """Yield the recording in the file `wanted`, or one made of the archived pass `wanted` for this while.

    With it comes what making it had to say.
    """
    if Path(wanted).is_file() or wanted.endswith(".gspass"):
        yield open_recording(Path(wanted)), ()
        return
    with tempfile.TemporaryDirectory(prefix="groundstation-replay-") as directory:
        made = record_pass(config, wanted, Path(directory) / "pass.gspass")
        yield made.recording, made.notes


def target_of(config: Config, to: str, password_file: Path | None) -> Target:
    """Return another archive than the station's own, into which a replay would add nothing."""
    target = Target(absolute_url(to, Path.cwd()), password_file)
    try:
        address = check_url(target.url)
    except UrlError as error:
        said = str(error).replace("the file that password_file names", "--password-file, or in PGPASSFILE's file")
        raise ConfigError([f"--to: {said}, or mqtt"]) from error
    try:
        with_password(address, password_file)
    except UrlError as error:
        raise ConfigError([f"--{str(error).replace('_', '-', 1)}"]) from error
    own = config.settings.archive
    if same_archive(Reader(own.url, own.password_file), Reader(target.url, target.password_file)):
        raise ConfigError([f"--to: found {to}, the station's own archive, expected another one"])
    return target


async def to_archive(config: Config, player: Player, target: Target, stopping: asyncio.Event) -> Played:
    """Decode and store as the daemon does; the archive is created where there is none."""
    header = player.recording.header
    definitions = definitions_for(config, player.recording)
    decode = Decoder(definitions, {*config.sites, header.station}, {LINK: header.topic_prefix})
    observed = Observed()
    await asyncio.to_thread(migrate, target.url, target.password_file)
    async with Writer(target.url, target.password_file) as writer:
        await writer.save_definitions(list(definitions.values()))
        await keep_prediction(writer, player.recording)
        inbox = await feed(player, stopping, lambda inbox: record(inbox, decode, writer, observed.observe))
    reader = Reader(target.url, target.password_file)
    otherwise = await reader.ask(decoded_otherwise, observed.duplicates) if observed.duplicates else {}
    account = inbox.accounts[LINK]
    summary = (
        f"received {account.received} = stored {account.stored} + duplicate {account.duplicate}"
        f" + quarantined {account.quarantined} + in flight {inbox.held().total()}"
    )
    warnings = [
        f"{count} packets were there already, decoded with {kept}: their values stay, expected a new archive"
        for kept, count in sorted(otherwise.items())
    ]
    played = Played(
        player.played, player.total, summary, observed.digest.hexdigest(), (definition_used(header, definitions),)
    )
    return judged(played, inbox, (*warnings, *why_nothing(account, observed, header, definitions)))


def judged(played: Played, inbox: Inbox, warnings: Sequence[str]) -> Played:
    """Return `played` with every reason why it is not the whole pass; a part has no digest."""
    if not played.total:
        warnings = (*warnings, "the recording holds no message")
    left = inbox.held().total()
    part = left or not played.whole
    if part:
        return replace(played, messages=played.messages - left, digest=None, warnings=tuple(warnings))
    return replace(played, warnings=tuple(warnings))


def why_nothing(
    account: Account, observed: Observed, header: Header, definitions: dict[str, Definition]
) -> Iterator[str]:
    """Yield why not one message became a packet."""
    if account.received and account.quarantined == account.received:
        missing = "" if header.satellite in definitions else f", and there is no definition of {header.satellite}"
        yield f"no message became a packet ({', '.join(sorted(observed.reasons))}){missing}"


def definition_used(header: Header, definitions: dict[str, Definition]) -> str:
    """Return which definition decoded, and under which it was recorded."""
    used = definitions.get(header.satellite)
    with_ = f"decoded with {used.hash}" if used else f"decoded without a definition of {header.satellite}"
    return f"{with_}, recorded under {header.definition.hash if header.definition else 'none'}"


async def keep_prediction(writer: Writer, recording: Recording) -> None:
    """Keep the pass and the elements that it was predicted from, so that the pass can be recorded from there again."""
    header = recording.header
    if header.elements is not None:
        try:
            elements = elements_from(header.elements, f"{recording.path}: elements")
        except ElementsError as error:
            raise RecordingError(str(error)) from error
        await writer.save_elements([replace(elements, name=header.satellite, source=LINK)])
    told = header.prediction
    if told is None or told.row is None:
        return
    row = {
        "satellite": header.satellite,
        "norad_id": told.row.norad_id,
        "station": header.station,
        "aos": told.aos_us,
        "culmination": told.row.culmination_us,
        "tca": told.row.tca_us,
        "los": told.los_us,
        "aos_azimuth_deg": told.row.aos_azimuth_deg,
        "culmination_azimuth_deg": told.row.culmination_azimuth_deg,
        "los_azimuth_deg": told.row.los_azimuth_deg,
        "max_elevation_deg": told.max_elevation_deg,
        "tca_range_km": told.row.tca_range_km,
        "elements_epoch": told.row.elements_epoch_us,
        "predicted_at": told.row.predicted_at_us,
    }
    await writer.commit(keep_replayed, row)


async def to_broker(config: Config, player: Player, stopping: asyncio.Event) -> Played:
    """Publish every message again, at QoS 1, under its old topic with the link's own prefix."""
    if not config.settings.links:
        raise ConfigError(["--to: found mqtt, expected a link in the configuration"])
    # The daemon may be running: under its client id the broker would throw it out.
    link = msgspec.structs.replace(config.settings.links[0], client_id=f"groundstation-replay-{os.getpid()}")
    prefix = player.recording.header.topic_prefix
    async with Publisher(link) as publisher:

        async def publish(inbox: Inbox) -> None:
            while not inbox.finished:
                batch = await inbox.batch()
                await publisher.publish_all(
                    [Outgoing(under_prefix(one.topic, prefix, link.topic_prefix), one.payload) for one in batch]
                )
                inbox.settle([Fate.STORED] * len(batch))

        inbox = await feed(player, stopping, publish)
    confirmed = inbox.accounts[LINK].stored
    played = Played(player.played, player.total, f"{confirmed} messages confirmed by {link.host}:{link.port}")
    return judged(played, inbox, ())


async def feed(player: Player, stopping: asyncio.Event, sink: Callable[[Inbox], Coroutine[Any, Any, None]]) -> Inbox:
    """Play into an inbox of its own, and return it once `sink` has emptied it.

    A sink whose archive or broker is away gets a while after `stopping`; what it holds then stays in the inbox.
    """
    inbox = Inbox([LINK])
    async with asyncio.TaskGroup() as tasks:
        sinking = tasks.create_task(sink(inbox), name="sink")
        await player.run(inbox, stopping)
        inbox.close()
        stopped = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait((sinking, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        await asyncio.wait((sinking,), timeout=DRAIN_S)
        sinking.cancel()
    return inbox


def definitions_for(config: Config, recording: Recording) -> dict[str, Definition]:
    """Return the configuration's definitions, and the recording's own where they do not know its satellite."""
    definitions = dict(config.definitions)
    header = recording.header
    if header.satellite not in definitions and header.definition is not None:
        try:
            own = load_definition(header.definition.toml, f"{recording.path}: definition")
        except DefinitionError as error:
            raise RecordingError(str(error)) from error
        definitions[header.satellite] = own
    return definitions
