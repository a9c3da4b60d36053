"""What a network source of elements needs to know, as it stands in the configuration under `[[element_sources]]`."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec

FILES = "files"  # the name under which the folder of element files is counted
EVERY_LEAST_H = 2  # CelesTrak's own period: it answers no sooner and blocks who insists
NUMBERS_MOST = 20  # CelesTrak takes one number a request; for more it has groups
PUBLIC = {
    "celestrak": "https://celestrak.org/NORAD/elements/gp.php",
    "space-track": "https://www.space-track.org",
}
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
CatalogueNumber = Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]


@dataclass(frozen=True, slots=True)
class Request:
    """One question; `address` is what its source counts by, a group, a number or an account."""

    address: str
    url: str


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One place on the network that gives element sets."""

    name: Name  # stands in metrics and in the archive
    kind: Literal["celestrak", "space-track"]
    url: Annotated[str, msgspec.Meta(pattern="^https?://[^@ ]+$")] | None = None  # the public one where none stands
    group: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,40}$")] | None = None  # CelesTrak's, such as "active"
    norad_ids: tuple[CatalogueNumber, ...] = ()  # the catalogue's own in orbit where neither stands
    every_h: Annotated[float, msgspec.Meta(ge=EVERY_LEAST_H, le=168)] = 8.0  # sets are published about thrice a day
    username: str | None = None
    password_file: Path | None = None

    def base(self) -> str:
        return (self.url or PUBLIC[self.kind]).rstrip("/")

    def numbers(self, catalogue: Collection[int]) -> tuple[int, ...]:
        """Return the numbers to ask for; none where a group is asked for."""
        return () if self.group else tuple(sorted(set(self.norad_ids or catalogue)))

    def requests(self, catalogue: Collection[int]) -> tuple[Request, ...]:
        """Return what is asked in turn."""
        numbers = self.numbers(catalogue)
        if self.kind == "space-track":
            query = f"{self.base()}/basicspacedata/query/class/gp"
            listed = ",".join(str(number) for number in numbers)
            return (Request(f"{query} as {self.username}", f"{query}/NORAD_CAT_ID/{listed}/format/json"),)
        asked = [f"GROUP={quote(self.group)}"] if self.group else [f"CATNR={number}" for number in numbers]
        return tuple(Request(f"{self.base()}?{one}", f"{self.base()}?{one}&FORMAT=json") for one in asked)

    def faults(self, catalogue: Collection[int]) -> Iterator[str]:
        """Yield `key: found, expected` for what does not go together."""
        numbers = self.numbers(catalogue)
        if self.name == FILES:
            yield f'name: found "{FILES}", expected another: the folder of element files is counted under it'
        if self.group and self.norad_ids:
            yield "group: found together with norad_ids, expected one of the two"
        if not self.group and not numbers:
            yield "norad_ids: expected catalogue numbers, since no satellite of the catalogue is in orbit"
        if self.kind == "space-track":
            if self.group:
                yield f'group: found "{self.group}", expected norad_ids: groups are CelesTrak\'s'
            if not self.username or self.password_file is None:
                yield "username: expected with password_file: Space-Track gives nothing without an account"
        else:
            if len(numbers) > NUMBERS_MOST:
                yield f"norad_ids: {len(numbers)} numbers, expected {NUMBERS_MOST} at most, or a group that has them"
            if self.username or self.password_file:
                yield "username: expected none: CelesTrak has no accounts"
