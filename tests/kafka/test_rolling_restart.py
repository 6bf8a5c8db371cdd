"""Three `hms node` on a real Kafka, restarted one after the other under load: the client sees answers, and nothing else."""

import asyncio
from pathlib import Path

import pytest

from ..system.rolling import ASKS_BETWEEN, Nodes, restart_in_turn
from .logs import make_log

SESSION_S = 6
pytestmark = pytest.mark.timeout(300)


def test_a_rolling_restart_of_three_nodes_under_load_fails_no_ask_and_loses_none(
    tmp_path: Path, kafka_url: str
) -> None:
    asyncio.run(make_log(kafka_url, 16))
    nodes = Nodes(tmp_path, kafka_url)
    try:
        load = restart_in_turn(nodes)
        assert not load.failed
        assert len(load.took) > 4 * ASKS_BETWEEN
        took = sorted(load.took)
        late = took[len(took) * 99 // 100]
        assert late < SESSION_S, f"expected that nobody waits for a session to end, got {late:.2f} s at p99"
    finally:
        nodes.kill()
