"""Run the code blocks of a page of the documentation as a reader would: `python tools/run_docs.py README.md`.

One page, one empty folder, one shell and one Python, so that what a block exports, defines or writes is there for the
next. What a fence's info string means (anything else is a mistake):

    console            the lines after `$ ` (`> ` continues) are run; lines below them are the output they must have:
    sh                 a line `...` is any number of lines, `...` in a line anything, runs of blanks are alike. An exit
                       code other than 0 is a failure, unless the next command is `echo $?`.
    console background the one command keeps running; the lines below it are waited for; ended with the page (SIGINT).
    python             run; it says by `assert` what must hold.
    text output        what the block before printed.
    LANGUAGE file=NAME written to NAME.
    LANGUAGE no-run: REASON
    text, mermaid      shown.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

SHELL = """
while read -r page_how page_script page_output; do
  case $page_how in
    run) (exit "${page_last:-0}"); . "$page_script" </dev/null >"$page_output" 2>&1; page_last=$?; echo "$page_last" ;;
    start) set -m; . "$page_script" </dev/null >"$page_output" 2>&1 & set +m; echo "$!" ;;
  esac
done
"""
PYTHON = """
import os, sys, traceback
namespace = {"__name__": "__main__"}
sys.path.insert(0, "")
orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for line in orders:
    how, script, output = line.split()
    file = os.open(output, os.O_WRONLY)
    os.dup2(file, 1), os.dup2(file, 2), os.close(file)
    status = 0
    try:
        exec(compile(open(script).read(), "page", "exec"), namespace)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush(), sys.stderr.flush()
    print(status, file=answers, flush=True)
"""
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")


class PageFailed(AssertionError):
    """A page does not hold: where, what it says, what came."""


class Block(NamedTuple):
    """A fenced block: its place (`page:line`), its fence's line, the info string in two parts, its text."""

    place: str
    line: int
    language: str
    option: str
    text: str


def blocks(page: Path, name: str | None = None) -> Iterator[Block]:
    """Yield the fenced blocks of a page; `name` is what messages call it. Raises `PageFailed` for a fence left open."""
    name = name or str(page)
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if not (opening := FENCE.match(line)):
            continue
        body: list[str] = []
        for _, inner in lines:
            if inner.strip() == opening["fence"]:
                break
            body.append(inner.removeprefix(opening["indent"]) + "\n")
        else:
            raise PageFailed(f"{name}:{number}: expected this fence to be closed by {opening['fence']}")
        language, _, option = opening["info"].strip().partition(" ")
        yield Block(f"{name}:{number}", number, language, option.strip(), "".join(body))


def commands(block: Block) -> list[tuple[str, str]]:
    """Return (command, expected output) of a console block. Raises `PageFailed` when it has none."""
    found: list[tuple[str, str]] = []
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif not found:
            raise PageFailed(f"{block.place}: expected a line that begins with '$ ', got {line!r}")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1] = (found[-1][0] + line[2:], "")
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    if not found:
        raise PageFailed(f"{block.place}: expected a line that begins with '$ ', got an empty block")
    return found


def alike(expected: str, got: str) -> bool:
    """Return whether `got` is what a page expects; see the top of this file for `...` and blanks."""
    lines = (" ".join(line.split()) for line in expected.splitlines())
    pattern = "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n" for line in lines
    )
    return re.fullmatch(pattern, "".join(" ".join(line.split()) + "\n" for line in got.splitlines())) is not None


class _Interpreter:
    """A shell or Python that lives as long as the page: send it a script, get its status and output."""

    def __init__(self, folder: Path, scratch: Path, argv: list[str], environment: dict[str, str]) -> None:
        self._scratch = scratch
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def send(self, how: str, script: str, limit_s: float) -> tuple[int, Path]:
        """Return what it answered and the file its output goes to. Raises `TimeoutError`."""
        number = len(list(self._scratch.iterdir()))
        source, output = self._scratch / f"{number}-source", self._scratch / f"{number}-output"
        source.write_text(script, encoding="utf-8")
        output.touch()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{how} {source} {output}\n".encode())
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], limit_s)[0]:
            raise TimeoutError(output.read_text(encoding="utf-8"))
        answer = self._process.stdout.readline()
        return int(answer or 1), output  # no answer: the script ended the interpreter (`exit`)

    def close(self) -> None:
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.communicate()


class _Page:
    """One run of one page."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._root = Path(tempfile.mkdtemp(prefix="hms-docs-"))  # short: sockets in it have 108 bytes for their path
        folder, scratch = self._root / "page", self._root / "scratch"
        folder.mkdir()
        scratch.mkdir()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "XDG_STATE_HOME": str(self._root / "state"), "COLUMNS": "120"}
        environment.pop("HMS_LOG", None)
        self._folder = folder
        self._shell = _Interpreter(folder, scratch, ["bash", "-c", SHELL], environment)
        self._python = _Interpreter(folder, scratch, [sys.executable, "-c", PYTHON], environment)
        self._background: list[int] = []
        self._printed = ""

    def run(self, block: Block) -> None:
        """Do what the block's info string says."""
        match block.language, block.option:
            case _, option if option.startswith("no-run:"):
                if not option.removeprefix("no-run:").strip():
                    raise PageFailed(f"{block.place}: expected a reason, as in `no-run: needs a network`, got none")
            case _, option if option.startswith("file="):
                self._write(block, option.removeprefix("file="))
            case "console" | "sh", "":
                self._commands(block)
            case "console" | "sh", "background":
                self._start(block)
            case "python", "":
                self._execute(block)
            case "text", "output":
                self._check(block, "the block above", block.text)
            case "text" | "mermaid", "":
                pass
            case _:
                info = f"{block.language} {block.option}".strip()
                raise PageFailed(
                    f"{block.place}: expected a block that is run, `file=NAME` or `no-run: REASON`, got `{info}`"
                )

    def close(self) -> None:
        """End what the page started, and remove its folder."""
        try:
            for group in reversed(self._background):
                _signal_group(group, signal.SIGINT)
                if not wait_until(partial(_ended, group), self._limit_s):
                    _signal_group(group, signal.SIGKILL)
                    raise PageFailed(f"expected the background command to end on SIGINT within {self._limit_s} s")
        finally:
            self._python.close()
            self._shell.close()
            _end_components(self._root)
            shutil.rmtree(self._root, ignore_errors=True)  # a process just killed may still be writing

    def _write(self, block: Block, name: str) -> None:
        target = (self._folder / name).resolve()
        if not target.is_relative_to(self._folder.resolve()):
            raise PageFailed(f"{block.place}: expected a file name inside the page's folder, got {name!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, encoding="utf-8")

    def _commands(self, block: Block) -> None:
        todo = commands(block)
        for index, (command, expected) in enumerate(todo):
            status = self._ask(self._shell, block, command, command)
            shows_status = index + 1 < len(todo) and todo[index + 1][0].startswith("echo $?")
            if status and not shows_status:
                raise PageFailed(
                    f"{block.place}: $ {command}expected exit code 0, got {status}; it printed\n{self._printed}"
                )
            if expected:
                self._check(block, f"$ {command.strip()}", expected)

    def _execute(self, block: Block) -> None:
        script = "\n" * block.line + block.text  # so that a traceback has the page's line numbers
        if self._ask(self._python, block, script, "the block"):
            raise PageFailed(f"{block.place}: expected the block to run, it raised\n{self._printed}")

    def _ask(self, interpreter: _Interpreter, block: Block, script: str, name: str) -> int:
        try:
            status, output = interpreter.send("run", script, self._limit_s)
        except TimeoutError as error:
            raise PageFailed(
                f"{block.place}: expected {name.strip()} to end within {self._limit_s} s; it printed\n{error}"
            ) from None
        self._printed = output.read_text(encoding="utf-8")
        return status

    def _start(self, block: Block) -> None:
        todo = commands(block)
        if len(todo) != 1 or not todo[0][1]:
            raise PageFailed(f"{block.place}: expected one command and the lines to wait for, got {len(todo)} commands")
        command, expected = todo[0]
        group, output = self._shell.send("start", command, self._limit_s)
        self._background.append(group)

        def seen() -> bool:
            self._printed = output.read_text(encoding="utf-8")
            return alike(expected + "...\n", self._printed)

        if not wait_until(lambda: seen() or _ended(group), self._limit_s) or not seen():
            raise PageFailed(_difference(block, f"$ {command.strip()}", expected, self._printed))

    def _check(self, block: Block, name: str, expected: str) -> None:
        if not alike(expected, self._printed):
            raise PageFailed(_difference(block, name, expected, self._printed))


def run_page(page: Path, name: str | None = None, limit_s: float = 90.0) -> int:
    """Run a page's blocks in order; return how many it has. Raises `PageFailed` at the first that does not hold."""
    todo = list(blocks(page, name))
    run = _Page(limit_s)
    try:
        for block in todo:
            run.run(block)
    finally:
        run.close()
    return len(todo)


def _difference(block: Block, name: str, expected: str, got: str) -> str:
    return f"{block.place}: {name}: expected\n{expected}got\n{got}"


def _end_components(root: Path) -> None:
    """Kill what a fleet of the page left running, when the page failed: components outlive `hms up` on purpose."""
    mark = f"HMS_RUN={root}/".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it is gone, or another user's
            if any(word.startswith(mark) for word in environment.read_bytes().split(b"\0")):
                os.kill(int(environment.parent.name), signal.SIGKILL)


def _ended(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def _signal_group(group: int, number: signal.Signals) -> None:
    if not _ended(group):
        os.killpg(group, number)


def wait_until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Poll until the condition holds; False when it did not in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.02)
    return True


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(f"{argument}: {run_page(Path(argument))} blocks hold")
