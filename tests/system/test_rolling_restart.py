"""Three `hms node`, restarted one after the other under load: the client sees answers, and nothing else."""

from pathlib import Path

from .rolling import ASKS_BETWEEN, Nodes, restart_in_turn


def test_a_rolling_restart_of_three_nodes_under_load_fails_no_ask_and_loses_none(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, f"sqlite:{tmp_path / 'log.db'}")
    try:
        load = restart_in_turn(nodes)
        assert not load.failed
        assert len(load.took) > 4 * ASKS_BETWEEN
        assert max(load.took) < 2, f"expected no pause of two seconds, the longest was {max(load.took):.2f} s"
    finally:
        nodes.kill()
