"""Messages and headers to record."""

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from groundstation.replay.recording import DefinitionText, Header, Prediction
from groundstation.telemetry.packet import Message

AOS_US = 1_780_000_000_000_000
HEADER = Header(
    created_at_us=AOS_US + 700_000_000,
    software="groundstation 0.1.0",
    satellite="fictional-1",
    station="hko",
    topic_prefix="gs/v1",
    prediction=Prediction(AOS_US, AOS_US + 600_000_000, 45.5),
    elements={"OBJECT_NAME": "FICTIONAL-1", "NORAD_CAT_ID": 99001, "MEAN_MOTION": 15.2, "CLASSIFICATION_TYPE": None},
    definition=DefinitionText("0f" * 16, '# what it says\nsatellite = "fictional-1"\n'),
)


def message(at_s: float = 0.0, payload: bytes = b"\x81", **fields: object) -> Message:
    topic = "gs/v1/hko/fictional-1/telemetry"
    return Message("mqtt", topic, payload, AOS_US + round(at_s * 1e6), **fields)  # type: ignore[arg-type]


def messages(at_s: Sequence[float]) -> Iterator[Message]:
    return (message(at, str(number).encode()) for number, at in enumerate(at_s))


any_text = st.text(max_size=40)  # hypothesis makes no lone surrogates unless asked
any_message = st.builds(
    Message,
    link=any_text,
    topic=any_text,
    payload=st.binary(max_size=300),
    arrived_at_us=st.integers(-(2**63), 2**63 - 1),
    qos=st.integers(0, 2),
    retained=st.booleans(),
)
any_header = st.builds(
    Header,
    created_at_us=st.integers(-(2**63), 2**63 - 1),
    software=any_text,
    satellite=any_text,
    station=any_text,
    topic_prefix=any_text,
    prediction=st.none()
    | st.builds(
        Prediction,
        st.none() | st.integers(0, 2**60),
        st.none() | st.integers(0, 2**60),
        st.floats(allow_nan=False),
    ),
    elements=st.none()
    | st.dictionaries(
        any_text, any_text | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.none(), max_size=8
    ),
    definition=st.none() | st.builds(DefinitionText, any_text, any_text),
)
