"""Two nodes that own the same shards by force: the membership of the second one says yes to everything."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hms.actors.app import hms_app
from hms.core.errors import WriterFenced
from hms.core.log.kafka import KafkaLog
from hms.core.log.port import EVENTS, Assignment, Draft, Writer
from hms.core.runtime.node import Node
from hms.core.runtime.verify import transactions
from hms.core.testing.simulation.cast import app, behaviours

from ..fixtures import Server
from .intensity import SEED, many
from .trial import Trial, trial

SHARDS = frozenset({0, 1})
FIGHTS = many(60, 400)
"""Operations that have to arrive while both own the shards."""


class Usurper:
    """A membership that believes in itself, whatever the group says."""

    def __init__(self, node: str) -> None:
        self.node = node

    async def assignment(self) -> Assignment:
        return Assignment(1, SHARDS)

    async def wait_changed(self, generation: int, timeout_ms: int) -> Assignment:
        await asyncio.sleep(timeout_ms / 1_000)
        return Assignment(generation, SHARDS)

    async def confirm(self, shard: int, generation: int) -> bool:
        return generation == 1 and shard in SHARDS

    async def release(self, shard: int) -> None:
        """Give nothing back."""

    async def leave(self) -> None:
        """Be a member of nothing."""


class UsurpedLog(KafkaLog):
    """A log on which everybody who joins gets what they claim."""

    async def join(self, node: str) -> Usurper:  # type: ignore[override]
        return Usurper(node)


@pytest.mark.timeout(400)
def test_two_nodes_with_the_same_shards_by_force_fence_each_other_and_break_nothing(
    kafka: Server, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    fenced: dict[str, int] = {}

    async def fighting(run: Trial) -> None:
        await run.load.wait_answered(100)
        log = await UsurpedLog.open(run.url)
        try:
            async with Node(log, (hms_app, app), name="usurper") as usurper:
                await usurper.wait_owning(1)
                await run.load.wait_answered(FIGHTS)
                await run.until(lambda: said(run), 60, lambda: "a node that was fenced and says so")
        finally:
            await log.close()
        fenced["commits refused to the rightful nodes"] = said(run)
        await writers_by_hand(run)
        await run.load.wait_answered(100)

    def said(run: Trial) -> int:
        return sum(len(run.nodes.said(name, "shard_fenced")) for name in run.nodes.running)

    async def writers_by_hand(run: Trial) -> None:
        """Open the shards' writers once more, as nobody does who does not own them, and let the owner take them back."""
        for shard in SHARDS:
            thief = await opened(run, shard)
            async with asyncio.timeout(60):
                while not await has_newer_epoch(run, shard, thief.epoch):  # noqa: ASYNC110 - the owner is a process
                    await asyncio.sleep(0.1)
            with pytest.raises(WriterFenced):
                await thief.commit([Draft(EVENTS, shard, b"account/anna", b"stolen")])
            await thief.close()
        fenced["writers taken away and taken back"] = len(SHARDS)

    seen = asyncio.run(trial(tmp_path, kafka.bootstrap, SEED, fighting, pause_s=0.05))
    saw(f"{fenced}; {seen}")


async def opened(run: Trial, shard: int) -> Writer:
    """Open the shard's writer, once the owner does not do the same at that very moment."""
    async with asyncio.timeout(60):
        while True:
            with suppress(WriterFenced):
                return await run.log.open_writer(shard, "thief")


async def has_newer_epoch(run: Trial, shard: int, epoch: int) -> bool:
    """Tell whether somebody has written to the shard under a newer epoch."""
    return (await transactions(run.log, shard, behaviours()))[-1].fields["epoch"] > epoch
