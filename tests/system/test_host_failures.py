"""The host layer over real processes when something goes wrong: floods, kills, reboots, hangs, a log that is away."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from hms.actors.host import (
    Exited,
    Host,
    HostBusy,
    LimitExceeded,
    Started,
)

from .host_desk import SLEEP, Desk, agent_that_is_killed, alive, command, lines_of, run, shim_of, until


def test_a_flood_of_output_never_blocks_and_is_rotated(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        flood = "import sys\nfor _ in range(80): sys.stdout.write(('x' * 99 + '\\n') * 1000)\nprint('the end')"
        await desk.up(sys.executable, "-c", flood, output={"max_mb": 1, "keep": 2})
        exited = await desk.hear(Exited)
        assert (exited.code, exited.last_output[-1]) == (0, "the end")
        files = sorted(path.name for path in desk.run_folder().parent.glob("output.log*"))
        assert files == ["output.log", "output.log.1", "output.log.2"]
        assert all(path.stat().st_size < 1_150_000 for path in desk.run_folder().parent.glob("output.log*"))

    run(tmp_path, work)


def test_a_killed_shim_takes_its_whole_tree_with_it_and_the_exit_is_unknown(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        note = tmp_path / "grandchild"
        started = await desk.up("sh", "-c", f"setsid sh -c 'echo $$ > {note}; sleep 300; :' & sleep 300; :")
        await until(lambda: bool(lines_of(note)))
        shim_of(started.pid).kill()
        exited = await desk.hear(Exited)
        assert (exited.unknown, exited.code, exited.signal, exited.expected) == (True, None, None, False)
        assert not alive(started.pid)
        assert not alive(int(note.read_text()))

    run(tmp_path, work)


def test_a_shim_that_was_killed_while_no_agent_ran_is_found_unknown(tmp_path: Path) -> None:
    killed = agent_that_is_killed(tmp_path, *SLEEP)
    shim_of(killed).kill()

    async def work(desk: Desk) -> None:
        exited = await desk.hear(Exited)
        assert (exited.unknown, exited.seen) == (True, "adoption")
        assert not alive(killed)

    run(tmp_path, work)


def test_what_ran_before_a_reboot_is_unknown_and_not_started_again(tmp_path: Path) -> None:
    killed = agent_that_is_killed(tmp_path, *SLEEP)
    running = tmp_path / "fleets/shop/components/web/1.0/running.json"
    shim_of(killed).kill()
    running.write_text(running.read_text().replace('"boot_id": "', '"boot_id": "another-'))

    async def work(desk: Desk) -> None:
        exited = await desk.hear(Exited)
        assert (exited.unknown, exited.seen, exited.expected) == (True, "reboot", False)
        assert desk.host.inventory().components[0].phase == "exited"

    run(tmp_path, work)


def test_a_second_agent_is_refused_and_told_who_holds_the_fleet(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        with pytest.raises(HostBusy, match=f"fleet 'shop': process {os.getpid()} already supervises it"):
            await Host.open("shop", desk.facts.append, state=tmp_path)
        other = await Host.open("another", desk.facts.append, state=tmp_path)
        assert other.id == desk.host.id
        await other.close()

    run(tmp_path, work)


def test_twenty_components_start_and_stop_side_by_side(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(20)]

    async def work(desk: Desk) -> None:
        assert all(await asyncio.gather(*(desk.host.obey(command(name, 1)) for name in names)))
        pids = [(await desk.hear(Started, name)).pid for name in names]
        await until(lambda: len(desk.host.samples()) == len(names))
        await desk.host.stop_in_waves([names[:10], names[10:]])
        assert not any(alive(pid) for pid in pids)
        ends = [desk.heard(Exited, name)[0] for name in names]
        assert all(end.expected and end.signal == "TERM" for end in ends)
        assert max(end.sequence for end in ends[:10]) < min(end.sequence for end in ends[10:])

    run(tmp_path, work)


def test_a_limit_is_told_after_three_samples_with_what_the_whole_tree_uses(tmp_path: Path) -> None:
    hoard = "x = bytearray(60_000_000); input()"
    source = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '{hoard}'], stdin=subprocess.PIPE).wait()"
    )

    async def work(desk: Desk) -> None:
        await desk.up(sys.executable, "-c", source, limits={"rss_mb": 50, "open_files": 1000})
        exceeded = await desk.hear(LimitExceeded)
        assert (exceeded.what, exceeded.limit) == ("rss_mb", 50)
        assert exceeded.value > 60
        sample = desk.host.samples()["web"]
        assert (sample.processes, sample.threads) == (2, 2)
        assert sample.descriptors >= 6

    run(tmp_path, work)


def test_while_the_log_is_away_the_host_restarts_within_its_budget_and_no_further(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        desk.host.log_away()
        backoff = {"first_ms": 1, "jitter": 0}
        assert await desk.host.obey(command("web", 1, "sh", "-c", "exit 4", count=2, backoff=backoff))
        await desk.hear(Exited, number=3)
        assert [(fact.attempt, fact.restarting) for fact in desk.heard(Exited)] == [(0, True), (1, True), (2, False)]
        assert [fact.attempt for fact in desk.heard(Started)] == [0, 1, 2]
        assert len({fact.id for fact in desk.facts}) == len(desk.facts)

    run(tmp_path, work)


def test_an_exit_told_just_before_the_log_went_away_is_healed_here(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        go = tmp_path / "go"
        assert await desk.host.obey(command("web", 1, "sh", "-c", f"[ -e {go} ] && exec sleep 300; exit 1", count=1))
        first = await desk.hear(Exited)
        go.touch()
        desk.host.log_away()
        again = await desk.hear(Exited, number=2)
        assert (first.id, first.restarting, again.restarting) == (again.id, False, True)
        assert (await desk.hear(Started, number=2)).attempt == 1

    run(tmp_path, work)


def test_a_stopped_component_is_healed_here_while_the_log_is_away(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        desk.host.log_away()
        probes = {"liveness": {"process": True, "period_ms": 30, "failure_threshold": 1}}
        assert await desk.host.obey(command("web", 1, count=1, probes=probes, backoff={"first_ms": 1}))
        os.kill((await desk.hear(Started)).pid, signal.SIGSTOP)
        healed = await desk.hear(Started, number=2)
        assert (desk.heard(Exited)[0].expected, desk.heard(Exited)[0].restarting) == (False, True)
        assert alive(healed.pid)
        await desk.host.stop("web")
        assert desk.heard(Exited)[1].expected

    run(tmp_path, work)


def test_a_forgotten_component_leaves_its_journal_against_old_commands(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        started = await desk.up(incarnation=3)
        await desk.host.forget("web")
        assert not alive(started.pid)
        assert [path.name for path in desk.run_folder().parent.iterdir()] == ["journal.json"]
        assert not await desk.host.obey(command("web", 2))

    run(tmp_path, work)


def test_a_shim_that_hangs_is_killed_when_it_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hms.actors.host.process.SHIM_SLACK_S", 0.2)

    async def work(desk: Desk) -> None:
        started = await desk.up(stop={"grace_ms": 10})
        shim_of(started.pid).suspend()
        await desk.host.stop("web")
        assert desk.heard(Exited)[0].unknown
        assert not alive(started.pid)

    run(tmp_path, work)
