"""The commands from another terminal while `hms up` runs a fleet of real processes, and after it has ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from ..command import Ran

HMS = str(Path(sys.executable).with_name("hms"))
FLEET = """
fleet: cli
components:
  - id: web
    command: [PYTHON, -u, -c, "import os, time; print('hello from', os.getpid()); time.sleep(1000)"]  # until it is told to end
  - id: api_service
    command: [sleep, "1000"]
  - id: flap
    group: flapping
    command: [PYTHON, -c, "print('bang'); raise SystemExit(3)"]
    backoff: {first_ms: 20, max_ms: 40}
groups:
  - {id: flapping, max_restarts: 1, max_seconds: 60}
"""
RECOVERY = """
id: "recover_failed_component"
task_type: "Recovery"
priority: "High"
parameters:
  component_id: "api_service"
  failure_reason: "Connection timeout"
  max_retries: 3
  backoff_strategy: "exponential"
dependencies: []
timeout: 60000  # 1 minute
"""
ANALYSIS = """
id: "analyze_system_health"
task_type: "Analysis"
priority: "Medium"
parameters:
  components: ["all"]
  metrics: ["cpu", "memory", "response_time", "error_rate"]
  time_range_minutes: 60
  generate_report: true
dependencies: []
timeout: 300000  # 5 minutes
"""
OTHERS = {
    "Optimization": "parameters: {target: performance, components: [web], max_generations: 10, population_size: 20, "
    "evaluation_criteria: [throughput, latency]}",
    "Governance": "parameters: {policy_type: security, components: [all], generate_report: true, alert_on_violation: true}",
}


class Terminal:
    """Runs commands on one log, as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "HMS_LOG": ""}

    def __call__(self, *arguments: str) -> Ran:
        done = subprocess.run(
            [HMS, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def following(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """Run a command that does not end by itself; it is gone afterwards, whatever happened."""
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [HMS, *arguments], cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def component(self, name: str) -> Any:
        return self("component", "describe", name, "-o", "json").json

    def wait_phase(self, name: str, phase: str) -> Any:
        wait(lambda: self.component(name)["phase"] == phase, f"{name} to be {phase}")
        return self.component(name)


def wait(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"expected {what} within {seconds} s"


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path_factory.mktemp("cli"))
    (terminal.folder / "fleet.yaml").write_text(FLEET.replace("PYTHON", sys.executable), encoding="utf-8")
    with (terminal.folder / "up.out").open("w") as out:
        up = subprocess.Popen(
            [HMS, "up", "-f", "fleet.yaml"], cwd=terminal.folder, env=terminal.environment, stdout=out, stderr=out
        )
        try:
            wait(lambda: '"running"' in terminal("component", "list", "-o", "json").out, "the fleet to run")
            terminal.wait_phase("web", "running")
            terminal.wait_phase("api_service", "running")
            yield terminal
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


def test_component_list_is_an_array_of_flat_items_with_the_promised_fields(terminal: Terminal) -> None:
    ran = terminal("component", "list", "-o", "json")
    assert ran.code == 0
    items = {item["id"]: item for item in ran.json}
    assert items.keys() == {"web", "api_service", "flap"}
    promised = {"id", "group", "desired", "health", "phase", "pid", "incarnation", "restart_count", "since"}
    assert promised <= items["web"].keys()
    assert not any(isinstance(value, dict | list) for value in items["web"].values())
    assert (items["web"]["health"], items["web"]["phase"]) == ("healthy", "running")
    os.kill(items["web"]["pid"], 0)
    assert items["web"]["since"].endswith("Z")
    lines = terminal("component", "list", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == sorted(items)


def test_every_answer_says_on_stderr_as_of_when_and_who_owns_the_log(terminal: Terminal) -> None:
    for command in (
        ["component", "list"],
        ["event", "count"],
        ["task", "list"],
        ["supervisor", "list"],
        ["log", "info"],
    ):
        ran = terminal(*command)
        assert ran.code == 0
        assert "as of 2" in ran.err
        assert "owned by up-cli@" in ran.err
        assert "as of" not in ran.out


def test_a_restart_ends_when_the_next_incarnation_is_ready(terminal: Terminal) -> None:
    before = terminal.component("web")
    after = terminal("component", "restart", "web", "--why", "a test", "-o", "json").json
    assert after["incarnation"] == before["incarnation"] + 1
    assert after["ready"]
    assert after["pid"] != before["pid"]
    assert after["exits"][-1]["expected"]


def test_a_stopped_component_stays_down_until_it_is_started(terminal: Terminal) -> None:
    stopped = terminal("component", "stop", "web", "--why", "cleaning", "-o", "json").json
    assert (stopped["phase"], stopped["pid"], stopped["desired"]) == ("stopped", None, "down")
    assert (stopped["desired_by"], stopped["desired_why"]) == ("operator", "cleaning")
    started = terminal("component", "start", "web", "-o", "json").json
    assert started["ready"]
    assert started["incarnation"] == stopped["incarnation"] + 1


def test_a_wish_need_not_be_waited_for(terminal: Terminal) -> None:
    before = terminal.component("web")["incarnation"]
    ran = terminal("component", "restart", "web", "--no-wait", "-o", "json")
    assert (ran.code, ran.json["incarnation"]) == (0, before)
    wait(lambda: terminal.component("web")["incarnation"] == before + 1, "the next incarnation")
    terminal.wait_phase("web", "running")


def test_what_does_not_come_in_time_is_exit_6_and_the_wish_stands(terminal: Terminal) -> None:
    for _ in range(5):
        ran = terminal("component", "stop", "web", "--timeout", "0")
        if "the node does not answer" not in ran.err and "is not known; is a node well?" not in ran.err:
            break  # else it was silent for a second, which is what an answer may take
    assert ran.code in {0, 6}  # it may be down at once
    if ran.code:
        assert "the wish stands" in ran.err
    terminal.wait_phase("web", "stopped")
    assert terminal("component", "start", "web").code == 0


def test_a_pause_holds_and_resume_ends_it(terminal: Terminal) -> None:
    assert terminal("component", "pause", "api_service", "-o", "json").json["paused"]
    assert "(paused)" in terminal("component", "list").out
    assert not terminal("component", "resume", "api_service", "-o", "json").json["paused"]


def test_a_component_that_does_not_exist_is_exit_3(terminal: Terminal) -> None:
    for verb in ("describe", "restart", "stop", "pause", "reset", "logs"):
        ran = terminal("component", verb, "nope")
        assert (verb, ran.code, ran.out) == (verb, 3, "")
        assert "nope" in ran.err


def test_one_that_was_given_up_is_not_started_but_reset(terminal: Terminal) -> None:
    terminal.wait_phase("flap", "given_up")
    refused = terminal("component", "restart", "flap")
    assert refused.code == 1
    assert "hms component reset flap" in refused.err
    doctor = terminal("doctor", "-o", "json")
    assert doctor.code == 10
    (ill,) = [check for check in doctor.json if check["outcome"] == "ill"]
    assert ill["name"] == "component flap"
    before = terminal.component("flap")
    assert terminal("component", "reset", "flap").code == 0
    wait(lambda: bool(terminal.component("flap")["incarnation"] > before["incarnation"]), "flap to be started again")
    terminal.wait_phase("flap", "given_up")


def test_logs_show_the_last_lines_and_those_that_an_exit_recorded(terminal: Terminal) -> None:
    web = terminal.component("web")
    assert terminal("component", "logs", "web", "-n", "1").out == f"hello from {web['pid']}\n"
    flap = terminal.wait_phase("flap", "given_up")
    recorded = terminal("component", "logs", "flap", "--incarnation", str(flap["incarnation"]), "-o", "jsonl")
    assert recorded.json == {"component": "flap", "line": "bang"}
    missing = terminal("component", "logs", "flap", "--incarnation", "999")
    assert missing.code == 3
    assert "no exit of incarnation 999" in missing.err


def line_of(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def test_followed_logs_show_what_comes(terminal: Terminal) -> None:
    with terminal.following("component", "logs", "web", "-n", "1", "-f") as logs:
        assert line_of(logs.stdout).startswith("hello from ")
        pid = terminal("component", "restart", "web", "-o", "json").json["pid"]
        assert line_of(logs.stdout) == f"hello from {pid}\n"
        logs.send_signal(signal.SIGINT)
        assert logs.wait(60) == 130


def test_tailed_events_come_as_they_happen_and_ctrl_c_is_exit_130_without_a_word(terminal: Terminal) -> None:
    command = ("event", "tail", "--actor", "component/api_service", "--type", "ComponentPaused", "-o", "jsonl")
    with terminal.following(*command) as tail:
        assert "as of" in line_of(tail.stderr)
        terminal("component", "pause", "api_service", "--why", "to be seen")
        assert json.loads(line_of(tail.stdout))["data"]["why"] == "to be seen"
        tail.send_signal(signal.SIGINT)
        assert tail.wait(60) == 130
        assert (line_of(tail.stdout), line_of(tail.stderr)) == ("", "")
    terminal("component", "resume", "api_service")


def test_events_have_envelope_and_data_and_the_filters_narrow_them(terminal: Terminal) -> None:
    items = terminal("event", "list", "--actor", "component/web", "--type", "ComponentStarted", "-o", "json").json
    assert items
    assert {"topic", "partition", "offset", "envelope", "data"} <= items[0].keys()
    assert all(item["envelope"]["type"] == "hms.ComponentStarted" for item in items)
    assert items[0]["data"]["incarnation"] == 1
    correlated = terminal("event", "list", "--correlation", items[0]["envelope"]["correlation_id"], "-o", "json").json
    assert items[0]["offset"] in {item["offset"] for item in correlated}
    assert int(terminal("event", "count").out) > len(items)
    assert (
        terminal("event", "count", "--until", items[0]["appended_at"], "--type", "ComponentStarted", "-o", "json").json[
            "count"
        ]
        < 3
    )
    assert terminal("event", "count", "--since", "2100-01-01").out == "0\n"
    assert len(terminal("event", "list", "--limit", "3", "-o", "jsonl").out.splitlines()) == 3


def test_a_reader_that_goes_away_is_no_error(terminal: Terminal) -> None:
    with terminal.following("event", "tail", "--since", "2000-01-01", "--all", "--topic", "all", "-o", "jsonl") as tail:
        assert line_of(tail.stdout)
        assert tail.stdout is not None
        tail.stdout.close()
        assert tail.wait(60) == 141
        assert "as of" in line_of(tail.stderr)
        assert line_of(tail.stderr) == ""


def test_supervisors_are_listed_and_described(terminal: Terminal) -> None:
    wait(lambda: "runtime_supervisor" in terminal("supervisor", "list").out, "the runtime supervisor to register")
    assert terminal("supervisor", "list", "-o", "json").json[0]["supervisor_id"] == "meta_supervisor"
    assert "Recovery" in terminal("supervisor", "describe", "runtime_supervisor", "-o", "json").json["capabilities"]
    assert terminal("supervisor", "describe", "nope").code == 3


def test_the_recovery_task_runs_as_the_core_components_document_gives_it(terminal: Terminal) -> None:
    (terminal.folder / "recovery.yaml").write_text(RECOVERY, encoding="utf-8")
    before = terminal.component("api_service")["incarnation"]
    ran = terminal("task", "submit", "recovery.yaml", "--wait", "--timeout", "60", "-o", "json")
    assert ran.code == 0
    task = ran.json
    promised = {"id", "type", "status", "priority", "assigned_to", "result", "error", "submitted_at", "finished_at"}
    assert promised <= task.keys()
    assert (task["status"], task["priority"], task["assigned_to"]) == ("completed", "high", "runtime_supervisor")
    assert task["result"]["outcome"] == "healed"
    assert terminal.component("api_service")["incarnation"] == before + 1
    assert terminal("task", "get", "recover_failed_component", "-o", "json").json == task
    assert terminal("task", "submit", "recovery.yaml", "-o", "json").json == task, (
        "the same task again is the same task"
    )
    listed = terminal("task", "list", "-o", "json").json
    assert [(item["id"], item["assigned_to"]) for item in listed] == [
        ("recover_failed_component", "runtime_supervisor")
    ]
    again = terminal("task", "cancel", "recover_failed_component", "-o", "json")
    assert (again.code, again.json) == (0, task), "what has ended stays, and is shown as it is"
    assert "it had ended already" in again.err
    assert terminal("task", "watch", "recover_failed_component").code == 0


def test_the_analysis_task_runs_as_the_core_components_document_gives_it(terminal: Terminal) -> None:
    (terminal.folder / "analysis.yaml").write_text(ANALYSIS, encoding="utf-8")
    ran = terminal("task", "submit", "analysis.yaml", "--wait", "--timeout", "60", "-o", "json")
    assert (ran.code, ran.json["status"], ran.json["assigned_to"]) == (0, "completed", "analysis_supervisor")
    result = ran.json["result"]
    assert result["missing_metrics"] == ["response_time", "error_rate"]
    measured = {
        (one["component"], series["metric"]) for one in result["report"]["components"] for series in one["series"]
    }
    assert ("web", "rss_mb") in measured
    assert "components: " in result["summary"]


@pytest.mark.parametrize("kind", OTHERS)
def test_a_task_without_a_supervisor_is_refused_with_what_is_missing(terminal: Terminal, kind: str) -> None:
    (terminal.folder / "other.yaml").write_text(f"id: other\ntask_type: {kind}\npriority: Medium\n{OTHERS[kind]}\n")
    ran = terminal("task", "submit", "other.yaml")
    assert ran.code == 1
    assert f"a task of type {kind} needs a supervisor" in ran.err


def test_a_task_that_fails_is_exit_8_and_one_that_is_unknown_3(terminal: Terminal) -> None:
    (terminal.folder / "hopeless.yaml").write_text(
        "id: hopeless\ntask_type: Recovery\nparameters: {component_id: nothere, max_retries: 0}\n"
    )
    failed = terminal("task", "submit", "hopeless.yaml", "--wait", "-o", "json")
    assert (failed.code, failed.json["status"]) == (8, "failed")
    assert "not found" in failed.json["error"]
    assert terminal("task", "get", "nope").code == 3
    assert terminal("task", "watch", "nope").code == 3
    unknown = terminal("task", "cancel", "nope")
    assert (unknown.code, unknown.out) == (3, "")
    assert "no task 'nope' is known" in unknown.err


def test_a_cancelled_task_is_shown_as_get_shows_it(terminal: Terminal) -> None:
    (terminal.folder / "late.yaml").write_text(
        "id: late\ntask_type: Recovery\npriority: Low\nparameters: {component_id: web}\ntimeout: 77000\n"
        "schedule: {at: '2999-01-01T00:00:00Z'}\n"
    )
    assert terminal("task", "submit", "late.yaml").code == 0
    cancelled = terminal("task", "cancel", "late", "--reason", "not needed", "-o", "json")
    assert (cancelled.code, cancelled.json["status"], cancelled.json["timeout_ms"]) == (0, "cancelled", 77_000)
    assert cancelled.json["parameters"]["component_id"] == "web"
    assert "ended already" not in cancelled.err
    assert terminal("task", "get", "late", "-o", "json").json == cancelled.json


def test_a_task_file_with_mistakes_is_a_usage_error(terminal: Terminal) -> None:
    (terminal.folder / "bad.yaml").write_text("color: red\n")
    assert terminal("task", "submit", "bad.yaml").code == 2
    assert "unknown color" in terminal("task", "submit", "bad.yaml").err
    assert terminal("task", "submit", "none.yaml").code == 2


def test_the_log_of_a_running_fleet_is_whole(terminal: Terminal) -> None:
    ran = terminal("log", "verify", "-o", "json")
    assert (ran.code, {report["finding"] for report in ran.json}) == (0, {"whole"})
    info = terminal("log", "info", "-o", "json").json
    assert info["apps"] == ["hms"]
    assert info["bytes"] > 100_000
    assert [shard["shard"] for shard in info["shards"]] == list(range(16))
    assert all(shard["owner"] and shard["epoch"] >= 1 for shard in info["shards"])
