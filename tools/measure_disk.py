"""Measure how the log grows: `python tools/measure_disk.py [SECONDS [COMPONENTS]]`. docs/operations/disk.md states what it printed.

A fleet of (ten) components that do nothing, with a liveness probe each; then one of them killed again and again.
"""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hms.core.log.open import open_log
from hms.core.log.port import SCHEMAS, TOPICS

KILLS, DAY_S = 20, 86_400
HMS = Path(sys.executable).with_name("hms")


def fleet(count: int) -> str:
    probes = {"liveness": {"process": True, "period_ms": 1_000}}
    names = [f"c{number}" for number in range(count)]
    components = [
        {
            "id": name,
            "group": "g",
            "command": ["sleep", "3600"],
            "probes": probes,
            "backoff": {"first_ms": 1, "max_ms": 1},
        }
        for name in names
    ]
    return json.dumps({"fleet": "disk", "groups": [{"id": "g", "max_restarts": 1_000}], "components": components})


async def payload(url: str) -> Counter[str]:
    """Return the bytes of keys, values and headers by topic, as the log holds them now."""
    log = await open_log(url)
    found: Counter[str] = Counter()
    for topic in TOPICS:
        for partition in range(1 if topic == SCHEMAS else log.partitions):
            position = (await log.watermarks(topic, partition)).start
            while (read := await log.read(topic, partition, position)).position != position:
                position = read.position
                found[topic] += sum(map(size, read.records))
    await log.close()
    return found


def size(stored) -> int:  # noqa: ANN001 - a record of the log
    return len(stored.key) + len(stored.value or b"") + sum(len(name) + len(data) for name, data in stored.headers)


def pages(path: Path) -> int:
    """Return the bytes of the file's pages in use, those in the write-ahead log included."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        (count,), (free,), (page,) = (
            connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
        )
    return int((count - free) * page)


def listed(url: str) -> list[dict[str, object]]:
    done = subprocess.run([HMS, "component", "list", "-o", "json", "--log", url], capture_output=True, check=False)
    found: list[dict[str, object]] = json.loads(done.stdout or b"[]")
    return found


def until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected the fleet to get there within {limit_s} s")
        time.sleep(0.1)


def is_up(url: str, component: str, above: int = 0) -> int:
    """Return its incarnation if one above that is ready, else 0."""
    incarnations = [int(str(item["incarnation"])) for item in listed(url) if item["id"] == component and item["ready"]]
    return next((number for number in incarnations if number > above), 0)


def measure(folder: Path, seconds: float, count: int) -> None:
    path = folder / "log.db"
    url = f"sqlite:{path}"
    until(lambda: all(is_up(url, f"c{number}") for number in range(count)))
    time.sleep(5)  # what is dirty from the start is written when shards are idle
    began, before, before_pages = time.monotonic(), asyncio.run(payload(url)), pages(path)
    print(f"after the start: {before_pages:,} bytes")
    time.sleep(seconds)
    grown = asyncio.run(payload(url)) - before
    a_day = DAY_S / (time.monotonic() - began) / 1e6
    print(f"nothing happens, {count} components, MB a day: {(pages(path) - before_pages) * a_day:.0f} in the file")
    print("  " + ", ".join(f"{topic} {size_ * a_day:.1f}" for topic, size_ in grown.most_common()))
    kill(url, path)


def kill(url: str, path: Path) -> None:
    before, before_pages = asyncio.run(payload(url)), pages(path)
    for _ in range(KILLS):
        item = next(item for item in listed(url) if item["id"] == "c0")
        incarnation = int(str(item["incarnation"]))
        os.kill(int(str(item["pid"])), signal.SIGKILL)
        until(lambda: bool(is_up(url, "c0", above=incarnation)))  # noqa: B023 - called at once
    grown = asyncio.run(payload(url)) - before
    print(f"a death and its restart, bytes: {(pages(path) - before_pages) / KILLS:,.0f} in the file")
    print("  " + ", ".join(f"{topic} {size_ / KILLS:,.0f}" for topic, size_ in grown.most_common()))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory(prefix="hms-disk-") as name:
        folder = Path(name)
        (folder / "fleet.yaml").write_text(fleet(count), encoding="utf-8")
        environment = {**os.environ, "XDG_STATE_HOME": name}
        command = [HMS, "up", "-f", "fleet.yaml", "--log", f"sqlite:{folder / 'log.db'}"]
        up = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        try:
            measure(folder, seconds, count)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait()


if __name__ == "__main__":
    main()
