"""Which satellites and parameters the archive knows by name, so that a wrong word is told from one that is quiet."""

from sqlalchemy import Connection, select

from groundstation.archive.tables import definition, latest, latest_packet, latest_parameter, packet, rollup_1h


def satellites_known(connection: Connection) -> set[str]:
    """Return the satellites that a definition was kept of or that sent realtime packets; small tables tell."""
    tables = (definition, latest_packet, latest_parameter)
    return {slug for table in tables for slug in connection.scalars(select(table.c.satellite).distinct())}


def has_packets(connection: Connection, satellite: str) -> bool:
    return connection.scalar(select(packet.c.digest).where(packet.c.satellite == satellite).limit(1)) is not None


def parameters_known(connection: Connection, satellite: str) -> set[str]:
    """Return the parameters of every definition that the archive keeps of the satellite, and those it has values of."""
    names = set(connection.scalars(select(latest.c.parameter).where(latest.c.satellite == satellite)))
    for content in connection.scalars(select(definition.c.content).where(definition.c.satellite == satellite)):
        for one in content.get("packets", ()):
            names.update(parameter["name"] for parameter in one.get("parameters", ()))
    return names


def has_hours(connection: Connection, satellite: str, parameter: str, from_us: int, to_us: int) -> bool:
    """Tell whether hours of the parameter are rolled up there, which stay when retention takes the packets."""
    c = rollup_1h.c
    within = (c.satellite == satellite, c.parameter == parameter, c.hour >= from_us, c.hour < to_us)
    return connection.scalar(select(c.n).where(*within).limit(1)) is not None
