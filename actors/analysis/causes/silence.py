"""Which components fell silent around an incident: what died is measured no more, and has no metric that moved."""

from typing import Final, NamedTuple

import numpy as np

from .kinds import Kind, kind_of
from .shift import QUIET_MIN, Around, Instants, Metrics

LONGER: Final = 5
"""A silence is so many times as long as the longest of the quiet time, and as the usual step of all metrics."""
GONE: Final = 4.0
"""What it counts, about as much as a metric that moved as far as any; as far as its metrics are silent."""
UNASKED: Final = 0.25
"""Answers and work alone may be missing because nobody asks."""


class Gone(NamedTuple):
    """A component whose metrics end, or stop for a while: `share` of them, `weight` of that, since when."""

    share: float
    weight: float
    since_us: int


def silences(metrics: Metrics, around: Around) -> dict[str, Gone]:
    """Return the components that fell silent while others were measured."""
    measured = {key: times[np.isfinite(values)] for key, (times, values) in metrics.items()}
    measured = {key: times for key, times in measured.items() if np.sum(times < around.silent_from_us) >= QUIET_MIN}
    steps = [int(np.median(np.diff(times))) for times in measured.values()]
    ends = [min(int(times[-1]), around.end_us) for times in measured.values()]
    if not measured or max(ends) <= around.silent_from_us:
        return {}
    found: dict[str, dict[bool, list[int | None]]] = {}
    for (component, metric), times in measured.items():
        since = _since(times, around, max(ends), int(np.median(steps)))
        found.setdefault(component, {}).setdefault(kind_of(metric) in _OWN, []).append(since)
    return {component: gone for component, kinds in found.items() if (gone := _gone(kinds)) is not None}


_OWN: Final = (Kind.RESOURCE, Kind.OTHER)


def _gone(kinds: dict[bool, list[int | None]]) -> Gone | None:
    """Judge a component by what is measured of itself, where anything is."""
    told = kinds.get(True) or kinds[False]
    silent = [since for since in told if since is not None]
    if not silent:
        return None
    share = len(silent) / len(told)
    return Gone(share, GONE * share * (1.0 if True in kinds else UNASKED), min(silent))


def _since(times: Instants, around: Around, end_us: int, step_us: int) -> int | None:
    """Return the last sample before a silence that begins around the incident; None where there is none."""
    quiet = times[times < around.silent_from_us]
    later = times[(times >= quiet[-1]) & (times <= end_us)]
    gaps = np.diff(np.append(later, end_us))
    longest = int(np.argmax(gaps))
    usual = max(int(np.max(np.diff(quiet))), step_us)
    begins = int(later[longest])
    return begins if gaps[longest] > LONGER * usual and begins + usual >= around.silent_from_us else None
