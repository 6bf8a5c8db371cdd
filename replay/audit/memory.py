"""What was verified before, of which log: kept beside the keys, so that the next time can tell what has gone since."""

import json
import os
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ...core.private_folder import make_private
from ..archive.manifest import reason
from .errors import NotAProof


class Seen(BaseModel):
    """How far a shard was verified; hashes are hexadecimal."""

    model_config = ConfigDict(frozen=True)

    size: int
    position: int
    root: str
    head: str
    frontier: tuple[str, ...]


class Memory(BaseModel):
    """Of one log: its id, when it was verified, how far, and whose keys were believed then."""

    model_config = ConfigDict(frozen=True)

    log: str
    verified_at: datetime
    keys: tuple[str, ...] = ()
    shards: dict[int, Seen] = {}


def memory_file(folder: Path, url: str) -> Path:
    """Return where the memory of a log is kept: by where it is, because its id is part of what may have been replaced."""
    scheme, _, rest = url.partition(":")
    name = f"{scheme}:{Path(rest).expanduser().resolve()}" if scheme == "sqlite" else url
    return folder / "verified" / f"{sha256(name.encode()).hexdigest()[:24]}.json"


def recall(path: Path) -> Memory | None:
    """Return what was remembered. Raises `NotAProof` for a file that is not ours."""
    try:
        return Memory.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValidationError, ValueError) as error:
        raise NotAProof(
            f"{path}: expected what an earlier `hms audit verify` wrote: {reason(error)}; move it away to begin anew"
        ) from error


def remember(path: Path, memory: Memory) -> None:
    """Write it down."""
    make_private(path.parent)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(memory.model_dump_json(indent=1), encoding="utf-8")
    temporary.replace(path)
