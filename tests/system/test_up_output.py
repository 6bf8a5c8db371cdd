"""`hms up` whose output goes away: a pipe without a reader, a terminal that was closed. It supervises on."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from typing import Any

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
        (web,) = (each for each in shop.processes() if "member.py" in each.cmdline())
        assert is_alive(web.pid)
        web.kill()
        shop.until(lambda wanted=starts: len(shop.entries("start")) == wanted)
    assert up.poll() is None
    up.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0
    assert not shop.processes()
    assert shop.entries("stop") == ["web"]


def test_warnings_that_nobody_can_read_do_not_end_it(shop: Any) -> None:
    shop.write({"web": {**QUICK}})
    source, out = os.pipe()
    up = started_into(shop, out)
    shop.until(lambda: shop.entries("start") == ["web"])
    os.close(source)
    with shop.log_locked():
        (web,) = (each for each in shop.processes() if "member.py" in each.cmdline())
        web.kill()
        shop.until(lambda: shop.entries("start") == ["web", "web"], 20, "the host's own restart")
    assert up.poll() is None
    assert shop.end() == 0
