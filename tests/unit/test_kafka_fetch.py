"""A poll's session: the broker is told what changed, and only that."""

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from hms.core.log.kafka.fetch import FetchSession
from hms.core.log.port import CRITICAL, LOW

A, B = (CRITICAL, 0), (LOW, 0)


def begun() -> FetchSession:
    session = FetchSession()
    session.ask({A: 1, B: 1}, 500)
    assert session.answered(0, 77)
    return session


def test_the_first_question_names_every_place_and_asks_for_a_session() -> None:
    ask = FetchSession().ask({A: 1, B: 2}, 500)
    assert (ask.places, ask.session, ask.forgotten) == ({A: 1, B: 2}, (0, 0), ())


def test_later_questions_name_what_changed_and_what_is_gone() -> None:
    session = begun()
    ask = session.ask({B: 9}, 500)
    assert (ask.places, ask.session, ask.forgotten) == ({B: 9}, (77, 1), (A,))
    session.answered(0, 77)
    ask = session.ask({B: 9}, 500)
    assert (ask.places, ask.session, ask.forgotten) == ({}, (77, 2), ())


@pytest.mark.parametrize("code", [70, 71])
def test_a_session_that_the_broker_has_forgotten_begins_anew(code: int) -> None:
    session = begun()
    session.ask({A: 1, B: 1}, 500)
    assert not session.answered(code, 0)
    assert session.ask({A: 1, B: 1}, 500)[0] == {A: 1, B: 1}


def test_a_broker_that_keeps_no_sessions_is_told_everything_each_time() -> None:
    session = FetchSession()
    for _ in range(3):
        ask = session.ask({A: 1}, 500)
        assert (ask.places, ask.session[1]) == ({A: 1}, 0)
        assert session.answered(0, 0)


def test_a_session_that_is_given_up_is_ended_by_the_next_question() -> None:
    session = begun()
    session.forget()
    assert session.ask({A: 1}, 500).session == (77, 0)


def test_other_errors_are_raised() -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        begun().answered(29, 0)
