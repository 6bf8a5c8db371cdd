"""A log that exists with its archive, as one history."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from ...core.errors import ValidationFailed
from ...core.log.port import Log
from ...replay.history import History
from .archive_options import opened_archive
from .opened import reading
from .show import say

if TYPE_CHECKING:
    from ...replay.archive.reader import Archive


class Whole(NamedTuple):
    """The history, and what it is made of."""

    history: History
    log: Log
    archive: "Archive | None"


@asynccontextmanager
async def whole_history(url: str, archive: str | None) -> AsyncIterator[Whole]:
    """Open both; the archive is the one that is named, else the one that the log knows of, if this host sees it."""
    async with reading(url) as log:
        opened = await _archive(log, archive)
        yield Whole(History(log, opened), log, opened)


async def _archive(log: Log, given: str | None) -> "Archive | None":
    from ...replay.archive.binding import bound_archive  # noqa: PLC0415 - it imports pyarrow, which help does not need

    if given is None and await bound_archive(log) is None:
        return None
    try:
        return await opened_archive(log, given)
    except ValidationFailed as error:
        if given is not None:
            raise
        say(f"hms: only what the log holds, without its archive: {error}")
        return None
