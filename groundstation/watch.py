"""Which pass is under way, which is next, and what was heard: told once at its beginning and once at its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from groundstation.monitor.health import PassHealth
from groundstation.orbit.passes import Pass
from groundstation.telemetry.moments import microseconds


@dataclass(frozen=True, slots=True)
class Event:
    """The beginning or the end of a pass; `packets` were stored while it lasted."""

    kind: str  # "aos" or "los"
    of: Pass
    packets: int = 0


class PassWatch:
    """Follows predictions that move: a pass is the same one while it overlaps, however its edges shift.

    Which of a satellite's candidate objects sent a packet nobody knows, so passes of several that overlap are one.
    """

    def __init__(self) -> None:
        self.passes: tuple[Pass, ...] = ()
        self.aos_uncertainty_s: Mapping[Pass, float] = {}  # of those passes; where none is, nobody can say
        # By satellite and station, the pass and what was heard before it.
        self._active: dict[tuple[str, str], tuple[Pass, int]] = {}

    def active(self) -> list[tuple[Pass, int]]:
        """Return the passes under way, each with the packets that had been stored before it."""
        return list(self._active.values())

    def update(self, now: datetime, heard: Mapping[tuple[str, str], int]) -> list[Event]:
        """Return what began and what ended since the last call."""
        current: dict[tuple[str, str], Pass] = {}
        for one in sorted((p for p in self.passes if is_active(p, now)), key=lambda p: p.aos or now):
            current.setdefault((one.satellite, one.site), one)
        events = []
        for key, (before, count) in list(self._active.items()):
            if key in current:
                self._active[key] = (current[key], count)
            else:
                del self._active[key]
                events.append(Event("los", before, heard[before.satellite, before.site] - count))
        for key, this in current.items():
            if key not in self._active:
                self._active[key] = (this, heard[this.satellite, this.site])
                events.append(Event("aos", this))
        return events

    def upcoming(self, now: datetime) -> list[Pass]:
        """Return the passes that have not ended, soonest first."""
        return sorted((p for p in self.passes if p.los is None or p.los > now), key=lambda p: p.aos or now)

    def summary(self, now: datetime) -> str:
        """Return one line for `systemctl status`: the pass under way, else the next one."""
        for this in self.upcoming(now):
            if is_active(this, now):
                return f"{this.satellite} over {this.site} until {clock(this.los)}"
            return f"next pass: {this.satellite} over {this.site} at {clock(this.aos)}, {this.max_elevation_deg:.0f}°"
        return "no pass in the horizon"

    def health(self, now: datetime, heard: Mapping[tuple[str, str], int]) -> tuple[PassHealth, ...]:
        """Return for each satellite and station the pass under way, else the next one."""
        first: dict[tuple[str, str], Pass] = {}
        for this in self.upcoming(now):
            first.setdefault((this.satellite, this.site), this)
        return tuple(
            pass_health(this, is_active(this, now), self._packets(key, heard[key]), self.aos_uncertainty_s.get(this))
            for key, this in first.items()
            if this.aos and this.los
        )

    def _packets(self, key: tuple[str, str], heard: int) -> int:
        """Return how many were stored since `update` saw the pass begin."""
        return heard - self._active[key][1] if key in self._active else 0


def pass_health(this: Pass, active: bool, packets: int, aos_uncertainty_s: float | None) -> PassHealth:
    assert this.aos is not None
    assert this.los is not None
    return PassHealth(
        satellite=this.satellite,
        station=this.site,
        active=active,
        aos_us=microseconds(this.aos),
        los_us=microseconds(this.los),
        max_elevation_deg=this.max_elevation_deg,
        packets=packets if active else 0,
        aos_uncertainty_s=aos_uncertainty_s,
    )


def clock(moment: datetime | None) -> str:
    """Return a time of day in UTC to the second, as operators say it."""
    return moment.strftime("%H:%M:%SZ") if moment else "?"


def is_active(this: Pass, now: datetime) -> bool:
    return (this.aos is None or this.aos <= now) and (this.los is None or now < this.los)
