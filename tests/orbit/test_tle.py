"""Two-line sets: what is read, and that each way of being wrong has its own one-line message."""

from datetime import timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sgp4.api import Satrec

from groundstation.orbit.elements import Elements, ElementsError, newest
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.tle import checksum, parse_tle
from tests.orbit.sets import KUANFU, at, shipped, verification_text, with_checksums

NAME, LINE_1, LINE_2 = KUANFU.splitlines()


def one(text: str) -> Elements:
    (elements,) = parse_tle(text, "f.tle")
    return elements


def put(line: str, column: int, text: str) -> str:
    """Return the line with `text` from `column` on, counted from 1."""
    return line[: column - 1] + text + line[column - 1 + len(text) :]


def test_a_set_is_read_to_the_last_digit() -> None:
    assert one(KUANFU) == Elements(
        norad_id=57696,
        name="JILIN-1 KUANFU 02A",
        cospar_id="2023-127A",
        epoch=at("2026-08-22T15:07:02.622144"),
        mean_motion_rev_day=15.11079105,
        eccentricity=0.0012962,
        inclination_deg=97.5555,
        raan_deg=327.6192,
        argument_of_perigee_deg=108.7287,
        mean_anomaly_deg=251.5351,
        bstar_per_earth_radius=0.22558e-3,
        mean_motion_dot_rev_day2=0.00003718,
        mean_motion_ddot_rev_day3=0.0,
        classification="U",
        element_set_no=999,
        revolutions=16566,
        source="f.tle:2",
    )


@pytest.mark.parametrize(
    "text",
    [
        KUANFU.replace("\n", "\r\n"),
        f"# a comment\n\n0 {KUANFU}",
        "\n".join(line + "   " for line in KUANFU.splitlines()),
    ],
    ids=["CRLF", "comment and 0 before the name", "trailing blanks"],
)
def test_the_same_set_is_read_from_each_custom_of_writing(text: str) -> None:
    assert one(text).name == "JILIN-1 KUANFU 02A"
    assert one(text).epoch == one(KUANFU).epoch


def test_two_lines_without_a_name_are_a_set_without_a_name() -> None:
    assert one(f"{LINE_1}\n{LINE_2}").name == ""


def test_a_name_may_begin_like_a_line() -> None:
    assert one(f"1 KUNS-PF\n{LINE_1}\n{LINE_2}").name == "1 KUNS-PF"


@pytest.mark.parametrize(("text", "number"), [("A0000", 100_000), ("J2931", 182_931), ("Z9999", 339_999)])
def test_alpha_5_numbers_are_read(text: str, number: int) -> None:
    assert one(with_checksums(f"{put(LINE_1, 3, text)}\n{put(LINE_2, 3, text)}")).norad_id == number


def test_years_turn_over_at_57() -> None:
    assert one(with_checksums(f"{put(LINE_1, 19, '57300')}\n{LINE_2}")).epoch.year == 1957
    assert one(with_checksums(f"{put(LINE_1, 19, '56300')}\n{LINE_2}")).epoch.year == 2056


def test_negative_powers_are_read() -> None:
    spoiled = put(put(LINE_1, 45, "-12345-6"), 54, "-11606+1")
    read = one(with_checksums(f"{spoiled}\n{LINE_2}"))
    assert read.mean_motion_ddot_rev_day3 == pytest.approx(-0.12345e-6)
    assert read.bstar_per_earth_radius == pytest.approx(-1.1606)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "f.tle: no element set found"),
        (f"{LINE_1[:-1]}4\n{LINE_2}", "f.tle:1: the checksum is '4', expected '3'"),
        (f"{LINE_1}\n{LINE_2[:-1]}x", "f.tle:2: the checksum is 'x', expected '0'"),
        (f"{LINE_1[:68]}\n{LINE_2}", "f.tle:1: the line has 68 columns, expected 69"),
        (f"{LINE_1}\n{LINE_2}1", "f.tle:2: the line has 70 columns, expected 69"),
        (f"{put(LINE_1, 3, 'I0000')}\n{LINE_2}", "f.tle:1: the catalogue number in columns 3-7 is 'I0000'"),
        (f"{put(LINE_1, 3, '5 696')}\n{LINE_2}", "f.tle:1: the catalogue number in columns 3-7 is '5 696'"),
        (f"{put(LINE_1, 3, '00000')}\n{put(LINE_2, 3, '00000')}", "f.tle:1: norad_id is 0, expected 1"),
        (f"{LINE_1}\n{put(LINE_2, 3, '57697')}", "f.tle:2: the catalogue number is 57697, expected line 1's 57696"),
        (f"{put(LINE_1, 8, 'X')}\n{LINE_2}", "f.tle:1: the classification in column 8 is 'X'"),
        (f"{put(LINE_1, 9, '0')}\n{LINE_2}", "f.tle:1: the separator in column 9 is '0'"),
        (f"{put(LINE_1, 10, '23127é')}\n{LINE_2}", "f.tle:1: the launch in columns 10-17"),
        (f"{put(LINE_1, 19, '2x')}\n{LINE_2}", "f.tle:1: the epoch's year in columns 19-20 is '2x'"),
        (
            f"{put(LINE_1, 21, '366.00000000')}\n{LINE_2}",
            "f.tle:1: the epoch's day is 366.00000000, expected 1 to less",
        ),
        (f"{put(LINE_1, 21, '000.99999999')}\n{LINE_2}", "f.tle:1: the epoch's day is 0.99999999"),
        (f"{put(LINE_1, 21, '2 4.62989146')}\n{LINE_2}", "f.tle:1: the epoch's day in columns 21-32 is '2 4.62989146'"),
        (f"{put(LINE_1, 19, '57001')}\n{LINE_2}", "f.tle:1: epoch is 1957-01-01"),
        (f"{put(LINE_1, 34, ' 00003718.')}\n{LINE_2}", "f.tle:1: the mean motion's first derivative in columns 34-43"),
        (f"{put(LINE_1, 45, ' 0000.-0')}\n{LINE_2}", "f.tle:1: the mean motion's second derivative in columns 45-52"),
        (f"{put(LINE_1, 54, ' 2255e-3')}\n{LINE_2}", "f.tle:1: B* in columns 54-61 is ' 2255e-3'"),
        (f"{put(LINE_1, 63, '4')}\n{LINE_2}", "f.tle:1: the ephemeris type is 4 (SGP4-XP)"),
        (f"{put(LINE_1, 65, 'abcd')}\n{LINE_2}", "f.tle:1: the element set's number in columns 65-68 is 'abcd'"),
        (f"{LINE_1}\n{put(LINE_2, 9, '197.5555')}", "f.tle:1: inclination_deg is 197.5555, expected 0 to 180"),
        (f"{LINE_1}\n{put(LINE_2, 9, ' 97,5555')}", "f.tle:2: the inclination in columns 9-16 is ' 97,5555'"),
        (f"{LINE_1}\n{put(LINE_2, 18, '400.0000')}", "f.tle:1: raan_deg is 400.0, expected 0 to 360"),
        (f"{LINE_1}\n{put(LINE_2, 27, '00129 2')}", "f.tle:2: the eccentricity in columns 27-33 is '00129 2'"),
        (f"{LINE_1}\n{put(LINE_2, 35, '361.0000')}", "f.tle:1: argument_of_perigee_deg is 361.0"),
        (f"{LINE_1}\n{put(LINE_2, 44, '999.0000')}", "f.tle:1: mean_anomaly_deg is 999.0"),
        (f"{LINE_1}\n{put(LINE_2, 53, '00.00000000')}", "f.tle:1: mean_motion_rev_day is 0.0, expected above 0"),
        (f"{LINE_1}\n{put(LINE_2, 53, '18.50000000')}", "f.tle:1: mean_motion_rev_day is 18.5"),
        (f"{LINE_1}\n{put(LINE_2, 64, '1x566')}", "f.tle:2: the revolutions in columns 64-68 is '1x566'"),
        (f"{NAME}\n{LINE_1}", "f.tle: the text ends inside an element set, expected line 2"),
        (NAME, "f.tle: the text ends inside an element set, expected line 1"),
        (f"{NAME}\n{LINE_2}\n{LINE_1}", "f.tle:2: found '2 57696  97.5555 327.619', expected line 1"),
        (f"{LINE_1}\n{LINE_1}", "f.tle:2: found '1 57696U 23127A   26234.', expected line 2"),
        ("<html>\n<body>sorry</body>\n", "f.tle:2: found '<body>sorry</body>', expected line 1"),
    ],
)
def test_each_fault_says_where_what_and_what_was_expected(text: str, complaint: str) -> None:
    mended = text if "checksum" in complaint or "columns, expected 69" in complaint else with_checksums(text)
    with pytest.raises(ElementsError) as caught:
        parse_tle(mended, "f.tle")
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_one_fault_refuses_the_whole_file() -> None:
    with pytest.raises(ElementsError, match=r"^f\.tle:5: the checksum"):
        parse_tle(f"{KUANFU}{NAME}\n{LINE_1[:-1]}4\n{LINE_2}\n", "f.tle")


@given(st.integers(0, 68), st.sampled_from("0123456789 .-+AZ"))
def test_a_changed_column_is_noticed_or_harmless(index: int, character: str) -> None:
    """The checksum counts digits and minus signs only, so what passes must still be a set in range."""
    changed = LINE_1[:index] + character + LINE_1[index + 1 :]
    try:
        assert one(f"{changed}\n{LINE_2}").norad_id == 57696
    except ElementsError as error:
        assert str(error).startswith("f.tle")  # noqa: PT017 -- either outcome is right, and each is checked


def test_the_newest_of_each_object_wins() -> None:
    first = one(KUANFU)
    later = one(with_checksums(f"{put(LINE_1, 21, '235.62989146')}\n{LINE_2}"))
    assert newest([later, first]) == {57696: later}
    assert later.epoch - first.epoch == timedelta(days=1)


def test_sgp4_gets_from_elements_what_it_gets_from_the_text() -> None:
    lines = verification_text().splitlines()
    pairs = [pair for pair in zip(lines[::2], lines[1::2], strict=True) if is_sound(*pair)]
    assert len(pairs) == 30
    for line_1, line_2 in pairs:
        # The text's reader rounds the epoch through hours and seconds: half a microsecond, millimetres.
        theirs, ours = Satrec.twoline2rv(line_1, line_2), to_satrec(one(f"{line_1}\n{line_2}"))
        for days in (0.0, 0.37, 1.0):
            _, expected, _ = theirs.sgp4(theirs.jdsatepoch, theirs.jdsatepochF + days)
            _, found, _ = ours.sgp4(theirs.jdsatepoch, theirs.jdsatepochF + days)
            assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)


def is_sound(line_1: str, line_2: str) -> bool:
    """Tell whether the official file's own checksums are right: three lines of it are not."""
    return all(int(line[68]) == checksum(line) for line in (line_1, line_2))


def test_positions_agree_with_the_official_output() -> None:
    """Source: tcppver.out of AIAA 2006-6753, object 6251, in steps of 120 minutes, to 0.1 m."""
    lines = verification_text().splitlines()
    index = next(i for i, line in enumerate(lines) if line.startswith("1 06251"))
    satrec = to_satrec(one("\n".join(lines[index : index + 2])))
    output = (files("sgp4") / "tcppver.out").read_text(encoding="ascii").split("6251 xx")[1].split("xx")[0]
    rows = [row.split() for row in output.splitlines() if len(row.split()) >= 7]
    assert len(rows) > 20
    for minutes, *position in (map(float, row[:4]) for row in rows):
        _, found, _ = satrec.sgp4_tsince(minutes)
        assert found == pytest.approx(position, abs=1e-4)


def test_numbers_beyond_sgp4s_own_bound_are_propagated() -> None:
    text = KUANFU.replace("57696", "A0000")
    read = one(with_checksums(text))
    nine_digits = Elements(
        **{field: getattr(read, field) for field in Elements.__slots__ if field != "norad_id"}, norad_id=999_999_999
    )
    _, expected, _ = to_satrec(read).sgp4_tsince(90.0)
    _, found, _ = to_satrec(nine_digits).sgp4_tsince(90.0)
    assert found == expected


def test_the_shipped_sets_are_the_satellites_in_orbit() -> None:
    assert {one.norad_id for one in shipped()} == {57696, 61231, *range(67746, 67753)}
