"""Draws a pass: its way across the sky, and elevation and Doppler over time. Needs the extra `plot` (matplotlib).

The sky is drawn as Gpredict and SatNOGS draw it: the zenith in the middle, north up and east to the right, so that
directions are those of a map and not those of somebody who lies on the back.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundstation.commands.track_query import TrackedPass
from groundstation.commands.track_view import heading, is_lit, span
from groundstation.figures import megahertz
from groundstation.orbit.earth_rotation import Array
from groundstation.orbit.mask import mask_deg
from groundstation.orbit.track import Track, times_between, track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

CURVE_STEPS = 400
TICKS_ON_TRACK, TICKS_ON_AXIS = 9, 8  # at most
LABELS_APART_DEG = 12.0  # on the drawing, where a degree is some three pixels: room for 13:41
AT_AN_EDGE = 0.05  # of the pass: there stands the mark of AOS or LOS
TICK_MINUTES = (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 240, 360)
TRACK, SHADE, RISE, TOP, SET, DIM = "#1f5fa8", "#4b4f57", "#1b7f3b", "#111111", "#b3261e", "#7a7f87"
SHADOW: dict[str, Any] = {"color": SHADE, "linewidth": 8, "alpha": 0.4, "zorder": 1.5, "solid_capstyle": "butt"}
SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,  # a name with a $ in it is a name
    "svg.hashsalt": "groundstation",  # the same pass gives the same file
}


class PictureError(Exception):
    """No picture can be drawn here: one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the pass that has a sign of its own in each drawing."""

    time: datetime
    azimuth_deg: float
    elevation_deg: float
    label: str
    sign: str
    colour: str


def draw(tracked: TrackedPass, file: Path) -> None:
    """Write the picture of a pass to `file`, in the format of its ending.

    Raises PictureError where matplotlib is not installed, and OSError where the file cannot be written.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError("--plot needs matplotlib: pip install matplotlib") from error
    times = tracked.track.times
    curve = along(tracked, times_between(times[0], times[-1], (times[-1] - times[0]) / CURVE_STEPS))
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, and that is all there is to say about it.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        figure = Figure(figsize=(12, 6.6))
        compose(figure, tracked, curve)
        metadata = {"Date": None} if file.suffix.lower() == ".svg" else {}
        figure.savefig(file, dpi=110, metadata=metadata)


def along(tracked: TrackedPass, times: Sequence[datetime]) -> Track:
    return track(tracked.elements, tracked.site, times, [link.frequency_hz for link in tracked.downlinks])


def compose(figure: "Figure", tracked: TrackedPass, curve: Track) -> None:
    from matplotlib.projections.polar import PolarAxes

    # Fixed margins: a layout that is computed moves with every label, and gives up where one is very long.
    grid = figure.add_gridspec(2, 2, left=0.04, right=0.98, top=0.84, bottom=0.15, wspace=0.17, hspace=0.14)
    sky, elevation, shift = (
        figure.add_subplot(grid[:, 0], projection="polar"),
        figure.add_subplot(grid[0, 1]),
        figure.add_subplot(grid[1, 1]),
    )
    assert isinstance(sky, PolarAxes)
    marks = list(marks_of(tracked))
    used = f"elements of {tracked.of.elements_epoch:%Y-%m-%d %H:%M}"
    figure.suptitle(f"{heading(tracked)}\n{span(tracked)}, {used}", fontsize=11)
    draw_sky(sky, tracked, curve, marks)
    draw_elevation(elevation, tracked, curve, marks)
    draw_shift(shift, tracked, curve)
    elevation.sharex(shift)
    elevation.tick_params(labelbottom=False)


def marks_of(tracked: TrackedPass) -> Iterator[Mark]:
    of = tracked.of
    if of.aos is not None and of.aos_azimuth_deg is not None:
        yield Mark(
            of.aos,
            of.aos_azimuth_deg,
            at_edge(tracked, of.aos_azimuth_deg),
            f"AOS {told(of.aos, of.aos_azimuth_deg)}",
            "^",
            RISE,
        )
    top = f"{of.max_elevation_deg:.1f}° {told(of.culmination, of.culmination_azimuth_deg)}"
    yield Mark(of.culmination, of.culmination_azimuth_deg, of.max_elevation_deg, top, "*", TOP)
    if of.los is not None and of.los_azimuth_deg is not None:
        yield Mark(
            of.los,
            of.los_azimuth_deg,
            at_edge(tracked, of.los_azimuth_deg),
            f"LOS {told(of.los, of.los_azimuth_deg)}",
            "s",
            SET,
        )


def at_edge(tracked: TrackedPass, azimuth_deg: float) -> float:
    return float(mask_deg(tracked.site, np.radians([azimuth_deg]))[0])


def told(time: datetime, azimuth_deg: float) -> str:
    return f"{time:%H:%M:%S}, azimuth {azimuth_deg:.0f}°"


def draw_sky(axes: "PolarAxes", tracked: TrackedPass, curve: Track, marks: Sequence[Mark]) -> None:
    azimuth, zenith_angle = np.radians(curve.look.azimuth_deg), 90 - curve.look.elevation_deg
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_rlim(0, 90)
    axes.set_rticks([30, 60], ["60°", "30°"], color=DIM, fontsize=8)
    axes.set_rlabel_position(quiet_azimuth(curve))
    axes.set_thetagrids(
        range(0, 360, 30), ["N", "30°", "60°", "E", "120°", "150°", "S", "210°", "240°", "W", "300°", "330°"]
    )
    axes.grid(color="#d8dbe0", linewidth=0.7)
    ring = np.linspace(0, 2 * np.pi, 361)
    mask = f"mask {tracked.site.mask_deg:g}°" + (" and horizon" if tracked.site.horizon else "")
    axes.plot(ring, 90 - mask_deg(tracked.site, ring), "--", color=DIM, linewidth=1, label=mask)
    axes.plot(azimuth, zenith_angle, color=TRACK, linewidth=2)
    dark = in_shadow(tracked, curve)
    if dark.any():
        axes.plot(azimuth, np.where(dark, zenith_angle, np.nan), **SHADOW, label="in the earth's shadow")
    for mark in marks:
        axes.plot(
            np.radians(mark.azimuth_deg), 90 - mark.elevation_deg, mark.sign,
            color=mark.colour, markersize=9, label=mark.label, zorder=5, linestyle="none",
        )  # fmt: skip
    draw_ticks(axes, tracked)
    axes.set_title("north up, east right, as on a map; times in UTC", fontsize=9, color=DIM, pad=12)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncol=2, frameon=False)


def in_shadow(tracked: TrackedPass, curve: Track) -> NDArray[np.bool_]:
    return np.array([not is_lit(tracked, time) for time in curve.times])


def draw_ticks(axes: "PolarAxes", tracked: TrackedPass) -> None:
    """Mark round times along the track, with labels on its inner side, where there is more room."""
    times = ticks_between(tracked.track.times[0], tracked.track.times[-1], TICKS_ON_TRACK)
    if not times:
        return
    x, y = on_paper(along(tracked, times))
    aside = inward(along(tracked, [time + timedelta(seconds=s) for time in times for s in (-1, 1)]))
    form = clock_form(times)
    aside_pt = (19 if form == "%H:%M" else 26, 11)  # clear of the track
    labelled: list[tuple[float, float]] = []
    for time, right, up, (to_right, to_up) in zip(times, x, y, aside, strict=True):
        place = (np.arctan2(right, up), np.hypot(right, up))
        axes.plot(*place, "o", color="white", markeredgecolor=TRACK, markersize=5)
        if any(np.hypot(right - other, up - another) < LABELS_APART_DEG for other, another in labelled):
            continue
        labelled.append((right, up))
        axes.annotate(
            f"{time:{form}}", place, (aside_pt[0] * to_right, aside_pt[1] * to_up), textcoords="offset points",
            ha="center", va="center", fontsize=8, bbox={"color": "white", "alpha": 0.8, "pad": 0.5},
        )  # fmt: skip


def clock_form(times: Sequence[datetime]) -> str:
    return "%H:%M:%S" if any(time.second for time in times) else "%H:%M"


def inward(either_side: Track) -> Array:
    """Return for each tick the unit vector (right, up) across the track that leads to the zenith's side.

    `either_side` has the place shortly before and shortly after each tick.
    """
    x, y = on_paper(either_side)
    across = np.stack((y[1::2] - y[::2], x[::2] - x[1::2]))
    across /= np.maximum(np.hypot(*across), 1e-12)
    outward = across[0] * x[::2] + across[1] * y[::2] > 0
    return np.where(outward, -across, across).T


def on_paper(curve: Track) -> tuple[Array, Array]:
    """Return how far right and up of the zenith the satellite is drawn, in degrees."""
    azimuth, zenith_angle = np.radians(curve.look.azimuth_deg), 90 - curve.look.elevation_deg
    return zenith_angle * np.sin(azimuth), zenith_angle * np.cos(azimuth)


def quiet_azimuth(curve: Track) -> float:
    """Return the azimuth, between two labels of the ring, where the elevations stand farthest from the track."""
    x, y = on_paper(curve)
    seen = ~np.isnan(x)

    def room(azimuth_deg: float) -> float:
        places = [(r * np.sin(np.radians(azimuth_deg)), r * np.cos(np.radians(azimuth_deg))) for r in (30, 60)]
        return min((float(np.hypot(x[seen] - right, y[seen] - up).min()) for right, up in places), default=0.0)

    return max(range(15, 360, 30), key=room)


def ticks_between(aos: datetime, los: datetime, most: int) -> list[datetime]:
    """Return round times, none of them at an edge; `most` where the pass is shorter than two days."""
    start, end = aos + (los - aos) * AT_AN_EDGE, los - (los - aos) * AT_AN_EDGE
    fitting = (each for each in TICK_MINUTES if (end - start) / timedelta(minutes=each) <= most)
    step = timedelta(minutes=next(fitting, TICK_MINUTES[-1]))
    midnight = datetime(start.year, start.month, start.day, tzinfo=UTC)
    first = (start - midnight) // step + 1
    count = max(-((midnight + first * step - end) // step), 0)
    return [midnight + number * step for number in range(first, first + count)]


def draw_elevation(axes: "Axes", tracked: TrackedPass, curve: Track, marks: Sequence[Mark]) -> None:
    axes.plot(np.array(curve.times), curve.look.elevation_deg, color=TRACK, linewidth=2)
    axes.plot(np.array(curve.times), np.where(in_shadow(tracked, curve), curve.look.elevation_deg, np.nan), **SHADOW)
    mask = mask_deg(tracked.site, np.radians(curve.look.azimuth_deg))
    axes.plot(np.array(curve.times), mask, "--", color=DIM, linewidth=1)
    for mark in marks:
        axes.plot(
            np.array([mark.time]),
            mark.elevation_deg,
            mark.sign,
            color=mark.colour,
            markersize=9,
            zorder=5,
            clip_on=False,
        )
    axes.set_ylim(0, min(max(tracked.of.max_elevation_deg * 1.15, 10), 95))
    axes.set_ylabel("elevation (°)")
    axes.grid(color="#e4e6ea", linewidth=0.7)


def draw_shift(axes: "Axes", tracked: TrackedPass, curve: Track) -> None:
    """Draw the Doppler shift of each downlink; range rate, which it is proportional to, where none is known."""
    times = np.array(curve.times)
    for link in tracked.downlinks:
        label = f"{link.name}, {megahertz(link.frequency_hz)}"
        axes.plot(times, curve.doppler_hz[link.frequency_hz] / 1e3, linewidth=2, label=label)
    if tracked.downlinks:
        axes.set_ylabel("Doppler shift (kHz)")
        axes.legend(loc="upper right", frameon=False)
    else:
        axes.plot(times, curve.look.range_rate_km_s, color=TRACK, linewidth=2)
        axes.set_ylabel("range rate (km/s)")
        note = "no downlink in the satellite's definition"
        axes.text(0.98, 0.05, note, transform=axes.transAxes, ha="right", color=DIM)
    axes.axhline(0, color=DIM, linewidth=0.8)
    axes.set_xlim(times[0], times[-1])
    axes.set_xlabel(f"UTC, {curve.times[0]:%Y-%m-%d}")
    ticks = ticks_between(curve.times[0], curve.times[-1], TICKS_ON_AXIS)
    axes.set_xticks(np.array(ticks), [f"{time:{clock_form(ticks)}}" for time in ticks])
    axes.grid(color="#e4e6ea", linewidth=0.7)
