"""Is an archive whole? Every file against its manifest, every position once, the chain of commits from end to end."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...core.log.port import EVENTS
from .chain import Chain
from .errors import ArchiveDamaged, ArchiveMismatch
from .expiry import COMMIT
from .manifest import ArchivedFile, Link, Tombstone, sha256
from .parquet import read_table
from .reader import Archive
from .shard_state import ShardState

CheckSignature = Callable[[Tombstone], str]
"""Returns what is wrong with a tombstone's signature; nothing where it holds."""


class Report(NamedTuple):
    """What was checked of a shard, and everything that is wrong with it."""

    shard: int
    files: int
    records: int
    bytes: int
    commits: int
    tombstones: int
    gaps: int
    last_sequence: int | None
    findings: tuple[str, ...]


def verify(archive: Archive, shard: int, check_signature: CheckSignature | None = None) -> Report:
    """Check one shard of an archive, as it was when it was refreshed."""
    state = archive.state(shard)
    findings = [*_presence(archive, shard), *(found for file in state.files.values() for found in _file(archive, file))]
    chain = Chain(shard, None)
    if not findings:
        findings += _positions(archive, state)
        findings += _follow(archive, shard, state, chain)
    findings += _snapshots(archive, state)
    findings += [
        f"tombstone of {stone.type} in {stone.topic}/{shard} at {stone.first}: {wrong}"
        for stone in state.tombstones
        if check_signature is not None and (wrong := check_signature(stone))
    ]
    return Report(
        shard=shard,
        files=len(state.files),
        records=sum(file.rows for file in state.files.values()),
        bytes=sum(file.bytes for file in state.files.values()),
        commits=chain.count,
        tombstones=len(state.tombstones),
        gaps=len(state.gaps),
        last_sequence=state.chain.sequence if state.chain else None,
        findings=tuple(findings),
    )


def _presence(archive: Archive, shard: int) -> Iterator[str]:
    """Look whether anything says what is archived of the shard, where there is of others."""
    others = [other for other in range(archive.partitions) if archive.state(other).number >= 0]
    if others and shard not in others:
        yield f"{archive.folder.manifests(shard)}: expected manifests, as of {len(others)} other shards, got none"


def _file(archive: Archive, file: ArchivedFile) -> Iterator[str]:
    path = archive.path(file)
    wrong = _content(path, file.bytes, file.sha256)
    if wrong:
        yield wrong
        return
    try:
        rows = read_table(path, ("position",)).num_rows
    except ArchiveDamaged as error:
        yield str(error)
        return
    if rows != file.rows:
        yield f"{path}: expected {file.rows} rows, got {rows}"


def _content(path: Path, size: int, digest: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"{path}: expected a file of {size} bytes, got {error.strerror or error}"
    if sha256(data) != digest:
        return f"{path}: expected {size} bytes of SHA-256 {digest[:16]}, got {len(data)} of {sha256(data)[:16]}: it was changed"
    return ""


def _positions(archive: Archive, state: ShardState) -> Iterator[str]:
    """Look whether any position is there twice, or outside of what is covered."""
    topics = {file.topic for file in state.files.values()}
    for topic in sorted(topics):
        files = [file for file in state.files.values() if file.topic == topic]
        found = np.sort(
            np.concatenate([read_table(archive.path(one), ("position",)).column(0).to_numpy() for one in files])
        )
        twice = found[1:][found[1:] == found[:-1]]
        if len(twice):
            yield f"{topic}/{files[0].shard}: {len(twice)} positions are there twice, the first is {twice[0]}"
        first, after = state.covered.get(topic, (0, 0))
        if found[0] < first or found[-1] >= after:
            yield f"{topic}/{files[0].shard}: expected positions {first} to below {after}, got {found[0]} to {found[-1]}"


def _follow(archive: Archive, shard: int, state: ShardState, chain: Chain) -> Iterator[str]:
    """Follow the commits from the first one that is left; tombstones and gaps excuse what they name."""
    first, after = state.covered.get(EVENTS, (0, 0))
    bounds = [*_beginnings(state, first, after), after]
    try:
        for start, end in pairwise(bounds):
            chain.link = None
            for records in archive.read_left(EVENTS, shard, start, end):
                chain.follow(records)
    except (ArchiveMismatch, ArchiveDamaged) as error:
        yield str(error)
        return
    if after > first and not _ends_at(chain.link, state.chain):
        yield (
            f"{EVENTS}/{shard}: expected the chain to end with commit {state.chain.sequence if state.chain else None}, got "
            f"{chain.link.sequence if chain.link else None}: commit records are missing at its end"
        )


def _beginnings(state: ShardState, first: int, after: int) -> list[int]:
    """Return where the chain begins: at the first event, and anew behind what was deleted of it."""
    gaps = [gap.next for gap in state.gaps if gap.topic == EVENTS]
    stones = [stone.next for stone in state.tombstones if stone.type == COMMIT]
    return sorted({first, *(position for position in (*gaps, *stones) if position < after)})


def _ends_at(found: Link | None, expected: Link | None) -> bool:
    return found is None or (expected is not None and found.sha256 == expected.sha256)


def _snapshots(archive: Archive, state: ShardState) -> Iterator[str]:
    for snapshot in state.snapshots:
        if wrong := _content(archive.folder.root / snapshot.path, snapshot.bytes, snapshot.sha256):
            yield wrong
