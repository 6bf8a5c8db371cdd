"""Was it the kernel's out-of-memory killer? A hint: precise where the kernel's log may be read, else by counters."""

# ruff: noqa: PTH123 - pathlib would cost each shim 5 ms and a megabyte

import os


def kills() -> int:
    """Return how many processes the kernel has killed for want of memory since boot; 0 where that is not told."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0


def killed(pid: int, kills_before: int) -> bool:
    """Tell whether a process that died by a KILL of nobody we know was killed for want of memory."""
    if kills() == kills_before:
        return False
    log = _kernel_log()
    return f"Killed process {pid} " in log if log else True


def _kernel_log() -> str:
    try:
        descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    lines = []
    try:
        while True:
            lines.append(os.read(descriptor, 8192))
    except OSError:  # the end of the log, or a line overwritten while it was read
        return b"".join(lines).decode(errors="replace")
    finally:
        os.close(descriptor)
