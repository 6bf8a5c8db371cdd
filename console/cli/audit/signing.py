"""`hms audit sign`: sign the history now, as nodes do every five minutes."""

from ..archive_options import ArchiveOption
from ..audit_options import WitnessOption
from ..options import DEFAULTS, Options
from ..show import Columns, show_list
from .places import history_of, key_folder

_COLUMNS: Columns = {"SHARD": "shard", "COMMITS": "size", "ROOT": "root"}


async def sign(*, witness: WitnessOption = None, archive: ArchiveOption = None, options: Options = DEFAULTS) -> None:
    """Sign every shard's commits with this machine's key, and put the checkpoints into the log.

    Nodes do so by themselves, every 10,000 commits, and every five minutes in which anything happened.

    JSON: an array of `shard, size, root, note`.
    """
    from ....replay.audit.note import parse  # noqa: PLC0415
    from ....replay.audit.signing import sign_all  # noqa: PLC0415

    async with history_of(options.url, archive) as history:
        assert history.log is not None  # noqa: S101 - it was opened with one
        notes = await sign_all(history.log, history, key_folder().signers(), witness)
    items = []
    for note in notes:
        checkpoint = parse(note).checkpoint
        shard = int(checkpoint.origin.rpartition("-")[2])
        items.append({"shard": shard, "size": checkpoint.size, "root": checkpoint.root.hex(), "note": note})
    show_list(items, options.form, _COLUMNS)
