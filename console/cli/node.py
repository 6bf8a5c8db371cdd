"""`hms node`: run one; and who the nodes of the log are."""

from collections.abc import Mapping
from typing import Any

from cyclopts import App

from ..node import node
from .exit_codes import Exit, Stop
from .freshness import freshness_line
from .node_item import NODE_COLUMNS, node_item
from .opened import reading
from .options import DEFAULTS, Options
from .shard import COLUMNS as SHARD_COLUMNS
from .shard_item import shard_items
from .show import say, show_list, show_one, write

app = App(name="node", help="Run apps on a log, without components of this host; `list` and `describe` show the nodes.")
app.default(node)


@app.command(name="list")
async def list_nodes(*, options: Options = DEFAULTS) -> None:
    """List the nodes, dead ones of the last hour included. JSON: an array of `node, alive, shards[], seen_at`."""
    async with reading(options.url) as log:
        items = [node_item(one) for one in await log.nodes()]
        line = await freshness_line(log)
    show_list(items, options.form, NODE_COLUMNS)
    say(line)


@app.command
async def describe(name: str, /, *, options: Options = DEFAULTS) -> None:
    """Show one node and its shards. JSON: `node, alive, seen_at, shards[]`, shards as `hms shard list` has them."""
    async with reading(options.url) as log:
        nodes = await log.nodes()
        found = next((one for one in nodes if one.node == name), None)
        if found is None:
            known = ", ".join(one.node for one in nodes) or "none"
            raise Stop(Exit.NOT_FOUND, f"no node {name!r} within the last hour; there are: {known}")
        item = {**node_item(found), "shards": await shard_items(log, sorted(found.shards), nodes)}
        line = await freshness_line(log)
    _show(item, options)
    say(line)


def _show(item: Mapping[str, Any], options: Options) -> None:
    show_one(item, options.form, leave_out=("shards",))
    if options.form == "text" and item["shards"]:
        write("")
        show_list(item["shards"], "text", SHARD_COLUMNS)
