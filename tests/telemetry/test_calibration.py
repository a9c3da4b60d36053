import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.telemetry.calibration import calibrator, linear, polynomial
from tests.telemetry.definitions import one_packet

COEFFICIENTS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=16)
RAWS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(coefficients=COEFFICIENTS, raw=st.integers(-65536, 65536) | st.floats(-1e3, 1e3))
def test_a_polynomial_is_numpys(coefficients: list[float], raw: float) -> None:
    expected = np.polyval(np.array(coefficients[::-1], dtype=np.float64), np.float64(raw))
    assert polynomial(tuple(coefficients))(raw) == pytest.approx(float(expected), rel=1e-12, abs=1e-300)


@given(slope=st.floats(-1e6, 1e6), offset=st.floats(-1e6, 1e6), raw=st.integers(-(2**31), 2**32))
def test_linear_is_a_polynomial_of_the_first_degree(slope: float, offset: float, raw: int) -> None:
    assert linear(slope, offset)(raw) == polynomial((offset, slope))(raw) == slope * raw + offset


@given(coefficients=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=16), raw=RAWS)
def test_no_raw_value_raises(coefficients: list[float], raw: float) -> None:
    assert isinstance(polynomial(tuple(coefficients))(raw), float)
    assert isinstance(linear(coefficients[0], coefficients[-1])(raw), float)


@given(COEFFICIENTS, st.integers(-(2**63), -1))
def test_an_unsigned_parameter_has_no_value_for_a_negative_raw(coefficients: list[float], raw: int) -> None:
    assert math.isnan(polynomial(tuple(coefficients), least=0)(raw))
    assert math.isnan(linear(coefficients[0], 0.0, least=0)(raw))


@pytest.mark.parametrize(
    ("body", "raw", "value"),
    [
        ('raw = "uint"\nlinear = { slope = 0.001, offset = 0.5 }', 7400, 7.9),
        ('raw = "int"\npolynomial = [1.0, 2.0, 3.0]', -2, 9.0),
        ('raw = "int"\npolynomial = [0, 0, 0, 0, 2]', 3, 162.0),
        ('raw = "uint"\nenumeration = { 0 = "OFF", 1 = "ON" }', 1, "ON"),
        ('raw = "uint"\nenumeration = { 0 = "OFF", 1 = "ON" }', 2, None),
        ('raw = "float"', 3, 3.0),
        ('raw = "binary"', b"\x00\xff", "00ff"),
    ],
)
def test_a_parameter_is_calibrated_as_its_definition_says(body: str, raw: object, value: object) -> None:
    calibrate = calibrator(one_packet(f'name = "a"\n{body}').packets[0].parameters[0])
    assert calibrate is not None
    calibrated = calibrate(raw)
    assert calibrated == pytest.approx(value)
    assert type(calibrated) is type(value)


@pytest.mark.parametrize("raw", ["int", "uint", "bool", "string"])
def test_without_a_calibrator_the_raw_value_is_the_value(raw: str) -> None:
    assert calibrator(one_packet(f'name = "a"\nraw = "{raw}"').packets[0].parameters[0]) is None
