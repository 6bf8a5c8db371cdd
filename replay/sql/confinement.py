"""A process that gives up what it does not need: files, sockets, memory. Nothing here can be taken back.

Landlock (Linux 5.13) is the kernel's own: no write, no new file, no reading but below some folders, no connection,
whatever the process is made to ask for. Elsewhere the resource limits and DuckDB's own settings have to do.
"""

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Sequence
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVILEGES: Final = 38
_DEATH_SIGNAL: Final = 1
_KILL: Final = 9
_READ: Final = 1 << 2 | 1 << 3
"""Of a rule: to read files, to list folders."""
_RIGHTS: Final = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
"""Everything that may be done to a file, as each version of Landlock knows it."""
_TCP_SINCE: Final = 4
_TCP: Final = 3


def confine(readable: Sequence[str]) -> bool:
    """Let this thread, and those it starts, only read below some folders; return whether the kernel can do that.

    Call it before anything starts threads of its own.
    """
    if not sys.platform.startswith("linux"):
        return False
    system = ctypes.CDLL(None, use_errno=True)
    version = system.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    rules = struct.pack("<QQ", _RIGHTS[min(version, 5)], _TCP)[: 16 if version >= _TCP_SINCE else 8]
    ruleset = system.syscall(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    _check(ruleset)
    for folder in readable:
        _allow_reading(system, ruleset, folder)
    _check(system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _check(system.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def _allow_reading(system: ctypes.CDLL, ruleset: int, folder: str) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    rule = struct.pack("<Qi", _READ, opened)
    _check(system.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    os.close(opened)


def end_with_parent() -> None:
    """Let this process be killed when the one that started it ends (Linux; elsewhere the end of its input tells it)."""
    if sys.platform.startswith("linux"):
        _check(ctypes.CDLL(None, use_errno=True).prctl(_DEATH_SIGNAL, _KILL, 0, 0, 0))


def limit_memory(more_bytes: int) -> None:
    """Let this process map so much more memory than now, and write no file at all."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - before anything heavy is imported
            mapped = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        mapped = 0
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more_bytes, mapped + more_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu(more_s: int) -> None:
    """Let this process compute for so much longer; then it is killed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + more_s + 1, hard))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot confine this process: {os.strerror(number)}")
