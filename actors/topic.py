"""Topics, `topic/NAME`: what is told to one goes on to everybody who subscribed to it (protocol, section 4.2)."""

from typing import Final, TypeAlias

from ..core.address import Address
from ..core.behaviour import Behaviour, Context
from ..core.decision import Decision, accept, refuse, send
from ..schemas.analysis import (
    AnalysisResult,
    AnomalyDetection,
    ImprovementOpportunity,
    PatternDetection,
    TrendDetection,
)
from ..schemas.record import State
from ..schemas.topic import Subscribe, Subscribed, Unsubscribe, Unsubscribed

SUBSCRIBERS_MAX: Final = 100
Published: TypeAlias = AnalysisResult | AnomalyDetection | ImprovementOpportunity | PatternDetection | TrendDetection
TopicMessage: TypeAlias = (
    Subscribe
    | Unsubscribe
    | AnalysisResult
    | AnomalyDetection
    | ImprovementOpportunity
    | PatternDetection
    | TrendDetection
)
TopicEvent: TypeAlias = Subscribed | Unsubscribed


class Topic(State):
    """Who listens: addresses of actors and participants, in the order in which they came."""

    subscribers: tuple[str, ...] = ()


def decide(state: Topic, message: TopicMessage, context: Context) -> Decision[TopicEvent]:
    """Let senders join and leave; send everything else on, once to each."""
    match message:
        case Subscribe():
            return _join(state, context.sender)
        case Unsubscribe():
            known = context.sender in state.subscribers
            return accept(*[Unsubscribed(subscriber=context.sender)] if known else [])
        case _:
            return accept(send=[send(Address(subscriber), message) for subscriber in state.subscribers])


def _join(state: Topic, subscriber: str) -> Decision[TopicEvent]:
    if subscriber in state.subscribers:
        return accept()
    if len(state.subscribers) >= SUBSCRIBERS_MAX:
        return refuse("validation_error", f"expected at most {SUBSCRIBERS_MAX} subscribers of a topic")
    return accept(Subscribed(subscriber=subscriber))


def evolve(state: Topic, event: TopicEvent) -> Topic:
    """Fold one event."""
    left = tuple(one for one in state.subscribers if one != event.subscriber)
    return Topic(subscribers=(*left, event.subscriber) if isinstance(event, Subscribed) else left)


topic = Behaviour("topic", initial=Topic, decide=decide, evolve=evolve)
