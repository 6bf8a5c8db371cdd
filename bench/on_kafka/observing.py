"""One system at work, watched from outside: a consumer of committed records in a process of its own sees when it is done."""

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import psutil
from confluent_kafka import Consumer, TopicPartition
from session import Measured

DEADLINE_S, QUIET_S = 400.0, 1.0


class Watched(NamedTuple):
    """A topic, and the schema id of those records in it that count."""

    topic: str
    schema_id: int


def observing(
    command: list[str], bootstrap: str, replies: list[Any], events: list[Any], count: int, said: str
) -> Measured:
    """Start it; the clock runs until a committed reader has the last answer.

    `rate`: from the `started` that it tells, so with joining its group and opening its state; `running_rate`: from the first
    answers that were seen, they not counted. Then it is ended, and there must be exactly as many answers and events as
    commands. What it says goes to the file `said`.
    """
    with Path(said).open("w", encoding="utf-8") as errors, _Counted(bootstrap, Watched(*replies)) as answers:
        subject = _Subject(command, errors)
        try:
            first, seen = _until(answers, 1, subject)
            done, _ = _until(answers, count, subject)
            cpu = subject.cpu_s()
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said: {Path(said).read_text(encoding='utf-8')[-3_000:]}") from error
        finally:
            subject.end()
        assert (found := answers.all()) == count, f"expected {count} answers, got {found}"
    with _Counted(bootstrap, Watched(*events)) as written:
        assert (found := written.all()) == count, f"expected {count} events, got {found}"
    rate = count / (done - subject.started)
    running = (count - seen) / (done - first) if seen < count else rate
    return {"rate": rate, "running_rate": running, "cpu_us": cpu / count * 1e6}


def _until(answers: "_Counted", count: int, subject: "_Subject") -> tuple[float, int]:
    """Return when there were so many, and how many there were then."""
    deadline = time.monotonic() + DEADLINE_S
    while answers.found < count and answers.take(0.05) < count:
        if time.monotonic() > deadline or subject.ended:
            raise TimeoutError(f"{answers.found} of {count} answers after {DEADLINE_S:.0f} s, or at its end")
    return time.monotonic(), answers.found


class _Subject:
    """The process that works."""

    def __init__(self, command: list[str], errors: IO[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"it ended before it began: {Path(errors.name).read_text(encoding='utf-8')[-3_000:]}")
        self.started = float(json.loads(line)["started"])
        self._before = self._cpu_s()
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def cpu_s(self) -> float:
        return self._cpu_s() - self._before

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _cpu_s(self) -> float:
        subject = psutil.Process(self._process.pid)
        times = [one.cpu_times() for one in (subject, *subject.children(recursive=True))]
        return float(sum(time.user + time.system for time in times))


class _Counted:
    """How many records of a topic a committed reader has seen."""

    def __init__(self, bootstrap: str, watched: Watched) -> None:
        options = {"group.id": "hms-bench", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "isolation.level": "read_committed", **options})
        partitions = self._consumer.list_topics(watched.topic, timeout=30).topics[watched.topic].partitions
        self._consumer.assign([TopicPartition(watched.topic, number, 0) for number in partitions])
        self._id = watched.schema_id.to_bytes(4, "big")
        self.found = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._consumer.close()

    def take(self, timeout_s: float) -> int:
        """Count what has come; return how many there are by now."""
        for message in self._consumer.consume(5_000, timeout_s):
            assert message.error() is None, message.error()
            self.found += (message.value() or b"")[1:5] == self._id
        return self.found

    def all(self) -> int:
        """Count until nothing has come for a while: nobody writes any more."""
        seen, since = -1, time.monotonic()
        while time.monotonic() < since + QUIET_S:
            if self.take(0.1) != seen:
                seen, since = self.found, time.monotonic()
        return self.found
