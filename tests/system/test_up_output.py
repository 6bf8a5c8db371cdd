"""`hms up` whose output goes away: a pipe without a reader, a terminal that was closed. It supervises on."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from ..command import HMS

QUICK = {"backoff": {"first_ms": 100, "max_ms": 500, "jitter": 0}}


def started_into(shop: Any, out: int) -> "subprocess.Popen[str]":
    command = [*HMS, "up", "-f", str(shop.file)]
    up = subprocess.Popen(
        command, cwd=shop.folder, env=shop.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True
    )
    shop.started.append(up)
    (shop.folder / "err.0").touch()
    os.close(out)
    return up


def newest(shop: Any) -> int:
    """Return the pid of the one component that lives."""
    (pid,) = (pid for pid in shop.begun() if psutil.pid_exists(pid))
    return int(pid)


def a_pipe() -> tuple[int, int]:
    return os.pipe()


@pytest.mark.parametrize("opened", [a_pipe, pty.openpty], ids=["pipe", "terminal"])
def test_it_supervises_on_when_nobody_reads_its_output_any_more(
    shop: Any, opened: Callable[[], tuple[int, int]], is_alive: Callable[[int], bool]
) -> None:
    shop.write({"web": {**QUICK}})
    source, out = opened()
    up = started_into(shop, out)
    shop.until(lambda: shop.entries("start") == ["web"])
    os.close(source)
    for starts in (2, 3):
        pid = newest(shop)
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
        shop.until(lambda wanted=starts: len(shop.entries("start")) == wanted)
    assert up.poll() is None
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    assert shop.is_gone()
    assert shop.entries("stop") == ["web"]


def test_warnings_that_nobody_can_read_do_not_end_it(shop: Any) -> None:
    shop.write({"web": {**QUICK}})
    source, out = os.pipe()
    up = started_into(shop, out)
    shop.until(lambda: shop.entries("start") == ["web"])
    os.close(source)
    with shop.log_locked():
        os.kill(newest(shop), signal.SIGKILL)
        shop.until(lambda: shop.entries("start") == ["web", "web"], what="the host's own restart")
    assert up.poll() is None
    assert shop.end() == 0
