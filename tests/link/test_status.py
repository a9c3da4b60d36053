import pytest

from groundstation.link.status import StationStatus, StationStatusError, pack_status, read_status


@pytest.mark.parametrize(
    "status",
    [
        StationStatus(online=False),
        StationStatus(online=True, at_us=1_795_000_000_123_456, clock_synchronised=True, software="modem 1.2"),
        StationStatus(online=True, clock_synchronised=False),
    ],
)
def test_what_is_packed_is_read(status: StationStatus) -> None:
    assert read_status(pack_status(status)) == status


@pytest.mark.parametrize(
    "payload",
    [b"", b"online", b"[]", b"null", b'{"state": true}', b'{"state": "up"}', b"\xff", b"[" * 4000, b" " * 5000],
)
def test_what_is_no_status_is_refused(payload: bytes) -> None:
    with pytest.raises(StationStatusError):
        read_status(payload)


@pytest.mark.parametrize("at", ["NaN", "Infinity", "-1", "1e300", '"now"', "null"])
def test_an_implausible_time_is_left_out(at: str) -> None:
    assert read_status(b'{"state": "online", "at": %s, "more": 1}' % at.encode()) == StationStatus(online=True)
