"""`python bench [NAME ...] [--runs 5] [--quick] [--write]`: measure the bars of HMS, and say which are met.

A name is one bench, or one part of the page: `embedded`, `kafka`, `readers`.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import command_line
import critical
import heartbeats
import latency
import machine
import memory
import on_kafka.cli
import on_kafka.failover
import on_kafka.idle
import on_kafka.latency
import on_kafka.restore
import on_kafka.rolling
import on_kafka.throughput
import readers.anomaly
import readers.archive
import readers.audit
import readers.replay
import readers.sql
import replaying
import report
import restoring
import throughput
import timers
from session import MeasurementFailed, Session, Unavailable

from hms.core.errors import HmsError

EMBEDDED: dict[str, ModuleType] = {
    "throughput": throughput,
    "latency": latency,
    "replay": replaying,
    "restore": restoring,
    "critical": critical,
    "heartbeats": heartbeats,
    "memory": memory,
    "timers": timers,
    "cli": command_line,
}
KAFKA: dict[str, ModuleType] = {
    "kafka-throughput": on_kafka.throughput,
    "kafka-latency": on_kafka.latency,
    "kafka-restore": on_kafka.restore,
    "kafka-failover": on_kafka.failover,
    "kafka-rolling": on_kafka.rolling,
    "kafka-idle": on_kafka.idle,
    "kafka-cli": on_kafka.cli,
}
READERS: dict[str, ModuleType] = {
    "archive": readers.archive,
    "sql": readers.sql,
    "analysis": readers.anomaly,
    "audit": readers.audit,
    "replay-tools": readers.replay,
}
BENCHES = EMBEDDED | KAFKA | READERS
GROUPS = {"embedded": list(EMBEDDED), "kafka": list(KAFKA), "readers": list(READERS)}
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python bench", description="Measure the bars of HMS.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join([*GROUPS, *BENCHES])}; left out: all")
    parser.add_argument("--runs", type=int, default=5, help="of each measurement (5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to see that it runs, not how fast")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (the system's folder for temporary files)")
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks.md, or the parts of it that are named"
    )
    given = parser.parse_args()
    if unknown := set(given.names) - BENCHES.keys() - GROUPS.keys():
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join([*GROUPS, *BENCHES])}")
    if given.write and (given.quick or not set(given.names) <= GROUPS.keys()):
        parser.error(f"--write needs whole parts in full: name {' or '.join(GROUPS)}, or none, and leave --quick out")
    given.names = [name for one in given.names or GROUPS for name in GROUPS.get(one, [one])]
    return given


def _part(name: str) -> str:
    return next(part for part, names in zip(report.PARTS, GROUPS.values(), strict=True) if name in names)


def outcome(name: str, session: Session) -> report.Outcome:
    bench, part = BENCHES[name], _part(name)
    session.loads.clear()
    try:
        figures = bench.run(session)
    except Unavailable as error:
        print(f"SKIPPED {bench.TITLE}: {error}", file=sys.stderr)
        return report.Outcome(bench.TITLE, bench.WHAT, part, [], skipped=str(error))
    except (MeasurementFailed, HmsError, TimeoutError) as error:
        print(f"FAILED {bench.TITLE}: {error}", file=sys.stderr)
        return report.Outcome(bench.TITLE, bench.WHAT, part, [], skipped=str(error), failed=True)
    missed = not all(figure.met for figure in figures)
    profile = bench.profile(session) if missed and hasattr(bench, "profile") else ""
    return report.Outcome(bench.TITLE, bench.WHAT, part, figures, list(session.loads), profile=profile)


def main() -> int:
    given = arguments()
    folder = Path(tempfile.mkdtemp(prefix="hms-bench-", dir=given.folder))
    outcomes = []
    try:
        here = machine.describe(folder)
        print(here, flush=True)
        session = Session(folder, given.runs, 0.1 if given.quick else 1.0)
        with session.ending:
            for name in given.names:
                print(f"\n{BENCHES[name].TITLE}: {given.runs} runs", flush=True)
                outcomes.append(outcome(name, session))
                print(f"\n{report.table(outcomes[-1:])}\nload {session.loads}\n{outcomes[-1].profile}", flush=True)
    finally:
        shutil.rmtree(folder)
    if given.write:
        PAGE.write_text(report.page(PAGE.read_text(encoding="utf-8"), outcomes, here, given.runs), encoding="utf-8")
    met = all(figure.met for one in outcomes for figure in one.figures)
    return 0 if met and not any(one.failed for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
