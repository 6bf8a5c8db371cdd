"""`python bench [NAME ...] [--runs 5] [--quick] [--write]`: measure the bars of HMS, and say which are met."""

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
import replaying
import report
import restoring
import throughput
import timers
from session import Session, Unavailable

BENCHES: dict[str, ModuleType] = {
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
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python bench", description="Measure the bars of HMS.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)}; left out: all")
    parser.add_argument("--runs", type=int, default=5, help="of each measurement (5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to see that it runs, not how fast")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (the system's folder for temporary files)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    if unknown := set(given.names) - BENCHES.keys():
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    if given.write and (given.names or given.quick):
        parser.error("--write needs all benches in full: leave the names and --quick out")
    return given


def outcome(bench: ModuleType, session: Session) -> report.Outcome:
    session.loads.clear()
    try:
        figures = bench.run(session)
    except Unavailable as error:
        print(f"SKIPPED {bench.TITLE}: {error}", file=sys.stderr)
        return report.Outcome(bench.TITLE, bench.WHAT, [], skipped=str(error))
    missed = not all(figure.met for figure in figures)
    profile = bench.profile(session) if missed and hasattr(bench, "profile") else ""
    return report.Outcome(bench.TITLE, bench.WHAT, figures, list(session.loads), profile=profile)


def main() -> int:
    given = arguments()
    folder = Path(tempfile.mkdtemp(prefix="hms-bench-", dir=given.folder))
    outcomes = []
    try:
        here = machine.describe(folder)
        print(here, flush=True)
        session = Session(folder, given.runs, 0.1 if given.quick else 1.0)
        for name in given.names or BENCHES:
            outcomes.append(outcome(BENCHES[name], session))
            print(f"\n{report.table(outcomes[-1:])}\nload {session.loads}\n{outcomes[-1].profile}", flush=True)
    finally:
        shutil.rmtree(folder)
    if given.write:
        PAGE.write_text(report.page(outcomes, here, given.runs))
    return 0 if all(figure.met for one in outcomes for figure in one.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
