"""Drafts as rows, made on the caller's thread before any lock is taken."""

from collections.abc import Sequence

from ..limits import check_draft
from ..port import RECORD_BYTES_MAX, Draft
from .headers import encode_headers
from .layout import Layout

Encoded = tuple[int, int, bytes, bytes | None, bytes]
"""Of the partition its index among the heads and its base; then key, value, headers."""


def encode_drafts(layout: Layout, drafts: Sequence[Draft]) -> list[Encoded]:
    """Return the rows; raises `ValidationFailed` or `RecordTooLarge` if any draft cannot be taken."""
    places = layout.places
    rows: list[Encoded] = []
    for draft in drafts:
        topic, partition, key, value, headers = draft
        place = places.get((topic, partition)) or layout.place(topic, partition)
        data = encode_headers(headers) if headers else b""
        # The encoded headers are a little larger than what counts, so this lets nothing too large through.
        if value is None or len(key) + len(value) + len(data) > RECORD_BYTES_MAX:
            check_draft(draft)
        rows.append((place.head, place.base, key, value, data))
    return rows
