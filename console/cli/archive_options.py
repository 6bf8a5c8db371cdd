"""Which archive a command means: the one that is named, else the one that the log knows of."""

from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from ...core.errors import ValidationFailed
from ...core.log.port import Log

if TYPE_CHECKING:
    from ...replay.archive.reader import Archive

ArchiveOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--archive",
        env_var="HMS_ARCHIVE",
        help="The archive's folder, as a path or file:PATH",
        show_default="the one that the log knows of",
    ),
]
DutyOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--archive",
        env_var="HMS_ARCHIVE",
        help="Archive into this folder meanwhile; all nodes of a log have to see the same one",
    ),
]


async def archive_url(log: Log, given: str | None) -> str:
    """Return the archive's URL. Raises `ValidationFailed` where none is named and the log knows of none."""
    from ...replay.archive.binding import bound_archive  # noqa: PLC0415 - those without an archive do not pay for it

    if given is not None:
        return given
    bound = await bound_archive(log)
    if bound is None:
        raise ValidationFailed(f"{log.url} has no archive yet; name a folder for it: --archive, or HMS_ARCHIVE")
    return bound.url


async def opened_archive(log: Log, given: str | None) -> "Archive":
    """Open the archive that is meant. Raises `ArchiveMismatch` for another than the log has."""
    from ...replay.archive.binding import check_bound  # noqa: PLC0415 - it imports pyarrow
    from ...replay.archive.reader import Archive  # noqa: PLC0415

    archive = await Archive.open(await archive_url(log, given))
    await check_bound(log, archive.identity, archive.folder.root)
    return archive
