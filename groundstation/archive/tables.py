"""What the archive keeps, as tables; `migrations/` brings a database to this shape, and a test compares the two.

    packet ──< reception     one row per frame; one more row for each further station that heard it
    latest_packet            the newest realtime packet of each kind, of those that brought all their parameters
    latest_parameter         the newest value of each parameter that came in a realtime packet without all the others
    latest                   a view of these two: the newest value of each parameter
    rollup_1h                each parameter's hours, by generation time; kept when retention takes the packets
    rollup_dirty             hours that got packets since they were rolled up: a row for each transaction, or fewer
    quarantine               messages that could not become packets, whole, with the reason; equal ones of an hour once
    pass                     predicted passes, each under one number while its times move
    contact                  the passes that each station takes, under one number while plans are made again
    elements, definition     every element set and every definition that was ever used; a set serves from `admitted_at`
    elements_refused         element sets that the gate did not admit, with the reason
    element_fetch            how each network source of elements was last asked, and when it may be asked again

A packet is known by satellite, generation time and the digest of its frame. Its own row says which station was first;
`stored_at` grows by at least a microsecond from row to row of one writer, so that it is also the order of arrival.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from groundstation.archive.columns import Id, Json, Time

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The key begins with the columns that people filter by, and holds the time by which TimescaleDB would partition.
packet = Table(
    "packet",
    metadata,
    Column("satellite", Text, nullable=False),
    Column("generated_at", Time, nullable=False),
    Column("digest", BigInteger, nullable=False),
    Column("name", Text, nullable=False),  # the packet's name in the definition
    Column("sequence", BigInteger),
    Column("kind", Text, nullable=False),
    Column("received_at", Time, nullable=False),
    Column("stored_at", Time, nullable=False),
    Column("station", Text, nullable=False),  # the first that heard it
    Column("link", Text, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    Column("parameters", Json, nullable=False),  # engineering values by name
    Column("levels", Json),  # level names of the parameters out of limits; NULL where there are none
    Column("faults", Json),  # what could not be decoded; NULL where there is nothing
    Column("link_quality", Json),  # rssi_dbm, snr_db, ... as the envelope had them; NULL where it had none
    PrimaryKeyConstraint("satellite", "generated_at", "digest"),
    Index(None, "satellite", "received_at"),
)

reception = Table(
    "reception",
    metadata,
    Column("satellite", Text, nullable=False),
    Column("generated_at", Time, nullable=False),
    Column("digest", BigInteger, nullable=False),
    Column("station", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("received_at", Time, nullable=False),
    Column("stored_at", Time, nullable=False),
    Column("link", Text, nullable=False),
    Column("link_quality", Json),
    PrimaryKeyConstraint("satellite", "generated_at", "digest", "station"),
    Index(None, "satellite", "received_at"),
)

# A row for each parameter of each packet would be a tenth of what a transaction of a few packets costs.
latest_packet = Table(
    "latest_packet",
    metadata,
    Column("satellite", Text, nullable=False),
    Column("packet", Text, nullable=False),
    Column("generated_at", Time, nullable=False),
    Column("received_at", Time, nullable=False),
    Column("stored_at", Time, nullable=False),
    Column("station", Text, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("levels", Json),
    PrimaryKeyConstraint("satellite", "packet"),
    sqlite_with_rowid=False,
)

latest_parameter = Table(
    "latest_parameter",
    metadata,
    Column("satellite", Text, nullable=False),
    Column("parameter", Text, nullable=False),
    Column("packet", Text, nullable=False),
    Column("generated_at", Time, nullable=False),
    Column("received_at", Time, nullable=False),
    Column("stored_at", Time, nullable=False),
    Column("station", Text, nullable=False),
    Column("value", Json),  # NULL where the parameter came but could not be decoded
    Column("level", Text, nullable=False),
    PrimaryKeyConstraint("satellite", "parameter"),
)

latest = Table(
    "latest",
    MetaData(),  # of its own: a view
    Column("satellite", Text),
    Column("parameter", Text),
    Column("packet", Text),
    Column("generated_at", Time),
    Column("received_at", Time),
    Column("station", Text),
    Column("value", Json),
    Column("level", Text),
)

rollup_1h = Table(
    "rollup_1h",
    metadata,
    Column("satellite", Text, nullable=False),
    Column("parameter", Text, nullable=False),
    Column("hour", Time, nullable=False),  # its beginning
    Column("min", Double, nullable=False),
    Column("max", Double, nullable=False),
    Column("mean", Double, nullable=False),
    Column("n", BigInteger, nullable=False),  # values that are numbers, or true and false as 1 and 0
    PrimaryKeyConstraint("satellite", "parameter", "hour"),
    sqlite_with_rowid=False,  # a year of one parameter lies together
)

rollup_dirty = Table(
    "rollup_dirty",
    metadata,
    Column("id", Id, primary_key=True),
    Column("satellite", Text, nullable=False),
    Column("hour", Time, nullable=False),
    sqlite_autoincrement=True,  # a mark that was taken off must not come back under its number
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link", Text, nullable=False),
    Column("hour", Time, nullable=False),  # of arrival; the very arrival in rows of older versions
    Column("reason", Text, nullable=False),
    Column("digest", BigInteger, nullable=False),  # of topic and payload
    Column("arrived_at", Time, nullable=False),  # the first time
    Column("last_arrived_at", Time, nullable=False),
    Column("times", BigInteger, nullable=False),  # how often it came in that hour, redeliveries included
    Column("stored_at", Time, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),  # its length as it came; more than is kept where it was huge
    Column("error", Text, nullable=False),
    UniqueConstraint("link", "hour", "reason", "digest"),
    Index(None, "arrived_at"),
    sqlite_autoincrement=True,
)

elements = Table(
    "elements",
    metadata,
    Column("satellite", Text, nullable=False),
    Column("epoch", Time, nullable=False),
    Column("digest", BigInteger, nullable=False),  # of the mean elements
    Column("norad_id", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("admitted_at", Time, nullable=False),
    Column("mean_elements", Json, nullable=False),  # as `orbit.elements.Elements` names them, less the source
    PrimaryKeyConstraint("satellite", "epoch", "digest"),
)

elements_refused = Table(
    "elements_refused",
    metadata,
    Column("satellite", Text, nullable=False),
    Column("epoch", Time, nullable=False),
    Column("digest", BigInteger, nullable=False),
    Column("norad_id", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("refused_at", Time, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("mean_elements", Json, nullable=False),
    PrimaryKeyConstraint("satellite", "epoch", "digest"),
)

element_fetch = Table(
    "element_fetch",
    metadata,
    Column("address", Text, primary_key=True),  # what is asked, not our name for it: a new name gets no new turn
    Column("source", Text, nullable=False),
    Column("asked_at", Time, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("allowed_at", Time, nullable=False),
    Column("failures", Integer, nullable=False),  # in a row
    Column("succeeded_at", Time),
    Column("validators", Json),  # ETag and Last-Modified, as the next request sends them
)

definition = Table(
    "definition",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("satellite", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("first_used_at", Time, nullable=False),
    Column("content", Json, nullable=False),  # what the hash is of, and the keys left at their default
)

passes = Table(
    "pass",
    metadata,
    Column("id", Id, primary_key=True),
    Column("satellite", Text, nullable=False),
    Column("norad_id", Integer, nullable=False),
    Column("station", Text, nullable=False),
    Column("aos", Time),  # NULL where an edge is unknown: always up, or SGP4 cannot follow it there
    Column("culmination", Time, nullable=False),
    Column("tca", Time, nullable=False),
    Column("los", Time),
    Column("aos_azimuth_deg", Double),
    Column("culmination_azimuth_deg", Double, nullable=False),
    Column("los_azimuth_deg", Double),
    Column("max_elevation_deg", Double, nullable=False),
    Column("tca_range_km", Double, nullable=False),
    Column("elements_epoch", Time, nullable=False),
    Column("predicted_at", Time, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),  # how often it moved, or got other elements
    Column("revised_at", Time),  # when it last did, or was first predicted; NULL where an older version kept it
    Index(None, "culmination"),
    sqlite_autoincrement=True,  # a number is never given twice: calendars and recordings name passes by it
)

contact = Table(
    "contact",
    metadata,
    Column("id", Id, primary_key=True),
    Column("station", Text, nullable=False),
    Column("satellite", Text, nullable=False),
    Column("norad_id", Integer, nullable=False),
    Column("pass_id", BigInteger),  # the pass that it takes; NULL where that is not kept yet
    Column("starts_at", Time, nullable=False),
    Column("ends_at", Time, nullable=False),
    Column("max_elevation_deg", Double, nullable=False),
    Column("weight", Double, nullable=False),  # as it was when the contact was chosen
    Column("state", Text, nullable=False),  # planned, committed, cancelled
    Column("planned_at", Time, nullable=False),
    Index(None, "state", "ends_at"),
    sqlite_autoincrement=True,
)
