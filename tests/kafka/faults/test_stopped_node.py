"""A node that is stopped (SIGSTOP) in the midst of its work for longer than its session, and comes back (SIGCONT)."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..fixtures import Server
from .intensity import SEED, drawn, many
from .trial import PARTITIONS, Trial, trial

STOPS = many(1, 4)
SAYS = ("shard_fenced", "shards_taken_away", "membership_interrupted")


@pytest.mark.timeout(400)
def test_a_node_stopped_past_its_session_writes_nothing_visible_says_so_and_rejoins(
    kafka: Server, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    random = drawn()
    took: list[float] = []
    said: list[str] = []

    async def stopping(run: Trial) -> None:
        for _ in range(STOPS):
            await run.load.wait_answered(random.randint(100, 200))
            await asyncio.sleep(random.random() * 0.03)
            heard = len(run.nodes.complaints("one"))
            run.nodes.signal("one", signal.SIGSTOP)
            began = time.monotonic()
            try:
                await run.until(lambda: len(run.nodes.owned("two")) == PARTITIONS, 40, lambda: run.nodes.owned("two"))
                took.append(time.monotonic() - began)
                await run.load.wait_answered(100)  # the other one works with what was the stopped one's
            finally:
                run.nodes.signal("one", signal.SIGCONT)
            await run.until(
                lambda heard=heard: any(word in run.nodes.complaints("one")[heard:] for word in SAYS),
                40,
                lambda: run.nodes.complaints("one")[-2_000:],
            )
            await run.shared()
        said.extend(word for word in SAYS if run.nodes.said("one", word))

    seen = asyncio.run(trial(tmp_path, kafka.bootstrap, SEED, stopping, pause_s=0.02))
    saw(f"stopped {STOPS} times; taken over after {max(took):.1f} s; it said {', '.join(said)} and rejoined; {seen}")
