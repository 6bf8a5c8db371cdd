"""Archives a log, shard by shard: what `hms archive run` does once, and a node as a duty."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ...core.log.port import Log
from ..history import History
from .batch import BATCH_RECORDS
from .binding import bind
from .disk import Disk
from .folder import Folder, Identity, folder_of
from .last_commit import last_commit
from .manifest import ArchivedFile
from .manifests import ArchiveMoved
from .reader import Archive
from .trust import Trust
from .writer import LogSchemas, ShardWriter

MOVES_MAX: Final = 20
"""So often somebody else may be first before this one gives up: two that archive the same are one too many."""


class Progress(NamedTuple):
    """What was archived of a shard."""

    shard: int
    records: int
    files: int
    steps: int


class Archiver:
    """Made by `open`; its writers share what was learned of schemas."""

    def __init__(
        self, log: Log, folder: Folder, identity: Identity, owner: str, disk: Disk, *, accept_gaps: bool
    ) -> None:
        self.log = log
        self.folder = folder
        self.identity = identity
        self.owner = owner
        self.disk = disk
        self._accept_gaps = accept_gaps
        self.trust = Trust(log, folder, identity.id, owner, disk)
        self._schemas = LogSchemas(log)
        self._reader = Archive(folder, identity)

    @classmethod
    async def open(
        cls, url: str, log: Log, *, owner: str, disk: Disk | None = None, accept_gaps: bool = False
    ) -> "Archiver":
        """Open the archive of a log, making it where there is none yet. Errors: see `bind`."""
        folder = Folder(folder_of(url))
        disk = disk or Disk()
        identity = await bind(log, folder, str(folder.root), disk)
        return cls(log, folder, identity, owner, disk, accept_gaps=accept_gaps)

    def writer(self, shard: int, epoch: int, records_max: int = BATCH_RECORDS) -> ShardWriter:
        """Return what writes one shard under an owner's epoch."""
        return ShardWriter(
            self.folder,
            self.identity,
            self.log,
            shard,
            epoch,
            self.owner,
            self._schemas,
            disk=self.disk,
            accept_gaps=self._accept_gaps,
            records_max=records_max,
        )

    async def files(self) -> list[ArchivedFile]:
        """Return the files of all shards that count now. Raises `ArchiveDamaged`."""
        await self._reader.refresh()
        return self._reader.files()

    async def history(self) -> History:
        """Return the log and what is archived now as one. Raises `ArchiveDamaged`."""
        await self._reader.refresh()
        return History(self.log, self._reader)

    async def catch_up(self, writer: ShardWriter, *, even_if_empty: bool = False) -> Progress:
        """Archive until nothing more is visible. Errors: see `ShardWriter.flush`."""
        records, files, steps, moves = 0, 0, 0, 0
        while True:
            try:
                flushed = await writer.flush(even_if_empty=even_if_empty and steps == 0)
            except ArchiveMoved:
                moves += 1
                if moves > MOVES_MAX:
                    raise
                continue
            records, files, steps = records + flushed.records, files + flushed.files, steps + 1
            if not flushed.is_behind or flushed.records == 0:
                return Progress(writer.shard, records, files, steps)

    async def run(self, shards: Iterable[int] | None = None) -> list[Progress]:
        """Archive every shard (or these) once to the end, each under the epoch of its last commit."""
        found: list[Progress] = []
        for shard in range(self.identity.partitions) if shards is None else shards:
            writer = self.writer(shard, (await last_commit(self.log, shard)).epoch)
            found.append(await self.catch_up(writer, even_if_empty=True))
        return found
