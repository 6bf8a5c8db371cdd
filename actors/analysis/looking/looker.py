"""The process that looks, as a node holds it: started by the first look, ended at any sign of trouble, started anew."""

import atexit
import json
import subprocess
import sys
import threading
from typing import IO, Any, ClassVar, Final

from ....core.errors import OutsideError

SLACK_S: Final = 60
"""A look may take so much longer than its processor time: for the log, and for others on the machine."""
MODULE: Final = "hms.actors.analysis.looking.child"


class LookFailed(OutsideError):
    """A look came to nothing: the process that looks died, took too long, or could not read; look again."""

    retryable: ClassVar[bool] = True


class LookRefused(OutsideError):
    """A look came to nothing, and would again; the message says why."""

    retryable: ClassVar[bool] = False


class Looker:
    """One process for one log, one question at a time. For threads."""

    def __init__(self, log_url: str) -> None:
        self._log_url = log_url
        self._child: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def ask(self, what: str, asked_json: str, cpu_ms: int) -> str:
        """Return the answer, a record as JSON; raises `LookFailed`, `LookRefused`."""
        with self._turn:
            child = self._running()
            limit_s = cpu_ms / 1_000 + SLACK_S
            ending = threading.Timer(limit_s, child.kill)
            ending.start()
            try:
                answer = _exchange(child, {"op": what, "asked": asked_json, "cpu_ms": cpu_ms})
            finally:
                ending.cancel()
        if not answer:
            self.close()
            raise LookFailed(f"the process that looks has ended: over {cpu_ms} ms of CPU or {limit_s:g} s, or killed")
        found = json.loads(answer)
        if "error" in found:
            raise (LookFailed if found["retryable"] else LookRefused)(found["error"])
        return str(found["found"])

    def close(self) -> None:
        """End the process; the next question starts another one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                _close(pipe)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            command = [sys.executable, "-m", MODULE, self._log_url]
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        return self._child


def _exchange(child: subprocess.Popen[bytes], question: dict[str, Any]) -> bytes:
    assert child.stdin is not None  # noqa: S101 - pipes were asked for
    assert child.stdout is not None  # noqa: S101
    try:
        child.stdin.write(json.dumps(question).encode() + b"\n")
        child.stdin.flush()
        return child.stdout.readline()
    except (BrokenPipeError, ValueError):
        return b""


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        try:
            pipe.close()
        except BrokenPipeError:
            return


_LOOKERS: Final[dict[str, Looker]] = {}


def looker_of(log_url: str) -> Looker:
    """Return this process's looker at a log."""
    if log_url not in _LOOKERS:
        _LOOKERS[log_url] = Looker(log_url)
        atexit.register(_LOOKERS[log_url].close)
    return _LOOKERS[log_url]
