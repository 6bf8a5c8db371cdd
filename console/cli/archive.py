"""`hms archive`: the log's records as Parquet, for good."""

import os
import socket
import time
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ...core.errors import ValidationFailed
from .archive_options import ArchiveOption, archive_url, opened_archive
from .archive_status import COLUMNS as STATUS_COLUMNS
from .archive_status import archive_item, sentence, shard_items
from .audit_options import TrustOption
from .exit_codes import Exit
from .opened import reading
from .options import DEFAULTS, Options
from .show import Columns, say, show_list, show_one

app = App(name="archive", help="The archive: the log's records as Parquet, for good.")

GapsOption = Annotated[
    bool, Parameter(name="--accept-gaps", help="Note what the log has lost before it was archived, and go on behind it")
]
AnewOption = Annotated[
    bool, Parameter(name="--anew", help="Begin another archive, in a new folder; the one the log had is left as it is")
]
WorkersOption = Annotated[
    int, Parameter(validator=Number(gte=1, lte=64), help="Processes that share the shards, one core each")
]
KeepOption = Annotated[
    tuple[str, ...],
    Parameter(name="--keep", help="TYPE=AGE, such as hms.ComponentHeartbeat=30d (`*` for all others); may be repeated"),
]
BudgetOption = Annotated[
    str, Parameter(name="--disk-max", help="Delete the oldest days beyond this size, such as 20GB")
]
KeptOption = Annotated[
    str, Parameter(name="--log-kept", help="Trim what is archived and older than this from the log, such as 7d")
]
ToArgument = Annotated[str, Parameter(help="The new log: a file (or sqlite:FILE), or kafka://HOST:PORT/PREFIX")]

RUN_COLUMNS: Final[Columns] = {"SHARD": "shard", "RECORDS": "records", "FILES": "files"}
KEPT_COLUMNS: Final[Columns] = {
    "SHARD": "shard",
    "MERGED": "merged",
    "EXPIRED": "expired",
    "DELETED": "swept",
    "TRIMMED": "trimmed",
    "DOUBT": "doubt",
}
VERIFY_COLUMNS: Final[Columns] = {
    "SHARD": "shard",
    "FILES": "files",
    "RECORDS": "records",
    "COMMITS": "commits",
    "LAST": "last_sequence",
    "TOMBSTONES": "tombstones",
    "GAPS": "gaps",
    "FINDING": lambda item: "whole" if not item["findings"] else f"{len(item['findings'])} wrong",
}


def _owner() -> str:
    return f"archive-{socket.gethostname()}-{os.getpid()}"


@app.command
async def run(
    *,
    archive: ArchiveOption = None,
    accept_gaps: GapsOption = False,
    anew: AnewOption = False,
    workers: WorkersOption = 1,
    options: Options = DEFAULTS,
) -> None:
    """Archive everything that is committed now, into a folder that is made where there is none.

    May run at any time, beside nodes too: what is archived once is never archived again. A log has one archive; nodes
    keep it up by themselves with `hms up --archive` or `hms node --archive`. JSON: an array of `shard, records, files,
    steps`.
    """
    from ...replay.archive.parallel import archive_once  # noqa: PLC0415 - it imports pyarrow

    async with reading(options.url) as log:
        url = await archive_url(log, archive)
        found = await archive_once(url, log, owner=_owner(), accept_gaps=accept_gaps, workers=workers, anew=anew)
        show_list([one._asdict() for one in found], options.form, RUN_COLUMNS)
        say(f"{sum(one.records for one in found)} records archived into {url}")


@app.command
async def status(*, archive: ArchiveOption = None, options: Options = DEFAULTS) -> None:
    """Show what is archived of each shard, how far behind it is, and what it takes on disk.

    JSON: one object `archive, id, bytes, files, tombstones, gaps, lag, age_s, shards[]`; a shard's `shard, manifest,
    epoch, written_at, written_us, records, files, bytes, lag, last_sequence`. `lag` counts positions of the log.
    """
    async with reading(options.url) as log:
        found = await opened_archive(log, archive)
        shards = await shard_items(log, found)
        item = archive_item(found, shards, time.time_ns() // 1_000)
        if options.form == "text":
            show_list(shards, "text", STATUS_COLUMNS)
            say(sentence(item))
        else:
            show_one({**item, "shards": shards}, options.form)


@app.command
async def verify(*, archive: ArchiveOption = None, trust: TrustOption = None, options: Options = DEFAULTS) -> int:
    """Check every file against its manifest, every position, the chain of commits, tombstones; exit 1 if anything is wrong.

    It reads the archive alone and needs no log when `--archive` is given. With `--trust`, tombstones have to be signed by
    these keys. JSON: an array of `shard, files, records,
    bytes, commits, tombstones, gaps, last_sequence, findings[]`.
    """
    from ...replay.archive.reader import Archive  # noqa: PLC0415 - as above
    from ...replay.archive.signing import wrong_signature  # noqa: PLC0415
    from ...replay.archive.verify import verify as verified  # noqa: PLC0415
    from .audit.places import trust_of  # noqa: PLC0415

    if archive is None:
        async with reading(options.url) as log:
            archive = await archive_url(log, None)
    found = await Archive.open(archive)
    keys = trust_of(trust)
    reports = [verified(found, shard, lambda stone: wrong_signature(stone, keys)) for shard in range(found.partitions)]
    show_list([{**one._asdict(), "findings": list(one.findings)} for one in reports], options.form, VERIFY_COLUMNS)
    for report in reports:
        for finding in report.findings:
            say(f"shard {report.shard}: {finding}")
    return Exit.FAILED if any(report.findings for report in reports) else Exit.OK


@app.command
async def compact(
    *,
    archive: ArchiveOption = None,
    keep: KeepOption = (),
    disk_max: BudgetOption = "",
    log_kept: KeptOption = "",
    options: Options = DEFAULTS,
) -> None:
    """Merge small files, delete by policy what is too old or too much, and what crashes left; trim the log behind it.

    What is not said here is taken from `policy.json` in the archive, which nodes follow by themselves; without that
    nothing is deleted but replaced files. Deleted records leave tombstones; files go after a grace. JSON: an array of
    `shard, merged, expired, swept, trimmed, doubt`.
    """
    from ...replay.archive.archiver import Archiver  # noqa: PLC0415 - as above
    from ...replay.archive.last_commit import last_commit  # noqa: PLC0415
    from ...replay.archive.signing import sign_with  # noqa: PLC0415
    from ...replay.archive.upkeep import Upkeep  # noqa: PLC0415
    from .audit.places import key_folder  # noqa: PLC0415

    async with reading(options.url) as log:
        archiver = await Archiver.open(await archive_url(log, archive), log, owner=_owner())
        policy = _policy(archiver.folder, keep, disk_max, log_kept)
        items: list[dict[str, Any]] = []
        kinds = {file.type for file in await archiver.files()}
        named = {one.partition("=")[0] for one in keep}  # and not those of a policy, which is also for what may come
        for name in sorted(named - kinds - {"*"}):
            say(f"{name}: nothing of that type is archived")
        for shard in range(log.partitions):
            writer = archiver.writer(shard, (await last_commit(log, shard)).epoch)
            await archiver.catch_up(writer)
            items.append(
                (await Upkeep(archiver, writer, policy=policy, sign=sign_with(key_folder().signers)).run())._asdict()
            )
        show_list(items, options.form, KEPT_COLUMNS)


def _policy(folder: Any, keep: tuple[str, ...], disk_max: str, log_kept: str) -> Any:
    from ...replay.archive.policy import read_policy  # noqa: PLC0415 - as above

    policy = read_policy(folder)
    pairs = [one.partition("=") for one in keep]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ValidationFailed(f"--keep {wrong[0]}: expected TYPE=AGE, such as hms.ComponentHeartbeat=30d")
    return policy.model_copy(
        update={
            "keep": {**policy.keep, **{name: age for name, _, age in pairs}},
            "disk_max": disk_max or policy.disk_max,
            "log_kept": log_kept or policy.log_kept,
        }
    ).checked()


@app.command
async def restore(to: ToArgument, /, *, archive: ArchiveOption = None, options: Options = DEFAULTS) -> None:
    """Rebuild a lost log from its archive, in a new file or under a new prefix on Kafka; the archive is verified before.

    It ends at the last moment of which every shard is archived, made causally closed. Where nothing had to be left out
    the log goes on in the same archive; else it needs a new one. JSON: `log, records, commits{}, left_out, goes_on`.
    """
    from ...replay.archive.reader import Archive  # noqa: PLC0415 - as above
    from ...replay.archive.restore import restore as restored  # noqa: PLC0415

    if archive is None:
        raise ValidationFailed("expected --archive (or HMS_ARCHIVE): the log that knew it is lost")
    target = _target(to)
    found = await restored(await Archive.open(archive), target)
    item = {
        "log": f"sqlite:{target}" if isinstance(target, Path) else target,
        **found._asdict(),
        "commits": {str(k): v for k, v in found.commits.items()},
    }
    show_one(item, options.form)
    if not found.goes_on:
        say("what is left out was archived of some shards only; archive this log into a new folder")


def _target(to: str) -> Path | str:
    """Return the file of a new embedded log, in a folder that is there; or a URL as it is."""
    if to.startswith("kafka:"):
        return to
    path = Path(to.removeprefix("sqlite:")).expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
