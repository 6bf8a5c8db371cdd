"""What a node of the command line does beside its shards: archiving them, where it is told to."""

from typing import NamedTuple

from ...core.log.port import Log
from ...core.runtime.duty import Duty
from ...core.runtime.history import History


class Beside(NamedTuple):
    """A node's duties, and where it finds what its log has deleted."""

    duties: tuple[Duty, ...] = ()
    history: History | None = None


def beside(log: Log, node: str, archive: str | None) -> Beside:
    """Return what a node with these options does."""
    if archive is None:
        return Beside()
    from ...replay.archive.cold import ColdHistory  # noqa: PLC0415 - it imports pyarrow
    from ...replay.archive.duty import ArchiveDuty  # noqa: PLC0415
    from ...replay.archive.folder import folder_of  # noqa: PLC0415

    folder = str(folder_of(archive))
    return Beside((ArchiveDuty(folder, log, node),), ColdHistory(log, folder))
