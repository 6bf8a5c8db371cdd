"""Three brokers: leaders move under load, and one broker after another is paused until the others do without it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ..broker import Cluster
from .intensity import SEED, drawn, many
from .trial import Trial, trial

MOVES = many(2, 8)
PAUSES = many(1, 3)
TOPICS = ("events", "inbox.normal", "outbox", "checkpoints")


@pytest.mark.timeout(500)
def test_leaders_that_move_and_brokers_that_pause_under_load_lose_nothing(
    cluster: Cluster, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    random = drawn()
    waits: list[float] = []

    async def moving_and_pausing(run: Trial) -> None:
        for _ in range(MOVES):
            await run.load.wait_answered(50)
            place = f"{run.prefix}.{random.choice(TOPICS)}", random.randrange(4)
            await asyncio.to_thread(cluster.move_leader, *place)
        waits.append(run.load.longest_s)
        for _ in range(PAUSES):
            await run.load.wait_answered(50)
            paused = await asyncio.to_thread(cluster.leader, f"{run.prefix}.events", random.randrange(4))
            paused.pause()
            try:
                await run.load.wait_answered(300)  # the others elect leaders and serve without it
            finally:
                paused.resume()
        await run.load.wait_answered(100)

    seen = asyncio.run(trial(tmp_path, cluster.bootstrap, SEED, moving_and_pausing, pause_s=0.05))
    saw(f"{MOVES} leaders moved (longest wait then {waits[0]:.1f} s), {PAUSES} brokers paused; {seen}")
