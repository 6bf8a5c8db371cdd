"""A history opened from a log's URL and, if there is one, the folder of its archive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..core.log.open import open_log
from .history import History


@asynccontextmanager
async def opened(url: str, archive: str | None = None) -> AsyncIterator[History]:
    """Open a log, and its archive where one is named, as one history."""
    log = await open_log(url)
    try:
        if archive is None:
            yield History(log)
        else:
            from .archive.reader import Archive  # noqa: PLC0415 - it needs pyarrow

            yield History(log, await Archive.open(archive))
    finally:
        await log.close()
