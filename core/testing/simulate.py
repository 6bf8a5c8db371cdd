"""Repeat a simulated world: `python -m hms.core.testing.simulate --seed N` prints what happened in it, and what broke."""

import argparse
import sys
from collections.abc import Sequence

from .simulation import Verdict, plan_of, simulate


def command(seed: int) -> str:
    """Return the command that repeats a seed."""
    return f"python -m hms.core.testing.simulate --seed {seed}"


def report(verdict: Verdict) -> str:
    """Return a readable account of a world: its plan, its trace, the faults that struck, the promises that broke."""
    lines = [f"seed {verdict.seed}", str(plan_of(verdict.seed)), ""]
    lines += [f"{note.at_ms:>8} ms  {note.who:<10} {note.what}" for note in verdict.trace]
    lines += ["", "struck: " + ", ".join(f"{name} {count}" for name, count in sorted(verdict.strikes.items()))]
    lines += [f"{verdict.steps} steps in {verdict.virtual_ms} ms of virtual time", ""]
    lines += [f"BROKEN  {what}" for what in verdict.broken] or ["every promise held"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one seed; exit with 1 if a promise broke."""
    parser = argparse.ArgumentParser(prog="hms.core.testing.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    verdict = simulate(parser.parse_args(arguments).seed)
    sys.stdout.write(report(verdict) + "\n")
    return 1 if verdict.broken else 0


if __name__ == "__main__":
    sys.exit(main())
