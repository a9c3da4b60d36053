"""Where a command logs to."""

import logging
import os
import sys

LOG_LAYOUT = "%(asctime)s %(levelname)s %(message)s"
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # syslog's, by logging's levels


def log_to_stderr(level: str) -> None:
    """Log one line a message; under systemd with the journal's priority in front and its own time."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if under_systemd else logging.Formatter(LOG_LAYOUT))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class JournalFormatter(logging.Formatter):
    """Prefixes sd-daemon(3)'s priority, so that `journalctl -p err` finds what someone must come for."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for level, number in PRIORITIES if record.levelno >= level)
        return f"<{priority}>{record.levelname} {super().format(record)}"
