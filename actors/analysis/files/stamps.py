"""Timestamps as files have them -> micros since 1970, UTC."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICRO: Final = timedelta(microseconds=1)
UNITS: Final = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
"""A bare number below 1e11 is in seconds, below 1e14 in millis, below 1e17 in micros, else in nanos."""
NANOS_A_MICRO: Final = 1_000
LARGEST: Final = 1e20


def stamp_us(text: str) -> int:
    """Return the instant of a timestamp in micros UTC.

    Understood are ISO 8601 (with `T` or a blank, a fraction, `Z` or an offset; without a zone it is UTC) and numbers since
    1970 in seconds, millis, micros or nanos, told apart by their size. Raises ValueError for anything else.
    """
    text = text.strip()
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"expected a timestamp such as 2014-04-01 00:05:00 or seconds since 1970, got {text!r}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICRO


def _number(text: str) -> int | None:
    """Return the micros of a bare number; None for what is none."""
    digits = text.lstrip("+-")
    if not digits[:1].isdigit() or not digits.replace(".", "", 1).replace("e+", "", 1).replace("e", "", 1).isdigit():
        return None
    value = float(text)
    if not math.isfinite(value) or abs(value) >= LARGEST:
        raise ValueError(f"expected a timestamp before 1e20, got {text!r}")
    for bound, micros in UNITS:
        if abs(value) < bound:
            return int(text) * micros if digits.isdigit() else round(value * micros)
    return int(value) // NANOS_A_MICRO if not digits.isdigit() else int(text) // NANOS_A_MICRO
