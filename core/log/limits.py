"""What is refused, the same on every backend."""

from ..errors import HistoryBroken, RecordTooLarge, ValidationFailed
from .port import COMPACTED, RECORD_BYTES_MAX, Draft


def check_draft(draft: Draft) -> None:
    """Raise `RecordTooLarge` for a record over the limit, `ValidationFailed` for a tombstone where nothing is compacted."""
    if draft.value is None and draft.topic not in COMPACTED:
        allowed = ", ".join(COMPACTED)
        raise ValidationFailed(f"{draft.topic}: a tombstone (value None) is for compacted topics ({allowed}) only")
    headers = sum(len(name.encode()) + len(data) for name, data in draft.headers)
    size = len(draft.key) + len(draft.value or b"") + headers
    if size > RECORD_BYTES_MAX:
        raise RecordTooLarge(
            f"{draft.topic}: a record of {size} bytes; expected at most {RECORD_BYTES_MAX}: "
            "keep the data elsewhere and send its place"
        )


def beyond_the_end(topic: str, partition: int, position: int, end: int) -> HistoryBroken:
    """Return the error for a position that no reader of this log can have come to."""
    return HistoryBroken(
        f"{topic}/{partition}: position {position} was asked for, but the log ends at {end}: its records are not those that "
        "the position came from (made again, restored from a copy, or acknowledged records lost); compare it with its archive "
        "or backup before anything goes on"
    )
