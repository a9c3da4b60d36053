"""What a link needs to know, as it stands in the configuration under `[[links]]`."""

from pathlib import Path
from typing import Annotated

import msgspec

Slug = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
# A name or an address; a URL or a port behind a colon would only fail when it connects. IPv6 has two colons or more.
Host = Annotated[str, msgspec.Meta(pattern=r"^([^\s/:]+|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One MQTT broker that brings telemetry."""

    name: Slug
    host: Host = "127.0.0.1"
    port: Port = 1883
    topic_prefix: Annotated[str, msgspec.Meta(pattern="^[^+#/\0]+(/[^+#/\0]+)*$", max_length=200)] = "gs/v1"
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]  # stable: the broker keeps the session by it
    # Telemetry is dealt out among all daemons that name the same group, each message to one of them.
    share_group: Annotated[str, msgspec.Meta(pattern="^[^/+#\0]+$", max_length=100)] | None = None
    username: str | None = None
    password_file: Path | None = None  # the file's text less the final newline; a secret never stands in this file
    tls: bool = False
    tls_ca_file: Path | None = None  # the system's authorities where none is named
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=65535)] = 30
    session_expiry_s: Annotated[int, msgspec.Meta(ge=60, le=4_294_967_294)] = 604_800  # a week
    receive_maximum: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 2000
