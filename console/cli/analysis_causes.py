"""`hms analysis causes`: which component is most likely at the root of an incident."""

import time
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from ...actors.analysis.causes import Cause, rank_causes
from ...actors.analysis.files import read_graph, read_metrics, stamp_us
from .analysis_score import say_bad
from .instants import instant_us
from .options import FormOption
from .show import Item, show_list

MetricsFile: TypeAlias = Annotated[str, Parameter(help="CSV with the columns `timestamp,component,metric,value`")]
GraphFile: TypeAlias = Annotated[str, Parameter(help='JSON: [{"caller": .., "callee": ..}]')]
Seen: TypeAlias = Annotated[
    str, Parameter(allow_leading_hyphen=True, help="When the symptom was seen: an instant, or a number since 1970")
]


def causes(*, metrics: MetricsFile, graph: GraphFile, at: Seen, form: FormOption = "text") -> int:
    """Rank the components by how likely each is at the root of what was seen, best first, with the evidence.

    Every component of the metrics and the graph is in the answer. JSON: an array of `component, score, evidence[]`; a piece
    of evidence says in `what` which it is: a `metric` that moved (with `kind`, `change`, `effect` in spreads of its past,
    `certainty`, `baseline`, `observed`, `onset`), the `order` of onsets, or calls that explain (`explained_by`) or confirm
    (`felt_by`) it, or all that speaks against a component without metrics (`unexplained_in`).
    """
    known, bad = read_metrics(metrics)
    ranked = rank_causes(known, read_graph(graph), _seen_us(at))
    show_list(
        [_item(cause) for cause in ranked], form, {"COMPONENT": "component", "SCORE": "score", "EVIDENCE": _story}
    )
    return say_bad(bad)


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
    return f"{piece['what'].replace('_', ' ')} {piece['component']}"
