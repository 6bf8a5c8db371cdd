"""How an archive is: what it holds of each shard, how far behind the log it is, what it takes."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ...core.log.port import CHECKPOINTS, SCHEMAS, TOPICS, Log
from .plain_value import instant_of_us, seconds
from .show import Columns

if TYPE_CHECKING:
    from ...replay.archive.reader import Archive

Item = dict[str, Any]
COLUMNS: Final[Columns] = {
    "SHARD": "shard",
    "MANIFEST": "manifest",
    "EPOCH": "epoch",
    "WRITTEN": "written_at",
    "RECORDS": "records",
    "FILES": "files",
    "BYTES": "bytes",
    "LAG": "lag",
    "LAST COMMIT": "last_sequence",
}


async def shard_items(log: Log, archive: "Archive") -> list[Item]:
    """Return what is archived of each shard, and how many positions of its topics are not yet."""
    return list(await asyncio.gather(*(_shard(log, archive, shard) for shard in range(archive.partitions))))


async def _shard(log: Log, archive: "Archive", shard: int) -> Item:
    state = archive.state(shard)
    return {
        "shard": shard,
        "manifest": state.number,
        "epoch": state.epoch,
        "written_at": seconds(instant_of_us(state.written_us)) if state.number >= 0 else None,
        "written_us": state.written_us,
        "records": sum(file.rows for file in state.files.values()),
        "files": len(state.files),
        "bytes": sum(file.bytes for file in state.files.values()),
        "lag": await _lag(log, archive, shard),
        "last_sequence": None if state.chain is None else state.chain.sequence,
    }


async def _lag(log: Log, archive: "Archive", shard: int) -> int:
    topics = [topic for topic in TOPICS if topic != CHECKPOINTS and (topic != SCHEMAS or shard == 0)]
    marks = await asyncio.gather(*(log.watermarks(topic, shard) for topic in topics))
    done = [archive.covered(topic, shard) or (0, mark.start) for topic, mark in zip(topics, marks, strict=True)]
    return sum(max(0, mark.stable - after) for mark, (_, after) in zip(marks, done, strict=True))


def archive_item(archive: "Archive", shards: Iterable[Item], now_us: int) -> Item:
    """Return the whole archive in one object; its age is that of the shard that has waited longest, if one is behind."""
    shards = list(shards)
    newest_us = max(item["written_us"] for item in shards)
    since_us = min(
        (item["written_us"] or archive.identity.made_us for item in shards if item["lag"]), default=newest_us
    )
    return {
        "archive": str(archive.folder.root),
        "id": archive.identity.id,
        "bytes": sum(item["bytes"] for item in shards),
        "files": sum(item["files"] for item in shards),
        "tombstones": len(archive.tombstones()),
        "gaps": len(archive.gaps()),
        "lag": sum(item["lag"] for item in shards),
        "age_s": (now_us - since_us) / 1e6 if since_us else None,
    }


def sentence(item: Item) -> str:
    """Say it in one line."""
    age = "never written" if item["age_s"] is None else f"written {item['age_s']:.0f} s ago"
    return f"{item['archive']}: {item['bytes'] / 1e6:.1f} MB in {item['files']} files, {item['lag']} positions behind, {age}"
