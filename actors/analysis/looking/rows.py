"""New samples out of the history, in the log's order: each look goes on exactly where the last one ended."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....core.log.port import EVENTS, LANES
from ....replay.history import Place
from ....replay.sql.session import Session
from .asking import table

TOPICS = (EVENTS, *LANES)
"""Where samples are."""
APART = "\x1f"
"""Between component and metric in a series' name."""
SUPERVISORS = ("meta_supervisor", "runtime_supervisor", "analysis_supervisor")
"""Their own counters, which only grow, are for `metrics_query` and reports of them by name."""
_NEW = """
SELECT s.topic AS topic, s.shard AS shard, s.position AS position, component || chr(31) || metric AS series,
    epoch_us(sampled_at) AS at_us, value
FROM metric_samples AS s JOIN (VALUES {places}) AS place(topic, shard, first, until)
    ON s.topic = place.topic AND s.shard = place.shard AND s.position >= place.first AND s.position < place.until
WHERE component NOT IN ({supervisors})
ORDER BY s.topic, s.shard, s.position, metric, sampled_at
LIMIT {limit}
"""


class Rows(NamedTuple):
    """Equally long columns, in the log's order; `fresh` rows are not below the places where the last told look ended.

    `codes` number the names of the series in `names`; `ends` is how far each place has been read, `whole` whether that is all.
    """

    names: list[str]
    codes: npt.NDArray[np.int64]
    at_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    fresh: npt.NDArray[np.bool_]
    ends: dict[Place, int]
    whole: bool


async def read_rows(
    session: Session,
    starts: Mapping[Place, int],
    ends: Mapping[Place, int],
    told: Mapping[Place, int],
    limit: int,
) -> Rows:
    """Read the samples between two moments, at most so many; never a part of a record's."""
    open_places = {place: (starts.get(place, 0), end) for place, end in ends.items() if end > starts.get(place, 0)}
    if not open_places:
        return _rows(None, dict(ends), told, whole=True)
    listed = ", ".join(f"('{topic}', {shard}, {first}, {end})" for (topic, shard), (first, end) in open_places.items())
    supervisors = ", ".join(f"'{one}'" for one in SUPERVISORS)
    found = await table(session, _NEW.format(places=listed, supervisors=supervisors, limit=limit + 1))
    if found.num_rows <= limit:
        return _rows(found, dict(ends), told, whole=True)
    kept, cut = _whole_records(found)
    read = {**{place: starts.get(place, 0) for place in ends}, **_before(cut, ends)}
    return _rows(kept, read, told, whole=False)


def _whole_records(found: pa.Table) -> tuple[pa.Table, tuple[str, int, int]]:
    """Leave the last record out: it may have more samples; return the rest, and where that record is."""
    topics, shards, positions = (found[name].to_pylist() for name in ("topic", "shard", "position"))
    last = (topics[-1], shards[-1], positions[-1])
    count = len(positions)
    while count and (topics[count - 1], shards[count - 1], positions[count - 1]) == last:
        count -= 1
    if not count:  # one record alone is more than the limit: it is taken as it is, and what is missing with the next
        raise ValueError(f"expected a record of fewer samples than a look takes, got one at {last}")
    return found.slice(0, count), last


def _before(cut: tuple[str, int, int], ends: Mapping[Place, int]) -> dict[Place, int]:
    """Return how far places have been read when the record at `cut` was left out: those before it in order wholly."""
    topic, shard, position = cut
    return {**{place: end for place, end in ends.items() if place < (topic, shard)}, (topic, shard): position}


def _rows(found: pa.Table | None, ends: dict[Place, int], told: Mapping[Place, int], *, whole: bool) -> Rows:
    if found is None or not found.num_rows:
        none = np.zeros(0, dtype=np.int64)
        return Rows([], none, none, np.zeros(0), np.zeros(0, dtype=np.bool_), ends, whole)
    series = found["series"].combine_chunks().dictionary_encode()
    places = list(zip(found["topic"].to_pylist(), found["shard"].to_pylist(), strict=True))
    since = np.array([told.get(place, 0) for place in places], dtype=np.int64)
    return Rows(
        series.dictionary.to_pylist(),
        series.indices.to_numpy().astype(np.int64),
        found["at_us"].to_numpy().astype(np.int64),
        found["value"].to_numpy().astype(np.float64),
        found["position"].to_numpy() >= since,
        ends,
        whole,
    )
