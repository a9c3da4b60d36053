"""One daemon for a satellite ground station: passes, lossless telemetry, archive, health and replay."""

__version__ = "0.1.0"
