"""The manifests of one shard on disk: read in order, and put there by one owner at a time.

A number is given once: who finds it taken learns what the other wrote and begins anew. That alone keeps two owners
apart, awake or paused; the epoch tells the older one that it is the older one.
"""

import re
import time
from pathlib import Path
from typing import Any, Final

from ...core.errors import OutsideError
from .disk import Disk
from .errors import ArchiveDamaged, ArchiveFenced
from .folder import Folder
from .manifest import Kind, Manifest, reason, sha256
from .shard_state import ShardState

_NAME: Final = re.compile(r"(\d{12})\.json")
WHOLE_EVERY: Final = 64
"""So many manifests a reader folds at most; one with everything costs as much as its files are many."""


class ArchiveMoved(OutsideError):
    """Somebody else, not newer, wrote the next manifest first: what was prepared is void; look again and begin anew."""


class Manifests:
    """One shard's manifests. `state` is the fold as far as they were read."""

    def __init__(self, folder: Folder, archive: str, shard: int, disk: Disk | None = None) -> None:
        self.shard = shard
        self.state = ShardState()
        self._folder = folder
        self._archive = archive
        self._disk = disk or Disk()

    def refresh(self) -> ShardState:
        """Read what is new, and return the fold. Raises `ArchiveDamaged`.

        Who was away for long finds the next manifests deleted (`forget`), and folds anew from the newest whole one.
        """
        numbers = self.numbers()
        newest = numbers[-1] if numbers else -1
        new = list(range(self.state.number + 1, newest + 1))
        if newest < self.state.number:
            raise ArchiveDamaged(
                f"{self._folder.manifests(self.shard)}: expected manifest {self.state.number}, which was there, got {newest} as "
                "the last one: the archive was replaced by an older copy, or its folder is not mounted"
            )
        if self.state.number < 0 or numbers[len(numbers) - len(new) :] != new or not self._go_on(new):
            self.state = ShardState()
            self._begin(numbers)
        return self.state

    def _go_on(self, new: list[int]) -> bool:
        """Apply the next manifests; return whether they follow."""
        try:
            for number in new:
                self._apply(self._folder.manifest(self.shard, number))
        except ArchiveDamaged:
            return False
        return True

    def _begin(self, numbers: list[int]) -> None:
        """Fold from the newest manifest that holds everything."""
        start = len(numbers)
        while start > 0:
            start -= 1
            if _read(self._folder.manifest(self.shard, numbers[start]))[0].whole is not None:
                break
        for number in numbers[start:]:
            self._apply(self._folder.manifest(self.shard, number))

    def numbers(self) -> list[int]:
        """Return the numbers of all manifests that are there, in order."""
        folder = self._folder.manifests(self.shard)
        try:
            names = [path.name for path in folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveDamaged(
                f"{folder}: expected the manifests of shard {self.shard}, got {error.strerror}"
            ) from error
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    def _apply(self, path: Path) -> None:
        manifest, digest = _read(path)
        if (manifest.archive, manifest.shard) != (self._archive, self.shard):
            raise ArchiveDamaged(
                f"{path}: expected shard {self.shard} of archive {self._archive}, got shard {manifest.shard} of "
                f"{manifest.archive}: it was copied from elsewhere"
            )
        self.state.apply(manifest, digest, str(path))

    def publish(self, epoch: int, owner: str, kind: Kind, **changes: Any) -> Manifest:
        """Put the next manifest, with changes to the last one's fields; what was not synced before must not be named.

        Raises `ArchiveFenced` when an owner with a higher epoch was here, `ArchiveMoved` when somebody else was.
        """
        state = self.state
        if state.epoch > epoch:
            raise _fenced(self.shard, epoch, state.epoch)
        manifest = self._next(epoch, owner, kind, changes)
        data = manifest.encoded()
        if self._disk.put(self._folder.manifest(self.shard, manifest.number), data) and self._counts(manifest, data):
            self.refresh()
            return manifest
        self.refresh()
        if self.state.epoch > epoch:
            raise _fenced(self.shard, epoch, self.state.epoch)
        raise ArchiveMoved(
            f"shard {self.shard}: manifest {manifest.number} is somebody else's (`hms archive run` beside a node?)"
        )

    def _counts(self, manifest: Manifest, data: bytes) -> bool:
        """Tell whether a manifest that was put is in the chain.

        A number so old that its manifest was deleted is free again. Readers begin behind it, so it counts for nobody:
        the next one is missing, or follows another than this.
        """
        numbers = self.numbers()
        if numbers[-1] == manifest.number:
            return True
        after = manifest.number + 1
        return after in numbers and _read(self._folder.manifest(self.shard, after))[0].previous == sha256(data)

    def _next(self, epoch: int, owner: str, kind: Kind, changes: dict[str, Any]) -> Manifest:
        state = self.state
        fields = {
            "covered": state.covered,
            "complete_us": state.complete_us,
            "chain": state.chain,
            "anchors": state.anchors,
            "snapshot": state.snapshot,
            **changes,
        }
        manifest = Manifest(
            archive=self._archive,
            shard=self.shard,
            number=state.number + 1,
            previous=state.sha256,
            epoch=epoch,
            owner=owner,
            kind=kind,
            written_us=time.time_ns() // 1_000,
            **fields,
        )
        return self._with_whole(manifest) if manifest.number % WHOLE_EVERY == 0 else manifest

    def _with_whole(self, manifest: Manifest) -> Manifest:
        after = ShardState()
        after.take(self.state.whole())
        after.change(manifest)
        return manifest.model_copy(update={"whole": after.whole()})

    def forget(self) -> list[Path]:
        """Return the manifests that no reader needs any more: all before the last but one that holds everything."""
        needed = (self.state.number // WHOLE_EVERY - 1) * WHOLE_EVERY
        return [self._folder.manifest(self.shard, number) for number in self.numbers() if number < needed]


def _read(path: Path) -> tuple[Manifest, str]:
    try:
        data = path.read_bytes()
        return Manifest.model_validate_json(data), sha256(data)
    except (OSError, ValueError) as error:
        raise ArchiveDamaged(
            f"{path}: expected a manifest, got {reason(error)}; restore the archive from a backup"
        ) from error


def _fenced(shard: int, epoch: int, newer: int) -> ArchiveFenced:
    return ArchiveFenced(f"shard {shard}: epoch {epoch} wanted to write, but epoch {newer} has; this owner stops")
