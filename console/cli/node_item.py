"""A node as operators see it."""

from typing import Any, Final

from ...core.log.port import NodeInfo
from .plain_value import instant_of_us
from .show import Columns, text

NODE_COLUMNS: Final[Columns] = {
    "NODE": "node",
    "ALIVE": "alive",
    "SHARDS": lambda item: text(len(item["shards"])),
    "SEEN": "seen_at",
}


def node_item(node: NodeInfo) -> dict[str, Any]:
    """Return a node as an item; `seen_at` is when it was last heard of."""
    seen = instant_of_us(node.seen_us)
    return {"node": node.node, "alive": node.alive, "shards": sorted(node.shards), "seen_at": seen}
