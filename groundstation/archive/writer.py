"""The one thread that writes: a batch in, one transaction, each packet's fate out."""


class ArchiveUnavailableError(Exception):
    """The database did not commit; the same batch may be tried again."""
