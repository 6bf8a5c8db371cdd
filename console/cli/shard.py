"""`hms shard`: who owns what of the log, and how far behind it is."""

from typing import Final

from cyclopts import App

from ...core.log.port import Log
from .freshness import freshness_line
from .opened import reading
from .options import DEFAULTS, Options
from .shard_item import LANE_NAMES, shard_items
from .show import Columns, Item, say, show_list, text

app = App(name="shard", help="Shards: who owns them, and what waits in them.")


def _lag_of(lane: str) -> "Columns":
    return {lane.upper(): lambda item: text(item["lag"][lane])}


COLUMNS: Final[Columns] = {
    "SHARD": "shard",
    "OWNER": "owner",
    "STATE": "state",
    "EPOCH": "epoch",
    **{heading: of for lane in LANE_NAMES for heading, of in _lag_of(lane).items()},
    "LAST COMMIT": "sequence",
    "AT": "committed_at",
}


@app.command(name="list")
async def list_shards(*, options: Options = DEFAULTS) -> None:
    """List the shards: owner, state, epoch, how many messages wait in each lane, and the last commit.

    States: owned; orphaned (no live node has it); careful (it ended several times without progress, and handles one
    message at a time); blocked (a transaction that does not end hides messages); lost (it has handled more than a lane
    ever held: the topic was made anew). JSON: an array of `shard, owner, epoch,
    sequence, committed_at, lag{critical, high, normal, low}, state`.
    """
    async with reading(options.url) as log:
        items = await _items(log)
        line = await freshness_line(log)
    show_list(items, options.form, COLUMNS)
    say(line)


async def _items(log: Log) -> list[Item]:
    return list(await shard_items(log, range(log.partitions), await log.nodes()))
