"""Instants as people write them: `2026-03-01T03:12`, `2026-03-01T03:12:00Z`, or `-15m` for a quarter of an hour ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from .exit_codes import Exit, Stop

_AGO: Final = re.compile(r"-(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_us(text: str, now_us: int) -> int:
    """Return microseconds since the epoch; an instant without a zone is UTC. Raises `Stop` (usage)."""
    if text == "now":
        return now_us
    if ago := _AGO.fullmatch(text):
        return now_us - int(float(ago[1]) * _UNITS[ago[2]] * 1_000_000)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Stop(
            Exit.USAGE, f"expected an instant such as 2026-03-01T03:12:00Z, or -15m (ms, s, m, h, d, w), got {text!r}"
        ) from None
    return (at.replace(tzinfo=at.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)
