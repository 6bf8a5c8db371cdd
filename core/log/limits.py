"""What is refused before anything is produced, the same on every backend."""

from collections.abc import Sequence

from ..errors import RecordTooLarge, ValidationFailed
from .port import COMPACTED, RECORD_BYTES_MAX, Draft


def check_drafts(drafts: Sequence[Draft]) -> None:
    """Raise `RecordTooLarge` for a record over the limit, `ValidationFailed` for a tombstone where nothing is compacted."""
    for topic, _partition, key, value, headers in drafts:
        size = len(key) + sum([len(name) + len(data) for name, data in headers])
        if value is not None:
            size += len(value)
        elif topic not in COMPACTED:
            raise ValidationFailed(
                f"{topic}: a tombstone (value None) is for compacted topics ({', '.join(COMPACTED)}) only"
            )
        if size > RECORD_BYTES_MAX:
            raise RecordTooLarge(
                f"{topic}: a record of {size} bytes; expected at most {RECORD_BYTES_MAX}: store the data elsewhere and send its place"
            )
