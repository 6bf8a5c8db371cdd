"""The schemas in the log: read at the start and when an unknown one turns up, written before the first record that needs it."""

import asyncio

import structlog

from ...schemas import Contract
from ..errors import AppendUnknown
from ..log.port import SCHEMAS, Draft, Log, Stored
from .history import records_between

logger = structlog.get_logger("hms.schemas")
APPENDS_MAX = 10
RETRY_S = 0.05


class SchemaStore:
    """Keeps a contract and the log's topic of schemas in step."""

    def __init__(self, log: Log, contract: Contract) -> None:
        self._log = log
        self.contract = contract
        self._position = 0
        self._in_log: set[int] = set()
        self._lock = asyncio.Lock()

    async def refresh(self) -> None:
        """Learn the schemas that have come since the last time."""
        async with self._lock:
            await self._read()

    async def _read(self) -> None:
        """Read to the high watermark: what an open transaction hides may be the very schema that somebody needs."""
        end = (await self._log.watermarks(SCHEMAS, 0)).high
        async for records in records_between(self._log, SCHEMAS, 0, self._position, end):
            for stored in records:
                self._take(stored)
                self._position = stored.offset + 1
        self._position = max(self._position, end)

    def _take(self, stored: Stored) -> None:
        try:
            self._learn(int(stored.key), (stored.value or b"").decode())
        except ValueError as error:  # `SchemaError` is one: what one writer got wrong must not stop the others
            logger.error("schema_not_usable", offset=stored.offset, error=str(error))  # noqa: TRY400 - its text is enough

    def _learn(self, schema_id: int, text: str) -> None:
        registered = self.contract.by_id(schema_id)
        if registered is None or registered.schema_json != text:
            self.contract.learn(schema_id, text)
        self._in_log.add(schema_id)

    async def _append(self, drafts: list[Draft]) -> None:
        """Append; twice does no harm, so an answer that was lost is asked for again."""
        for _ in range(APPENDS_MAX - 1):
            try:
                await self._log.append(drafts)
            except AppendUnknown:
                await asyncio.sleep(RETRY_S)
            else:
                return
        await self._log.append(drafts)

    async def publish(self) -> None:
        """Write every registered schema that the log lacks; two at once may both write it, which does no harm."""
        async with self._lock:
            await self._read()
            missing = [(id_, text) for id_, text in self.contract.schemas() if id_ not in self._in_log]
            if missing:
                await self._append([Draft(SCHEMAS, 0, str(id_).encode(), text.encode()) for id_, text in missing])
                self._in_log.update(id_ for id_, _ in missing)
