"""Trees and their proofs, against RFC 6962's own definitions."""

from hashlib import sha256

import pytest

from hms.replay.audit.tree import (
    EMPTY,
    Frontier,
    consistency,
    event_hash,
    events_root,
    inclusion,
    is_consistent,
    root_by_inclusion,
    root_by_steps,
    root_of,
    steps_to_root,
)

LEAVES = [sha256(b"\0" + bytes([number])).digest() for number in range(40)]
RFC_INPUTS = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
RFC_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
)
"""Of the reference implementation of certificate transparency."""


def naive(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\1" + naive(leaves[:half]) + naive(leaves[half:])).digest()


def test_the_roots_are_those_of_certificate_transparency() -> None:
    hashed = [sha256(b"\0" + one).digest() for one in RFC_INPUTS]
    assert [root_of(hashed[: size + 1]).hex() for size in range(len(hashed))] == list(RFC_ROOTS)
    assert root_of([]) == EMPTY
    assert [root_of(LEAVES[:size]) for size in range(41)] == [naive(LEAVES[:size]) for size in range(41)]


def test_a_frontier_goes_on_where_it_was_left() -> None:
    for size in range(41):
        first = Frontier()
        for one in LEAVES[:size]:
            first.append(one)
        second = Frontier(first.size, first.peaks)
        for one in LEAVES[size:]:
            second.append(one)
        assert second.root() == root_of(LEAVES)
    with pytest.raises(ValueError, match="expected 2 hashes for a tree of 3 leaves, got 1"):
        Frontier(3, [b""])


def test_every_leaf_of_every_tree_is_proved_and_no_other_is() -> None:
    for size in range(1, 24):
        leaves = LEAVES[:size]
        root = root_of(leaves)
        for index in range(size):
            path = inclusion(leaves, index)
            assert len(path) <= size.bit_length()
            assert root_by_inclusion(leaves[index], index, size, path) == root
            assert root_by_inclusion(LEAVES[39], index, size, path) != root
            if size > 1:
                other = (index + 1) % size
                assert not _leads_to(root, leaves[index], other, size, path)
                assert not _leads_to(root, leaves[index], index, size, path[:-1])
                assert not _leads_to(root, leaves[index], index, size, [*path, LEAVES[0]])


def _leads_to(root: bytes, leaf: bytes, index: int, size: int, path: list[bytes]) -> bool:
    try:
        return root_by_inclusion(leaf, index, size, path) == root
    except ValueError:
        return False


def test_every_tree_is_proved_to_be_the_beginning_of_every_later_one_and_of_no_other() -> None:
    for new in range(1, 24):
        root = root_of(LEAVES[:new])
        for old in range(1, new + 1):
            before = root_of(LEAVES[:old])
            path = consistency(LEAVES[:new], old)
            assert is_consistent(old, before, new, root, path)
            assert not is_consistent(old, LEAVES[39], new, root, path)
            assert not is_consistent(old, before, new, LEAVES[39], path)
            if path:
                assert not is_consistent(old, before, new, root, path[:-1])
                assert not is_consistent(old, before, new, root, [*path, LEAVES[0]])
                assert not is_consistent(old, before, new, root, [LEAVES[39], *path[1:]])


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 256, 257, 1_000])
def test_every_event_of_a_commit_is_proved_by_few_hashes(count: int) -> None:
    hashes = [event_hash(b"actor/%d" % number, b"value") for number in range(count)]
    root = events_root(hashes)
    for index in {0, 1, count // 2, count - 1} & set(range(count)):
        steps = steps_to_root(hashes, index)
        assert root_by_steps(hashes[index], steps) == root
        assert root_by_steps(event_hash(b"actor/x", b"value"), steps) != root
        assert sum(len(step.others) for step in steps) <= 45


def test_what_an_event_is_cannot_move_between_its_key_and_its_value() -> None:
    assert event_hash(b"ab", b"c") != event_hash(b"a", b"bc")
    assert events_root([event_hash(b"a", b"b"), event_hash(b"c", b"d")]) != events_root(
        [event_hash(b"c", b"d"), event_hash(b"a", b"b")]
    )
