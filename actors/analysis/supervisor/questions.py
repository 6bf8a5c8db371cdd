"""Questions that need a look into the history: figures (`metrics_query`), and the causes of an incident."""

from ....core.address import Address
from ....core.decision import Decision, refuse
from ....schemas.analysis import CausesRequested, FindCauses, MetricsQuery, MetricsRequested, MetricsResponse
from ....schemas.analysis_event import CausesAsked, CausesNotRanked, CausesRanked, MetricsAnswered, MetricsAsked
from ....schemas.analysis_look import CausesFound, MetricsFound
from .fold import AnalysisEvent
from .state import REMEMBERED_MAX, Asked
from .turn import Turn


def ask_metrics(turn: Turn, message: MetricsQuery) -> Decision[AnalysisEvent]:
    """Take a query on; its answer goes to the sender when it is found."""
    if len(turn.state.queries) >= REMEMBERED_MAX:
        return refuse("queue_full", f"{REMEMBERED_MAX} queries wait already; ask again later")
    asked = MetricsAsked(
        query_id=turn.context.message_id,
        asker=turn.context.sender,
        components=message.components,
        metrics=message.metrics,
        time_range_minutes=message.time_range_minutes,
        as_of=turn.context.now,
    )
    turn.record(asked)
    return turn.decision(reply=MetricsRequested(query_id=asked.query_id))


def answer_metrics(turn: Turn, message: MetricsFound) -> Decision[AnalysisEvent]:
    """Send an answer to who asked; one that nobody waits for changes nothing."""
    asked = next((one for one in turn.state.queries if one.id == message.response.query_id), None)
    if asked is not None:
        _answer(turn, asked, message.response)
    return turn.decision()


def _answer(turn: Turn, asked: Asked, response: MetricsResponse) -> None:
    turn.record(MetricsAnswered(query_id=asked.id, series=len(response.series), error=response.error))
    turn.post(Address(asked.asker), response, "high")


def ask_causes(turn: Turn, message: FindCauses) -> Decision[AnalysisEvent]:
    """Take a question on; the answer is the event `CausesRanked`, or `CausesNotRanked`."""
    if len(turn.state.causes) >= REMEMBERED_MAX:
        return refuse("queue_full", f"{REMEMBERED_MAX} questions wait already; ask again later")
    request_id = turn.context.new_id("causes")
    asked = CausesAsked(
        request_id=request_id,
        incident_id=message.incident_id,
        asker=turn.context.sender,
        as_of=turn.context.now,
    )
    turn.record(asked)
    return turn.decision(reply=CausesRequested(request_id=request_id))


def answer_causes(turn: Turn, message: CausesFound) -> Decision[AnalysisEvent]:
    """Keep a ranking, or why there is none."""
    asked = next((one for one in turn.state.causes if one.id == message.request_id), None)
    if asked is None:
        return turn.decision()
    if message.error:
        turn.record(CausesNotRanked(request_id=asked.id, incident_id=asked.subject, reason=message.error))
        return turn.decision()
    ranked = CausesRanked(
        request_id=asked.id,
        incident_id=asked.subject,
        component=message.component,
        seen_at=message.seen_at,
        as_of=message.as_of,
        ranking=message.ranking,
    )
    turn.record(ranked)
    return turn.decision()
