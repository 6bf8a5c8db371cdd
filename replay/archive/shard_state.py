"""What the archive of one shard holds: the fold of its manifests."""

from dataclasses import dataclass, field

from .errors import ArchiveDamaged
from .manifest import (
    FORMAT,
    NO_MANIFEST,
    SNAPSHOTS_KEPT,
    Anchor,
    ArchivedFile,
    Gap,
    Link,
    Manifest,
    Removed,
    Snapshot,
    Tombstone,
    Whole,
)


@dataclass
class ShardState:
    """The fold; `number` is that of the last manifest, -1 before the first."""

    number: int = -1
    sha256: str = NO_MANIFEST
    epoch: int = 0
    written_us: int = 0
    covered: dict[str, tuple[int, int]] = field(default_factory=dict)
    complete_us: dict[str, int] = field(default_factory=dict)
    chain: Link | None = None
    anchors: dict[str, Anchor] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    """Oldest first."""
    files: dict[str, ArchivedFile] = field(default_factory=dict)
    removed: dict[str, Removed] = field(default_factory=dict)
    tombstones: list[Tombstone] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def apply(self, manifest: Manifest, digest: str, name: str) -> None:
        """Take the next manifest in; raises `ArchiveDamaged` when it does not follow the last one."""
        if manifest.format != FORMAT:
            raise ArchiveDamaged(f"{name}: expected format {FORMAT}, got {manifest.format}; read it with a newer HMS")
        if self.number >= 0 and (manifest.number != self.number + 1 or manifest.previous != self.sha256):
            raise ArchiveDamaged(
                f"{name}: expected manifest {self.number + 1} after {self.sha256[:16]}, got {manifest.number} after "
                f"{manifest.previous[:16]}; restore the archive from a backup, or its log (hms archive verify)"
            )
        if self.number < 0 and manifest.whole is None and manifest.number > 0:
            raise ArchiveDamaged(f"{name}: expected the manifests before it, or all that counts in it; got neither")
        if manifest.whole is not None:
            self.take(manifest.whole)
        else:
            self.change(manifest)
        self.number, self.sha256, self.epoch = manifest.number, digest, manifest.epoch
        self.written_us = manifest.written_us
        self.covered, self.complete_us = dict(manifest.covered), dict(manifest.complete_us)
        self.chain, self.anchors = manifest.chain, dict(manifest.anchors)

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot of the shard's states."""
        return self.snapshots[-1] if self.snapshots else None

    def take(self, whole: Whole) -> None:
        """Become what a manifest with everything says."""
        self.files = {one.path: one for one in whole.files}
        self.removed = {one.path: one for one in whole.removed}
        self.tombstones = list(whole.tombstones)
        self.gaps = list(whole.gaps)
        self.snapshots = list(whole.snapshots)

    def change(self, manifest: Manifest) -> None:
        """Take in what a manifest changed."""
        for gone in manifest.remove:
            del self.files[gone.path]
            self.removed[gone.path] = gone
        for path in manifest.deleted:
            self.removed.pop(path, None)
        self.files.update((one.path, one) for one in manifest.add)
        self.tombstones += manifest.tombstones
        self.gaps += manifest.gaps
        if manifest.snapshot is not None and manifest.snapshot != self.snapshot:
            self.snapshots = [*self.snapshots, manifest.snapshot][-SNAPSHOTS_KEPT:]

    def whole(self) -> Whole:
        """Return all that counts, for a manifest to hold."""
        return Whole(
            files=tuple(self.files.values()),
            removed=tuple(self.removed.values()),
            tombstones=tuple(self.tombstones),
            gaps=tuple(self.gaps),
            snapshots=tuple(self.snapshots),
        )

    def next_of(self, topic: str) -> int | None:
        """Return the position behind what is archived of a topic; None where nothing is."""
        covered = self.covered.get(topic)
        return None if covered is None else covered[1]
