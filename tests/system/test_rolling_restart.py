"""Three `hms node`, restarted one after the other under load: the client sees answers, and nothing else."""

from pathlib import Path

from hms.core.log.sqlite.times import DEFAULT_TIMES

from .rolling import ASKS_BETWEEN, Nodes, restart_in_turn


def test_a_rolling_restart_of_three_nodes_under_load_fails_no_ask_and_loses_none(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, f"sqlite:{tmp_path / 'log.db'}")
    try:
        load = restart_in_turn(nodes)
        assert not load.failed
        assert len(load.took) > 4 * ASKS_BETWEEN
        # Shards that are handed over do not wait for a lease to end; a machine may stand still for a while, though.
        lease_s = (DEFAULT_TIMES.lease_ms - DEFAULT_TIMES.heartbeat_ms) / 1_000
        assert max(load.took) < lease_s, f"expected no pause of {lease_s} s, the longest was {max(load.took):.2f} s"
    finally:
        nodes.kill()
