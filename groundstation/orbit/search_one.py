"""The search of `search_leo` and `polish` in plain numbers, for one satellite and a few days.

Numpy spends a microsecond on every operation however short the array is, so a table of one satellite's next passes,
which is what people ask for most, comes three times sooner this way. The steps are the same and are explained there;
where SGP4 is one call away, a guess need not be as good.
"""

from bisect import bisect_right
from itertools import pairwise
from math import acos, asin, atan2, ceil, cos, floor, hypot, pi, sin, sqrt

from sgp4.api import Satrec

from groundstation.orbit.earth_rotation import DAY_S, EARTH_RAD_S, Array
from groundstation.orbit.observer import MU_KM3_S2, Observer
from groundstation.orbit.polish import (
    BURNING_FAR_S,
    BURNING_RAD_MIN,
    CLOSE_S,
    FAR_S,
    GRAZE_SINE,
    HALF_S,
    ROUNDS,
    SLACK_SINE,
    TCA_ERROR_S,
)
from groundstation.orbit.search_leo import (
    AHEAD,
    DRAG_FROM_S,
    DRAG_PHASE_MOST_RAD,
    ECCENTRICITY_MOST,
    MEAN_MOTION_LEAST_REV_DAY,
    MINUTE_S,
    SLACK_KM,
    SLACK_RAD,
)

TURN = 2 * pi
EDGE_ERROR_S, EDGE_MOST_S = 0.0001, 2.0
State = tuple[float, float, float, float, float, float]  # position and velocity in the turning frame
Vector = tuple[float, float, float]
Row = tuple[float, ...]  # the numbers of Arcs from aos_s to max_elevation


class ResistsError(Exception):
    """This satellite needs the general search."""


class Sky:
    """What one observer sees of one satellite; numbers are taken out of numpy once."""

    def __init__(self, here: Observer, satrec: Satrec) -> None:
        self.satrec, self.window_s = satrec, here.window_s
        self.jd, self.fraction = here.jd_whole, here.jd_fraction
        self.knots: list[float] = here.knots_s.tolist()
        self.turn = _pieces(self.knots, here.turn_rad)
        self.pole_x, self.pole_y = _pieces(self.knots, here.pole_x_rad), _pieces(self.knots, here.pole_y_rad)
        self.place = _vector(here.place)
        self.north = _vector(here.north)
        self.east = _vector(here.east)
        self.up = _vector(here.up)
        self.radius, self.mask = here.radius_km, here.mask_rad
        self.sine_mask = sin(here.mask_rad)
        flat = hypot(self.place[0], self.place[1])
        self.sin_lat, self.cos_lat = self.place[2] / self.radius, flat / self.radius
        self.longitude = atan2(self.place[1], self.place[0])

    def angle(self, at_s: float) -> float:
        """Return the angle from TEME's x axis to Greenwich."""
        k = bisect_right(self.knots, at_s) - 1
        value, slope = self.turn[k]
        return value + slope * (at_s - self.knots[k]) + EARTH_RAD_S * at_s

    def state(self, at_s: float) -> State:
        error, r, v = self.satrec.sgp4(self.jd, self.fraction + at_s / DAY_S)
        if error:
            raise ResistsError
        k = bisect_right(self.knots, at_s) - 1
        since = at_s - self.knots[k]
        (turn, turn_slope), (pole_x, x_slope), (pole_y, y_slope) = self.turn[k], self.pole_x[k], self.pole_y[k]
        pole_x, pole_y = pole_x + x_slope * since, pole_y + y_slope * since
        angle = turn + turn_slope * since + EARTH_RAD_S * at_s
        c, s = cos(angle), sin(angle)
        x, y, z = c * r[0] + s * r[1], c * r[1] - s * r[0], r[2]
        u = c * v[0] + s * v[1] + EARTH_RAD_S * y
        w = c * v[1] - s * v[0] - EARTH_RAD_S * x
        t = v[2]
        return (
            x + pole_x * z,
            y - pole_y * z,
            z - pole_x * x + pole_y * y,
            u + pole_x * t,
            w - pole_y * t,
            t - pole_x * u + pole_y * w,
        )

    def horizon(self, radius_km: float) -> float:
        return acos(min(self.radius * cos(self.mask) / radius_km, 1.0)) - self.mask


class Look:
    """One state as seen from the site; the names are those of Sight."""

    __slots__ = ("acceleration", "away", "bend", "climb", "distance", "height", "lift", "rate", "velocity")

    def __init__(self, sky: Sky, state: State, acceleration: Vector | None = None) -> None:
        x, y, z, u, v, w = state
        if acceleration is None:
            square = x * x + y * y + z * z
            pull = -MU_KM3_S2 / (square * sqrt(square))
            a = pull * x + EARTH_RAD_S * (EARTH_RAD_S * x + 2 * v)
            b = pull * y + EARTH_RAD_S * (EARTH_RAD_S * y - 2 * u)
            c = pull * z
        else:
            a, b, c = acceleration
        p, q, r = sky.place
        x, y, z = x - p, y - q, z - r
        i, j, k = sky.up
        distance = sqrt(x * x + y * y + z * z)
        rate = (x * u + y * v + z * w) / distance
        self.away, self.velocity, self.acceleration = (x, y, z), (u, v, w), (a, b, c)
        self.distance, self.rate = distance, rate
        self.bend = (u * u + v * v + w * w + x * a + y * b + z * c - rate * rate) / distance
        self.height, self.climb, self.lift = i * x + j * y + k * z, i * u + j * v + k * w, i * a + j * b + k * c

    def sine_slopes(self) -> tuple[float, float, float]:
        q = self.height / self.distance
        q1 = (self.climb - q * self.rate) / self.distance
        return q, q1, (self.lift - 2 * q1 * self.rate - q * self.bend) / self.distance

    def moved(self, t: float) -> Vector:
        (x, y, z), (u, v, w), (a, b, c) = self.away, self.velocity, self.acceleration
        h = t / 2
        return x + t * (u + h * a), y + t * (v + h * b), z + t * (w + h * c)


def around(sky: Sky, at_s: float) -> Look:
    """Return the state whose derivatives are differences of positions."""
    x, y, z, u, v, w = sky.state(at_s - HALF_S)
    x2, y2, z2, u2, v2, w2 = sky.state(at_s + HALF_S)
    step, h = 2 * HALF_S, HALF_S * HALF_S / 2
    a, b, c = (u2 - u) / step, (v2 - v) / step, (w2 - w) / step
    middle = ((x + x2) / 2 - h * a, (y + y2) / 2 - h * b, (z + z2) / 2 - h * c)
    return Look(sky, (*middle, (x2 - x) / step, (y2 - y) / step, (z2 - z) / step), (a, b, c))


def search_one(here: Observer, satrec: Satrec) -> list[Row] | None:
    """Return the passes that overlap the window, or None where the satellite needs the general search."""
    try:
        sky = Sky(here, satrec)
        rows = [row for at_s in Track(sky).candidates() if (row := _pass(sky, at_s)) is not None]
    except ResistsError:
        return None
    return [row for row in rows if row[3] > 0 and row[0] < sky.window_s]


class Track:
    """Mean elements along the window."""

    def __init__(self, sky: Sky) -> None:
        self.sky, s = sky, sky.satrec
        sky.state(sky.window_s)  # leaves the mean elements of the window's end in the record
        self.epoch_s = ((s.jdsatepoch - sky.jd) + (s.jdsatepochF - sky.fraction)) * DAY_S
        age_s = sky.window_s - self.epoch_s
        self.rate, self.node_rate = (s.mdot + s.argpdot) / MINUTE_S, s.nodedot / MINUTE_S
        self.phase, self.perigee, self.perigee_rate = s.mo + s.argpo, s.argpo, s.argpdot / MINUTE_S
        self.node, self.e, self.axis_km = s.nodeo, s.ecco, s.a * s.radiusearthkm
        self.sin_i, self.cos_i = sin(s.inclo), cos(s.inclo)
        suits = s.method == "n" and s.nm < s.xke and self.e < ECCENTRICITY_MOST
        self.drag2 = self.drag3 = self.node_drag = surplus = 0.0
        if abs(age_s) > DRAG_FROM_S:
            faster = (s.nm - s.xke * s.a**-1.5) / MINUTE_S
            expected = 0.5 * faster * age_s
            surplus = _wrap(s.mm + s.om - self.phase - self.rate * age_s - expected)
            drag = expected + surplus
            self.drag2 = (3 * drag / age_s - faster) / age_s
            self.drag3 = (faster - 2 * drag / age_s) / age_s**2
            self.node_drag = _wrap(s.Om - s.nodeo - self.node_rate * age_s) / age_s**2
        if not suits or self.rate * DAY_S / TURN < MEAN_MOTION_LEAST_REV_DAY or abs(surplus) >= DRAG_PHASE_MOST_RAD:
            raise ResistsError

    def crossing(self, at_s: float) -> tuple[float, float, float]:
        """Return u − u_s, the sine of the site's angle above the plane, and its right ascension from the node."""
        sky, age_s = self.sky, at_s - self.epoch_s
        alpha = sky.angle(at_s) + sky.longitude - self.node - age_s * (self.node_rate + self.node_drag * age_s)
        sin_a = sin(alpha)
        site_u = atan2(sky.cos_lat * self.cos_i * sin_a + sky.sin_lat * self.sin_i, sky.cos_lat * cos(alpha))
        apart = self.phase + age_s * (self.rate + age_s * (self.drag2 + age_s * self.drag3)) - site_u
        return apart, sky.sin_lat * self.cos_i - sky.cos_lat * self.sin_i * sin_a, alpha

    def candidates(self) -> list[float]:
        sky, period_s = self.sky, TURN / self.rate
        steps = ceil(sky.window_s / period_s + 2 * AHEAD) + 1
        reach = min(sky.horizon(self.axis_km * (1 + self.e) + SLACK_KM) + SLACK_RAD, pi / 2)
        limit = sin(reach) + sky.cos_lat * self.sin_i * (EARTH_RAD_S * period_s) ** 2 / 8
        found = []
        apart, plane, _ = self.crossing(-AHEAD * period_s)
        for step in range(1, steps + 1):
            at_s = (step - AHEAD) * period_s
            before, plane_before, (apart, plane, _) = apart, plane, self.crossing(at_s)
            least = min(abs(plane), abs(plane_before)) if plane * plane_before > 0 else 0.0
            gain = (apart - before) / TURN
            gain -= round(gain - 1)
            begin = before / TURN - floor(before / TURN)
            whole = round(begin + gain - (apart / TURN - floor(apart / TURN)))
            if least <= limit:
                found += [at_s + period_s * ((number - begin) / gain - 1) for number in range(1, whole + 1)]
        return [at_s for one in found if (at_s := self.refined(one)) is not None]

    def refined(self, at_s: float) -> float | None:
        """Return the time of culmination to seconds, or None where the satellite stays below the mask."""
        sky, e, age_s = self.sky, self.e, at_s - self.epoch_s
        apart, plane, alpha = self.crossing(at_s)
        anomaly = self.phase - self.perigee
        anomaly += age_s * (self.rate - self.perigee_rate + age_s * (self.drag2 + age_s * self.drag3))
        sin_m, cos_m, sin_a, cos_a = sin(anomaly), cos(anomaly), sin(alpha), cos(alpha)
        centre = 2 * e * sin_m * (1 + 1.25 * e * cos_m)
        drift = EARTH_RAD_S - self.node_rate - 2 * self.node_drag * age_s
        plane_rate = -sky.cos_lat * self.sin_i * cos_a * drift
        along, across = sky.cos_lat * cos_a, sky.cos_lat * sin_a * self.cos_i + sky.sin_lat * self.sin_i
        in_plane = max(1 - plane * plane, 1e-12)
        relative = self.rate * (1 + 2 * e * cos_m)
        relative -= sky.cos_lat * drift * (along * cos_a * self.cos_i + across * sin_a) / in_plane
        step_s = (-plane * plane_rate / (in_plane * relative) - _wrap(apart + centre)) / relative
        radius_km = self.axis_km * (1 - e * e) / (1 + e * cos(anomaly + centre)) + SLACK_KM
        reach = min(sky.horizon(radius_km) + SLACK_RAD, pi / 2)
        return at_s + step_s if abs(plane + plane_rate * step_s) <= sin(reach) else None


def _pieces(knots: list[float], angles: Array) -> list[tuple[float, float]]:
    """Return value and slope from each knot on."""
    values: list[float] = angles.tolist()
    slopes = [
        (after - before) / (to - at)
        for (before, after), (at, to) in zip(pairwise(values), pairwise(knots), strict=True)
    ]
    return list(zip(values, [*slopes, 0.0], strict=True))


def _vector(array: Array) -> Vector:
    x, y, z = array.tolist()
    return x, y, z


def _wrap(angle: float) -> float:
    return angle - TURN * round(angle / TURN)


def _pass(sky: Sky, at_s: float) -> Row | None:
    """Return the pass around a candidate, or None where it stays below the mask."""
    for _ in range(ROUNDS):
        look = Look(sky, sky.state(at_s))
        q, q1, q2 = look.sine_slopes()
        if q2 >= 0:
            raise ResistsError
        by_s = -q1 / q2
        if abs(by_s) <= FAR_S:
            break
        at_s += by_s
    else:
        raise ResistsError
    top = q + 0.5 * q1 * by_s
    if top < sky.sine_mask - SLACK_SINE:
        return None
    half_s = _half_duration(sky, look, top, q2)
    at_s += by_s
    peak, peak_s, by_s = _culmination(sky, at_s)
    q, q1, _ = peak.sine_slopes()
    top = q + 0.5 * q1 * by_s
    if top < sky.sine_mask:
        return None
    aos_s, aos = _edge(sky, peak_s - half_s, 1.0)
    los_s, los = _edge(sky, peak_s + half_s, -1.0)
    culmination_s = peak_s + by_s
    if not aos_s <= culmination_s <= los_s:
        raise ResistsError
    tca_s, closest = _closest(sky, peak, peak_s, aos_s, los_s)
    culmination = peak.moved(by_s)
    four = (aos, culmination, closest, los)
    azimuths, ranges = [_azimuth(sky, away) for away in four], [sqrt(x * x + y * y + z * z) for x, y, z in four]
    return (aos_s, culmination_s, tca_s, los_s, *azimuths, *ranges, asin(min(top, 1.0)))


def _half_duration(sky: Sky, look: Look, top: float, q2: float) -> float:
    """Return the time from culmination to the edges, good to seconds."""
    above = max(top - sky.sine_mask, 0.0)
    if above < GRAZE_SINE:
        return sqrt(-2 * above / q2)
    x, y, z = (a + b for a, b in zip(look.away, sky.place, strict=True))
    radius = sqrt(x * x + y * y + z * z)
    towards = (x * sky.place[0] + y * sky.place[1] + z * sky.place[2]) / (radius * sky.radius)
    u, v, w = look.velocity
    swept = acos(min(cos(sky.horizon(radius)) / towards, 1.0))
    return swept * radius / sqrt(u * u + v * v + w * w)


def _culmination(sky: Sky, at_s: float) -> tuple[Look, float, float]:
    """Return a state within CLOSE_S of culmination, its time, and the step that is left."""
    for _ in range(ROUNDS):
        look = around(sky, at_s)
        _, q1, q2 = look.sine_slopes()
        if q2 >= 0:
            break
        by_s = -q1 / q2
        if abs(by_s) <= CLOSE_S:
            return look, at_s, by_s
        at_s += by_s
    raise ResistsError


def _edge(sky: Sky, at_s: float, sign: float) -> tuple[float, Vector]:
    """Return the crossing of the mask next to a guess; `sign` is 1 for a rise and −1 for a set."""
    for _ in range(ROUNDS):
        look = Look(sky, sky.state(at_s))
        f = look.height - sky.sine_mask * look.distance
        f1 = look.climb - sky.sine_mask * look.rate
        f2 = look.lift - sky.sine_mask * look.bend
        slope = f1 + sign * sqrt(max(f1 * f1 - 2 * f * f2, 0.0))
        if not slope:
            break
        by_s = -2 * f / slope
        u, v, w = look.velocity
        most_s = BURNING_FAR_S if sky.satrec.nm > BURNING_RAD_MIN else EDGE_MOST_S
        # What the parabola leaves out: a third of Δ³ by the square of the angular speed, at most.
        if abs(by_s) ** 3 * (u * u + v * v + w * w) <= EDGE_ERROR_S * look.distance**2 and abs(by_s) <= most_s:
            return at_s + by_s, look.moved(by_s)
        at_s += by_s
    raise ResistsError


def _closest(sky: Sky, look: Look, at_s: float, aos_s: float, los_s: float) -> tuple[float, Vector]:
    """Return time and direction of the closest approach within the pass."""
    for _ in range(ROUNDS):
        if look.bend <= 0:
            break
        by_s = -look.rate / look.bend
        u, v, w = look.velocity
        if 1.5 * abs(by_s) ** 3 * (u * u + v * v + w * w) / look.distance**2 <= TCA_ERROR_S:
            by_s = min(max(by_s, aos_s - at_s), los_s - at_s)
            return at_s + by_s, look.moved(by_s)
        at_s += by_s
        look = around(sky, at_s)
    raise ResistsError


def _azimuth(sky: Sky, away: Vector) -> float:
    x, y, z = away
    east = sky.east[0] * x + sky.east[1] * y + sky.east[2] * z
    north = sky.north[0] * x + sky.north[1] * y + sky.north[2] * z
    return atan2(east, north) % TURN
