"""Looks: asked for by a timer, done by an effect, whose result is judged here."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final, TypeVar

from ....core.decision import Decision
from ....schemas.analysis import (
    AnalysisResult,
    ImprovementOpportunity,
    LookDue,
    LookNow,
    PatternDetection,
    TrendDetection,
)
from ....schemas.analysis_event import (
    LookAsked,
    LookEnded,
    LookFailed,
    OpportunityFound,
    PatternDetected,
    TrendDetected,
    TrendEnded,
)
from ....schemas.analysis_look import Heading, LookTaken, Opportunity, Pattern
from .alerts import judge
from .fold import AnalysisEvent
from .life import LOOK, wind
from .state import series_key
from .turn import Turn

F = TypeVar("F")
AGAIN: Final = timedelta(days=1)
"""What is still an opportunity after so long is told again."""
TOLD_MAX: Final = 100
"""So many of each kind are told after one look: a commit has bounds."""
GO_ON_MS: Final = 500
"""A look that is behind goes on after so long: time for others."""
SHIFT_BUCKETS: Final = 3
"""A level's shift within so many buckets of one that was told is that one: its place moves a little as samples come."""


def look(turn: Turn, _: LookDue | LookNow) -> Decision[AnalysisEvent]:
    """Ask for a look, unless one is under way; that one's end winds the clock."""
    state, now = turn.state, turn.context.now
    if state.look is not None:
        return turn.decision()
    seek_ms = state.setting("seek_every_ms")
    asked = LookAsked(
        look=state.last_look.number + 1,
        as_of=now,
        since=state.positions,
        bucket_ms=state.setting("bucket_ms"),
        series_max=state.setting("series_max"),
        samples_max=state.setting("samples_max"),
        cpu_ms=state.setting("cpu_ms"),
        seek=state.sought_at is None or now - state.sought_at >= timedelta(milliseconds=seek_ms),
    )
    turn.record(asked)
    wind(turn)
    return turn.decision()


def taken(turn: Turn, message: LookTaken) -> Decision[AnalysisEvent]:
    """Judge what a look has found; what comes of a look that is not under way changes nothing."""
    if turn.state.look is None or turn.state.look.number != message.look:
        return turn.decision()
    told = _tell_findings(turn, message)
    ended = LookEnded(
        **message.model_dump(
            include={"look", "as_of", "behind", "samples", "series", "left_out", "onsets_left_out", "cpu_ms"}
        ),
        positions=message.positions,
        sought=message.opportunities is not None,
    )
    turn.record(ended)
    if told:
        summary = f"{told} new in {message.samples} samples of {message.series} series"
        turn.publish(AnalysisResult(task_id=None, as_of=message.as_of, summary=summary))
    if message.behind:
        turn.set_timer(LOOK, LookDue(), GO_ON_MS)
    else:
        wind(turn)
    return turn.decision()


def _tell_findings(turn: Turn, message: LookTaken) -> int:
    told = judge(turn, message)
    told += _tell(message.headings, lambda one: _heading(turn, one, message))
    _end_trends(turn, message)
    told += _tell(message.patterns, lambda one: _pattern(turn, one, message))
    return told + _tell(message.opportunities or (), lambda one: _opportunity(turn, one, message))


def _tell(found: Iterable[F], tell: Callable[[F], bool]) -> int:
    """Tell what is new, at most so much at a time: the next look finds the rest again."""
    told = 0
    for one in found:
        told += tell(one)
        if told == TOLD_MAX:
            break
    return told


def failed(turn: Turn, reason: str) -> Decision[AnalysisEvent]:
    """Let a look go; the next one begins where the last good one ended."""
    if turn.state.look is not None:
        turn.record(LookFailed(look=turn.state.look.number, reason=reason))
        wind(turn)
    return turn.decision()


def _heading(turn: Turn, heading: Heading, message: LookTaken) -> bool:
    """Tell a trend when it begins or turns."""
    known = turn.state.told.get(series_key("trend", heading.component, heading.metric))
    if known is not None and known.what == heading.direction:
        return False
    detected = TrendDetected(**heading.model_dump(), bucket_ms=turn.state.setting("bucket_ms"), as_of=message.as_of)
    turn.record(detected)
    turn.publish(TrendDetection.model_validate(detected.model_dump()))
    return True


def _end_trends(turn: Turn, message: LookTaken) -> None:
    """End the trends that a look which has seen everything does not find any more."""
    found = {series_key("trend", one.component, one.metric) for one in message.headings}
    told = [one for key, one in turn.state.told.items() if key.startswith("trend ") and key not in found]
    for one in told if not message.behind and not message.headings_left_out else ():
        turn.record(TrendEnded(component=one.component, metric=one.metric, as_of=message.as_of))


def _pattern(turn: Turn, pattern: Pattern, message: LookTaken) -> bool:
    """Tell a pattern once; a level's shift again when it is another one."""
    known = turn.state.told.get(series_key(pattern.pattern, pattern.component, pattern.metric))
    if known is not None:
        apart = timedelta(milliseconds=SHIFT_BUCKETS * turn.state.setting("bucket_ms"))
        if pattern.at is None or pattern.at <= known.at + apart:
            return False
    detected = PatternDetected(**pattern.model_dump(), as_of=message.as_of)
    turn.record(detected)
    turn.publish(PatternDetection.model_validate(detected.model_dump()))
    return True


def _opportunity(turn: Turn, found: Opportunity, message: LookTaken) -> bool:
    """Tell an opportunity when it is new, and again when it is still there after a day."""
    known = turn.state.told.get(series_key("opportunity", found.component, found.name))
    if known is not None and message.as_of - known.at < AGAIN:
        return False
    event = OpportunityFound(**dict(found), as_of=message.as_of)
    turn.record(event)
    turn.publish(ImprovementOpportunity(**dict(event)))
    return True
