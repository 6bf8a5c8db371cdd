"""Cold history for a node: an actor whose code has changed is folded again from its first event, archived or not."""

from collections.abc import AsyncIterator

from ...core.errors import ValidationFailed
from ...core.log.port import Log, Stored
from ..history import History
from .reader import Archive


class ColdHistory:
    """The port of `hms.core.runtime.history`; the archive is opened when it is needed, which is seldom."""

    def __init__(self, log: Log, url: str) -> None:
        self._log = log
        self._url = url

    async def events(self, shard: int, before: int) -> AsyncIterator[list[Stored]]:
        """Yield a shard's events from the very first one. Raises `HistoryGap`, `ArchiveDamaged`."""
        try:
            archive = await Archive.open(self._url)
        except ValidationFailed:
            archive = None  # not made yet: then nothing was trimmed behind it
        async for records in History(self._log, archive).events(shard, before):
            yield records
