"""How a command ends: its exit status, and one line on stderr for each thing that went wrong."""

import sys
from collections.abc import Callable, Sequence

GOOD, FAILED, ASKED_WRONGLY, INTERRUPTED = 0, 1, 2, 130


class UsageError(ValueError):
    """What was asked cannot be done as asked: one line that says what was found and what was expected."""


def warn(lines: Sequence[str]) -> None:
    """Tell people what is doubtful, beside the output and not in it."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def report_failures(action: Callable[[], None]) -> int:
    """Run `action`; what went wrong outside of us is one line on stderr, and status 1 where trying again may help."""
    from groundstation.archive.migrate import ArchiveVersionError
    from groundstation.archive.url import UrlError
    from groundstation.archive.writer import ArchiveUnavailableError
    from groundstation.commands.track_plot import PictureError
    from groundstation.link.broker import BrokerError
    from groundstation.link.connection import LinkError
    from groundstation.link.modem import ModemError
    from groundstation.monitor.http import HttpError
    from groundstation.replay.recording import RecordingError

    known = (
        ArchiveUnavailableError,
        ArchiveVersionError,
        BrokerError,
        HttpError,
        LinkError,
        ModemError,
        OSError,
        PictureError,
        RecordingError,
        UrlError,
    )

    def expected(error: BaseException) -> list[BaseException]:
        nested = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        return [leaf for one in nested for leaf in expected(one)] if nested else [error]

    try:
        action()
    except BrokenPipeError:  # the reader of our output has gone, which is no failure: cli knows
        raise
    except BaseException as error:
        leaves = expected(error)
        if not all(isinstance(leaf, known) for leaf in leaves):
            raise
        print("\n".join(f"groundstation: {leaf}" for leaf in leaves), file=sys.stderr)
        # No restart makes a URL right or an archive older: the unit stays failed with 2.
        return ASKED_WRONGLY if any(isinstance(leaf, (UrlError, ArchiveVersionError)) for leaf in leaves) else FAILED
    return 0
