"""Runs under a lease: they start with one, end with it whoever is dead or stopped, and wait for what runs elsewhere."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hms.actors.host import Exited, HostCommand, Started, StartFailed
from hms.actors.host.process import SHIM
from hms.actors.host.runs import Run
from hms.actors.host.shim.lease import LEASE_OVER, Lease, boot_seconds
from hms.schemas.fleet import ComponentSpec

from .host_desk import SLEEP, Desk, alive, command, lines_of, run, shim_of, until

LEASE_S = 4.0
"""Long enough to start under it on a busy machine."""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    with open("beats", "a") as file:
        file.write("beat\\n")
    time.sleep(0.01)  # between the words by which a test sees that it lives
"""


def leased(incarnation: int = 1, *words: str, hold_ms: int = 0, folder: Path | None = None) -> HostCommand:
    """Return a command to start something under a lease."""
    spec = {} if folder is None else {"working_folder": str(folder)}
    plain = command("web", incarnation, *words, **spec)
    return plain.model_copy(update={"leased": True, "hold_ms": hold_ms})


def lease_of(seconds: float, grace_s: float = 0.2) -> Lease:
    """Return a lease that is over so many seconds from now."""
    end = boot_seconds() + seconds
    return Lease(end - grace_s, end)


async def started(desk: Desk, seconds: float, *words: str, folder: Path | None = None, grace_s: float = 0.2) -> Started:
    """Start web under a lease."""
    await desk.host.obey(leased(1, *words, folder=folder))
    desk.host.renew("web", 1, lease_of(seconds, grace_s))
    fact: Started = await desk.hear(Started)
    return fact


def test_nothing_is_started_before_the_lease_for_that_very_incarnation_is_there(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.host.obey(leased(2))
        await until(lambda: desk.host.leaseless)
        desk.host.renew("web", 1, lease_of(60))
        desk.host.renew("web", 2, lease_of(0))
        await until(lambda: desk.host.leaseless)
        assert not desk.heard(Started)
        assert desk.host.inventory().components[0].phase == "down"
        desk.host.renew("web", 2, lease_of(60))
        assert (await desk.hear(Started)).incarnation == 2
        assert not desk.host.leaseless

    run(tmp_path, work)


def test_it_is_asked_to_stop_in_time_and_that_counts_as_asked_for(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        pid = (await started(desk, LEASE_S + 60, grace_s=60)).pid
        ended: Exited = await desk.hear(Exited)
        assert (ended.signal, ended.expected, ended.fenced, ended.why) == ("TERM", True, True, LEASE_OVER)
        assert not alive(pid)

    run(tmp_path, work)


def test_a_lease_that_is_renewed_is_no_end(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        pid = (await started(desk, LEASE_S)).pid
        end = boot_seconds() + 1.2 * LEASE_S
        while boot_seconds() < end:
            desk.host.renew("web", 1, lease_of(LEASE_S))
            await asyncio.sleep(0.1)
        assert alive(pid)
        assert not desk.heard(Exited)
        await desk.hear(Exited)

    run(tmp_path, work)


def test_what_ignores_the_signal_is_killed_when_the_lease_is_over(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await started(desk, LEASE_S, sys.executable, "-c", STUBBORN, folder=tmp_path)
        ended: Exited = await desk.hear(Exited)
        assert (ended.signal, ended.fenced) == ("KILL", True)
        assert ended.why.startswith(f"{LEASE_OVER}; did not stop within")

    run(tmp_path, work)


def test_after_its_end_a_newer_incarnation_starts_under_a_new_lease(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await started(desk, LEASE_S)
        await desk.hear(Exited)
        await desk.host.obey(leased(2))
        desk.host.renew("web", 2, lease_of(60))
        assert (await desk.hear(Started, number=2)).incarnation == 2

    run(tmp_path, work)


def test_the_shim_ends_it_although_the_agent_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        first = Desk(tmp_path)
        await first.open()
        pid = (await started(first, LEASE_S)).pid
        await first.host.close()
        assert alive(pid)
        await until(lambda: not alive(pid))
        second = Desk(tmp_path)
        await second.open()
        ended: Exited = await second.hear(Exited)
        assert (ended.seen, ended.fenced, ended.expected) == ("adoption", True, True)
        await second.host.close()

    asyncio.run(main())


def test_the_next_agent_renews_what_it_took_over(tmp_path: Path) -> None:
    async def main() -> None:
        first = Desk(tmp_path)
        await first.open()
        pid = (await started(first, LEASE_S)).pid
        await first.host.close()
        second = Desk(tmp_path)
        await second.open()
        second.host.renew("web", 1, lease_of(60))
        end = boot_seconds() + 1.2 * LEASE_S
        await until(lambda: boot_seconds() > end)
        assert alive(pid)
        await second.host.kill_all()
        await second.host.close()

    asyncio.run(main())


def test_a_tree_that_was_stopped_past_its_lease_is_killed_before_it_runs_on(tmp_path: Path) -> None:
    async def main() -> None:
        first = Desk(tmp_path)
        await first.open()
        pid = (await started(first, LEASE_S, sys.executable, "-c", STUBBORN, folder=tmp_path)).pid
        end = boot_seconds() + LEASE_S + 0.1
        beats = tmp_path / "beats"
        await until(lambda: bool(lines_of(beats)))
        await first.host.close()
        shim = shim_of(pid)
        os.kill(pid, signal.SIGSTOP)
        shim.suspend()
        await until(lambda: boot_seconds() > end)
        before = len(lines_of(beats))
        shim.resume()
        await until(lambda: not alive(pid))
        assert len(lines_of(beats)) == before
        second = Desk(tmp_path)
        await second.open()
        ended: Exited = await second.hear(Exited)
        assert (ended.signal, ended.fenced) == ("KILL", True)
        await second.host.close()

    asyncio.run(main())


def test_a_shim_that_is_stopped_is_killed_and_its_component_with_it(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        pid = (await started(desk, LEASE_S)).pid
        shim = shim_of(pid)
        shim.suspend()
        await until(lambda: not alive(pid))
        assert (await desk.hear(Exited)).unknown
        assert not shim.is_running()

    run(tmp_path, work)


def test_a_start_is_held_for_as_long_as_another_host_may_run_it(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        begun = boot_seconds()
        await desk.host.obey(leased(1, hold_ms=700))
        desk.host.renew("web", 1, lease_of(60))
        assert desk.host.inventory().components[0].phase == "down"
        await desk.hear(Started)
        assert boot_seconds() - begun >= 0.7

    run(tmp_path, work)


def test_the_next_agent_holds_it_anew(tmp_path: Path) -> None:
    async def main() -> None:
        first = Desk(tmp_path)
        await first.open()
        await first.host.obey(leased(1, hold_ms=600))
        await first.host.close()
        begun = boot_seconds()
        second = Desk(tmp_path)
        await second.open()
        second.host.renew("web", 1, lease_of(60))
        await second.hear(Started)
        assert boot_seconds() - begun >= 0.6
        await second.host.kill_all()
        await second.host.close()

    asyncio.run(main())


def test_a_down_takes_a_held_start_back(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.host.obey(leased(1, hold_ms=3_500))
        desk.host.renew("web", 1, lease_of(60))
        await desk.host.obey(command("web", 1, desired="down"))
        end = boot_seconds() + 3.7
        await until(lambda: boot_seconds() > end)
        assert not desk.heard(Started)

    run(tmp_path, work)


def test_a_down_takes_a_start_back_that_waits_for_a_lease(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.host.obey(leased(1))
        await until(lambda: desk.host.leaseless)
        await desk.host.obey(command("web", 1, desired="down"))
        await until(lambda: not desk.host.leaseless)
        desk.host.renew("web", 1, lease_of(60))
        assert not desk.heard(Started)

    run(tmp_path, work)


@pytest.mark.parametrize("lease", [[], ["[0.0, 0.0]"]], ids=["none", "of another boot, or over"])
def test_a_shim_starts_nothing_without_a_lease(tmp_path: Path, lease: list[str]) -> None:
    spec = ComponentSpec(id="web", command=("touch", str(tmp_path / "made")))
    told = HostCommand(component="web", incarnation=1, desired="up", spec=spec, spec_hash="h", leased=True)
    made = Run.of(tmp_path / "web", 1, 0)
    made.folder.parent.mkdir()
    made.prepare(told)
    subprocess.run([sys.executable, "-I", "-S", str(SHIM), str(made.folder), *lease], check=True, timeout=60)
    ended: Any = made.exit()
    assert ended.failed == LEASE_OVER
    assert not (tmp_path / "made").exists()


def test_what_runs_without_a_lease_knows_of_none(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        pid = (await desk.up(*SLEEP)).pid
        desk.host.renew("web", 1, lease_of(0.3))
        end = boot_seconds() + 0.5
        await until(lambda: boot_seconds() > end)
        assert alive(pid)
        assert not desk.heard(StartFailed)

    run(tmp_path, work)


def test_a_machine_that_comes_with_an_empty_folder_is_not_taken_for_an_earlier_one(tmp_path: Path) -> None:
    async def main() -> None:
        sessions = []
        for state in (tmp_path / "old", tmp_path / "old", tmp_path / "new"):
            desk = Desk(state)
            await desk.open()
            sessions.append(desk.host.inventory().session)
            await desk.host.close()
            end = boot_seconds() + 1.1
            await until(lambda: boot_seconds() > end)  # noqa: B023 - awaited before the next round
        assert sessions == sorted(set(sessions))

    asyncio.run(main())
