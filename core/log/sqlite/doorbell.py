"""How processes that share a log wake each other: an empty datagram after every commit.

SQLite tells nobody that something was written; asking it every millisecond costs each process 3 % of a core and half a
millisecond a hop. So every process has a socket in the folder `FILE-bells`, and who has committed rings at all others.
A bell carries nothing and may be lost: whoever hears one looks at the file, and everybody looks now and then anyway.
Where a socket cannot be had (a path too long on macOS, a folder that takes none), looking often is what remains.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

PATH_BYTES_MAX: Final = 100
"""A Unix socket's path may have 104 (macOS) or 108 bytes; Linux gets a short one through /proc."""
DRAIN_MAX: Final = 64


class Doorbell:
    """The bell of this process, and its finger for the others'. `works` says whether the bell could be hung."""

    def __init__(self, path: Path, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = path.with_name(path.name + "-bells")
        self._descriptor = -1
        self._others: list[str] = []
        self._listed_ns = -1
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self.works = False
        with contextlib.suppress(OSError):
            self._hang()

    def _hang(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._descriptor = os.open(self._folder, os.O_RDONLY)
        self._socket.bind(self._address(self._name))
        self._loop.add_reader(self._socket, self._hear)
        self.works = True

    def _address(self, name: str) -> str:
        if sys.platform == "linux":
            return f"/proc/self/fd/{self._descriptor}/{name}"
        address = str(self._folder / name)
        if len(address.encode()) > PATH_BYTES_MAX:
            raise OSError(f"expected a path of at most {PATH_BYTES_MAX} bytes, got {address}")
        return address

    def ring(self) -> None:
        """Ring at every other process; called by the writing thread after a commit. Never raises, never waits."""
        if not self.works:
            return
        with contextlib.suppress(OSError):
            self._look_around()
        for name in list(self._others):
            self._ring_at(name)

    def _look_around(self) -> None:
        changed_ns = os.fstat(self._descriptor).st_mtime_ns
        if changed_ns != self._listed_ns:
            there = os.listdir(self._descriptor)  # noqa: PTH208 - the folder may have been moved
            self._others = [name for name in there if name != self._name]
            self._listed_ns = changed_ns

    def _ring_at(self, name: str) -> None:
        try:
            self._socket.sendto(b"", self._address(name))
        except ConnectionRefusedError:  # its process is gone
            self._others.remove(name)
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._descriptor)
        except OSError:
            pass  # full: it has been rung at already; gone: the next look knows

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(DRAIN_MAX):
                self._socket.recv(1)
        self._heard()

    def close(self) -> None:
        """Take the bell down."""
        if self.works:
            self.works = False
            self._loop.remove_reader(self._socket)
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._descriptor)
                self._folder.rmdir()  # if this was the last bell
        self._socket.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
