"""Nodes that are killed with SIGKILL in mid-batch, again and again, at moments that a seed draws."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from ..fixtures import Server
from .trial import Trial, trial

DEATHS = 50 if os.environ.get("HMS_LONG") == "1" else 12
SEED = int(os.environ.get("HMS_SEED", "7"))
NAMES = ("one", "two", "three")


@pytest.mark.timeout(400)
def test_nodes_killed_at_random_moments_lose_double_reorder_and_make_up_nothing(
    kafka: Server, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    random = Random(SEED)  # noqa: S311 - repeatable on purpose

    async def killing(run: Trial) -> None:
        while run.nodes.kills < DEATHS:
            await run.load.wait_answered(random.randint(20, 120))
            await asyncio.sleep(random.random() * 0.03)  # anywhere within a batch
            await run.until(run.nodes.up, 60, lambda: "a node that owns a shard")
            victim = random.choice(run.nodes.up())
            run.nodes.kill(victim)
            run.nodes.start(victim)

    seen = asyncio.run(trial(tmp_path, kafka.bootstrap, SEED, killing, names=NAMES, pause_s=0.005))
    saw(f"seed {SEED}: {DEATHS} nodes killed; {seen}")
