"""The host layer over real processes: starting, stopping, adopting, what a component is given."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from hms.actors.host import (
    BecameReady,
    Exited,
    LivenessFailed,
    Started,
    StartFailed,
    start_ticks,
)

from .host_desk import Desk, agent_that_is_killed, alive, command, lines_of, run, shim_of, until


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
        first = await desk.up("sh", "-c", "trap 'sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        await until(lambda: "up" in lines_of(desk.host.output("web")))
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
    shim.wait(timeout=60)  # nobody watches: it goes by itself

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
        assert again.session > started.session
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
        started = await desk.up("sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done", probes=probes)
        await until(lambda: "up" in lines_of(desk.host.output("web")))
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
        ({"command": ["no-such-command"]}, "'no-such-command' not found on PATH"),
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
