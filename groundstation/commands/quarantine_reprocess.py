"""What is in quarantine, decoded again with today's definitions: what decodes becomes packets.

quarantine ──► message again ──► Decoder ──► one transaction a chunk: packets in, numbers out
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from groundstation.archive.quarantine import Wanted, held_back, release
from groundstation.archive.queries import Quarantined, Reader
from groundstation.archive.writer import Writer
from groundstation.config import Config
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.packet import Fate, Message, Packet, Reason

CHUNK = 500  # messages in one transaction


@dataclass(slots=True)
class Reprocessed:
    """What became of the messages; those that stay are counted by the reason that they have today."""

    seen: int = 0
    stored: int = 0
    duplicate: int = 0
    stay: Counter[str] = field(default_factory=Counter)


async def reprocess(
    config: Config, wanted: Wanted, progress: Callable[[int], None] = lambda _: None, *, dry_run: bool = False
) -> Reprocessed:
    """Decode what is wanted again and move what decodes; with `dry_run` it only counts as stored.

    `progress` hears how many were seen. Interrupted anywhere, it has lost nothing: call it again.
    Raises ArchiveUnavailableError.
    """
    settings = config.settings
    decode = decoder_of(config)
    result, after = Reprocessed(), 0
    place = (settings.archive.url, settings.archive.password_file)
    async with Reader(*place) as reader, Writer(*place) as writer:
        if not dry_run:
            await writer.save_definitions(list(config.definitions.values()))
        while chunk := await reader.ask(held_back, wanted, after=after, most=CHUNK):
            after = chunk[-1].id
            decoded = packets_of(chunk, decode, result)
            if dry_run:
                result.stored += len(decoded)
            elif decoded:
                fates = Counter(await writer.commit(release, decoded, time.time_ns() // 1000))
                result.stored += fates[Fate.STORED]
                result.duplicate += fates[Fate.DUPLICATE]
                if fates[Fate.QUARANTINED]:
                    result.stay[Reason.UNSTORABLE] += fates[Fate.QUARANTINED]
            result.seen += len(chunk)
            progress(result.seen)
    return result


def decoder_of(config: Config) -> Decoder:
    """Return the pipeline's own decoder."""
    prefixes = {link.name: link.topic_prefix for link in config.settings.links}
    return Decoder(config.definitions, set(config.sites), prefixes)


def packets_of(chunk: list[Quarantined], decode: Decoder, result: Reprocessed) -> list[tuple[int, Packet]]:
    """Return what decodes today with its number in quarantine; what does not is counted in `result`."""
    found = []
    for held in chunk:
        if held.payload_bytes > len(held.payload):  # the rest of it was never kept
            result.stay[Reason.OVERSIZE] += 1
            continue
        decoded = decode(Message(held.link, held.topic, held.payload, held.arrived_at_us))
        if isinstance(decoded, Packet):
            found.append((held.id, decoded))
        else:
            result.stay[decoded.reason] += 1
    return found
