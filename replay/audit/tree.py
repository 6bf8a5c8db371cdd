"""The tree over a shard's commits (RFC 6962), and the small one over the events of a commit."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
FAN_OUT: Final = 16
"""Of the tree over a commit's events: flat enough to be cheap, deep enough for short proofs."""
NO_EVENTS: Final = b"\0" * HASH_BYTES
EMPTY: Final = sha256(b"").digest()
_LEAF, _NODE, _EVENT, _GROUP = b"\x00", b"\x01", b"\x02", b"\x03"
_EVENT_HEADS: Final = tuple(_EVENT + length.to_bytes(4, "big") for length in range(1_024))


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(_NODE + left + right).digest()


def leaf(commit: bytes, events_root: bytes) -> bytes:
    """Return the leaf of a commit record's value and what it wrote to `hms.events` beside itself."""
    return sha256(b"".join((_LEAF, commit, events_root))).digest()


class Frontier:
    """A tree that only grows: the hashes of its full halves, largest first; `size` leaves so far."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError(f"expected {size.bit_count()} hashes for a tree of {size} leaves, got {len(peaks)}")
        self.size = size
        self.peaks = list(peaks)

    def append(self, hashed: bytes) -> None:
        """Add a leaf."""
        rest = self.size
        while rest & 1:
            hashed = node(self.peaks.pop(), hashed)
            rest >>= 1
        self.peaks.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """Return the hash of the whole tree."""
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node(peak, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a tree of these leaves."""
    frontier = Frontier()
    for one in leaves:
        frontier.append(one)
    return frontier.root()


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the path that proves leaf `index` of a tree (RFC 6962, 2.1.1), from the leaf upwards."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*inclusion(leaves[:half], index), root_of(leaves[half:])]
    return [*inclusion(leaves[half:], index - half), root_of(leaves[:half])]


def root_by_inclusion(hashed: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a path leads to (RFC 9162, 2.1.3.2). Raises `ValueError` for a path of the wrong length."""
    last, at, root = size - 1, index, hashed
    if not 0 <= index < size:
        raise ValueError(f"expected a leaf below {size}, got {index}")
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if at & 1 or at == last:
            root = node(sibling, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return root


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Return what proves that the tree of the first `old` leaves became this one (RFC 6962, 2.1.2)."""
    return _subproof(leaves, old, is_whole=True) if 0 < old < len(leaves) else []


def _subproof(leaves: Sequence[bytes], old: int, *, is_whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if is_whole else [root_of(leaves)]
    half = _half(len(leaves))
    if old <= half:
        return [*_subproof(leaves[:half], old, is_whole=is_whole), root_of(leaves[half:])]
    return [*_subproof(leaves[half:], old - half, is_whole=False), root_of(leaves[:half])]


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Say whether a path proves that the old tree is the beginning of the new one (RFC 9162, 2.1.4.2)."""
    if old > new or (old == new and path):
        return False
    if old in {0, new}:
        return old == 0 or old_root == new_root
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node(sibling, first), node(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _half(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)


# --- the events of one commit ------------------------------------------------------------------------------------


def event_hash(key: bytes, value: bytes) -> bytes:
    """Return the hash of one event."""
    head = _EVENT_HEADS[len(key)] if len(key) < len(_EVENT_HEADS) else _EVENT + len(key).to_bytes(4, "big")
    return sha256(b"".join((head, key, value))).digest()


def events_root(hashes: list[bytes]) -> bytes:
    """Return the root over the events of one commit, in their order."""
    if not hashes:
        return NO_EVENTS
    level = hashes
    while True:
        level = [
            sha256(_GROUP + b"".join(level[start : start + FAN_OUT])).digest()
            for start in range(0, len(level), FAN_OUT)
        ]
        if len(level) == 1:
            return level[0]


class Step(NamedTuple):
    """One level of a proof within a commit: the hashes of the group without one, and where that one belongs."""

    place: int
    others: list[bytes]


def steps_to_root(hashes: list[bytes], index: int) -> list[Step]:
    """Return what proves event `index` of a commit."""
    return list(_steps(hashes, index))


def _steps(level: list[bytes], index: int) -> Iterator[Step]:
    while True:
        start = index - index % FAN_OUT
        group = level[start : start + FAN_OUT]
        yield Step(index - start, [*group[: index - start], *group[index - start + 1 :]])
        if len(level) <= FAN_OUT:
            return
        level = [
            sha256(_GROUP + b"".join(level[first : first + FAN_OUT])).digest()
            for first in range(0, len(level), FAN_OUT)
        ]
        index //= FAN_OUT


def root_by_steps(hashed: bytes, steps: Sequence[Step]) -> bytes:
    """Return the root over a commit's events that a proof leads to. Raises `ValueError`."""
    for place, others in steps:
        if not 0 <= place <= len(others) < FAN_OUT:
            raise ValueError("the place of a hash lies outside its group")
        hashed = sha256(_GROUP + b"".join((*others[:place], hashed, *others[place:]))).digest()
    return hashed
