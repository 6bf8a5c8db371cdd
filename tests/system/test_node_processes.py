"""`hms node`: a user's app beside HMS's own, drained on TERM, refused where it lacks one that the log holds."""

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hms.core.client import connect

from ..command import HMS
from .counting import COUNTING


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*HMS, "node", "--log", f"sqlite:{folder / 'log.db'}", "-o", "jsonl", *words],
        cwd=folder,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_owning(node: "subprocess.Popen[str]", shards: int) -> None:
    assert node.stdout is not None
    for line in node.stdout:
        if len(json.loads(line)["shards"]) == shards:
            return
    raise AssertionError(f"the node ended: {node.stderr.read() if node.stderr else ''}")


def add(folder: Path, amount: int) -> int:
    """Ask the counter from this process, with the classes of the app's own module."""
    spec = importlib.util.spec_from_file_location("counting", folder / "counting.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["counting"] = module  # pydantic looks it up
    spec.loader.exec_module(module)

    async def main() -> int:
        async with connect(f"sqlite:{folder / 'log.db'}") as client:
            answer = await client.ask(module.counter("one"), module.Add(amount=amount))
            return int(answer.total)

    return asyncio.run(main())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "counting.py").write_text(COUNTING)
    return tmp_path


def ended(nodes: list["subprocess.Popen[str]"]) -> None:
    for node in nodes:
        node.kill()
        node.communicate()


def test_a_node_runs_an_app_of_the_current_folder_and_its_state_survives_sigkill(folder: Path) -> None:
    nodes = [start(folder, "--app", "counting:app", "--name", "first")]
    try:
        wait_owning(nodes[0], 16)
        assert add(folder, 40) == 40
        nodes[0].kill()
        nodes[0].wait()
        nodes.append(start(folder, "--app", "counting:app", "--name", "first"))
        wait_owning(nodes[1], 16)
        assert add(folder, 2) == 42
        begun = time.monotonic()
        nodes[1].send_signal(signal.SIGTERM)
        assert nodes[1].wait(60) == 0
        assert time.monotonic() - begun < 30
    finally:
        ended(nodes)


def test_two_nodes_share_the_shards_and_the_one_that_stays_takes_over_at_once(folder: Path) -> None:
    nodes = [start(folder, "--app", "counting:app", "--name", "first")]
    try:
        wait_owning(nodes[0], 16)
        nodes.append(start(folder, "--app", "counting:app", "--name", "second"))
        wait_owning(nodes[1], 8)
        nodes[0].send_signal(signal.SIGTERM)
        wait_owning(nodes[1], 16)
        assert nodes[0].wait(60) == 0
        assert add(folder, 1) == 1
    finally:
        ended(nodes)


def test_hms_up_runs_a_users_app_beside_its_fleet(shop: Any) -> None:
    (shop.folder / "counting.py").write_text(COUNTING)
    shop.write({"web": {}})
    shop.up("--app", "counting:app")
    shop.pids("web")
    assert add(shop.folder, 5) == 5
    assert shop.end() == 0


def refused(folder: Path, *words: str, code: int = 1) -> str:
    node = start(folder, *words)
    _, errors = node.communicate(timeout=100)
    assert node.returncode == code, errors
    return errors


def test_a_node_without_an_app_that_the_log_holds_says_which_and_ends_with_1(folder: Path) -> None:
    node = start(folder, "--app", "counting:app")
    try:
        wait_owning(node, 16)
    finally:
        node.terminate()
        node.communicate()
    said = refused(folder)
    assert "missing: counting" in said
    assert "--app" in said


def test_a_node_that_a_later_app_made_too_old_takes_over_nothing_and_ends_with_1(folder: Path) -> None:
    nodes = [start(folder, "--name", "old")]
    try:
        wait_owning(nodes[0], 16)
        nodes.append(start(folder, "--app", "counting:app", "--name", "new"))
        wait_owning(nodes[1], 8)
        nodes[1].send_signal(signal.SIGTERM)
        _, errors = nodes[0].communicate(timeout=100)
        assert nodes[0].returncode == 1
        assert "missing: counting:counter" in errors
    finally:
        ended(nodes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("counting", "expected MODULE:ATTRIBUTE such as bank:app, got 'counting'"),
        ("nowhere:app", "expected a module 'nowhere' in the current folder or installed, found none"),
        ("counting:counter", "expected 'counter' of counting to be an App"),
    ],
)
def test_an_app_that_is_none_is_refused_with_what_was_expected(folder: Path, name: str, expected: str) -> None:
    assert expected in refused(folder, "--app", name, code=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n1 / 0\n", "boom.py raised ZeroDivisionError: division by zero (line 2)"),
        ("import json\njson.loads('')\n", "boom.py raised JSONDecodeError: "),
        ("import nothing_of_the_kind\n", "boom.py raised ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
        ("def (:\n", "boom.py raised SyntaxError: "),
    ],
)
def test_an_app_whose_module_raises_is_blamed_for_it(folder: Path, text: str, expected: str) -> None:
    (folder / "boom.py").write_text(text)
    said = refused(folder, "--app", "boom:app")
    assert expected in said
    assert "(line " in said or "line 1)" in said
    assert "a bug" not in said
