"""Why a component stands where it stands, as objects for people and JSON."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .suspects import Suspect

MOVES_MAX: Final = 5
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Evidence = dict[str, Any]


def moves(suspect: Suspect) -> list[Evidence]:
    """Return the strongest moves of its metrics."""
    return [
        {
            "what": "metric",
            "metric": one.metric,
            "kind": one.kind.value,
            "change": "up" if one.shift.up else "down",
            "effect": round(one.shift.effect, 3),
            "certainty": round(one.shift.certainty, 3),
            "baseline": one.shift.baseline,
            "observed": one.shift.observed,
            "onset": instant(one.shift.onset_us),
        }
        for one in suspect.found[:MOVES_MAX]
    ]


def silent(share: float, since_us: int) -> Evidence:
    """Say that so much of it is measured no more since its last sample."""
    return {"what": "silent", "share": round(share, 3), "since": instant(since_us)}


def order(place: int, of: int, first_us: int) -> Evidence:
    """Say that it was the `place`th of so many components to move."""
    return {"what": "order", "place": place, "of": of, "onset": instant(first_us)}


def calls(what: str, other: str, strength: float) -> Evidence:
    """Say which other component explains the component's answers, feels them, or makes it suspect without metrics."""
    return {"what": what, "component": other, "strength": round(strength, 3)}


def instant(at_us: int) -> str:
    """Return micros as ISO 8601, UTC."""
    return (EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
