"""Disks of bad days: one that dies at a step, and one whose power is cut, which forgets all that was not synced."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hms.replay.archive.disk import Disk

STEPS = ("write", "sync", "link", "unlink", "mkdir", "sync_folder")


class PowerCut(BaseException):
    """The machine is off; nothing of ours runs any more."""


class DyingDisk(Disk):
    """Dies before its n-th step; `die` does not return."""

    def __init__(self, steps: int, die: Callable[[], None]) -> None:
        self.left = steps
        self._die = die

    def __getattribute__(self, name: str) -> Any:
        if name in STEPS:
            self.left -= 1
            if self.left < 0:
                self._die()
        return super().__getattribute__(name)


class LossyDisk(Disk):
    """Remembers what was synced: contents by inode, names by folder. `cut` leaves just that, in the worst way."""

    def __init__(self, root: Path, kept: Path) -> None:
        self.root = root
        self.left = 1 << 60
        self._kept = kept
        self._names: dict[Path, dict[str, int]] = {}
        kept.mkdir()

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCut

    def write(self, path: Path, data: bytes | memoryview) -> None:
        self._step()
        super().write(path, data)

    def sync(self, path: Path) -> None:
        self._step()
        super().sync(path)
        copy = self._kept / str(path.stat().st_ino)
        copy.unlink(missing_ok=True)
        os.link(path, copy)

    def link(self, path: Path, name: Path) -> bool:
        self._step()
        return super().link(path, name)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)

    def mkdir(self, folder: Path) -> None:
        self._step()
        super().mkdir(folder)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        super().sync_folder(folder)
        self._names[folder] = {entry.name: -1 if entry.is_dir() else entry.stat().st_ino for entry in folder.iterdir()}

    def cut(self) -> None:
        """Cut the power, and start again from what was durable."""
        self.left = 1 << 60
        lost = self.root.with_name("lost")
        self.root.rename(lost)
        if self.root.name in self._names.get(self.root.parent, {}):
            self._restore(self.root)
        shutil.rmtree(lost)
        self._names = {folder: names for folder, names in self._names.items() if folder.exists()}

    def _restore(self, folder: Path) -> None:
        folder.mkdir()
        for name, inode in self._names.get(folder, {}).items():
            if inode == -1:
                self._restore(folder / name)
            elif (copy := self._kept / str(inode)).exists():
                os.link(copy, folder / name)
            else:
                (folder / name).touch()  # the name is durable, its content never was


class CarelessDisk(LossyDisk):
    """What an archive would be on that forgets to sync its files: the test must notice."""

    def sync(self, path: Path) -> None:  # noqa: ARG002
        self._step()
