"""A process that may compute and read files, and nothing else: no sockets, no processes, no writes, no signals.

The kernel keeps it so, by a seccomp filter that lets a list of system calls through and refuses all others with EPERM;
`open` is refused with EACCES when it asks to write, create or truncate. It holds for every kind of code, ctypes and
compiled extensions included, and cannot be taken off. Memory is bounded by a resource limit.

Only the standard library: this text runs in the new process before anything else can be imported there.
"""

import ctypes
import errno
import fcntl
import os
import platform
import resource
import struct
import sys
from typing import Any, Final

Instruction = tuple[int, int, int, int]

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, ANY_OF, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
SET_NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER, SET_PARENT_DEATH_SIGNAL = 38, 22, 2, 1
NUMBER_AT, MACHINE_AT, ARGUMENTS_AT = 0, 4, 16
X32_BIT = 0x40000000
FCNTL_COMMANDS = (fcntl.F_DUPFD, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_DUPFD_CLOEXEC)
"""Not the others: a descriptor can be made to send any signal to any process of the same user."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

X86_64: Final[dict[str, Any]] = {
    "machine": 0xC000003E,
    "open": ((2, 1), (257, 2)),
    "ioctl": 16,
    "fcntl": 72,
    "prlimit": 302,
    # read write close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread
    # readv writev access select sched_yield mremap madvise dup dup2 nanosleep getpid exit uname getcwd readlink
    # gettimeofday getrlimit getrusage sysinfo times getuid getgid geteuid getegid getppid sigaltstack statfs fstatfs
    # arch_prctl gettid futex sched_getaffinity getdents64 restart_syscall fadvise64 clock_gettime clock_getres
    # clock_nanosleep exit_group newfstatat readlinkat faccessat ppoll set_robust_list dup3 getcpu getrandom membarrier
    # statx rseq faccessat2
    "allowed": (
        *(0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 21, 23, 24, 25),
        *(28, 32, 33, 35, 39, 60, 63),
        *(79, 89, 96, 97, 98, 99, 100, 102, 104, 107, 108, 110, 131, 137, 138, 158, 186, 202, 204, 217, 219, 221, 228),
        *(229, 230, 231, 262, 267, 269, 271, 273, 292, 309, 318, 324, 332, 334, 439),
    ),
}
AARCH64: Final[dict[str, Any]] = {
    "machine": 0xC00000B7,
    "open": ((56, 2),),
    "ioctl": 29,
    "fcntl": 25,
    "prlimit": 261,
    # the same calls, as far as there are any of that name
    "allowed": (
        *(17, 23, 24, 43, 44, 48, 57, 61, 62, 63, 64, 65, 66, 67, 73, 78, 79, 80, 93, 94, 98, 99),
        *(101, 113, 114, 115),
        *(123, 124, 128, 132, 134, 135, 139, 153, 160, 165, 168, 169, 172, 173, 174, 175, 176, 177, 178, 179, 214, 215),
        *(216, 222, 223, 226, 233, 278, 283, 291, 293, 439),
    ),
}
MACHINES: Final = {"x86_64": X86_64, "aarch64": AARCH64}


class SandboxUnavailable(RuntimeError):
    """There is no filter of system calls here that we know how to ask for."""


def program(machine: dict[str, Any]) -> list[Instruction]:
    """Return the filter as instructions (code, jump if true, jump if false, value)."""
    refuse = REFUSE | errno.EPERM
    code: list[Instruction] = [
        (LOAD, 0, 0, MACHINE_AT),
        (EQUAL, 1, 0, machine["machine"]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    code += [(AT_LEAST, 0, 1, X32_BIT), (RETURN, 0, 0, refuse)]
    for number in machine["allowed"]:
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for number, flags in machine["open"]:
        code += [(EQUAL, 0, 4, number), (LOAD, 0, 0, ARGUMENTS_AT + 8 * flags), (ANY_OF, 0, 1, WRITING)]
        code += [(RETURN, 0, 0, REFUSE | errno.EACCES), (RETURN, 0, 0, ALLOW)]
    code += [(EQUAL, 0, 1, machine["ioctl"]), (RETURN, 0, 0, REFUSE | errno.ENOTTY)]
    commands = [step for one in FCNTL_COMMANDS for step in ((EQUAL, 0, 1, one), (RETURN, 0, 0, ALLOW))]
    code += [(EQUAL, 0, 2 + len(commands), machine["fcntl"]), (LOAD, 0, 0, ARGUMENTS_AT + 8)]
    code += [*commands, (RETURN, 0, 0, refuse)]
    # limits may be asked for, not set: another process's could be
    code += [(EQUAL, 0, 6, machine["prlimit"]), (LOAD, 0, 0, ARGUMENTS_AT + 16), (EQUAL, 0, 3, 0)]
    code += [(LOAD, 0, 0, ARGUMENTS_AT + 20), (EQUAL, 0, 1, 0), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, refuse)]
    return [*code, (RETURN, 0, 0, refuse)]


def check_available() -> None:
    """Raise `SandboxUnavailable` where there is no such filter."""
    if sys.platform != "linux" or platform.machine() not in MACHINES or sys.maxsize < 1 << 32:
        raise SandboxUnavailable(f"expected Linux on x86_64 or aarch64, got {sys.platform} on {platform.machine()}")


def enter(memory_bytes: int) -> None:
    """Shut this process in, for good. Raises `SandboxUnavailable`."""
    check_available()
    for limit, value in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (value, value))
    instructions = program(MACHINES[platform.machine()])
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in instructions))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code)))
    control = ctypes.CDLL(None, use_errno=True).prctl
    control.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    control(SET_PARENT_DEATH_SIGNAL, 9, 0, 0, 0)
    for call in ((SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SET_SECCOMP, FILTER, ctypes.addressof(filter_), 0, 0)):
        if control(*call) != 0:
            raise SandboxUnavailable(f"the kernel refused the filter: {os.strerror(ctypes.get_errno())}")
