"""An actor as it was, what changed, and the closed cut: hms replay state and diff."""

import asyncio
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hms.console.cli.replay_state import value_text
from hms.core.log.port import EVENTS
from hms.replay.opened import opened
from hms.replay.past.changes import ABSENT, changes
from hms.replay.past.cut import NOTHING, Point, _Consumed, closed, cut_at

from . import shop as shops
from .conftest import Hms

FAR = 1 << 55


def events(hms: Hms, url: str, actor: str) -> list[dict[str, object]]:
    _, out, _ = hms("event", "list", "--actor", actor, "--log", url, "-o", "json")
    return [one for one in json.loads(out) if one["envelope"]["source"] == actor]


def state(hms: Hms, url: str, *arguments: str) -> dict[str, object]:
    code, out, err = hms("replay", "state", *arguments, "--app", shops.APP, "--log", url, "-o", "json")
    assert code == 0, err
    return json.loads(out)


def test_the_state_after_each_event_is_the_fold_of_the_events_up_to_it(hms: Hms, shop_log: str) -> None:
    cents = 0
    for number, event in enumerate(events(hms, shop_log, "account/anna")):
        short, data = event["envelope"]["type"].rpartition(".")[2], event["data"]
        cents += {"Deposited": 1, "Withdrawn": -1}.get(short, 0) * data.get("cents", 0)
        if number % 5 == 0:
            seen = state(hms, shop_log, "account/anna", "--offset", str(event["offset"]))
            assert seen["state"]["cents"] == cents
    assert state(hms, shop_log, "account/anna")["state"]["cents"] == cents == 700


def test_at_the_instant_of_an_event_the_event_is_in_and_a_microsecond_before_it_is_not(hms: Hms, shop_log: str) -> None:
    third = [one for one in events(hms, shop_log, "account/anna") if one["envelope"]["type"].endswith("Deposited")][2]
    at = third["envelope"]["at"]
    assert state(hms, shop_log, "account/anna", "--at", at)["state"]["cents"] == 300
    before = f"{at[:-1]}"[:19] + f".{int(at[20:26]) - 1:06d}Z"
    assert state(hms, shop_log, "account/anna", "--at", before)["state"]["cents"] == 200


def test_an_actor_has_no_state_before_its_first_event(hms: Hms, shop_log: str) -> None:
    code, out, err = hms("replay", "state", "account/anna", "--at", "2001-01-01", "--app", shops.APP, "--log", shop_log)
    assert (code, out) == (3, "")
    assert "had no event by then" in err


def test_a_behaviour_whose_code_is_not_named_is_told_how_to_name_it(hms: Hms, shop_log: str) -> None:
    code, _, err = hms("replay", "state", "account/anna", "--log", shop_log)
    assert code == 3
    assert "--app MODULE:APP" in err


def test_an_offset_beyond_the_end_is_refused_with_what_there_is(hms: Hms, shop_log: str) -> None:
    code, _, err = hms("replay", "state", "account/anna", "--offset", "99999", "--app", shops.APP, "--log", shop_log)
    assert code == 1
    assert "expected an offset of hms.events/" in err


def test_a_pattern_shows_every_actor_that_fits(hms: Hms, shop_log: str) -> None:
    found = state(hms, shop_log, "account/*")
    assert {one["actor"]: one["state"]["cents"] for one in found} == {"account/anna": 700, "account/ben": 300}


def test_a_difference_names_the_fields_that_changed_and_the_events_that_did_it(hms: Hms, shop_log: str) -> None:
    (first, *_, last) = events(hms, shop_log, "account/anna")
    code, out, _ = hms(
        *("replay", "diff", "account/anna", "--from", f"@{first['offset']}", "--app", shops.APP, "--log", shop_log),
        *("-o", "json"),
    )
    assert code == 0
    found = json.loads(out)
    by_field = {one["field"]: (one["from"], one["to"]) for one in found["changes"]}
    assert by_field["cents"] == (100, 700)
    assert found["events"][-1]["offset"] == last["offset"]
    assert first["offset"] not in [one["offset"] for one in found["events"]]


def test_a_difference_from_before_the_first_event_shows_every_field_as_new(hms: Hms, shop_log: str) -> None:
    _, out, _ = hms("replay", "diff", "account/ben", "--app", shops.APP, "--log", shop_log, "-o", "json")
    found = json.loads(out)
    assert {"field": "cents", "to": 300} in found["changes"]
    assert found["from"] is None


def test_a_difference_backwards_is_refused(hms: Hms, shop_log: str) -> None:
    code, _, err = hms(
        *("replay", "diff", "account/anna", "--to", "@3", "--from", "now", "--app", shops.APP, "--log", shop_log)
    )
    assert code == 1
    assert "--from before --to" in err


def test_changes_tell_null_from_absent_and_a_number_from_the_same_truth() -> None:
    found = list(changes({"a": None, "b": 1, "c": [1, 2]}, {"b": True, "c": [1], "d": {"e": 0}}))
    assert [tuple(one) for one in found] == [
        ("a", None, ABSENT),
        ("b", 1, True),
        ("c[1]", 2, ABSENT),
        ("d", ABSENT, {"e": 0}),
    ]


# --- the cut ---------------------------------------------------------------------------------------------------------


def run_of(*nows: int) -> list[Point]:
    """Commits at these times, each of which consumes the next message of the first lane."""
    return [NOTHING, *(Point(n, now, 2 * n + 1, (n + 1, 0, 0, 0)) for n, now in enumerate(nows))]


def test_what_consumed_a_message_from_beyond_the_cut_is_beyond_it() -> None:
    runs = {0: run_of(10, 20), 1: run_of(5, 9, 19)}
    cut = closed(runs, {1: [_Consumed(0, 1, 0, 25)]}, 2)  # shard 0's clock is ahead: it sent at 25
    assert (cut[0].now_us, cut[1].now_us) == (20, 5)


def test_a_commit_that_is_taken_away_takes_what_consumed_its_messages_along() -> None:
    runs = {0: run_of(10, 20), 1: run_of(8, 18), 2: run_of(7, 17)}
    consumed = {1: [_Consumed(0, 1, 0, 30)], 2: [_Consumed(0, 1, 1, 18)]}
    cut = closed(runs, consumed, 3)
    assert [cut[shard].now_us for shard in range(3)] == [20, 8, 7]


def test_of_the_commits_of_one_instant_all_or_none_are_in_a_cut() -> None:
    runs = {0: run_of(10), 1: run_of(5, 7, 7)}
    cut = closed(runs, {1: [_Consumed(0, 2, 0, 11)]}, 2)
    assert cut[1].now_us == 5


@given(st.data())
def test_a_cut_is_closed_and_nothing_larger_is(data: st.DataObject) -> None:
    shards = data.draw(st.integers(2, 4))
    runs, consumed = {}, {}
    for shard in range(shards):
        nows = sorted(data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True)))
        runs[shard] = run_of(*nows)
    for shard in range(shards):
        count = len(runs[shard]) - 1
        senders = data.draw(
            st.lists(st.tuples(st.integers(0, shards - 1), st.integers(0, 40)), min_size=count, max_size=count)
        )
        consumed[shard] = [_Consumed(0, n, sender, at) for n, (sender, at) in enumerate(senders) if sender != shard]
    cut = closed(runs, consumed, shards)

    def is_closed(points: dict[int, Point]) -> bool:
        return not any(
            one.offset < points[shard].positions[0] and one.sent_us > points[one.sender].now_us
            for shard, messages in consumed.items()
            for one in messages
        )

    assert is_closed(cut)
    for shard, run in runs.items():  # one commit more of any shard, and of those that it needs, is not closed
        later = [point for point in run if point.now_us > cut[shard].now_us]
        if later:
            assert not is_closed({**cut, shard: later[0]}) or needs_more(cut, later[0], consumed[shard])


def needs_more(cut: dict[int, Point], point: Point, messages: list[_Consumed]) -> bool:
    return any(one.sent_us > cut[one.sender].now_us for one in messages if one.offset < point.positions[0])


def test_the_cut_of_any_instant_of_a_real_log_holds_the_cause_of_everything_in_it(shop_log: str) -> None:
    async def main() -> None:
        async with opened(shop_log) as history:
            ends = {shard: (await history.bounds(EVENTS, shard))[1] for shard in range(history.partitions)}
            whole = await cut_at(history, FAR)
            assert {shard: point.end for shard, point in whole.points.items()} == ends
            nothing = await cut_at(history, 1)
            assert {point.end for point in nothing.points.values()} == {0}

    asyncio.run(main())


@pytest.mark.parametrize(
    "command",
    [
        lambda: ("state", "account/anna"),
        lambda: ("state", "account/*"),
        lambda: ("diff", "account/anna"),
        lambda: ("verify",),
    ],
)
def test_promise_8_looking_at_the_past_writes_nothing(
    hms: Hms, shop_log: str, command: Callable[[], tuple[str, ...]]
) -> None:
    before = shops.marks_of(shop_log)
    code, _, err = hms("replay", *command(), "--app", shops.APP, "--log", shop_log)
    assert code == 0, err
    assert shops.marks_of(shop_log) == before


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (("state", "account/anna", "--at", "@-1"), "expected @OFFSET such as @12"),
        (("state", "account/anna", "--offset", "-1"), "Must be >= 0"),
        (("diff", "account/*"), "expected one actor"),
    ],
)
def test_what_names_no_place_is_a_usage_error(hms: Hms, shop_log: str, order: tuple[str, ...], words: str) -> None:
    code, _, err = hms("replay", *order, "--app", shops.APP, "--log", shop_log)
    assert code == 2
    assert words in err


def test_the_two_sides_of_a_long_change_stand_side_by_side() -> None:
    assert len(value_text({"from": "x" * 1_000}, "from")) == 80
    assert value_text({"from": None}, "to") == "(absent)"
