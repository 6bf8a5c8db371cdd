"""What the commands that ask a component say when nobody answers."""

import asyncio
import time

import pytest

from hms.console.cli.component import wishes
from hms.core.client import connect
from hms.core.errors import AskTimedOut
from hms.core.log.open import open_log
from hms.schemas.component import RestartComponent, StopComponent


@pytest.mark.parametrize(("wish", "typed"), [(StopComponent(), "stop"), (RestartComponent(), "restart")])
def test_a_wish_that_nobody_answers_is_named_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, wish: StopComponent | RestartComponent, typed: str
) -> None:
    monkeypatch.setattr(wishes, "ANSWER_MS", 20)

    async def main() -> str:
        log = await open_log("simulated:")
        async with connect(log) as client:
            with pytest.raises(AskTimedOut) as silence:
                await wishes._ask(client, "web", wish, wishes._unknown(wish))
        await log.close()
        return str(silence.value)

    said = asyncio.run(main())
    assert said.startswith("no answer from component web in 0.02 s: whether `" + typed + "` happens is not known;")
    assert "Component " not in said


def test_a_node_that_does_not_answer_is_waited_for_no_longer_than_asked_and_nothing_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wishes, "ANSWER_MIN_S", 0.02)
    monkeypatch.setattr(wishes, "ANSWER_MS", 60_000)

    async def main() -> tuple[str, float]:
        log = await open_log("simulated:")
        async with connect(log) as client:
            begun = time.monotonic()
            with pytest.raises(AskTimedOut) as silence:
                await wishes._before(client, "web", 0.05)
            taken_s = time.monotonic() - begun
        await log.close()
        return str(silence.value), taken_s

    said, taken_s = asyncio.run(main())
    assert said == ("nothing was asked of web: the node does not answer; try again in a few seconds, or `hms doctor`")
    assert taken_s < wishes.ANSWER_MS / 2_000
