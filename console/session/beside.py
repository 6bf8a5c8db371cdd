"""What a node of the command line does beside its shards: signing their history, and archiving it where it is told to."""

from typing import NamedTuple

from ...core.log.port import Log
from ...core.runtime.duty import Duty
from ...core.runtime.history import History


class Beside(NamedTuple):
    """A node's duties, and where it finds what its log has deleted."""

    duties: tuple[Duty, ...] = ()
    history: History | None = None


def beside(log: Log, node: str, archive: str | None, witness: str | None = None) -> Beside:
    """Return what a node with these options does; `witness` is told every checkpoint that it signs."""
    if archive is None:
        return Beside((_audit(log, None, witness),))
    from ...replay.archive.cold import ColdHistory  # noqa: PLC0415 - it imports pyarrow
    from ...replay.archive.duty import ArchiveDuty  # noqa: PLC0415
    from ...replay.archive.folder import folder_of  # noqa: PLC0415
    from ...replay.archive.signing import sign_with  # noqa: PLC0415
    from ..cli.audit.places import key_folder  # noqa: PLC0415

    folder = str(folder_of(archive))
    archiving = ArchiveDuty(folder, log, node, sign=sign_with(key_folder().signers))
    return Beside((archiving, _audit(log, folder, witness)), ColdHistory(log, folder))


def _audit(log: Log, archive: str | None, witness: str | None) -> Duty:
    from ...replay.audit.signing import AuditDuty, Terms  # noqa: PLC0415 - with the rest that duties import
    from ..cli.audit.places import key_folder  # noqa: PLC0415

    return AuditDuty(log, key_folder().signers, Terms(witness=witness), archive)
