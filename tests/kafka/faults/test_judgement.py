"""The judges of the trials, on a small log that is well: they find nothing; and what each of them finds once it is not."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from hms.core.log.sqlite import SqliteLog
from hms.core.runtime.node import Node
from hms.core.testing.simulation.cast import Append, Balance, behaviours
from hms.core.testing.simulation.evidence import Evidence

from .judgement import CHECKS, broken, gathered
from .trial import settled
from .workload import Timed, Workload

OPERATIONS = 800
"""Enough for two messages from one actor to another in one lane, however the machine mixes the clients."""


async def _small() -> tuple[Evidence, list[str]]:
    with TemporaryDirectory() as folder:
        log = await SqliteLog.open(Path(folder) / "log.db", partitions=2)
        try:
            async with Node(log, behaviours(), name="one"):
                load = Workload(log, 7, pause_s=0.002)
                running = asyncio.create_task(load.run())
                await load.wait_answered(OPERATIONS)
                load.stop()
                await running
                while not await settled(log):  # noqa: ASYNC110 - the node's own pace
                    await asyncio.sleep(0.02)
            evidence = await gathered(log, load.operations, ())
            return evidence, await broken(evidence)
        finally:
            await log.close()


@cache
def small() -> tuple[Evidence, list[str]]:
    """Return what a few seconds leave behind, once for all tests; nobody may change it."""
    return asyncio.run(_small())


def judged(change: Callable[[Timed], Timed]) -> set[str]:
    """Return the judges that find something when the witnesses say that; each operation is changed by itself."""
    evidence, _ = small()
    before = evidence.witnesses
    try:
        evidence.witnesses = before._replace(operations=[change(wish) for wish in before.operations])  # type: ignore[arg-type]
        return {check.__name__ for check in CHECKS if list(check(evidence))}
    finally:
        evidence.witnesses = before


def test_a_log_that_is_well_breaks_nothing_and_holds_all_that_was_asked_for() -> None:
    evidence, found = small()
    assert found == []
    wishes = evidence.witnesses.operations
    assert sum(wish.answer is not None for wish in wishes) > OPERATIONS / 4
    assert any(wish.refused for wish in wishes)
    assert sum(type(seen.record).__name__ == "Refunded" for seen in evidence.events) > 0
    assert len({wish.source for wish in wishes}) == 20


def test_an_answer_that_the_history_does_not_give_is_found() -> None:
    def made_up(wish: Timed) -> Timed:
        return replace(wish, answer=Balance(cents=wish.answer.cents + 1)) if isinstance(wish.answer, Balance) else wish

    assert "answers_are_those_of_the_history" in judged(made_up)


def test_a_refusal_of_what_was_done_is_found() -> None:
    def refused(wish: Timed) -> Timed:
        return replace(wish, refused="no", answer=None) if wish.answer is not None else wish

    assert "refusals_are_those_of_the_history" in judged(refused)


def test_an_acknowledgement_that_the_log_does_not_know_is_found() -> None:
    def lost(wish: Timed) -> Timed:
        return replace(wish, id=f"{wish.id}-lost")

    assert "acknowledged_means_durable" in judged(lost)


def test_an_answer_that_came_before_something_earlier_was_asked_is_found() -> None:
    def backwards(wish: Timed) -> Timed:
        if not (wish.asks and isinstance(wish.message, Append)):
            return wish
        return replace(wish, invoked_ns=-wish.responded_ns, responded_ns=-wish.invoked_ns)

    assert "real_time_is_respected" in judged(backwards)


@pytest.mark.parametrize("harm", ["lost", "doubled", "reordered"])
def test_a_message_between_actors_that_is_lost_doubled_or_reordered_is_found(harm: str) -> None:
    evidence, _ = small()
    before, commits = evidence.lanes, evidence.commits
    try:
        evidence.lanes = {place: harmed(dict(messages), harm) for place, messages in before.items()}
        found = {check.__name__ for check in CHECKS if list(check(evidence))}
        assert found & {"at_most_once", "actors_are_heard_in_order"}
    finally:
        evidence.lanes, evidence.commits = before, commits


def harmed(messages: dict[int, Any], harm: str) -> dict[int, Any]:
    """Return a lane without its first message, with its last one twice, or backwards."""
    offsets = sorted(messages)
    if not offsets:
        return messages
    if harm == "lost":
        del messages[offsets[0]]
    elif harm == "doubled":
        messages[offsets[-1] + 1] = messages[offsets[-1]]
    else:
        return dict(zip(offsets, [messages[offset] for offset in reversed(offsets)], strict=True))
    return messages
