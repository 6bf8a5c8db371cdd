"""Nodes that are killed with SIGKILL in mid-batch, again and again, at moments that a seed draws."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ..fixtures import Server
from .intensity import SEED, drawn, many
from .trial import Trial, trial

DEATHS = many(12, 50)
NAMES = ("one", "two", "three")


@pytest.mark.timeout(600)
def test_nodes_killed_at_random_moments_lose_double_reorder_and_make_up_nothing(
    kafka: Server, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    random = drawn()

    async def killing(run: Trial) -> None:
        while run.nodes.kills < DEATHS:
            await run.load.wait_answered(random.randint(20, 120))
            await asyncio.sleep(random.random() * 0.03)  # anywhere within a batch
            await run.until(run.nodes.up, 60, lambda: "a node that owns a shard")
            victim = random.choice(run.nodes.up())
            run.nodes.kill(victim)
            run.nodes.start(victim)
        await run.shared()  # each came back and got its share

    seen = asyncio.run(trial(tmp_path, kafka.bootstrap, SEED, killing, names=NAMES, pause_s=0.005))
    saw(f"{DEATHS} nodes killed; {seen}")
