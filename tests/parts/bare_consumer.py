"""The floor for ingest: `python -m tests.parts.bare_consumer PORT COUNT FILE [CLIENT_ID]`, what an hour by hand gives.

paho → msgpack → sqlite3, acknowledged after the commit. No calibration, no limits, no quarantine, no bounds, no latest
values, no metrics, no way to recover: what it costs to lose nothing, and nothing more.
"""

import json
import sqlite3
import sys
import time

import msgpack
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

CLIENT_ID = "bare"
BATCH_MOST, LINGER_S = 1000, 0.02


def new_client(port: int, client_id: str) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id, clean_session=False, protocol=paho.MQTTv311, manual_ack=True
    )
    client.connect("127.0.0.1", port)
    return client


def row(payload: bytes | bytearray) -> tuple[object, ...]:
    envelope = msgpack.unpackb(payload)
    frame = msgpack.unpackb(envelope["frame"])
    return frame["t"].to_unix_nano() // 1000, frame["n"], envelope["frame"], json.dumps(frame["d"])


def consume(port: int, count: int, file: str, client_id: str = CLIENT_ID) -> None:
    """Store `count` messages, then return."""
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS packet (t INTEGER PRIMARY KEY, n INTEGER, frame BLOB, data TEXT)")
    waiting: list[paho.MQTTMessage] = []
    client = new_client(port, client_id)
    client.on_message = lambda *given: waiting.append(given[2])
    stored, due = 0, time.monotonic()
    while stored < count:
        client.loop(LINGER_S)
        if waiting and (len(waiting) >= BATCH_MOST or time.monotonic() >= due):
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO packet VALUES (?, ?, ?, ?)", [row(m.payload) for m in waiting])
            database.execute("COMMIT")
            for message in waiting:
                client.ack(message.mid, message.qos)
            stored += len(waiting)
            waiting.clear()
            due = time.monotonic() + LINGER_S
    client.disconnect()
    while client.loop(LINGER_S) == paho.MQTT_ERR_SUCCESS:
        pass


if __name__ == "__main__":
    consume(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
