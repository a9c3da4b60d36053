"""The two column types that differ between SQLite and PostgreSQL: a time and a JSON value."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

from groundstation.telemetry.moments import EPOCH, MICROSECOND, microseconds

EARLIEST_US = microseconds(datetime.min.replace(tzinfo=UTC))
LATEST_US = microseconds(datetime.max.replace(tzinfo=UTC))

encode_json = msgspec.json.Encoder().encode
encode_json_lines = msgspec.json.Encoder().encode_lines  # each value in a line, every line ended
decode_json = msgspec.json.Decoder().decode

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where the type is INTEGER


class Time(TypeDecorator[int]):
    """Integer microseconds UTC in Python; `timestamptz` in PostgreSQL, the same integer in SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "postgresql":
            return value
        # A bound of a query may lie beyond the years that a datetime knows; rows are checked before they come here.
        return EPOCH + timedelta(microseconds=min(max(value, EARLIEST_US), LATEST_US))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name != "postgresql":
            return value
        return (value - EPOCH) // MICROSECOND


class Json(TypeDecorator[Any]):
    """A JSON value: `jsonb` in PostgreSQL; in SQLite text, since a column declared JSON turns '1.50' into a number.

    Numbers come back as they went in, but `jsonb` knows decimals alone: from there 1e16 comes back as an integer.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":  # there the driver encodes, by the engine's json_serializer
            return value
        return encode_json(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return decode_json(value) if dialect.name != "postgresql" and value is not None else value
