"""A history opened from a log's URL and, if there is one, the folder of its archive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..core.errors import ValidationFailed
from ..core.log.open import open_log
from ..core.log.port import Log
from ..core.runtime.archived import ARCHIVE_SETTING
from .history import History


@asynccontextmanager
async def opened(url: str, archive: str | None = None) -> AsyncIterator[History]:
    """Open a log and its archive, the one that is named or the one that the log knows of, as one history.

    An archive that only the log names and that cannot be seen from here is left out: what then is missing is said when
    it is read. Raises `ArchiveMismatch` for a named one that is not the log's: two histories would be read as one.
    """
    log = await open_log(url)
    try:
        yield await _history(log, archive)
    finally:
        await log.close()


async def _history(log: Log, named: str | None) -> History:
    if named is None and await log.get_setting(ARCHIVE_SETTING) is None:
        return History(log)
    from .archive.binding import bound_archive, check_bound  # noqa: PLC0415 - it needs pyarrow
    from .archive.reader import Archive  # noqa: PLC0415

    bound = await bound_archive(log)
    if named is not None:
        archive = await Archive.open(named)
        await check_bound(log, archive.identity, archive.folder.root)
        return History(log, archive)
    try:
        known = None if bound is None else await Archive.open(bound.url)
    except (ValidationFailed, OSError):
        return History(log)
    return History(log, known if bound is not None and known and known.identity.id == bound.archive else None)
