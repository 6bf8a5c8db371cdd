"""A behaviour's fingerprint changes with what its fold does, and with nothing else."""

from collections.abc import Callable

from hms import State
from hms.core.fingerprint import fingerprint


class Total(State):
    count: int = 0


def fold(helper: str, *, module: str = "bank") -> Callable[..., object]:
    """Return an `evolve` made from source, in a module of its own."""
    names: dict[str, object] = {"__name__": module}
    exec(f"def helper(state):\n    return {helper}\n\ndef evolve(state, event):\n    return helper(state)\n", names)  # noqa: S102
    evolve = names["evolve"]
    assert callable(evolve)
    return evolve


def test_the_same_code_has_the_same_fingerprint() -> None:
    assert fingerprint("a", 1, fold("state + 1"), Total) == fingerprint("a", 1, fold("state + 1"), Total)


def test_a_changed_helper_changes_the_fingerprint() -> None:
    assert fingerprint("a", 1, fold("state + 1"), Total) != fingerprint("a", 1, fold("state + 2"), Total)


def test_a_set_among_the_constants_does_not_make_it_depend_on_the_hash_seed() -> None:
    assert fingerprint("a", 1, fold("state in {'x', 'y'}"), Total) == fingerprint(
        "a", 1, fold("state in {'x', 'y'}"), Total
    )


def test_a_version_changes_the_fingerprint() -> None:
    assert fingerprint("a", 1, fold("state"), Total) != fingerprint("a", 2, fold("state"), Total)
