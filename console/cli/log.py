"""`hms log`: what the log holds, whose it is, and whether it is whole."""

import json
from typing import Any, Final

from cyclopts import App

from ...core.log.port import TOPICS, Log
from ...core.runtime.fitness import APPS_SETTING
from .exit_codes import Exit
from .freshness import freshness_line
from .log_address import log_file
from .log_init import init
from .log_verify import Finding, ShardReport, verify_log
from .node_item import NODE_COLUMNS, node_item
from .opened import reading
from .options import DEFAULTS, Options
from .shard_item import shard_item
from .show import Columns, say, show_list, show_one, text, write

app = App(name="log", help="The log itself: make it; what it holds, and whether it is whole.")
app.command(init)

TOPIC_COLUMNS: Final[Columns] = {
    "TOPIC": "topic",
    "PARTITIONS": lambda item: text(len(item["partitions"])),
    "KEPT": "offsets_kept",
    "EVER": "offsets_ever",
}
SHARD_COLUMNS: Final[Columns] = {
    "SHARD": "shard",
    "OWNER": "owner",
    "EPOCH": "epoch",
    "LAST COMMIT": "sequence",
    "AT": "committed_at",
}
VERIFY_COLUMNS: Final[Columns] = {
    "SHARD": "shard",
    "COMMITS": "commits",
    "FIRST": "first_sequence",
    "LAST": "last_sequence",
    "INPUTS CHECKED": "reads_checked",
    "WRITES CHECKED": "writes_checked",
    "FINDING": "finding",
}


@app.command
async def info(*, options: Options = DEFAULTS) -> None:
    """Show topics with their offsets, the apps, the nodes, and each shard's owner, epoch and last commit.

    JSON: one object `url, bytes, partitions, apps, topics[], nodes[], shards[]`; `bytes` are those on disk (embedded).
    """
    async with reading(options.url) as log:
        nodes = await log.nodes()
        item = {
            "url": log.url,
            "bytes": _bytes(log.url),
            "partitions": log.partitions,
            "apps": sorted(
                {name.partition(":")[0] for name in json.loads(await log.get_setting(APPS_SETTING) or "[]")}
            ),
            "topics": [await _topic(log, topic) for topic in TOPICS],
            "nodes": [node_item(node) for node in nodes],
            "shards": [await shard_item(log, shard, nodes) for shard in range(log.partitions)],
        }
        line = await freshness_line(log)
    if options.form != "text":
        show_one(item, options.form)
    else:
        _show_info(item)
    say(line)


@app.command
async def verify(*, options: Options = DEFAULTS) -> int:
    """Check every shard's chain of commits: dense sequences, hashes, and what was read and written; exit 1 if it breaks.

    Inputs and writes are checked as far as the log still holds them; for the rest the chain vouches. JSON: an array of
    `shard, commits, first_sequence, last_sequence, reads_checked, writes_checked, finding`, and with a finding
    `partition, offset, expected, got`.
    """
    async with reading(options.url) as log:
        reports = await verify_log(log)
        show_list([_report_item(report) for report in reports], options.form, VERIFY_COLUMNS)
        for report in reports:
            if report.finding is not None:
                say(f"shard {report.shard}: {report.finding}")
        say(await freshness_line(log))
    return Exit.FAILED if any(report.finding is not None for report in reports) else Exit.OK


def _report_item(report: ShardReport) -> dict[str, Any]:
    finding: Finding | None = report.finding
    fields = report._asdict()
    fields["finding"] = "whole" if finding is None else finding.what
    return fields if finding is None else {**fields, **finding._asdict(), "finding": finding.what}


async def _topic(log: Log, topic: str) -> dict[str, Any]:
    count = 1 if topic == TOPICS[-1] else log.partitions
    marks = [await log.watermarks(topic, partition) for partition in range(count)]
    return {
        "topic": topic,
        "offsets_kept": sum(mark.stable - mark.start for mark in marks),
        "offsets_ever": sum(mark.stable for mark in marks),
        "partitions": [{"start": mark.start, "stable": mark.stable, "high": mark.high} for mark in marks],
    }


def _bytes(url: str) -> int | None:
    path = log_file(url)
    if path is None:
        return None
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _show_info(item: dict[str, Any]) -> None:
    show_one(item, "text", leave_out=("topics", "nodes", "shards"))
    for name, columns in (("topics", TOPIC_COLUMNS), ("nodes", NODE_COLUMNS), ("shards", SHARD_COLUMNS)):
        write("")
        show_list(item[name], "text", columns)
