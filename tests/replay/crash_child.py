"""Archives a log in many lives, each ended at some step as SIGKILL ends it: `crash_child.py LOG ARCHIVE LIVES`."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from disks import DyingDisk

from hms.core.log.open import open_log
from hms.replay.archive.archiver import Archiver

STEPS_MAX = 60


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def archive(url: str, root: str, disk: DyingDisk) -> None:
    log = await open_log(url)
    archiver = await Archiver.open(root, log, owner="dying", disk=disk)
    for shard in range(log.partitions):
        await archiver.catch_up(archiver.writer(shard, 1, records_max=5))
    await log.close()


def live(act: Callable[[], None]) -> bool:
    """Run in a process of its own; return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        sys.exit("a life ended with an error of its own")
    return os.WIFSIGNALED(status)


def main(url: str, root: str, lives: int) -> None:
    chance = random.Random(5)  # noqa: S311
    killed = 0
    for _ in range(lives):
        disk = DyingDisk(chance.randint(0, STEPS_MAX), kill_myself)
        killed += live(lambda disk=disk: asyncio.run(archive(url, root, disk)))
    print(killed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
