"""How the station is: metrics, health, HTTP, systemd."""
