from itertools import islice, pairwise

import pytest

from groundstation.link.simulated import Drift, Faults, SimulatedSatellite, band, heard, transmissions
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.definition import Definition, load_definition
from groundstation.telemetry.packet import Level, Message, Packet, Rejection

START_US = 1_795_000_000_000_000
MINUTE_US = 60_000_000
DEFINITION = """
slug = "try-sat"
version = "1"
name = "Try-Sat"
status = "simulated"

[[packets]]
name = "power"
match = 1
[[packets.parameters]]
name = "battery_voltage"
key = "eps.0"
raw = "uint"
unit = "V"
linear = { slope = 0.001 }
valid_range = { low = 0.0, high = 12.0 }
limits.warning = { low = 7.0, high = 8.4 }
limits.critical = { low = 6.6 }
[[packets.parameters]]
name = "battery_temperature"
key = "eps.1"
raw = "int"
unit = "degC"
polynomial = [-40.0, 0.05, 1e-6]
limits.warning = { low = -10.0, high = 45.0 }
[[packets.parameters]]
name = "mode"
raw = "uint"
enumeration = { 0 = "SAFE", 1 = "NOMINAL", 2 = "IMAGING" }
levels = { SAFE = "warning" }

[[packets]]
name = "radio"
[[packets.parameters]]
name = "uptime"
raw = "uint"
[[packets.parameters]]
name = "beacon_on"
raw = "bool"
[[packets.parameters]]
name = "callsign"
raw = "string"
[[packets.parameters]]
name = "blob"
raw = "binary"
[[packets.parameters]]
name = "gain"
raw = "float"
optional = true
"""
SHAPES = {  # what a definition may say about its frames
    "as shipped": "",
    "numbers since GPS's epoch": '[frame]\ntime_unit = "ms"\nepoch = 1980-01-05T23:59:42Z\nmodulus = 8\n',
    "seconds since J2000": "[frame]\nepoch = 2000-01-01T12:00:00Z\n",
    "everything in one map": '[frame]\npacket = "head.id"\nsequence = "head.n"\ntime = ""\ndata = ""\n',
    "one count a satellite": '[frame]\nsequence_per = "satellite"\ntime_unit = "ns"\n',
}


def definition(shape: str = "") -> Definition:
    head, packets = DEFINITION.split("\n[[packets]]", 1)
    return load_definition(f"{head}\n{shape}\n[[packets]]{packets}", "try-sat.toml")


def decoded(satellite: SimulatedSatellite, payload: bytes) -> Packet | Rejection:
    decode = Decoder({"try-sat": satellite.definition}, {"hko"}, {"mqtt": "gs/v1"})
    return decode(Message("mqtt", "gs/v1/hko/try-sat/telemetry", payload, START_US))


def sent(shape: str = "", minutes: int = 10) -> list[Packet]:
    satellite = SimulatedSatellite(definition(shape))
    end_us = START_US + minutes * MINUTE_US
    every = transmissions(satellite, start_us=START_US, end_us=end_us, rate_hz=1.0, faults=Faults(0, 0))
    packets = [decoded(satellite, each.payload) for each in every]
    assert all(isinstance(packet, Packet) for packet in packets), packets
    return [packet for packet in packets if isinstance(packet, Packet)]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_frame_decodes_without_a_fault_whatever_the_frame_looks_like(shape: str) -> None:
    packets = sent(shape, minutes=2)
    assert [packet.faults for packet in packets] == [()] * 121
    assert [packet.packet for packet in packets[:3]] == ["power", "radio", "power"]
    assert sum(packet.unknown for packet in packets) == 0
    if 'time = ""' not in shape:
        assert [p.generated_at_us for p in packets] == [START_US + n * 1_000_000 for n in range(121)]


def test_sequence_counts_go_up_by_one_for_each_packet_and_wrap() -> None:
    power = [p.sequence for p in sent("[frame]\nmodulus = 8\n", minutes=1) if p.packet == "power"]
    assert power == [n % 8 for n in range(31)]


def test_one_count_for_the_whole_satellite_where_the_definition_says_so() -> None:
    assert [p.sequence for p in sent(SHAPES["one count a satellite"], minutes=1)] == list(range(61))


def test_values_move_smoothly_within_their_limits_but_for_the_one_that_drifts() -> None:
    power = [packet for packet in sent() if packet.packet == "power"]
    temperatures = [float(p.values["battery_temperature"] or 0) for p in power]
    assert all(-10 <= value <= 45 for value in temperatures)
    assert max(temperatures) - min(temperatures) > 10
    assert max(abs(b - a) for a, b in pairwise(temperatures)) < 4
    assert not any("battery_temperature" in packet.levels for packet in power)


def test_one_parameter_drifts_out_of_limits_in_mid_pass_and_comes_back() -> None:
    levels = [p.levels.get("battery_voltage", Level.IN_LIMITS) for p in sent() if p.packet == "power"]
    out = [index for index, level in enumerate(levels) if level]
    assert max(levels) >= Level.WARNING
    assert out == list(range(out[0], out[-1] + 1))
    assert len(levels) * 0.35 < out[0] < out[-1] < len(levels) * 0.75


def test_a_drift_goes_past_the_severest_bound_but_stays_valid() -> None:
    (voltage, *_) = definition().packets[0].parameters
    found = band(voltage)
    assert 6.6 < found.low < found.high < 8.4 < found.farthest <= 12.0
    assert Drift("battery_voltage", 0, 100).share(50) == 1.0


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = (SimulatedSatellite(definition(), seed).frame(6, START_US) for seed in (1, 1, 2))
    assert first == again != other


def test_faults_come_as_often_as_asked_and_every_one_of_them_is_refused_as_a_frame() -> None:
    satellite = SimulatedSatellite(definition())
    every = transmissions(satellite, start_us=START_US, end_us=None, rate_hz=10, faults=Faults(40, 60))
    sends = list(islice(every, 610))
    frames = [send for send in sends if send.nature != "duplicate"]
    assert len(frames) == 600
    assert [send.nature for send in frames].count("corrupted") == 10
    for before, send in pairwise(sends):
        if send.nature == "duplicate":
            assert send.payload == before.payload
        if send.nature == "corrupted":
            rejection = decoded(satellite, send.payload)
            assert isinstance(rejection, Rejection)
            assert rejection.reason == "frame"
    duplicates = len(sends) - len(frames)
    assert duplicates == 15 - 5 == sum(n % 40 == 39 and n % 60 != 59 for n in range(600))


def test_the_signal_is_stronger_the_higher_the_satellite() -> None:
    low, high = heard(START_US, 5.0), heard(START_US, 80.0)
    assert high["rssi_dbm"] - low["rssi_dbm"] == pytest.approx(high["snr_db"] - low["snr_db"], abs=0.2)
    assert high["snr_db"] > low["snr_db"] + 5


def test_a_definition_without_packets_cannot_be_simulated() -> None:
    with pytest.raises(ValueError, match="bare: the definition has no packets"):
        SimulatedSatellite(load_definition('slug="bare"\nversion="1"\nname="B"\nstatus="decayed"\n', "bare.toml"))
