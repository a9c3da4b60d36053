"""`groundstation status`: how the running daemon says it is, over its own HTTP, for people or programs."""

import argparse
import json
import urllib.error
import urllib.request
from typing import Any

from rich.table import Table

from groundstation.commands.flags import config_path
from groundstation.commands.outcome import FAILED, report_failures
from groundstation.commands.terminal import console
from groundstation.config import load_config
from groundstation.monitor.http import url_of
from groundstation.settings import HttpSettings

TIMEOUT_S = 5.0


class NotRunningError(ConnectionError):
    """Nobody answers where the configuration says that the daemon listens."""


def command(options: argparse.Namespace) -> int:
    settings = load_config(config_path(options)).settings.http
    healthy: list[bool] = []
    failed = report_failures(lambda: healthy.append(show_status(settings, as_json=options.json)))
    return failed or (0 if healthy == [True] else FAILED)


def show_status(settings: HttpSettings, *, as_json: bool) -> bool:
    """Print the daemon's state and return whether it is healthy; raises NotRunningError where there is none."""
    state = fetch(url_of(settings.host, settings.port) + "/api/status")
    if as_json:
        print(json.dumps(state, indent=2, ensure_ascii=False))
        return bool(state["healthy"])
    out = console()
    ready = "ready" if state["ready"] else f"not ready: {', '.join(state['missing'])}"
    out.print(f"groundstation {state['version']}: {ready}")
    out.print(conservation_table(state))
    for one in state["stations"]:
        out.print(station_line(one), highlight=False)
    for one in state["passes"][:5]:
        when = "under way until" if one["active"] else "next"
        edge = one["los"] if one["active"] else one["aos"]
        out.print(f"pass of {one['satellite']} over {one['station']}: {when} {edge[:19]}Z")
    for one in state["heard"]:
        ended = f"ended {one['los'][:19]}Z, {one['packets']} packets"
        out.print(f"pass {one['number']} of {one['satellite']} over {one['station']}: {ended}")
    for one in state["contacts"][:5]:
        when = "under way until" if one["active"] else "committed for" if one["committed"] else "planned for"
        edge = one["end"] if one["active"] else one["start"]
        out.print(f"contact of {one['station']} with {one['satellite']}: {when} {edge[:19]}Z")
    for problem in state["problems"]:
        out.print(f"problem: {problem}", style="red")
    return bool(state["healthy"])


def station_line(one: dict[str, Any]) -> str:
    """Return what a station says of itself, in one line."""
    said = {None: "has not said how it is", True: "online", False: "offline"}[one["online"]]
    clock = {None: "", True: ", clock synchronised", False: ", clock not synchronised"}[one["clock_synchronised"]]
    seen = "" if one["last_seen_at"] is None else f", last seen {one['last_seen_at'][:19]}Z"
    return f"station {one['station']}: {said}{clock}{seen}"


def conservation_table(state: dict[str, Any]) -> Table:
    """Return one line a link: received = stored + duplicate + quarantined + in flight."""
    columns = ("received", "stored", "duplicate", "quarantined", "in_flight", "imbalance")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("link", "state", *columns):
        table.add_column(column.replace("_", " "), justify="left" if column in ("link", "state") else "right")
    for link in state["links"]:
        table.add_row(link["name"], "up" if link["up"] else "down", *(str(link[column]) for column in columns))
    return table


def fetch(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  # http, from our configuration
            state: dict[str, Any] = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise NotRunningError(f"no daemon answers at {url}: {why}") from error
    return state
