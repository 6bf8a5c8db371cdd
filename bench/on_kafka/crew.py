"""Nodes in as many processes as `hms node --workers` starts: `crew.py URL APP COUNT`; until stdin is closed."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from running import NodeProcess


def command(url: str, app: str, count: int) -> list[str]:
    """What starts them; it tells the instant of the first `Node.start`."""
    return [sys.executable, str(Path(__file__)), url, app, str(count)]


def main(url: str, app: str, count: int) -> None:
    nodes = [NodeProcess(url, app, name=f"crew.{number}") for number in range(1, count + 1)]
    for node in nodes:
        node.wait_begun()
    print(json.dumps({"started": min(node.reports[0]["started"] for node in nodes)}), flush=True)
    sys.stdin.read()
    for node in nodes:
        node.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
