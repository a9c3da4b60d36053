"""How far predictions moved when the elements changed: the number that says whether anybody must do anything."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from groundstation.orbit.passes import Pass

FAR = timedelta(minutes=45)  # half a revolution in low orbit: what lies further is another pass
Key = tuple[str, int, str]


def prediction_shifts(before: Iterable[Pass], after: Iterable[Pass], now: datetime) -> dict[str, float]:
    """Return by satellite the seconds by which its next AOS moved; later is positive.

    Only where another element set served: predicting again from the same one tells nothing. A pass is the same one
    while it overlaps, since its edges move; where the two do not meet at all, the nearest within 45 minutes is meant.
    Of several stations and candidate numbers the largest shift counts.
    """
    old = by_key(before)
    shifts: dict[str, float] = {}
    for key, passes in by_key(after).items():
        this = next((one for one in passes if one.aos and one.aos > now), None)
        same = this and same_pass(this, old.get(key, ()))
        if this is None or same is None or this.aos is None or same.aos is None:
            continue
        if this.elements_epoch != same.elements_epoch:
            moved_s = (this.aos - same.aos).total_seconds()
            shifts[this.satellite] = max(moved_s, shifts.get(this.satellite, 0.0), key=abs)
    return shifts


def by_key(passes: Iterable[Pass]) -> Mapping[Key, list[Pass]]:
    found: dict[Key, list[Pass]] = {}
    for one in sorted(passes, key=lambda one: one.culmination):
        found.setdefault((one.satellite, one.norad_id, one.site), []).append(one)
    return found


def same_pass(this: Pass, among: Iterable[Pass]) -> Pass | None:
    """Return the pass that overlaps `this` longest, else the nearest of those with an AOS; None where none is near."""
    whole = [one for one in among if one.aos and one.los]
    if not this.aos or not this.los or not whole:
        return None
    best = max(whole, key=lambda one: overlap(this, one))
    return best if overlap(this, best) > -FAR else None


def overlap(one: Pass, other: Pass) -> timedelta:
    """Return how long both last together; less than 0 is the time between them."""
    assert one.aos
    assert one.los
    assert other.aos
    assert other.los
    return min(one.los, other.los) - max(one.aos, other.aos)
