"""Topics: who has subscribed hears what is published."""

from hms.actors.topic import SUBSCRIBERS_MAX, topic
from hms.core.address import Address
from hms.core.decision import send
from hms.core.testing.given import EPOCH, given
from hms.schemas.analysis import AnalysisResult
from hms.schemas.topic import Subscribe, Subscribed, Unsubscribe, Unsubscribed

ANNA, BERT = Subscribed(subscriber="client/anna"), Subscribed(subscriber="ga/main")
RESULT = AnalysisResult(task_id=None, as_of=EPOCH, summary="all well")


def test_who_subscribes_is_remembered_once() -> None:
    given(topic).sent_by("client/anna").when(Subscribe()).then(ANNA)
    given(topic, ANNA).sent_by("client/anna").when(Subscribe()).then()


def test_what_is_published_goes_to_every_subscriber_and_is_no_event() -> None:
    outcome = given(topic, ANNA, BERT).sent_by("analysis_supervisor/main").when(RESULT)
    outcome.then().then_sent(send(Address("client/anna"), RESULT), send(Address("ga/main"), RESULT))


def test_who_has_left_hears_nothing_more() -> None:
    given(topic, ANNA, BERT).sent_by("client/anna").when(Unsubscribe()).then(Unsubscribed(subscriber="client/anna"))
    outcome = given(topic, ANNA, BERT, Unsubscribed(subscriber="client/anna")).when(RESULT)
    outcome.then_sent(send(Address("ga/main"), RESULT))
    given(topic).sent_by("client/anna").when(Unsubscribe()).then()


def test_one_subscriber_too_many_is_refused() -> None:
    full = [Subscribed(subscriber=f"client/{number}") for number in range(SUBSCRIBERS_MAX)]
    given(topic, *full).sent_by("client/one-more").when(Subscribe()).then_refused("validation_error")
