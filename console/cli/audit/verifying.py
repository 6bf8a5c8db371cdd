"""`hms audit verify`: whether the history is the one that was signed."""

import os
import time
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ....replay.audit.commits import Finding
from ....replay.audit.identity import log_id
from ....replay.audit.memory import memory_file, recall, remember
from ....replay.audit.reading import Place, Reader
from ....replay.audit.verify import UNANCHORED, Anchors, Result, ShardResult
from ....replay.audit.verify import verify as verified
from ..archive_options import ArchiveOption
from ..audit_options import TrustOption
from ..exit_codes import Exit
from ..instants import instant_us
from ..options import DEFAULTS, Options
from ..plain_value import instant, instant_of_us
from ..show import Columns, say, show_list, show_one, write
from .places import audit_folder, history_of, notes_of, trust_of

COLUMNS: Final[Columns] = {
    "SHARD": "shard",
    "COMMITS": "commits",
    "RECORDS": "records",
    "CHECKPOINTS": "checkpoints",
    "COVERED": "covered",
    "SIGNED AT": "signed_at",
    "FINDINGS": "findings_count",
}


async def verify(
    *,
    since: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="Begin at the newest good checkpoint before it: an instant, or -1d"),
    ] = None,
    trust: TrustOption = None,
    against: Annotated[
        tuple[Path, ...], Parameter(help="A checkpoint from outside: a note, or the file of a witness; may be repeated")
    ] = (),
    forget: Annotated[
        bool, Parameter(help="Do not compare with what was verified before, and remember this instead")
    ] = False,
    workers: Annotated[
        int | None, Parameter(validator=Number(gte=1, lte=64), help="Processes to read with [default: one a core]")
    ] = None,
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> int:
    """Read every commit and hold it against its chain, the signed checkpoints, and what is known from outside.

    What was verified is remembered in the state folder: a log that was rolled back or rewritten since is told apart, even
    if everything in it fits together. Without --trust, --against, and a memory, the result is `unanchored`: whoever could
    rewrite all of it could also sign it. Exits 1 if anything is wrong.

    JSON: `log, as_of, anchors[], records, shards[], findings[]`; a shard is `shard, first, commits, records, checkpoints,
    covered, signed_at`, a finding `what, shard, where, expected, got`.
    """
    path = memory_file(audit_folder(), options.url)
    memory = None if forget else recall(path)
    notes = [note for file in against for note in notes_of(file)]
    anchors = Anchors(trust_of(trust), notes, memory)
    since_us = None if since is None else instant_us(since, time.time_ns() // 1_000)
    async with history_of(options.url, archive) as history:
        assert history.log is not None  # noqa: S101 - it was opened with one
        name = await log_id(history.log, history) or ""
        reader = Reader(history, Place(options.url, archive), workers or os.cpu_count() or 1)
        result = await verified(history, name, anchors, reader, since_us=since_us)
    _show(result, options)
    if not result.findings:
        remember(path, result.memory)
        return Exit.OK
    return Exit.FAILED


def _show(result: Result, options: Options) -> None:
    if options.form != "text":
        show_one(_item(result), options.form)
    else:
        show_list([_shard_item(one) for one in result.shards if one.commits], "text", COLUMNS)
        for finding in result.findings:
            write(f"FOUND  {_line(finding)}")
    say(_sentence(result))


def _line(finding: Finding) -> str:
    return str(finding) if finding.shard >= 0 else f"{finding.what}: expected {finding.expected}, got {finding.got}"


def _sentence(result: Result) -> str:
    """Say in a line what the result is worth."""
    commits = sum(shard.commits - shard.first for shard in result.shards)
    uncovered = sum(max(0, shard.commits - shard.covered) for shard in result.shards)
    held = "something is wrong" if result.findings else "the history holds"
    anchored = f"anchored by {', '.join(result.anchors)}"
    if result.anchors == [UNANCHORED]:
        anchored = (
            "unanchored: nothing from outside says that it is the one that was written; give --trust or --against, or verify "
            "again later"
        )
    open_end = f"; {uncovered} of them under no checkpoint yet" if uncovered else ""
    return f"as of {instant_of_us(result.as_of.taken_at_us)}: {held}, {commits} commits{open_end} · {anchored}"


def _item(result: Result) -> dict[str, Any]:
    return {
        "log": result.log,
        "as_of": instant_of_us(result.as_of.taken_at_us),
        "anchors": result.anchors,
        "records": sum(shard.records for shard in result.shards),
        "shards": [_shard_item(one) for one in result.shards],
        "findings": [finding._asdict() for finding in result.findings],
    }


def _shard_item(shard: ShardResult) -> dict[str, Any]:
    fields = shard._asdict()
    findings = fields.pop("findings")
    signed_at = None if shard.signed_at is None else instant(shard.signed_at)
    return {**fields, "signed_at": signed_at, "findings_count": len(findings)}
