"""The shim's unix-domain socket: one JSON object a line, both ways.

In:  `{"ask": "status"}`, `{"ask": "stop", "signal": "TERM", "grace_ms": 5000}`, `{"ask": "kill"}`,
     `{"ask": "lease", "lease": [STOP, END]}` (seconds since boot; only for a run that began under one),
     `{"ask": "acknowledge"}` (the exit record was taken over; the shim may go).
Out: `{"status": {...}}` on connecting and on asking; `{"exit": {...}}` when it is over; `{"error": "..."}`.
"""

import contextlib
import json
import selectors
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from .record import DOOR

LINE_BYTES_MAX = 65_536
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Door:
    """Listens in the current folder, so that no path is too long for a socket's name."""

    def __init__(self, selector: selectors.BaseSelector, answer: Answer) -> None:
        """Open the door; `answer` turns a request into what is sent back."""
        self._selector = selector
        self._answer = answer
        self._watchers: dict[socket.socket, bytes] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(DOOR)
        self._listener.listen(16)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._welcome)

    @property
    def watched(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._watchers)

    def tell(self, message: dict[str, Any]) -> None:
        """Send to everybody connected."""
        for watcher in list(self._watchers):
            self._send(watcher, message)

    def _welcome(self) -> None:
        with contextlib.suppress(OSError):
            watcher, _ = self._listener.accept()
            watcher.setblocking(False)
            self._watchers[watcher] = b""
            self._selector.register(watcher, selectors.EVENT_READ, partial(self._hear, watcher))
            self._send(watcher, self._answer({"ask": "status"}))

    def _hear(self, watcher: socket.socket) -> None:
        try:
            data = watcher.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, rest = (self._watchers.get(watcher, b"") + data).split(b"\n")
        if not data or len(rest) > LINE_BYTES_MAX:
            self._dismiss(watcher)
            return
        self._watchers[watcher] = rest
        for line in lines:
            self._send(watcher, self._reply(line))

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            return self._answer(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": f"not understood: {line[:200]!r} ({error!r})"}

    def _send(self, watcher: socket.socket, message: dict[str, Any]) -> None:
        # Messages are far smaller than a socket's buffer: one that is full belongs to a watcher that no longer reads.
        try:
            watcher.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._dismiss(watcher)

    def _dismiss(self, watcher: socket.socket) -> None:
        if self._watchers.pop(watcher, None) is not None:
            self._selector.unregister(watcher)
            watcher.close()
