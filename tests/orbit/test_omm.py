"""Orbit Mean-Elements Messages: three forms of one content, and what is refused in each."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements, ElementsError
from tests.orbit.sets import KUANFU, at

FIELDS = {
    "OBJECT_NAME": "ISS (ZARYA)",
    "OBJECT_ID": "1998-067A",
    "EPOCH": "2026-10-05T11:57:27.650880",
    "MEAN_MOTION": 15.48742155,
    "ECCENTRICITY": 0.00068774,
    "INCLINATION": 51.6314,
    "RA_OF_ASC_NODE": 114.1795,
    "ARG_OF_PERICENTER": 225.7345,
    "MEAN_ANOMALY": 134.3079,
    "EPHEMERIS_TYPE": 0,
    "CLASSIFICATION_TYPE": "U",
    "NORAD_CAT_ID": 25544,
    "ELEMENT_SET_NO": 999,
    "REV_AT_EPOCH": 58885,
    "BSTAR": 0.00010195541,
    "MEAN_MOTION_DOT": 0.00005123,
    "MEAN_MOTION_DDOT": 0,
}


def as_json(**changes: object) -> str:
    return json.dumps([FIELDS | changes])


def as_csv(**changes: object) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(FIELDS))
    writer.writeheader()
    writer.writerow(FIELDS | changes)
    return stream.getvalue()


def as_xml(**changes: object) -> str:
    metadata = ("OBJECT_NAME", "OBJECT_ID")
    every = {key: str(value).replace("&", "&amp;").replace("<", "&lt;") for key, value in (FIELDS | changes).items()}
    tags = {key: f"<{key}>{value}</{key}>" for key, value in every.items()}
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ndm><omm id="CCSDS_OMM_VERS" version="3.0"><header/><body>\n<segment>'
        f"<metadata>{''.join(tags[key] for key in metadata)}<REF_FRAME>TEME</REF_FRAME></metadata>\n<data>"
        f"{''.join(tag for key, tag in tags.items() if key not in metadata)}</data></segment></body></omm></ndm>"
    )


Write = Callable[..., str]
FORMS = pytest.mark.parametrize("write", [as_json, as_csv, as_xml])


@FORMS
def test_every_form_gives_the_same_elements(write: Write) -> None:
    (read,) = parse_elements(write(), "f")
    assert read == Elements(
        norad_id=25544,
        name="ISS (ZARYA)",
        cospar_id="1998-067A",
        epoch=at("2026-10-05T11:57:27.650880"),
        mean_motion_rev_day=15.48742155,
        eccentricity=0.00068774,
        inclination_deg=51.6314,
        raan_deg=114.1795,
        argument_of_perigee_deg=225.7345,
        mean_anomaly_deg=134.3079,
        bstar_per_earth_radius=0.00010195541,
        mean_motion_dot_rev_day2=0.00005123,
        revolutions=58885,
        source=read.source,
    )
    assert read.source.startswith("f:")


@FORMS
def test_catalogue_numbers_have_up_to_nine_digits(write: Write) -> None:
    (read,) = parse_elements(write(NORAD_CAT_ID=100_712), "f")
    assert read.norad_id == 100_712
    (read,) = parse_elements(write(NORAD_CAT_ID=999_999_999), "f")
    assert read.norad_id == 999_999_999


@FORMS
def test_an_epoch_may_end_in_z_or_lack_a_fraction(write: Write) -> None:
    assert parse_elements(write(EPOCH="2026-10-05T11:57:27Z"), "f")[0].epoch == at("2026-10-05T11:57:27")


@FORMS
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"EPOCH": "yesterday"}, "EPOCH is 'yesterday', expected a UTC time"),
        ({"EPOCH": "2026-02-30T00:00:00"}, "EPOCH is '2026-02-30T00:00:00': "),
        ({"EPOCH": ""}, "EPOCH is missing"),
        ({"NORAD_CAT_ID": "1e3"}, "NORAD_CAT_ID is '1e3', expected a whole number"),
        ({"NORAD_CAT_ID": 1_000_000_000}, "norad_id is 1000000000, expected 1 to 999999999"),
        ({"MEAN_MOTION": "nan"}, "MEAN_MOTION is 'nan', expected a finite number"),
        ({"BSTAR": "1e999"}, "BSTAR is '1e999', expected a finite number"),
        ({"ECCENTRICITY": 1}, "eccentricity is 1.0, expected 0 or more and less than 1"),
        ({"INCLINATION": -1}, "inclination_deg is -1.0, expected 0 to 180"),
        ({"EPHEMERIS_TYPE": 4}, "EPHEMERIS_TYPE is '4', expected 0 or 1 or 2 or 3"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_each_fault_says_where_what_and_what_was_expected(
    write: Write, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ElementsError, match=r"^f:\d+: ") as caught:
        parse_elements(write(**changes), "f")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("REF_FRAME", "EME2000"), ("TIME_SYSTEM", "TAI"), ("CENTER_NAME", "MOON"), ("MEAN_ELEMENT_THEORY", "DSST")],
)
def test_a_message_that_sgp4_would_misread_is_refused(key: str, value: str) -> None:
    with pytest.raises(ElementsError, match=f"{key} is '{value}', expected"):
        parse_elements(as_json(**{key: value}), "f")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "f: no element set found"),
        ("[1]", "f:1: found '1', expected an OMM"),
        ('[{"EPOCH": NaN}]', "f:1: NORAD_CAT_ID is missing"),
        ('[{"EPOCH": 1, "EPOCH": 2}]', "f:1: a key stands twice"),
        (as_json()[:-20], "f:1: "),
        (as_json()[:-1], "f:1: the list stops after this object"),
        (as_json() + "x", "f: found ']x' at the end"),
        ("[" * 100_000, "f:1: "),
        ('{"a": ' * 100_000, "f:1: "),
        (json.dumps([FIELDS, FIELDS | {"BSTAR": []}], indent=1), "f:21: BSTAR is '[]', expected a finite number"),
        ("<!DOCTYPE html><html></html>", "f:1: found an HTML page"),
        ("<html><body>403</body></html>", "f:1: found an HTML page"),
        ('<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "b">]><ndm/>', "f:2: found a document type"),
        ("<ndm><segment>", "f:1: no element found, expected XML"),
        ("<ndm/>", "f: no element set found"),
        (as_xml().replace("<BSTAR>", "<BSTAR>1</BSTAR><BSTAR>"), "f:4: BSTAR stands twice"),
        (as_csv() + "1,2,3\r\n", "f:3: the row has fewer columns"),
        (as_csv().rstrip() + ",7\r\n", "f:2: the row has more columns"),
        (as_csv().replace("ISS", '"ISS'), "f:1: unexpected end of data"),
        ("No GP data found", "f: the text ends inside an element set"),
        ("", "f: no element set found"),
    ],
    ids=lambda text: text[:25],
)
def test_broken_files_are_refused_with_their_place(text: str, complaint: str) -> None:
    with pytest.raises(ElementsError) as caught:
        parse_elements(text, "f")
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_one_object_need_not_be_in_a_list() -> None:
    assert parse_elements(json.dumps(FIELDS), "f")[0].norad_id == 25544


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_elements("\ufeff" + KUANFU, "f")[0].norad_id == 57696


@given(st.text(max_size=300) | st.text('[]{}",:0123456789.eE+-<>/&! \n', max_size=120))
def test_no_text_raises_anything_but_an_elements_error(text: str) -> None:
    try:
        parse_elements(text, "f")
    except ElementsError as error:
        assert str(error).startswith("f")  # noqa: PT017 -- either outcome is right, and each is checked
