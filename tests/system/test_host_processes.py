"""Real processes on this machine: started, watched, stopped, left alone by a killed agent and adopted by the next."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from hms.actors.host import (
    BecameReady,
    Exited,
    Fact,
    Host,
    HostBusy,
    HostCommand,
    LimitExceeded,
    LivenessFailed,
    RestartBudget,
    Started,
    StartFailed,
    start_ticks,
)
from hms.schemas.fleet import ComponentSpec

SLEEP = ("sleep", "300")


def command(
    component: str, incarnation: int, *words: str, desired: str = "up", count: int = 0, **spec: Any
) -> HostCommand:
    return HostCommand.model_validate(
        {
            "component": component,
            "incarnation": incarnation,
            "desired": desired,
            "spec": ComponentSpec.model_validate({"id": component, "command": words or SLEEP, **spec}),
            "spec_hash": "h",
            "budget": RestartBudget(count=count),
        }
    )


class Desk:
    """An agent and all that it told."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.facts: list[Fact] = []
        self.host: Host

    async def open(self) -> None:
        self.host = await Host.open("shop", self.facts.append, state=self.state, sample_ms=50)

    def heard(self, kind: type[Any], component: str = "web") -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind) and fact.component == component]

    async def hear(self, kind: type[Any], component: str = "web", number: int = 1) -> Any:
        await until(lambda: len(self.heard(kind, component)) >= number)
        return self.heard(kind, component)[number - 1]

    async def up(self, *words: str, incarnation: int = 1, **spec: Any) -> Started:
        assert await self.host.obey(command("web", incarnation, *words, **spec))
        await until(lambda: any(fact.incarnation == incarnation for fact in self.heard(Started)))
        started = self.heard(Started)[-1]
        assert isinstance(started, Started)
        return started

    def run_folder(self, run: str = "1.0") -> Path:
        return self.state / "fleets/shop/components/web" / run


@contextlib.asynccontextmanager
async def desk(state: Path) -> AsyncIterator[Desk]:
    made = Desk(state)
    await made.open()
    try:
        yield made
    finally:
        await made.host.kill_all()
        await made.host.close()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0.01)


def run(state: Path, work: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with desk(state) as made:
            await work(made)

    asyncio.run(main())


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def shim_of(pid: int) -> psutil.Process:
    parent = psutil.Process(pid).parent()
    assert parent is not None
    return parent


def lines_of(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_component_runs_in_a_session_of_its_own_and_its_exit_code_and_last_lines_are_told(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        started = await desk.up(
            "sh", "-c", "echo hello; echo $HMS_COMPONENT $COLOUR >&2; exit 7", environment={"COLOUR": "red"}
        )
        exited = await desk.hear(Exited)
        assert (exited.code, exited.signal, exited.expected, exited.seen) == (7, None, False, "live")
        assert exited.last_output == ("hello", "web red")
        assert desk.host.output("web").read_text() == "hello\nweb red\n"
        assert started.start_ticks > 0
        assert [fact.sequence for fact in desk.facts] == list(range(1, len(desk.facts) + 1))
        assert desk.host.inventory().components[0].phase == "exited"

    run(tmp_path, work)


def test_only_newer_commands_are_executed(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        started = await desk.up(incarnation=5)
        assert not await desk.host.obey(command("web", 5))
        assert not await desk.host.obey(command("web", 4, desired="down"))
        assert alive(started.pid)
        assert await desk.host.obey(command("web", 5, desired="down"))
        exited = await desk.hear(Exited)
        assert (exited.signal, exited.expected) == ("TERM", True)
        assert not await desk.host.obey(command("web", 5))

    run(tmp_path, work)


def test_a_new_incarnation_begins_when_nothing_of_the_old_one_is_left(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        first = await desk.up("sh", "-c", "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done")
        second = await desk.up(incarnation=2)
        exited = desk.heard(Exited)[0]
        assert (exited.incarnation, exited.code, exited.expected) == (1, 0, True)
        assert exited.sequence < second.sequence
        assert not alive(first.pid)
        assert alive(second.pid)

    run(tmp_path, work)


def test_a_grandchild_in_another_session_is_gone_before_the_exit_is_told(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        note = tmp_path / "grandchild"
        fled = f"setsid sh -c 'echo $$ > {note}; trap \"\" TERM; while :; do sleep 1; done'"
        script = f"{fled} & while [ ! -s {note} ]; do sleep 0.01; done"
        await desk.up("sh", "-c", script)
        await desk.hear(Exited)
        assert not alive(int(note.read_text()))

    run(tmp_path, work)


def test_what_ignores_the_signal_is_killed_after_the_grace_descendants_included(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        note = tmp_path / "pids"
        stubborn = f"trap '' TERM; echo $$ >> {note}; while :; do sleep 0.1; done"
        await desk.up(
            "sh",
            "-c",
            f'(setsid sh -c "{stubborn.replace("$$", chr(92) + "$" + chr(92) + "$")}" &) ; {stubborn}',
            stop={"grace_ms": 300},
        )
        await until(lambda: len(lines_of(note)) == 2)
        assert await desk.host.obey(command("web", 1, desired="down", stop={"grace_ms": 300}))
        exited = await desk.hear(Exited)
        assert (exited.signal, exited.expected) == ("KILL", True)
        assert exited.ran_ms >= 300
        assert not any(alive(int(pid)) for pid in lines_of(note))

    run(tmp_path, work)


def test_a_killed_agent_leaves_its_components_running_and_the_next_one_adopts_them(tmp_path: Path) -> None:
    killed = agent_that_is_killed(tmp_path, "sh", "-c", "while :; do echo still here; sleep 0.05; done")

    async def work(desk: Desk) -> None:
        state = desk.host.inventory().components[0]
        assert (state.phase, state.pid, state.start_ticks) == ("running", killed, start_ticks(killed))
        size = desk.host.output("web").stat().st_size
        await until(lambda: desk.host.output("web").stat().st_size > size)
        assert await desk.host.obey(command("web", 1, desired="down"))
        assert (await desk.hear(Exited)).expected
        assert not alive(killed)

    run(tmp_path, work)


def test_an_exit_code_is_kept_while_no_agent_runs(tmp_path: Path) -> None:
    door = tmp_path / "go"
    killed = agent_that_is_killed(
        tmp_path, "sh", "-c", f"while [ ! -e {door} ]; do sleep 0.02; done; echo farewell; exit 23"
    )
    shim = shim_of(killed)
    door.touch()
    shim.wait(timeout=10)  # nobody watches: it goes by itself

    async def work(desk: Desk) -> None:
        exited = await desk.hear(Exited)
        assert (exited.code, exited.seen, exited.last_output) == (23, "adoption", ("farewell",))
        assert not exited.expected
        desk.host.delivered(exited)
        await desk.host.close()
        desk.facts.clear()
        await desk.open()
        assert desk.facts == []
        assert desk.host.inventory().components[0].code == 23

    run(tmp_path, work)


def test_facts_told_by_two_agents_have_the_same_id(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        started = await desk.up()
        await desk.host.close()
        await desk.open()
        again = await desk.hear(Started, number=2)
        assert started.id == again.id
        assert (started.session, again.session) == (1, 2)
        ready = [await desk.hear(BecameReady, number=number) for number in (1, 2)]
        assert ready[0].id != ready[1].id

    run(tmp_path, work)


def test_a_command_that_was_journalled_and_not_begun_is_begun_by_the_next_agent(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.up()
        await desk.host.kill_all()
        await desk.host.close()
        journal = desk.state / "fleets/shop/components/web/journal.json"
        journal.write_text(journal.read_text().replace('"incarnation": 1', '"incarnation": 2'))
        await desk.open()
        await until(lambda: any(fact.incarnation == 2 for fact in desk.heard(Started)))

    run(tmp_path, work)


def test_a_stopped_component_is_found_not_alive_and_can_be_stopped(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        probes = {"liveness": {"process": True, "period_ms": 30, "failure_threshold": 2}}
        started = await desk.up("sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done", probes=probes)
        os.kill(started.pid, signal.SIGSTOP)
        failed = await desk.hear(LivenessFailed)
        assert failed.reason == f"process {started.pid} is stopped (state T): it needs a CONT"
        assert not desk.host.inventory().components[0].alive
        assert await desk.host.obey(command("web", 1, desired="down"))
        assert (await desk.hear(Exited)).code == 9  # it heard the TERM, because it was continued

    run(tmp_path, work)


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    # A main thread that ended while another goes on: the process shows as Z, and nobody can reap it.
    source = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
        "ctypes.CDLL(None).pthread_exit(None)"
    )

    async def work(desk: Desk) -> None:
        probes = {"liveness": {"process": True, "period_ms": 30, "failure_threshold": 1}}
        started = await desk.up(sys.executable, "-c", source, probes=probes)
        failed = await desk.hear(LivenessFailed)
        assert failed.reason == f"process {started.pid} is a zombie (state Z)"
        await desk.host.kill_all()
        assert (await desk.hear(Exited)).signal == "KILL"

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"command": ["no-such-command"]}, "command 'no-such-command': not found in PATH "),
        ({"command": ["/etc/passwd"]}, "command '/etc/passwd': Permission denied"),
        ({"command": ["/nowhere/at/all"]}, "command '/nowhere/at/all': No such file or directory"),
        (
            {"command": ["./orphan"]},
            "command './orphan': exists, but the interpreter that its first line names does not",
        ),
        (
            {"command": ["true"], "working_folder": "/no/such/folder"},
            "working folder '/no/such/folder': No such file or directory",
        ),
        ({"command": ["true"], "user": "nobody-here"}, "user 'nobody-here': there is no such user on this host"),
        ({"command": ["true"], "open_files": 10**9}, f"open_files {10**9}: this user may have at most "),
    ],
)
def test_a_command_that_cannot_be_executed_is_a_failed_start_with_its_reason(
    tmp_path: Path, spec: dict[str, Any], reason: str
) -> None:
    orphan = tmp_path / "orphan"
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)

    async def work(desk: Desk) -> None:
        assert await desk.host.obey(command("web", 1, *spec["command"], **{"working_folder": str(tmp_path), **spec}))
        failed = await desk.hear(StartFailed)
        assert failed.reason.startswith(reason)
        assert desk.heard(Started) == desk.heard(Exited) == []
        assert desk.host.inventory().components[0].phase == "start_failed"

    run(tmp_path / "state", work)


def test_umask_and_open_files_are_the_components_own(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.up("sh", "-c", "umask; ulimit -n; pwd", umask="027", open_files=64, working_folder=str(tmp_path))
        assert (await desk.hear(Exited)).last_output == ("0027", "64", str(tmp_path))

    run(tmp_path, work)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_component_may_run_as_another_user_who_can_still_open_its_stdout(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.up(
            "sh", "-c", "id -un; echo $HOME $USER; echo again > /dev/stdout", user="nobody", working_folder="/"
        )
        lines = (await desk.hear(Exited)).last_output
        assert (lines[0], lines[1].split()[1], lines[2]) == ("nobody", "nobody", "again")

    run(tmp_path, work)


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


def agent_that_is_killed(state: Path, *words: str) -> int:
    """Run an agent in a process of its own, let it start `words` as web, kill it; return the component's pid."""
    source = textwrap.dedent(f"""
        import asyncio, sys
        from hms.actors.host import Host, HostCommand, Started
        from hms.schemas.fleet import ComponentSpec
        def tell(fact):
            if isinstance(fact, Started):
                print(fact.pid, flush=True)
        async def main():
            host = await Host.open("shop", tell, state={str(state)!r})
            spec = ComponentSpec(id="web", command={words!r})
            await host.obey(HostCommand(component="web", incarnation=1, desired="up", spec=spec, spec_hash="h"))
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        pid = int(agent.stdout.readline())
        agent.kill()
    assert alive(pid)
    return pid
