"""The shards' positions as a consumer group's offsets: for tools that show lag, never read by HMS."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from aiokafka.client import CoordinationType
from aiokafka.protocol.commit import OffsetCommitRequest

from ...errors import HmsError
from .cluster import Cluster
from .failures import FAILURES

EVERY_S: Final = 5.0
TRY_S: Final = 3.0
_STANDALONE: Final = -1
_NO_RETENTION: Final = -1
LANE: Final = "mirror"


class Mirror:
    """Commits what it was told last, now and then and only when it changed; what fails is tried again with the next."""

    def __init__(self, cluster: Cluster, *, every_s: float = EVERY_S) -> None:
        self._cluster = cluster
        self._every_s = every_s
        self._told: dict[tuple[str, int], int] = {}
        self._task: asyncio.Task[None] | None = None

    def tell(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Remember the positions; never waits, never raises."""
        self._told.update(positions)
        if self._task is None and self._told:
            self._task = asyncio.create_task(self._run(), name="mirror")

    async def close(self) -> None:
        """Commit what was told last."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._commit()

    async def _run(self) -> None:
        while self._told:
            await asyncio.sleep(self._every_s)
            await self._commit()
        self._task = None

    async def _commit(self) -> None:
        told = dict(self._told)
        if not told:
            return
        topics: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for (topic, partition), position in told.items():
            topics[self._cluster.address.topic(topic)].append((partition, position, ""))
        group = self._cluster.address.shards_group
        request = OffsetCommitRequest(group, _STANDALONE, "", _NO_RETENTION, [*topics.items()])
        with contextlib.suppress(*FAILURES, HmsError):
            async with asyncio.timeout(TRY_S):
                self._cluster.check_open()
                coordinator = await self._cluster.client.coordinator_lookup(CoordinationType.GROUP, group)
                answer = await self._cluster.ask(coordinator, request, LANE)
                if not any(code for _, partitions in answer.topics for _, code in partitions):
                    self._told = {place: at for place, at in self._told.items() if told.get(place) != at}
