"""The only broker is killed with SIGKILL under load, and started again on its data."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ..broker import Broker
from .intensity import SEED, drawn, many
from .trial import Trial, trial

DEATHS = many(2, 8)


@pytest.mark.timeout(500)
def test_a_broker_killed_and_restarted_under_load_costs_time_and_nothing_else(
    broker: Broker, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    random = drawn()

    async def killing(run: Trial) -> None:
        for _ in range(DEATHS):
            await run.load.wait_answered(random.randint(100, 200))
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(random.random())
            await asyncio.to_thread(broker.start)
        await run.load.wait_answered(100)
        names = tuple(run.nodes.running)
        for name in names:
            run.nodes.kill(name)
        await asyncio.to_thread(broker.restart)  # and with it everything at once
        run.nodes.start(*names)
        await run.shared()
        await run.load.wait_answered(100)

    seen = asyncio.run(trial(tmp_path, broker.bootstrap, SEED, killing, pause_s=0.02))
    saw(f"the broker killed {DEATHS} times, then it and every node at once; {seen}")
