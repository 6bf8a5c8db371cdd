"""A node whose process is gone is known for dead at once; what cannot be known waits for the lease."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hms.core.errors import LogUnreachable
from hms.core.log import open_log
from hms.core.log.sqlite.sessions import identity, is_over, new_session

MEMBER = """
import asyncio, sys
from pathlib import Path
from hms.core.log.sqlite import SqliteLog
from hms.core.log.sqlite.times import Times

async def main():
    log = await SqliteLog.open(Path(sys.argv[1]), times=Times(lease_ms=90_000))
    await log.join("victim")
    print("joined", flush=True)
    await asyncio.sleep(90)

asyncio.run(main())
"""

linux_only = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="no /proc: a dead node waits for its lease"
)


@linux_only
def test_a_session_is_over_when_its_process_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    session = f"{identity(child.pid)}:random"
    assert not is_over(session)
    child.communicate(b"\n")
    assert is_over(session)
    assert not is_over(new_session())


def test_a_session_of_elsewhere_is_left_to_its_lease() -> None:
    assert not is_over("1:1:0:random")
    assert not is_over("random")


@linux_only
def test_a_killed_nodes_shards_are_taken_over_before_its_lease_is_over(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> None:
        victim = subprocess.Popen([sys.executable, "-c", MEMBER, path], stdout=subprocess.PIPE)  # noqa: ASYNC220
        assert victim.stdout is not None
        await asyncio.to_thread(victim.stdout.readline)
        log = await open_log(f"sqlite:{path}")
        membership = await log.join("heir")
        assert len((await membership.assignment()).shards) < log.partitions
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.to_thread(victim.communicate)
        async with asyncio.timeout(30):  # the lease is 90 s
            assignment = await membership.assignment()
            while len(assignment.shards) < log.partitions:
                assignment = await membership.wait_changed(assignment.generation, 1_000)
        await log.close()

    asyncio.run(main())


@linux_only
def test_a_killed_node_is_shown_dead_before_its_lease_is_over(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> None:
        victim = subprocess.Popen([sys.executable, "-c", MEMBER, path], stdout=subprocess.PIPE)  # noqa: ASYNC220
        assert victim.stdout is not None
        await asyncio.to_thread(victim.stdout.readline)
        log = await open_log(f"sqlite:{path}")
        assert [(node.node, node.alive) for node in await log.nodes()] == [("victim", True)]
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.to_thread(victim.communicate)
        assert [(node.node, node.alive) for node in await log.nodes()] == [("victim", False)]
        await log.close()

    asyncio.run(main())


def test_a_log_whose_file_is_replaced_takes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def main() -> None:
        log = await open_log(f"sqlite:{path}")
        await log.put_setting("name", "first", expected=None)
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(LogUnreachable, match="removed or replaced"):
            await log.put_setting("name", "second", expected="first")
        (tmp_path / "elsewhere.db").rename(path)
        assert await log.put_setting("name", "second", expected="first")
        await log.close()

    asyncio.run(main())
