"""`hms up` from its start to its end: adopted, changed, stopped in order, with the log and without it."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

QUICK = {"backoff": {"first_ms": 100, "max_ms": 500, "jitter": 0}}
CHAIN = {
    "store": {},
    "api": {"depends_on": {"store": "ready"}},
    "web": {"depends_on": {"api": "ready"}},
}


def chain() -> dict[str, dict[str, Any]]:
    return {name: {**more, **QUICK} for name, more in CHAIN.items()}


def in_reverse_order(shop: Any) -> bool:
    return bool(shop.entries("stop") == ["web", "api", "store"])


def test_killing_hms_up_leaves_the_components_running_and_the_next_one_adopts_them(shop: Any) -> None:
    shop.write(chain())
    shop.up()
    before = shop.pids("store", "api", "web")
    shop.end(signal.SIGKILL)
    assert all(psutil.pid_exists(pid) for pid in before.values())
    shop.up()
    shop.until(lambda: "took over 3 running: api, store, web" in shop.complaints())
    os.kill(before["web"], signal.SIGKILL)
    assert shop.wait("ComponentExited", "web")["exit"]["incarnation"] == 1
    assert shop.wait("ComponentStarted", "web")["incarnation"] == 2
    assert not shop.events("ComponentStarted", "store") + shop.events("ComponentStarted", "api")
    assert psutil.pid_exists(before["store"])
    assert psutil.pid_exists(before["api"])
    assert shop.end() == 0
    assert shop.is_gone()


def test_what_died_while_nobody_supervised_is_found_and_restarted_without_being_counted(shop: Any) -> None:
    shop.write({"web": {"group": "front", **QUICK}}, [{"id": "front", "max_restarts": 0}])
    shop.up()
    before = shop.pids("web")["web"]
    shop.end(signal.SIGKILL)
    os.kill(before, signal.SIGKILL)
    shop.up()
    exited = shop.wait("ComponentExited", "web")["exit"]
    assert (exited["signal"], exited["counted"]) == ("KILL", False)
    assert shop.wait("ComponentStarted", "web")["pid"] != before
    assert shop.end() == 0


def test_after_a_reboot_everything_is_started_again_and_nothing_is_counted(shop: Any) -> None:
    shop.write({name: {"group": "all", **QUICK} for name in "ab"}, [{"id": "all", "max_restarts": 0}])
    shop.up()
    before = shop.pids("a", "b")
    shop.end(signal.SIGKILL)
    for pid in before.values():
        shim = psutil.Process(pid).parent()
        assert shim is not None
        shim.kill()
    for running in (shop.folder / "state").rglob("running.json"):
        running.write_text(running.read_text().replace('"boot_id": "', '"boot_id": "another-'))
    shop.up()
    for name in "ab":
        assert not shop.wait("ComponentExited", name)["exit"]["counted"]
        assert shop.wait("ComponentStarted", name)["pid"] != before[name]
    assert not shop.events("GroupGaveUp")
    assert shop.end() == 0


def test_a_changed_file_and_hup_apply_the_difference_only(shop: Any, is_alive: Callable[[int], bool]) -> None:
    shop.write({"stays": {**QUICK}, "changes": {**QUICK}, "goes": {**QUICK}})
    up = shop.up()
    before = shop.pids("stays", "changes", "goes")
    shop.write({"stays": {**QUICK}, "changes": {"environment": {"COLOUR": "red"}, **QUICK}, "comes": {**QUICK}})
    planned = shop.hms("up", "-f", str(shop.file), "--plan")
    assert "+ comes\n- goes\n~ changes: environment (restart)\n" in planned.stdout
    up.send_signal(signal.SIGHUP)
    assert shop.wait("ComponentStarted", "changes", 2)["pid"] != before["changes"]
    shop.wait("ComponentStarted", "comes")
    shop.wait("ComponentRemoved", "goes")
    assert not is_alive(before["goes"])
    assert len(shop.events("ComponentStarted", "stays")) == 1
    assert shop.hms("up", "-f", str(shop.file), "--plan").stdout == "shop: no difference\n"
    shop.file.write_text("fleet: shop\ncomponents:\n  - {id: x, command: []}\n")
    up.send_signal(signal.SIGHUP)
    shop.until(lambda: "fleet.yaml:3:" in shop.complaints())
    assert is_alive(before["stays"])
    assert shop.end() == 0


def test_ctrl_c_stops_in_reverse_order_of_dependency(shop: Any) -> None:
    shop.write(chain())
    shop.up()
    shop.pids("store", "api", "web")
    assert shop.entries("start") == ["store", "api", "web"]
    assert shop.end(signal.SIGINT) == 0
    assert in_reverse_order(shop)
    assert shop.is_gone()
    assert shop.events("FleetStopped")


def test_what_ignores_the_signal_is_killed_after_its_grace(shop: Any) -> None:
    shop.write({"deaf": {"manner": "stubborn", "stop": {"grace_ms": 300}}})
    shop.up()
    shop.pids("deaf")
    assert shop.end() == 0
    end = shop.events("ComponentExited", "deaf")[-1]["exit"]
    assert (end["signal"], end["reason"]) == ("KILL", "did not stop within 300 ms of TERM: killed")
    assert shop.is_gone()


def test_what_does_not_stop_within_the_stop_timeout_is_killed(shop: Any) -> None:
    shop.write({"deaf": {"manner": "stubborn", "stop": {"grace_ms": 60_000}}})
    shop.up("--stop-timeout", "0.5")
    shop.pids("deaf")
    begun = time.monotonic()
    assert shop.end() == 0
    assert time.monotonic() - begun < 40
    assert shop.is_gone()


def test_a_second_ctrl_c_kills(shop: Any) -> None:
    shop.write({"deaf": {"manner": "stubborn", "stop": {"grace_ms": 60_000}}})
    up = shop.up()
    shop.pids("deaf")
    up.send_signal(signal.SIGINT)
    shop.wait("ComponentStopRequested", "deaf")
    assert shop.end(signal.SIGINT) == 0
    assert shop.is_gone()


def test_a_second_hms_up_is_refused_and_told_who_supervises(shop: Any) -> None:
    shop.write({"web": {}})
    first = shop.up()
    shop.pids("web")
    second = shop.hms("up", "-f", str(shop.file))
    assert second.returncode == 1
    assert f"process {first.pid} already supervises it" in second.stderr
    assert shop.end() == 0


def test_every_mistake_of_the_file_is_named_and_nothing_is_started(shop: Any) -> None:
    shop.file.write_text("fleet: shop\ncomponents:\n  - {id: web, command: sleep}\n  - {id: web, comand: [sleep]}\n")
    refused = shop.hms("up", "-f", str(shop.file))
    assert refused.returncode == 2
    assert "fleet.yaml:3:" in refused.stderr
    assert "fleet.yaml:4:" in refused.stderr
    assert not (shop.folder / "state").exists()
    assert not (shop.folder / "log.db").exists()


def test_a_log_that_holds_another_fleet_is_refused(shop: Any) -> None:
    shop.write({"web": {}})
    shop.up()
    shop.pids("web")
    assert shop.end() == 0
    shop.file.write_text(shop.file.read_text().replace('"fleet": "shop"', '"fleet": "bazaar"'))
    for more in ((), ("--plan",)):
        refused = shop.hms("up", "-f", str(shop.file), *more)
        assert refused.returncode == 1
        assert "holds the fleet 'shop', expected 'bazaar'" in refused.stderr
    assert [path.name for path in (shop.folder / "state/hms/fleets").iterdir()] == ["shop"]


def test_a_locked_log_does_not_keep_the_components_from_being_stopped_in_order(shop: Any) -> None:
    shop.write(chain())
    shop.up()
    shop.pids("store", "api", "web")
    with shop.log_locked():
        begun = time.monotonic()
        shop.started[-1].send_signal(signal.SIGINT)
        shop.until(lambda: not any(process.pid for process in shop.processes()), what="the end of the components")
        assert time.monotonic() - begun < 10  # so long the log itself is waited for
        assert in_reverse_order(shop)
        assert shop.started[-1].wait(60) == 0
    shop.up()
    started = shop.wait("ComponentStarted", "web")
    assert started["incarnation"] > 1
    assert not shop.events("RestartCounted")
    assert shop.end() == 0


def test_while_the_log_is_away_the_host_restarts_and_reports_later(shop: Any) -> None:
    shop.write({"web": {**QUICK}})
    shop.up()
    before = shop.pids("web")["web"]
    with shop.log_locked():
        shop.until(lambda: "log_away" in shop.complaints(), what="the agent's word that the log is away")
        os.kill(before, signal.SIGKILL)
        shop.until(lambda: shop.entries("start") == ["web", "web"], what="the host's own restart")
        word = "hms: web ended: signal KILL; the log is away, so this host restarts it"
        shop.until(lambda: word in shop.complaints(), what="its word")
    shop.until(lambda: "log_back" in shop.complaints())
    exited = shop.wait("ComponentExited", "web")["exit"]
    assert exited["restarting"]
    again = shop.wait("ComponentStarted", "web", 2)
    assert (again["incarnation"], again["attempt"]) == (1, 1)
    assert shop.end() == 0
    assert shop.entries("start") == ["web", "web"]


def test_a_log_that_was_moved_away_does_not_keep_the_components_from_being_stopped(shop: Any) -> None:
    shop.write(chain())
    shop.up()
    shop.pids("store", "api", "web")
    for path in shop.folder.glob("log.db*"):
        path.rename(path.with_name(f"old-{path.name}"))
    sqlite3.connect(shop.folder / "log.db").close()
    assert shop.end() in {0, 1}
    assert in_reverse_order(shop)
    assert shop.is_gone()


def test_a_stop_without_the_log_is_expected_and_uncounted_when_the_log_is_back(shop: Any) -> None:
    shop.write({"web": {**QUICK}})
    shop.up()
    shop.pids("web")
    kept = shop.folder / "kept"
    kept.mkdir()
    for path in shop.folder.glob("log.db*"):
        path.rename(kept / path.name)
    assert shop.end() == 0
    assert shop.is_gone()
    for path in shop.folder.glob("log.db*"):
        path.unlink()
    for path in kept.iterdir():
        path.rename(shop.folder / path.name)
    shop.up()
    exited = shop.wait("ComponentExited", "web")["exit"]
    assert (exited["expected"], exited["counted"]) == (True, False)
    shop.wait("ComponentStarted", "web")
    assert not shop.events("GroupRestarting")
    assert not shop.events("RestartCounted")
    (web,) = json.loads(shop.hms("component", "list", "-o", "json").stdout)
    assert web["restart_count"] == 0
    assert shop.end() == 0


def test_a_killed_shim_is_named_as_the_reason_that_nobody_saw_the_end(shop: Any) -> None:
    shop.write({"web": {**QUICK}})
    shop.up()
    shim = psutil.Process(shop.pids("web")["web"]).parent()
    assert shim is not None
    shim.kill()
    exited = shop.wait("ComponentExited", "web")["exit"]
    assert (exited["cause"], exited["reason"]) == ("unknown", "its shim was killed, so nobody saw its exit code")
    assert shop.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_the_very_start_leaves_nothing_behind(shop: Any, number: signal.Signals) -> None:
    shop.write(chain())
    up: subprocess.Popen[str] = shop.up()
    shop.until((shop.folder / "state/hms/fleets/shop/agent.lock").exists)
    up.send_signal(number)
    up.wait(60)
    assert shop.is_gone()


def test_a_change_is_refused_at_once_when_the_one_who_would_make_it_was_killed(shop: Any) -> None:
    shop.write({"web": {}})
    shop.up()
    shop.pids("web")
    shop.end(signal.SIGKILL)
    listed = shop.hms("component", "list")
    assert "no node runs" in listed.stderr
    stopped = shop.hms("component", "stop", "web")
    assert (stopped.returncode, stopped.stdout) == (5, "")
    assert "no node runs" in stopped.stderr


def test_after_a_clean_end_all_is_stopped_and_nothing_of_the_state_is_open_to_others(shop: Any) -> None:
    shop.write({"db": {}, "web": {"depends_on": ["db"]}})
    shop.up()
    shop.pids("db", "web")
    assert shop.end() == 0
    found = json.loads(shop.hms("component", "list", "-o", "json").stdout)
    assert [(one["id"], one["phase"], one["health"], one["desired"]) for one in found] == [
        ("db", "stopped", "stopped", "up"),
        ("web", "stopped", "stopped", "up"),
    ]
    state = shop.folder / "state"
    assert {path.stat().st_mode & 0o077 for path in [state, *state.rglob("*")] if path.is_dir()} == {0}
