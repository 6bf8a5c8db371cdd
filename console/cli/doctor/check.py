"""What one look of the doctor gave."""

from typing import Literal, NamedTuple

Outcome = Literal["ok", "warn", "fail", "ill"]
"""`fail`: HMS cannot do its work; `ill`: it can, and what it looks after is not well."""


class Check(NamedTuple):
    """What was looked at, how it is, what was seen, and what to do about it."""

    name: str
    outcome: Outcome
    seen: str
    todo: str = ""
