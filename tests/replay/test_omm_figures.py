from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.orbit.elements import Elements, ElementsError
from groundstation.orbit.tle import parse_tle
from groundstation.replay.omm_figures import elements_from, omm_figures

# Vanguard 1, from the verification set of Vallado et al., "Revisiting Spacetrack Report #3" (AIAA 2006-6753).
VANGUARD_1 = """\
1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753
2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667
"""


def test_a_published_set_comes_back_figure_by_figure() -> None:
    (elements,) = parse_tle(VANGUARD_1, "vanguard.tle")
    figures = omm_figures(elements)
    assert figures["NORAD_CAT_ID"] == 5
    assert figures["EPOCH"] == "2000-06-27T18:50:19.733568"
    assert elements_from(figures, "a.gspass") == replace(elements, source="a.gspass:1")


angles = st.floats(0, 360)
rates = st.floats(-1, 1)


@given(
    st.builds(
        Elements,
        norad_id=st.integers(1, 999_999_999),
        name=st.text(max_size=24),
        cospar_id=st.just("1998-067A"),
        epoch=st.datetimes(datetime(1960, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis wants naive bounds
        mean_motion_rev_day=st.floats(0.01, 18),
        eccentricity=st.floats(0, 0.999),
        inclination_deg=st.floats(0, 180),
        raan_deg=angles,
        argument_of_perigee_deg=angles,
        mean_anomaly_deg=angles,
        bstar_per_earth_radius=rates,
        mean_motion_dot_rev_day2=rates,
        mean_motion_ddot_rev_day3=rates,
        classification=st.sampled_from("UCS"),
        element_set_no=st.integers(0, 9999),
        revolutions=st.integers(0, 99999),
    )
)
def test_no_figure_of_any_set_is_lost(elements: Elements) -> None:
    assert elements_from(omm_figures(elements), "x") == replace(elements, source="x:1")


def test_figures_that_are_no_set_are_refused_by_file() -> None:
    with pytest.raises(ElementsError, match=r"a\.gspass:1: NORAD_CAT_ID is missing"):
        elements_from({"OBJECT_NAME": "X"}, "a.gspass")
