"""What whole process trees use: CPU, memory, threads, descriptors, in one pass over the process table."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import psutil

from ...schemas.fleet import Limits
from .shim import tree

SUSTAINED = 3
MEGABYTE = 1 << 20


class Sample(NamedTuple):
    """One component's tree at one moment; `cpu_percent` of one core since the sample before (0 at the first)."""

    cpu_percent: float
    rss_bytes: int
    threads: int
    descriptors: int
    processes: int


class Excess(NamedTuple):
    """A limit that was exceeded in three samples running."""

    what: str
    value: float
    limit: float


class Sampler:
    """Remembers the CPU times of the sample before."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._cpu: dict[tuple[int, int], int] = {}
        self._roots: dict[str, int] = {}
        self._at = 0.0

    def sample(self, roots: Mapping[str, int], now: float) -> dict[str, Sample]:
        """Return a sample per name; `roots` maps it to its shim's pid, `now` is monotonic seconds. Blocks.

        Memory that processes of a tree share is counted in each of them, as `ps` does.
        """
        table = tree.everything()
        elapsed = (now - self._at) * tree.TICKS_PER_SECOND if self._at else 0.0
        trees = {name: [row for row in tree.below(pid, table) if not row.gone] for name, pid in roots.items()}
        samples = {
            # What is new here may be old itself (adopted): its CPU time so far is no measure of now.
            name: self._of(rows, elapsed if self._roots.get(name) == roots[name] else 0.0)
            for name, rows in trees.items()
        }
        self._cpu = {(row.pid, row.ticks): row.cpu_ticks for rows in trees.values() for row in rows}
        self._roots, self._at = dict(roots), now
        return samples

    def _of(self, rows: list[tree.Row], elapsed_ticks: float) -> Sample:
        used = sum(row.cpu_ticks - self._cpu.get((row.pid, row.ticks), 0) for row in rows)
        return Sample(
            cpu_percent=100 * used / elapsed_ticks if elapsed_ticks else 0.0,
            rss_bytes=sum(row.rss_bytes for row in rows),
            threads=sum(row.threads for row in rows),
            descriptors=sum(_descriptors(row.pid) for row in rows),
            processes=len(rows),
        )


class LimitWatch:
    """Tells when one component was beyond a limit three times running; again only after it was within in between."""

    def __init__(self, limits: Limits) -> None:
        """Count from zero."""
        self._limits = limits
        self._beyond: dict[str, int] = {}

    def note(self, sample: Sample) -> list[Excess]:
        """Count a sample; return the limits that it makes exceeded for good."""
        used = {
            "rss_mb": (sample.rss_bytes / MEGABYTE, self._limits.rss_mb),
            "cpu_percent": (sample.cpu_percent, self._limits.cpu_percent),
            "open_files": (float(sample.descriptors), self._limits.open_files),
        }
        excesses = []
        for what, (value, limit) in used.items():
            beyond = limit is not None and value > limit
            self._beyond[what] = self._beyond.get(what, 0) + 1 if beyond else 0
            if limit is not None and self._beyond[what] == SUSTAINED:
                excesses.append(Excess(what, value, limit))
        return excesses


def _descriptors(pid: int) -> int:
    try:
        if tree.LINUX:
            return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only their number matters
        return psutil.Process(pid).num_fds()
    except (OSError, psutil.Error):
        return 0
