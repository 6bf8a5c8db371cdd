"""What an archive keeps, and for how long: `policy.json` in its folder, or what a command is told."""

import re
from typing import Final

from pydantic import ConfigDict, ValidationError

from ...core.errors import ValidationFailed
from .folder import Folder
from .manifest import ArchivedFile, Value, reason

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)(|kB|MB|GB|TB)")
_BYTES: Final = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
ALL: Final = "*"


class Policy(Value):
    """Durations as `30d` (s, m, h, d, w), sizes as `20GB`.

    `snapshot_every`: how often the states are kept in a snapshot, from which the past is folded faster (`never`).
    `keep` names types (`*` for those not named); what is not named is kept for ever. `disk_max` bounds the Parquet files
    of the whole archive: beyond it the oldest days go first. `grace`: how long a file that counts no more is still
    there for queries. `log_kept`: how long the log keeps what is archived (`forever`: HMS trims nothing).
    """

    model_config = ConfigDict(extra="forbid")

    keep: dict[str, str] = {}
    disk_max: str = ""
    grace: str = "1h"
    log_kept: str = "forever"
    snapshot_every: str = "1d"
    small_files: int = 16
    """So many files of one type, topic and day are merged into one."""

    @property
    def deletes(self) -> bool:
        """Whether anything in the archive is ever deleted."""
        return bool(self.disk_max) or any(age != "forever" for age in self.keep.values())

    def kept_us(self, type_name: str) -> int | None:
        """Return how long records of a type are kept; None: for ever."""
        text = self.keep.get(type_name, self.keep.get(ALL))
        return None if text in {None, "forever"} else duration_us(str(text))

    def disk_bytes_max(self) -> int | None:
        """Return the budget in bytes; None: as much as there is."""
        return size_bytes(self.disk_max) if self.disk_max else None

    def grace_us(self) -> int:
        """Return the grace in microseconds."""
        return duration_us(self.grace)

    def log_kept_us(self) -> int | None:
        """Return how long the log keeps what is archived; None: for ever."""
        return None if self.log_kept == "forever" else duration_us(self.log_kept)

    def snapshot_every_us(self) -> int | None:
        """Return how often a snapshot is taken; None: never."""
        return None if self.snapshot_every == "never" else duration_us(self.snapshot_every)

    def is_expired(self, file: ArchivedFile, now_us: int) -> bool:
        """Tell whether every record of a file is older than its type is kept."""
        kept_us = self.kept_us(file.type)
        return kept_us is not None and file.appended_us_max < now_us - kept_us

    def checked(self) -> "Policy":
        """Return this policy; raises `ValidationFailed` for what is no duration or size."""
        for text in (*self.keep.values(), self.grace, self.log_kept):
            if text != "forever":
                duration_us(text)
        self.disk_bytes_max()
        self.snapshot_every_us()
        return self


def read_policy(folder: Folder) -> Policy:
    """Return an archive's policy, the default where it has none; raises `ValidationFailed`."""
    try:
        text = folder.policy.read_bytes()
    except FileNotFoundError:
        return Policy()
    try:
        return Policy.model_validate_json(text).checked()
    except ValidationError as error:
        raise ValidationFailed(f"{folder.policy}: expected a policy, got {reason(error)}") from error


def duration_us(text: str) -> int:
    """Return the microseconds of `30d`; raises `ValidationFailed`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValidationFailed(f"expected a duration such as 30d or 12h (s, m, h, d, w), or forever, got {text!r}")
    return int(float(found[1]) * _SECONDS[found[2]] * 1_000_000)


def size_bytes(text: str) -> int:
    """Return the bytes of `20GB`; raises `ValidationFailed`."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValidationFailed(f"expected a size such as 20GB (kB, MB, GB, TB), got {text!r}")
    return int(float(found[1]) * _BYTES[found[2]])
