"""`hms analysis causes`: which component is most likely at the root of an incident."""

import json
import time
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from ...actors.analysis.causes import Cause, rank_causes
from ...actors.analysis.files import read_graph, read_metrics, stamp_us
from ...actors.well_known import ANALYSIS_SUPERVISOR
from ...schemas.analysis import FindCauses
from ...schemas.analysis_event import CausesNotRanked, CausesRanked
from .analysis_score import say_bad
from .exit_codes import Exit, Stop
from .instants import instant_us
from .message_of import message_of
from .options import DEFAULTS, Options
from .show import Item, say, show_list

WAIT_S: Final = 120.0

MetricsFile: TypeAlias = Annotated[
    str | None, Parameter(help="CSV with the columns `timestamp,component,metric,value`")
]
GraphFile: TypeAlias = Annotated[str | None, Parameter(help='JSON: [{"caller": .., "callee": ..}]')]
Seen: TypeAlias = Annotated[
    str | None,
    Parameter(allow_leading_hyphen=True, help="When the symptom was seen: an instant, or a number since 1970"),
]


async def causes(
    incident: Annotated[
        str | None, Parameter(help="An incident of `hms incident list`, by the beginning of its id")
    ] = None,
    /,
    *,
    metrics: MetricsFile = None,
    graph: GraphFile = None,
    at: Seen = None,
    options: Options = DEFAULTS,
) -> int:
    """Rank the components by how likely each is at the root of an incident, best first, with the evidence.

    Of an incident in the log: by what was measured around it and who depends on whom in the fleet file; the ranking and its
    evidence are kept as the event `CausesRanked`. Of anybody's data: `--metrics`, `--graph` and `--at`; nothing has to run.

    Every component of the metrics and the graph is in the answer. JSON: an array of `component, score, evidence[]`; a piece
    of evidence says in `what` which it is: a `metric` that moved (with `kind`, `change`, `effect` in spreads of its past,
    `certainty`, `baseline`, `observed`, `onset`), the `order` of onsets, or calls that explain (`explained_by`) or confirm
    (`felt_by`) it, that it is measured no more (`silent`), an `exit` that nobody wanted, or what speaks against a component
    whose answers nobody measures (`unexplained_in`).
    """
    if incident is not None and (metrics, graph, at) == (None, None, None):
        items, code = await _of_incident(incident, options), Exit.OK
    elif incident is None and metrics is not None and graph is not None and at is not None:
        known, bad = read_metrics(metrics)
        items = [_item(cause) for cause in rank_causes(known, read_graph(graph), _seen_us(at))]
        code = Exit(say_bad(bad))
    else:
        raise Stop(
            Exit.USAGE, "expected the id of an incident, or all of --metrics FILE.csv, --graph FILE.json and --at TIME"
        )
    show_list(items, options.form, {"COMPONENT": "component", "SCORE": "score", "EVIDENCE": _story})
    return code


async def _of_incident(incident: str, options: Options) -> list[Item]:
    """Ask the analysis supervisor, and wait for the event that is its answer. Raises `Stop`."""
    from .analysis_asking import cursor, first  # noqa: PLC0415 - files need none of what a log does
    from .opened import asking  # noqa: PLC0415

    question = message_of(FindCauses, incident_id=incident)
    async with asking(options.url) as client:
        after = await cursor(client)
        request = await client.ask(ANALYSIS_SUPERVISOR, question)
        answered = await first(
            client, after, (CausesRanked, CausesNotRanked), lambda one: one.request_id == request.request_id, WAIT_S
        )
    if isinstance(answered, CausesNotRanked):
        raise Stop(Exit.FAILED, f"no ranking: {answered.reason}")
    say(f"incident of {answered.component}, seen {answered.seen_at}")
    return [
        {"component": one.component, "score": one.score, "evidence": json.loads(one.evidence_json)}
        for one in answered.ranking
    ]


def _seen_us(text: str) -> int:
    try:
        return stamp_us(text)
    except ValueError:
        return instant_us(text, time.time_ns() // 1_000)


def _item(cause: Cause) -> Item:
    return {"component": cause.component, "score": cause.score, "evidence": cause.evidence}


def _story(item: Item) -> str:
    """Return the evidence in one line for people."""
    return "; ".join(_piece(piece) for piece in item["evidence"]) or "nothing moved"


def _piece(piece: Item) -> str:
    match piece["what"]:
        case "metric":
            return f"{piece['metric']} {piece['change']} {piece['baseline']:.4g} -> {piece['observed']:.4g}"
        case "order":
            return f"moved {piece['place']} of {piece['of']}"
        case "symptom":
            return f"seen here: {piece['cause']}"
        case "exit":
            return f"exited {piece['place']} of {piece['of']}: {piece['cause']}"
        case "silent":
            return f"silent since {piece['since']}"
    return f"{piece['what'].replace('_', ' ')} {piece['component']}"
