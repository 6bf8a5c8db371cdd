"""Values as JSON has them: instants as ISO 8601 in UTC with a Z, bytes as base64, records as objects."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ...schemas import Envelope, Record
from ...schemas.envelope import AT_US_MAX

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: Any) -> Any:
    """Return a value made of what JSON knows; a record in a union says which one it is in `@type`."""
    match value:
        case Record() | Mapping():
            return {str(name): plain(inner) for name, inner in dict(value).items()}
        case (str(name), dict(fields)) if isinstance(value, tuple):
            return {"@type": name, **plain(fields)}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case datetime():
            return instant(value)
        case bytes():
            return base64.b64encode(value).decode()
    return value


def instant(at: datetime) -> str:
    """Return an instant as ISO 8601 in UTC, to the microsecond: all of one length, so texts sort as instants do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant_of_us(at_us: int) -> str:
    """Return microseconds since the epoch as `instant` does; what is due later than the year 9999 is due at its end."""
    return instant(EPOCH + timedelta(microseconds=min(at_us, AT_US_MAX)))


def seconds(at: str | None) -> str:
    """Return an instant's text cut to seconds, for people."""
    return "-" if at is None else at[:19] + "Z"


def envelope_item(envelope: Envelope) -> dict[str, Any]:
    """Return an envelope's fields; `at` in the place of `at_us`."""
    return {
        ("at" if name == "at_us" else name): (instant_of_us(value) if name == "at_us" else value)
        for name, value in envelope._asdict().items()
    }
