"""Folders that only this user may look into: the log, what components wrote, how to command them."""

from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing, with mode 0700; one that is there stays as it is. Raises `OSError`.

    `mkdir(parents=True)` applies its mode to the last folder only.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
