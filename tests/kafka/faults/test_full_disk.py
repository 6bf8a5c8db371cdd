"""A broker whose disk is full: a tmpfs of its own where mounting is allowed, else a limit on the size of its files."""

import asyncio
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ..broker import Broker, Cluster
from ..fixtures import missing
from ..jars import Unavailable
from .intensity import SEED
from .trial import Trial, trial

DISK_BYTES = 320 << 20
NO_CRASH_FILES = "-XX:ErrorFile=/dev/null -XX:-CreateCoredumpOnCrash"
"""A full disk may end a JVM in the middle of a mapped file."""


class Disk:
    """Where a broker's data are; `fill` takes the room away, `free` gives it back."""

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        self.kind = (
            f"a tmpfs of {DISK_BYTES >> 20} MB" if mounted else "no room by RLIMIT_FSIZE (mounting is not allowed here)"
        )
        self._filler = folder / "filler"
        self._mounted = mounted

    def fill(self, broker: Broker) -> None:
        if not self._mounted:
            resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with suppress(OSError), self._filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()

    def free(self) -> None:
        if self._mounted:
            self._filler.unlink(missing_ok=True)


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Mount a small disk on a folder."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "hms-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield Disk(folder, mounted=mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.timeout(400)
def test_a_broker_whose_disk_is_full_loses_nothing_that_it_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saw: Callable[[str], None]
) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", NO_CRASH_FILES)
    how: list[str] = []

    async def filling(run: Trial) -> None:
        await run.load.wait_answered(150)
        small.fill(broker)
        await run.until(lambda: not broker.runs, 60, lambda: broker.output[-2_000:])
        how.append(f"the broker ended by itself after {run.load.answered} operations")
        small.free()
        await asyncio.to_thread(broker.restart)
        await run.load.wait_answered(150)

    cluster = Cluster(tmp_path / "kafka", brokers=1, heap="384m")
    broker = cluster.brokers[0]
    with disk(broker.folder / "data") as small:
        try:
            begin(cluster)
            seen = asyncio.run(trial(tmp_path, broker.bootstrap, SEED, filling, pause_s=0.02))
        finally:
            cluster.stop()
    saw(f"{small.kind}; {'; '.join(how)}; {seen}")


def begin(cluster: Cluster) -> None:
    try:
        cluster.start()
    except Unavailable as why:
        missing(why)
