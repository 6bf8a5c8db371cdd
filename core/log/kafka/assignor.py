"""Which member gets which shard: what the group's leader works out from what every member says of itself.

A member says what it may be running (its claim), not what it wants. A shard that is taken from one goes to the next only
when the old one has released it, which it says with its next claim; see `core/log/assignment`. What was decided travels with
the group: each member is told all of it, and brings it along to the next assignment, whoever leads that one.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..assignment import Placement, share_out

PROTOCOL: Final = "hms-sticky-1"
"""The name under which members agree on this assignor; another version of what travels needs another name."""
NOBODY: Final = Placement(None, None)


class Claim(NamedTuple):
    """What a member says when it joins: what it may be running, and what was agreed on when it was last told.

    `process` is another one for each process, also of those that follow each other under one node's name.
    """

    node: str
    round: int
    held: frozenset[int]
    placements: tuple[Placement, ...]
    process: str = ""


class Agreement(NamedTuple):
    """What the members are told; `round` grows with each, -1 before the first.

    A group's generation would not do: it begins again at 1 when a cluster has lost or deleted the group, and then a member
    that slept through that would know the larger number, and have its way.
    """

    round: int
    placements: tuple[Placement, ...]


def agree(claims: Sequence[Claim], shards: int) -> list[Placement]:
    """Share the shards out among the members; the same claims in any order give the same answer.

    Of two that claim a shard the one that was told later has it: the other one was given up for dead meanwhile.
    """
    live = sorted({claim.node for claim in claims})
    oldest_first = sorted(claims, key=lambda claim: (claim.round, claim.node))
    holders = {shard: claim.node for claim in oldest_first for shard in claim.held}
    known = oldest_first[-1].placements if oldest_first else ()
    decided = known if len(known) == shards else (NOBODY,) * shards
    before = [_before(holders.get(shard), decided[shard].target, live) for shard in range(shards)]
    return share_out(before, live)


def _before(holder: str | None, target: str | None, live: list[str]) -> Placement:
    """Where it was to go, if that member is still there; else where it is."""
    return Placement(holder, target if target in live else holder)


def next_round(claims: Sequence[Claim]) -> int:
    """Return the number of what is agreed on now."""
    return max((claim.round for claim in claims), default=-1) + 1


def encode_claim(claim: Claim) -> bytes:
    """Return it as the bytes that a member sends along."""
    fields = {"node": claim.node, "process": claim.process, "round": claim.round, "held": sorted(claim.held)}
    return json.dumps({**fields, **_fields(claim.placements)}).encode()


def decode_claim(data: bytes) -> Claim:
    """Return what `encode_claim` made; raises `ValueError` for anything else."""
    try:
        fields = json.loads(data)
        held = frozenset(map(int, fields["held"]))
        return Claim(str(fields["node"]), int(fields["round"]), held, _placements(fields), str(fields["process"]))
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a claim of a member: {data[:100]!r}") from error


def encode_agreement(agreement: Agreement) -> bytes:
    """Return it as the bytes that every member is told."""
    return json.dumps({"round": agreement.round, **_fields(agreement.placements)}).encode()


def decode_agreement(data: bytes) -> Agreement:
    """Return what `encode_agreement` made; raises `ValueError` for anything else."""
    try:
        fields = json.loads(data)
        return Agreement(int(fields["round"]), _placements(fields))
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an assignment of shards: {data[:100]!r}") from error


def _fields(placements: Sequence[Placement]) -> dict[str, list[str | None]]:
    return {"holders": [one.holder for one in placements], "targets": [one.target for one in placements]}


def _placements(fields: dict[str, list[str | None]]) -> tuple[Placement, ...]:
    return tuple(map(Placement, fields["holders"], fields["targets"]))
