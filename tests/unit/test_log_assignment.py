"""Shards are shared out evenly, and as few as possible move."""

from hypothesis import given
from hypothesis import strategies as st

from hms.core.log.assignment import Placement, share_out

nodes = st.sampled_from(["a", "b", "c", "d", "e"])
placements = st.lists(st.builds(Placement, st.none() | nodes, st.none() | nodes), min_size=1, max_size=20)
members = st.lists(nodes, unique=True, min_size=1)


@given(placements, members)
def test_everybody_gets_the_same_give_or_take_one(before: list[Placement], live: list[str]) -> None:
    after = share_out(before, live)
    counts = [sum(placement.target == node for placement in after) for node in live]
    assert sum(counts) == len(before)
    assert max(counts) - min(counts) <= 1


@given(placements, members)
def test_no_more_shards_move_than_must(before: list[Placement], live: list[str]) -> None:
    after = share_out(before, live)
    low, extra = divmod(len(before), len(live))
    loads = sorted((sum(placement.target == node for placement in before) for node in live), reverse=True)
    most_that_can_stay = sum(min(load, low + (rank < extra)) for rank, load in enumerate(loads))
    stayed = sum(new.target == old.target for old, new in zip(before, after, strict=True))
    assert stayed == most_that_can_stay


@given(placements, members)
def test_a_live_holder_keeps_its_shard_until_it_releases_it(before: list[Placement], live: list[str]) -> None:
    for old, new in zip(before, share_out(before, live), strict=True):
        assert new.holder == (old.holder if old.holder in live else new.target)


@given(placements, members)
def test_sharing_out_again_changes_nothing(before: list[Placement], live: list[str]) -> None:
    after = share_out(before, live)
    assert share_out(after, list(reversed(live))) == after


def test_with_nobody_alive_nobody_owns_anything() -> None:
    assert share_out([Placement("a", "a"), Placement(None, None)], []) == [Placement(None, None)] * 2
