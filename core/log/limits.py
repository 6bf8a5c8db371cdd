"""What is refused, the same on every backend."""

from ..errors import RecordTooLarge, ValidationFailed
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
