"""Measure what decoding one message costs: python -m tests.bench.decode [--messages N] [--rounds N].

The packet has 20 parameters: 8 linear, 4 polynomial (cubic), 2 enumerations, 4 plain, 2 texts; 14 of them with limits
on two levels. Each row is the best of the rounds, in microseconds of CPU a message, so that noise of the machine
counts least.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import msgpack

from groundstation.telemetry.decode import Decoder, digest_of
from groundstation.telemetry.definition import Definition, load_definition
from groundstation.telemetry.envelope import open_envelope, pack_frame, seal
from groundstation.telemetry.packet import Message, Packet
from groundstation.telemetry.unpack import unpack

TOPIC = "gs/v1/hko/bench-sat/telemetry"
HEAD = """
slug = "bench-sat"
version = "1"
name = "Bench-Sat"
status = "simulated"
[[packets]]
name = "housekeeping"
match = 1
"""
LIMITS = "limits.warning = { low = -900.0, high = 900.0 }\nlimits.critical = { low = -950.0, high = 950.0 }\n"
KINDS = (
    ["raw = 'uint'\nlinear = { slope = 0.001, offset = 0.5 }\n" + LIMITS] * 8
    + ["raw = 'int'\npolynomial = [1.0, 0.01, 1e-5, 1e-9]\n" + LIMITS] * 4
    + ["raw = 'uint'\nenumeration = { 0 = 'OFF', 1 = 'ON', 2 = 'SAFE' }\nlevels = { SAFE = 'warning' }\n"] * 2
    + ["raw = 'float'\n" + LIMITS] * 2
    + ["raw = 'uint'\n"] * 2
    + ["raw = 'string'\n"] * 2
)


def definition_text() -> str:
    parameters = [f"[[packets.parameters]]\nname = 'parameter_{n:02}'\n{kind}" for n, kind in enumerate(KINDS)]
    return HEAD + "\n".join(parameters)


def definition() -> Definition:
    return load_definition(definition_text(), "bench-sat.toml")


def data(number: int) -> list[object]:
    linear = [1000 * n + number % 1000 for n in range(8)]
    cubic = [100 * n - number % 100 for n in range(4)]
    return [*linear, *cubic, number % 2, 1, 20.5 + number % 10, -3.25, number, 7, "nominal", "boot 12"]


def generated_at_us(number: int, every_us: int = 1_000_000) -> int:
    return 1_760_000_000_000_000 + number * every_us


def payload(number: int, named: bool = True, every_us: int = 1_000_000) -> bytes:
    """Return the message of packet `number` as a station sends it; each has its own frame."""
    raws = data(number)
    frame = pack_frame(
        1,
        number % 16384,
        generated_at_us(number, every_us),
        {f"parameter_{n:02}": raw for n, raw in enumerate(raws)} if named else raws,
    )
    received_at_us = generated_at_us(number, every_us) + 250_000
    return seal(frame, received_at_us, link={"rssi_dbm": -101.5, "snr_db": 9.25})


def messages(count: int, named: bool) -> list[Message]:
    return [Message("main", TOPIC, payload(number, named), 1_760_000_001_000_000) for number in range(count)]


def cpu_us(work: Callable[[Message], object], batch: Sequence[Message], rounds: int) -> float:
    """Return the least CPU time of one call over all rounds, in microseconds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for message in batch:
            work(message)
        best = min(best, time.process_time() - start)
    return best / len(batch) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    decoder = Decoder({"bench-sat": definition()}, ["hko"], {"main": "gs/v1"})
    for named in (True, False):
        batch = messages(given.messages, named)
        assert all(isinstance(packet := decoder(m), Packet) and not packet.faults for m in batch)
        frames = {m.payload: open_envelope(m.payload).frame for m in batch}
        print(f"{'names' if named else 'positions'}: {len(batch[0].payload)} bytes a payload")
        report(batch, frames, decoder, given.rounds)


def report(batch: Sequence[Message], frames: dict[bytes, bytes], decoder: Decoder, rounds: int) -> None:
    rows: list[tuple[str, Callable[[Message], object]]] = [
        (
            "msgpack alone, envelope and frame",
            lambda m: (msgpack.unpackb(m.payload), msgpack.unpackb(frames[m.payload])),
        ),
        ("open_envelope", lambda m: open_envelope(m.payload)),
        ("unpack the frame, bounded", lambda m: unpack(frames[m.payload])),
        ("digest", lambda m: digest_of("bench-sat", frames[m.payload])),
        ("decoder(message), the whole", decoder),
    ]
    for name, work in rows:
        print(f"  {name:<36}{cpu_us(work, batch, rounds):8.2f} µs")


if __name__ == "__main__":
    main()
