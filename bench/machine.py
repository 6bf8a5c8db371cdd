"""What it was measured on. No names of hosts, no paths: a stranger reads this."""

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil


class Machine(NamedTuple):
    cpu: str
    cores: int
    ram_gb: float
    kernel: str
    python: str
    sqlite: str
    file_system: str
    fsync_ms_p50: float

    def __str__(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.ram_gb:.0f} GB RAM, {self.kernel}, Python {self.python}, "
            f"SQLite {self.sqlite}, {self.file_system}, fsync of 4 KB p50 {self.fsync_ms_p50:.2f} ms"
        )


def describe(folder: Path) -> Machine:
    """Look at this machine, and at the disk of the folder that the logs will be in."""
    return Machine(
        _cpu(),
        os.cpu_count() or 1,
        psutil.virtual_memory().total / 1e9,
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
        sqlite3.sqlite_version,
        _file_system(folder),
        _fsync_ms(folder),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown file system"


def _fsync_ms(folder: Path, count: int = 200) -> float:
    took: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(count):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took)
