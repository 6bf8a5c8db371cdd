"""What an archive asks of a file system, one call a step: a machine may die before and after each of them.

A name is there for good when the file was synced, then linked, then its folder synced; nothing is ever overwritten.
Tests put another `Disk` in: one that dies at the n-th step, one that forgets what was not synced.
"""

import errno
import os
import secrets
from pathlib import Path
from typing import Final

TEMPORARY: Final = ".tmp"
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)


class Disk:
    """The file system of this machine."""

    def put(self, path: Path, data: bytes | memoryview) -> bool:
        """Make a file durably, whole or not at all; return False, and change nothing, if the name is taken."""
        self.make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
        try:
            self.write(temporary, data)
            self.sync(temporary)
            made = self.link(temporary, path)
        except OSError as error:
            self.unlink(temporary)  # or each try on a full disk would make it fuller
            if error.filename is None:  # as when the disk is full: nobody knew then which
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
        self.unlink(temporary)
        self.sync_folder(path.parent)
        return made

    def remove(self, path: Path) -> None:
        """Delete a file durably; one that is gone already is fine."""
        self.unlink(path)
        self.sync_folder(path.parent)

    def make_folder(self, folder: Path) -> None:
        """Make a folder, and those above it, durably."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        self.mkdir(folder)
        self.sync_folder(folder.parent)

    # --- the steps ----------------------------------------------------------------------------------------------

    def write(self, path: Path, data: bytes | memoryview) -> None:
        """Write a new file; nothing of it is durable yet."""
        with path.open("xb") as file:
            file.write(data)

    def sync(self, path: Path) -> None:
        """Make a file's content durable."""
        _sync(path, os.O_RDONLY)

    def link(self, path: Path, name: Path) -> bool:
        """Give a file a second name if nothing has it; return whether."""
        try:
            os.link(path, name)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise OSError(
                    error.errno,
                    "an archive needs a file system with hard links (they make a manifest appear at once or not at all); "
                    "use another folder",
                    str(name),
                ) from error
            raise
        return True

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        path.unlink(missing_ok=True)

    def mkdir(self, folder: Path) -> None:
        """Make one folder; one that is there is fine."""
        folder.mkdir(exist_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
