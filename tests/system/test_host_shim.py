"""The shim as a program of its own, and runs that stand in unusual ways in their folder."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from hms.actors.host import Fact, Host, HostCommand, Started, StartFailed
from hms.actors.host import process as process_module
from hms.actors.host.host_id import host_id, state_folder
from hms.actors.host.journal import Journal
from hms.actors.host.process import SHIM, Process
from hms.actors.host.runs import Run, RunState, launch_plan
from hms.actors.host.shim.output import Output
from hms.schemas.fleet import ComponentSpec


def command(incarnation: int, *words: str) -> HostCommand:
    spec = ComponentSpec(id="web", command=words)
    return HostCommand(component="web", incarnation=incarnation, desired="up", spec=spec, spec_hash="h")


def shim(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-I", "-S", str(SHIM), str(folder)])


def prepared(component: Path, *words: str) -> Run:
    run = Run.of(component, 1, 0)
    component.mkdir(parents=True)
    run.prepare(command(1, *words))
    return run


def ending(run: Run) -> Any:
    found = run.exit()
    assert found is not None
    return found


def said(folder: Path, *requests: str) -> list[dict[str, Any]]:
    """Send lines to the shim's door; return the greeting and the answers."""
    descriptor = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as door:
        while door.connect_ex(f"/proc/self/fd/{descriptor}/door") != 0:
            assert not (folder / "exit.json").exists()
        os.close(descriptor)
        door.sendall("".join(request + "\n" for request in requests).encode())
        lines = door.makefile()
        return [json.loads(lines.readline()) for _ in range(len(requests) + 1)]


def test_a_run_is_prepared_then_running_then_exited_and_never_runs_again(tmp_path: Path) -> None:
    run = prepared(tmp_path / "web", "sh", "-c", "echo once; exit 5")
    assert run.state() is RunState.PREPARED
    for _ in range(2):
        with shim(run.folder) as process:
            assert process.wait(60) == 0
        assert run.state() is RunState.EXITED
        assert ending(run).code == 5
    assert (tmp_path / "web/output.log").read_text() == "once\n"


def test_a_second_shim_leaves_the_run_to_the_first(tmp_path: Path) -> None:
    run = prepared(tmp_path / "web", "sleep", "300")
    with shim(run.folder) as first:
        (greeting,) = said(run.folder)
        assert run.state() is RunState.RUNNING
        with shim(run.folder) as second:
            assert second.wait(60) == 0
        assert said(run.folder)[0] == greeting
        said(run.folder, '{"ask": "kill"}')
        first.wait(60)
    assert (ending(run).signal, ending(run).stopped) == ("KILL", True)


def test_a_shim_that_is_told_to_end_stops_its_component_in_the_components_own_way(tmp_path: Path) -> None:
    run = prepared(tmp_path / "web", "sh", "-c", "trap 'exit 8' TERM; echo up; while :; do sleep 0.05; done")
    with shim(run.folder) as process:
        said(run.folder)
        while "up" not in (tmp_path / "web/output.log").read_text():
            pass
        process.terminate()
        process.wait(60)
    assert (ending(run).code, ending(run).stopped) == (8, True)


def test_a_request_that_is_not_understood_is_answered_and_harms_nothing(tmp_path: Path) -> None:
    run = prepared(tmp_path / "web", "sleep", "300")
    with shim(run.folder) as process:
        answers = said(
            run.folder, "nonsense", '{"ask": "dance"}', '{"ask": "stop", "signal": "NO", "grace_ms": 1}', "[]"
        )[1:]
        assert all("error" in answer for answer in answers)
        assert answers[1] == {"error": "expected status, stop, kill, lease or acknowledge, got 'dance'"}
        assert "status" in said(run.folder, '{"ask": "status"}')[1]
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert ending(run).signal == "TERM"


def test_a_full_disk_costs_output_and_nothing_else() -> None:
    source, sink = os.pipe()
    output = Output(source, "/dev/full", 1000, 1)
    os.write(sink, b"one\ntwo\n")
    os.close(sink)
    assert output.drain()
    assert not output.drain()
    assert (output.lines(), output.dropped_bytes) == (("one", "two"), 8)
    os.close(source)


def test_a_state_folder_deeper_than_a_sockets_name_may_be_long_will_do(tmp_path: Path) -> None:

    async def main() -> None:
        facts: asyncio.Queue[Fact] = asyncio.Queue()
        host = await Host.open("shop", facts.put_nowait, state=tmp_path / ("deep" * 20) / ("deeper" * 20))
        await host.obey(command(1, "sleep", "300"))
        assert isinstance(await asyncio.wait_for(facts.get(), 60), Started)
        await host.kill_all()
        await host.close()

    asyncio.run(main())


async def two_beside_each_other(components: Path) -> list[int]:
    """Bring about what no agent does: two runs of one component; return their pids."""
    pids = []
    for incarnation in (1, 2):
        process = await Process.start(Run.of(components / "web", incarnation, 0), command(incarnation, "sleep", "300"))
        assert process.identity is not None
        pids.append(process.identity.pid)
        await process.detach()
    return pids


@pytest.mark.parametrize("journalled", [True, False])
def test_of_two_runs_found_beside_each_other_the_older_is_killed_and_without_a_journal_both(
    tmp_path: Path, *, journalled: bool
) -> None:
    components = tmp_path / "fleets/shop/components"
    (components / "web").mkdir(parents=True)

    async def main() -> None:
        older, newer = await two_beside_each_other(components)
        if journalled:
            assert Journal(components / "web").accept(command(2, "sleep", "300"))
        host = await Host.open("shop", lambda _: None, state=tmp_path)
        assert not psutil.pid_exists(older)
        assert psutil.pid_exists(newer) is journalled
        await host.kill_all()
        await host.close()
        assert not psutil.pid_exists(newer)

    asyncio.run(main())


def test_a_shim_that_cannot_start_is_a_failed_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(1)")
    monkeypatch.setattr(process_module, "SHIM", broken)

    async def main() -> Fact:
        facts: asyncio.Queue[Fact] = asyncio.Queue()
        host = await Host.open("shop", facts.put_nowait, state=tmp_path)
        await host.obey(command(1, "sleep", "300"))
        failed = await asyncio.wait_for(facts.get(), 60)
        await host.close()
        return failed

    failed = asyncio.run(main())
    assert isinstance(failed, StartFailed)
    assert "the shim ended 5 times without a word: see `shim.err` there" in failed.reason


def test_a_broken_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.json").write_text("{}")
    with pytest.raises(ValueError, match=f"{tmp_path}/journal.json: expected a journal as this version writes it"):
        Journal(tmp_path)


def test_a_host_keeps_its_id_and_the_state_folder_follows_the_xdg_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host_id(tmp_path / "a") == host_id(tmp_path / "a") != host_id(tmp_path / "b")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "hms"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    assert state_folder() == Path.home() / ".local/state/hms"
    assert state_folder(tmp_path / "given") == tmp_path / "given"


def test_secrets_of_the_environment_are_for_the_owner_only_and_gone_once_used(tmp_path: Path) -> None:
    run = prepared(tmp_path / "web", "true")
    assert (run.folder / "launch.json").stat().st_mode & 0o077 == 0
    assert launch_plan(command(1, "true"), run.folder)["command"] == ["true"]
    with shim(run.folder) as process:
        process.wait(60)
    assert not (run.folder / "launch.json").exists()
