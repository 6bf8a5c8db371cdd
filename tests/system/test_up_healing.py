"""`hms up` over real processes: what dies is restarted within its policy, or given up loudly."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

QUICK = {"backoff": {"first_ms": 100, "max_ms": 500, "jitter": 0}}


@contextmanager
def kept_port() -> Iterator[int]:
    """A port for a component: meanwhile nobody else is given it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


def seconds_between(first: dict[str, Any], second: dict[str, Any]) -> float:
    return (datetime.fromisoformat(second["told_at"]) - datetime.fromisoformat(first["told_at"])).total_seconds()


def is_healed_in_time(shop: Any, name: str, pid: int) -> bool:
    """Kill a component, and see it healed; say whether that was seen within a second, and done soon after its backoff."""
    shop.wait("MemberChanged", name, 2)
    killed_at = datetime.now().astimezone()
    os.kill(pid, signal.SIGKILL)
    exited = shop.wait("ComponentExited", name)
    again = shop.wait("ComponentStarted", name, 2)
    assert exited["exit"]["signal"] == "KILL"
    assert not exited["exit"]["expected"]
    assert again["pid"] != pid
    assert again["incarnation"] == 2
    assert seconds_between(exited, again) >= 0.1
    seen_s = (datetime.fromisoformat(exited["told_at"]) - killed_at).total_seconds()
    return seen_s < 1 and seconds_between(exited, again) < 1.5


def test_a_killed_component_is_seen_within_a_second_and_restarted_after_its_backoff(shop: Any) -> None:
    names = ("web", "api", "store")
    shop.write({name: {**QUICK} for name in (*names, "other")})
    shop.up()
    before = shop.pids(*names, "other")
    # Now and then a machine stands still for a while: what is late each time is late by itself.
    assert any(is_healed_in_time(shop, name, before[name]) for name in names)
    assert shop.end() == 0
    assert len(shop.events("ComponentStarted", "other")) == 1
    assert shop.is_gone()


def test_one_for_all_restarts_every_member_stopping_them_in_reverse_order(shop: Any) -> None:
    group = {"id": "all", "strategy": "one_for_all"}
    shop.write({name: {"group": "all", **QUICK} for name in "abc"}, [group])
    shop.up()
    before = shop.pids("a", "b", "c")
    os.kill(before["a"], signal.SIGKILL)
    for name in "abc":
        shop.wait("ComponentStarted", name, 2)
    assert shop.entries("stop") == ["c", "b"]
    after = shop.pids("a", "b", "c")
    assert not set(before.values()) & set(after.values())
    assert len(shop.events("GroupRestarting")) == 1
    assert shop.end() == 0


def test_rest_for_one_restarts_only_what_is_listed_after(shop: Any, is_alive: Callable[[int], bool]) -> None:
    group = {"id": "rest", "strategy": "rest_for_one"}
    shop.write({name: {"group": "rest", **QUICK} for name in "abc"}, [group])
    shop.up()
    before = shop.pids("a", "b", "c")
    os.kill(before["b"], signal.SIGKILL)
    for name in "bc":
        shop.wait("ComponentStarted", name, 2)
    assert shop.entries("stop") == ["c"]
    assert is_alive(before["a"])
    assert shop.end() == 0
    assert len(shop.events("ComponentStarted", "a")) == 1


def test_a_crash_loop_is_given_up_its_hook_runs_once_and_hms_up_ends_with_10(shop: Any) -> None:
    group = {"id": "bad", "max_restarts": 2, "max_seconds": 60}
    hook = ["sh", "-c", "echo $HMS_COMPONENT: $HMS_REASON >> hook"]
    shop.write({"loop": {"group": "bad", "manner": "crash", "on_give_up": hook, **QUICK}, "good": {**QUICK}}, [group])
    shop.up()
    good = shop.pids("good")["good"]
    given_up = shop.wait("ComponentGivenUp", "loop")
    assert len(shop.events("ComponentExited", "loop")) == 3
    assert shop.events("ComponentExited", "loop")[-1]["exit"]["last_lines"] == ["loop cannot go on"]
    assert given_up["reason"]
    shop.until(lambda: (shop.folder / "hook").exists() and (shop.folder / "hook").read_text().strip() != "")
    assert shop.pids("good")["good"] == good
    assert shop.end() == 10
    assert "loop was given up" in shop.complaints()
    assert (shop.folder / "hook").read_text().count("loop:") == 1


def test_a_hanging_service_is_recovered_by_the_runtime_supervisor(shop: Any) -> None:
    with kept_port() as port:
        check_recovery(shop, port)


def check_recovery(shop: Any, port: int) -> None:
    probe = {"http": f"http://127.0.0.1:{port}/", "period_ms": 150, "timeout_ms": 30_000, "failure_threshold": 2}
    shop.write({"web": {"manner": f"http {port}", "probes": {"liveness": probe, "readiness": probe}, **QUICK}})
    shop.up()
    before = shop.pids("web")["web"]
    shop.wait("ProbeChanged", "web")
    os.kill(before, signal.SIGSTOP)
    assert not shop.wait("ProbeChanged", "web", 2)["passed"]
    decided = shop.wait("RecoveryInitiated", "web")
    again = shop.wait("ComponentStarted", "web", 2)
    assert again["pid"] != before
    assert shop.wait("RecoveryCompleted", "web")["recovery_id"] == decided["recovery_id"]
    assert shop.events("RecoveryCompleted", "web")[0]["outcome"] == "healed"
    assert shop.end() == 0


def test_a_component_beyond_its_memory_limit_is_restarted(shop: Any) -> None:
    # It grows slowly enough to be seen on the way, and not for ever.
    leak = "import time\nkept = []\nwhile True:\n    len(kept) < 30 and kept.append(bytearray(8_000_000))\n    time.sleep(0.05)"
    shop.write({"leak": {"command": ["python3", "-c", leak], "limits": {"rss_mb": 60}, **QUICK}})
    shop.up()
    before = shop.pids("leak")["leak"]
    exceeded = shop.wait("LimitExceeded", "leak")
    assert exceeded["limit"] == "rss_mb"
    assert exceeded["value"] > 60
    assert shop.wait("ComponentStarted", "leak", 2)["pid"] != before
    assert shop.end() == 0
