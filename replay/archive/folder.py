"""Where things are in an archive's folder, and which archive it is."""

import secrets
import time
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ...core.errors import ValidationFailed
from .disk import Disk
from .errors import ArchiveDamaged
from .manifest import FORMAT, Value, reason
from .read_me import README

IDENTITY: Final = "archive.json"
POLICY: Final = "policy.json"


class Identity(Value):
    """What an archive is: made once, never changed. `log` names the log it was made for."""

    format: int = FORMAT
    id: str
    log: str
    partitions: int
    made_us: int


class Folder:
    """The paths in an archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.identity = root / IDENTITY
        self.policy = root / POLICY
        self.data = root / "data"
        self.nodes = root / "nodes"

    def manifests(self, shard: int) -> Path:
        """Return the folder of a shard's manifests."""
        return self.root / "manifests" / f"shard={shard:04d}"

    def manifest(self, shard: int, number: int) -> Path:
        """Return the path of one manifest."""
        return self.manifests(shard) / f"{number:012d}.json"

    def snapshots(self, shard: int) -> Path:
        """Return the folder of a shard's snapshots of states."""
        return self.root / "snapshots" / f"shard={shard:04d}"

    def read_identity(self) -> Identity | None:
        """Return which archive this is; None where none is. Raises `ArchiveDamaged`."""
        try:
            text = self.identity.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return Identity.model_validate_json(text)
        except ValueError as error:
            raise ArchiveDamaged(
                f"{self.identity}: expected what an archive says of itself, got {reason(error)}"
            ) from error

    def make(self, disk: Disk, partitions: int) -> Identity:
        """Make an archive here, unless somebody else does so at the same time; return which one it is now."""
        identity = Identity(
            id=secrets.token_hex(16), log=secrets.token_hex(16), partitions=partitions, made_us=time.time_ns() // 1_000
        )
        disk.put(self.root / "README.md", README.encode())
        disk.put(self.identity, identity.model_dump_json(indent=1).encode() + b"\n")
        found = self.read_identity()
        if found is None:
            raise ArchiveDamaged(f"{self.identity} was made a moment ago and is gone; is the folder still mounted?")
        return found


def folder_of(url: str) -> Path:
    """Return the folder that an archive's URL names: a path, `file:PATH` or `file:///PATH`."""
    parts = urlsplit(url)
    if parts.scheme not in {"", "file"} or parts.netloc not in {"", "localhost"} or not parts.path:
        raise ValidationFailed(
            f"{url!r} is not the URL of an archive; expected a folder, such as file:/srv/hms-archive (on a file system that "
            "all nodes mount, where there are several)"
        )
    return Path(unquote(parts.path) if parts.scheme else url).expanduser().absolute()
