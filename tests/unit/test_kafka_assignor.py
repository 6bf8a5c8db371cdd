"""The assignor of the Kafka log: complete, balanced, deterministic, and moving no more than it must."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hms.core.log.assignment import Placement
from hms.core.log.kafka.assignor import (
    Agreement,
    Claim,
    agree,
    decode_agreement,
    decode_claim,
    encode_agreement,
    encode_claim,
    next_round,
)

NAMES = ("a", "b", "c", "d", "e")
members = st.sets(st.sampled_from(NAMES), min_size=1).map(sorted)
shard_counts = st.integers(1, 40)


def newcomer(node: str) -> Claim:
    return Claim(node, -1, frozenset(), ())


def told(node: str, agreed: int, placements: list[Placement]) -> Claim:
    """What a member says that has released nothing since it was told these."""
    held = frozenset(shard for shard, one in enumerate(placements) if one.holder == node)
    return Claim(node, agreed, held, tuple(placements))


def released(claim: Claim) -> Claim:
    kept = {shard for shard in claim.held if claim.placements[shard].target == claim.node}
    return claim._replace(held=frozenset(kept))


def settle(live: list[str], before: list[Placement], generation: int) -> list[Placement]:
    """Let members come and go, and the old owners release what is taken from them."""
    shards = len(before)
    known = {one.target for one in before}
    claims = [told(node, generation, before) if node in known else newcomer(node) for node in live]
    moving = agree(claims, shards)
    return agree([released(told(node, generation + 1, moving)) for node in live], shards)


@given(members, shard_counts)
def test_every_shard_has_an_owner_and_no_member_has_two_more_than_another(live: list[str], shards: int) -> None:
    placements = agree([newcomer(node) for node in live], shards)
    owned = Counter(one.target for one in placements)
    assert len(placements) == shards
    assert {one.holder for one in placements} == {one.target for one in placements} <= set(live)
    assert max(owned[node] for node in live) - min(owned[node] for node in live) <= 1


@given(members, members, shard_counts, st.randoms(use_true_random=False))
def test_the_order_of_the_claims_does_not_matter(
    first: list[str], second: list[str], shards: int, random: Random
) -> None:
    before = agree([newcomer(node) for node in first], shards)
    claims = [told(node, 1, before) if node in first else newcomer(node) for node in second]
    shuffled = random.sample(claims, len(claims))
    assert agree(claims, shards) == agree(shuffled, shards)


@given(st.lists(members, min_size=2, max_size=6), shard_counts)
def test_members_that_stay_keep_what_they_can_whoever_comes_and_goes(history: list[list[str]], shards: int) -> None:
    before = agree([newcomer(node) for node in history[0]], shards)
    for generation, live in enumerate(history[1:]):
        after = settle(live, before, generation)
        owned = Counter(one.target for one in after)
        assert all(one.holder == one.target for one in after)
        assert max(owned[node] for node in live) - min(owned[node] for node in live) <= 1
        _assert_fewest_moved(before, after, live)
        before = after


def _assert_fewest_moved(before: list[Placement], after: list[Placement], live: list[str]) -> None:
    """Only what a dead member had, and what a member has above its even share, may move."""
    had = Counter(one.target for one in before)
    low, extra = divmod(len(before), len(live))
    shares = [low + 1] * extra + [low] * (len(live) - extra)
    most_kept = sum(
        min(count, share)
        for count, share in zip(sorted((had[node] for node in live), reverse=True), shares, strict=True)
    )
    kept = sum(old.target == new.target for old, new in zip(before, after, strict=True))
    assert kept == most_kept


def test_a_shard_that_is_taken_away_stays_with_its_holder_until_that_has_released_it() -> None:
    first = agree([newcomer("a")], 4)
    moving = agree([told("a", 1, first), newcomer("b")], 4)
    assert [one.holder for one in moving] == ["a"] * 4
    assert sorted(one.target or "" for one in moving) == ["a", "a", "b", "b"]
    still = agree([told("a", 2, moving), told("b", 2, moving)], 4)
    assert still == moving
    done = agree([released(told("a", 3, still)), told("b", 3, still)], 4)
    assert [one.holder for one in done] == [one.target for one in moving]


def test_what_is_released_goes_on_while_the_rest_still_waits() -> None:
    first = agree([newcomer("a")], 4)
    moving = agree([told("a", 1, first), newcomer("b")], 4)
    one, other = [shard for shard, place in enumerate(moving) if place.target == "b"]
    claim = told("a", 2, moving)
    half = agree([claim._replace(held=claim.held - {one}), told("b", 2, moving)], 4)
    assert half[one] == Placement("b", "b")
    assert half[other] == Placement("a", "b")


def test_who_was_given_up_for_dead_gets_nothing_back_that_another_one_has_now() -> None:
    first = settle(["a", "b"], agree([newcomer("a"), newcomer("b")], 4), 1)
    stale = told("a", 1, first)
    alone = agree([told("b", 1, first)], 4)
    again = agree([stale, told("b", 5, alone)], 4)
    assert {one.holder for one in again} == {"b"}


def test_a_shard_on_its_way_to_a_member_that_dies_goes_back_to_its_holder_if_there_is_room() -> None:
    first = agree([newcomer("a")], 4)
    moving = agree([told("a", 1, first), newcomer("b")], 4)
    assert agree([told("a", 2, moving)], 4) == first


def test_rounds_go_on_where_any_member_knows_them_to_be_whatever_became_of_the_group() -> None:
    assert next_round([newcomer("a")]) == 0
    first = agree([newcomer("a"), newcomer("b")], 4)
    assert next_round([told("a", 7, first), newcomer("b"), told("c", 3, first)]) == 8


def test_claims_and_agreements_survive_the_wire() -> None:
    claim = Claim("höst-1", 7, frozenset({3, 1}), (Placement("a", None), Placement(None, "höst-1")), "process")
    assert decode_claim(encode_claim(claim)) == claim
    agreement = Agreement(8, claim.placements)
    assert decode_agreement(encode_agreement(agreement)) == agreement


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"[]", b"{}", b'{"node": 1, "round": null}', b"null"])
def test_what_no_member_of_ours_sent_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_claim(garbage)
    with pytest.raises(ValueError, match=r"."):
        decode_agreement(garbage)
