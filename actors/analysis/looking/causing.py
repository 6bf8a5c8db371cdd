"""Why: the components of a fleet, ranked by how likely each is at the root of one of its incidents."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import numpy as np

from ....core.app import App
from ....core.errors import ValidationFailed
from ....core.runtime.view import View
from ....replay.history import History
from ....replay.incidents.book import Incident, incidents_of
from ....replay.sql.session import Session
from ....schemas.analysis import ALL, RankedCause
from ....schemas.analysis_event import CausesAsked
from ....schemas.analysis_look import CausesFound
from ...fleet.behaviour import fleet
from ..causes import CallGraph, Cause, Metrics, rank_causes
from .asking import instant, stamp, table
from .figures import wanted

BEFORE: Final = timedelta(hours=2)
AFTER: Final = timedelta(minutes=15)
CRASH: Final = timedelta(minutes=5)
EXIT: Final = 3.0
"""What the first exit counts; a metric that moved far and surely counts about as much."""
SYMPTOM: Final = 1.5
"""What it counts to be the component that was seen ill: half of an exit, for the cause may lie deeper."""
FAR: Final = 1 / 3
"""Of an exit's weight, where the component that was seen ill depends on that one in no way."""
RANKED_MAX: Final = 50
Evidence = dict[str, Any]
_EXITS: Final = """
SELECT substring(record_key, 11) AS component, min(envelope.sent_at) AS exited_at, arg_min(CASE
    WHEN exit.signal IS NOT NULL THEN 'killed by ' || exit.signal WHEN exit.code IS NOT NULL THEN 'exit code ' || exit.code
    ELSE exit.cause END, position) AS cause
FROM component_exited
WHERE NOT exit.expected AND envelope.sent_at >= $since::TIMESTAMPTZ AND envelope.sent_at < $until::TIMESTAMPTZ
GROUP BY component ORDER BY exited_at, component
"""
_SAMPLES: Final = """
SELECT component, metric, list(epoch_us(sampled_at) ORDER BY sampled_at) AS at_us, list(value ORDER BY sampled_at) AS values_
FROM metric_samples
WHERE sampled_at >= $since::TIMESTAMPTZ AND sampled_at < $until::TIMESTAMPTZ AND {wanted}
GROUP BY component, metric ORDER BY component, metric
"""


async def causes(session: Session, history: History, asked: CausesAsked) -> CausesFound:
    """Rank the causes of an incident; raises `ValidationFailed` for one that there is not."""
    incident = await _incident(history, asked.incident_id)
    seen = instant(incident.opened_us)
    window = {"since": stamp(seen - BEFORE), "until": stamp(min(seen + AFTER, asked.as_of))}
    metrics = _metrics((await table(session, _SAMPLES.format(wanted=wanted((ALL,), (ALL,))), window)).to_pylist())
    graph = await call_graph(history)
    exits = (
        await table(session, _EXITS, {"since": stamp(seen - CRASH), "until": stamp(min(seen + CRASH, asked.as_of))})
    ).to_pylist()
    ranked = with_symptoms(rank_causes(metrics, graph, incident.opened_us), graph, incident, exits)
    if not ranked:
        raise ValidationFailed(
            f"incident {incident.id}: nothing was measured around {stamp(seen)}, and no fleet says who depends on whom"
        )
    return CausesFound(
        request_id=asked.request_id,
        as_of=asked.as_of,
        component=incident.component,
        seen_at=seen,
        ranking=tuple(
            RankedCause(component=one.component, score=one.score, evidence_json=json.dumps(one.evidence))
            for one in ranked[:RANKED_MAX]
        ),
    )


def with_symptoms(
    ranked: list[Cause], graph: CallGraph, incident: Incident, exits: list[dict[str, Any]]
) -> list[Cause]:
    """Count what no metric tells: exits that nobody wanted, the first one most, and where the incident itself was seen."""
    near = {incident.component, *graph.below(incident.component)}
    pieces: list[tuple[str, float, Evidence]] = []
    if incident.component not in {row["component"] for row in exits}:
        pieces.append((incident.component, SYMPTOM, {"what": "symptom", "cause": incident.symptom}))
    for place, row in enumerate(exits, 1):
        piece = {"what": "exit", "place": place, "of": len(exits), "at": stamp(row["exited_at"]), "cause": row["cause"]}
        share = 1.0 if row["component"] in near else FAR
        pieces.append((row["component"], EXIT / place * share, piece))
    found = {one.component: one for one in ranked}
    for component, weight, piece in pieces:
        known = found.get(component, Cause(component, 0.0, []))
        found[component] = Cause(component, round(known.score + weight, 6), [piece, *known.evidence])
    return sorted(found.values(), key=lambda cause: (-cause.score, cause.component))


async def _incident(history: History, incident_id: str) -> Incident:
    found = [one for one in await incidents_of(history) if one.id.startswith(incident_id)]
    exact = [one for one in found if one.id == incident_id] or found
    if len(exact) != 1:
        many = f"{len(exact)} incidents begin so" if exact else "there is none"
        raise ValidationFailed(f"expected the id of one incident, got {incident_id!r}: {many}; see `hms incident list`")
    return exact[0]


def _metrics(rows: list[dict[str, Any]]) -> Metrics:
    found: Mapping[tuple[str, str], Any] = {
        (row["component"], row["metric"]): (
            np.array(row["at_us"], dtype=np.int64),
            np.array([np.nan if one is None else one for one in row["values_"]], dtype=np.float64),
        )
        for row in rows
    }
    return found


async def call_graph(history: History) -> CallGraph:
    """Return who depends on whom, as the fleet in the log says it; empty where there is none, or no log."""
    if history.log is None:
        return CallGraph(())
    view = View(history.log, [App("hms", fleet)], history=history)
    seen = await view.actors(lambda address: address.startswith("fleet/"))
    specs = [one.state.spec for one in seen if one.state.spec is not None]
    return CallGraph([(one.id, callee) for spec in specs for one in spec.components for callee in one.depends_on])
