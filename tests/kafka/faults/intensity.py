"""How much of each fault: a short version by default, the long one with HMS_LONG=1; the seed by HMS_SEED."""

import os
from random import Random
from typing import Final

LONG: Final = os.environ.get("HMS_LONG") == "1"
SEED: Final = int(os.environ.get("HMS_SEED", "7"))


def many(short: int, long: int) -> int:
    """Return how often, in the version that runs."""
    return long if LONG else short


def drawn() -> Random:
    """Return what a fault draws its moments from."""
    return Random(SEED)  # noqa: S311 - repeatable on purpose
