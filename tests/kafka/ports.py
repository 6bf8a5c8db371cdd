"""Ports for servers that come back on the same one."""

import random
import socket

FIRST, LAST = 12_000, 31_999
_drawn: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, never one twice.

    It is below the range that outgoing connections get theirs from (32768 on Linux, 49152 elsewhere): a client that retries a port
    of that range while its server is down can end up connected to itself, and the server cannot come back.
    """
    while True:
        port = random.randint(FIRST, LAST)  # noqa: S311 - not a secret
        if port not in _drawn and _is_free(port):
            _drawn.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
