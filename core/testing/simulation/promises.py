"""The promises of design section 7, held against the evidence of one world. Each check returns what is broken, in words."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, cast

from ....schemas import MalformedRecord
from ...log.port import LANES, Log
from ...runtime import verdict as verdicts
from ...runtime.fitness import CLOCK_OFF_US_MAX
from ...runtime.history import LogHistory
from ...runtime.records import TIMER_LANE
from ...runtime.restore import ShardMemory, restore
from ...runtime.verify import replay_shard
from .acts import effects_act_after_the_commit, timers_are_exact
from .cast import Account, Register, behaviours
from .evidence import Evidence, WithoutCheckpoints

HARMLESS = (verdicts.DUPLICATE, verdicts.FORWARDED, verdicts.MALFORMED)
SLACK_US = 15_000_000
"""What a broker's clock may be off, and a shard's clock follow a wrong one until its node notices."""
BURIED = (verdicts.MALFORMED, verdicts.FAILED, verdicts.QUARANTINED, verdicts.UNDELIVERABLE)


def acknowledged_means_durable(evidence: Evidence) -> Iterator[str]:
    """1: what a client was told is in the log, and was given a verdict."""
    verdict_of: dict[tuple[str, str], str] = {}
    for _, _, given in evidence.inputs():
        if given["source"] and given["verdict"] not in HARMLESS:
            verdict_of[given["source"], given["id"]] = given["verdict"]
    effects = {seen.envelope.causation_id for seen in evidence.events}
    for wish in evidence.witnesses.operations:
        verdict = verdict_of.get((wish.source, wish.id))
        if wish.acknowledged and verdict is None:
            yield f"{wish.id} of {wish.source} to {wish.to.id} was acknowledged, and no commit knows it"
        if wish.answer is not None and (verdict != verdicts.DECIDED or wish.id not in effects):
            yield f"{wish.id} of {wish.source} was answered {wish.answer!r}; its verdict is {verdict}, or no event"


def at_most_once(evidence: Evidence) -> Iterator[str]:
    """2: every message in the lanes is consumed exactly once, and every id from outside counts once."""
    consumed = Counter(
        (shard, given["lane"], given["offset"]) for shard, _, given in evidence.inputs() if given["lane"] < TIMER_LANE
    )
    there = {(shard, lane, offset) for (shard, lane), messages in evidence.lanes.items() for offset in messages}
    yield from (f"the message {place} was consumed {times} times" for place, times in consumed.items() if times > 1)
    yield from (f"the message {place} was never consumed" for place in sorted(there - consumed.keys()))
    yield from (f"a message {place} was consumed that is not there" for place in sorted(consumed.keys() - there))
    counted = Counter(
        (given["source"], given["id"], given["actor"])
        for _, _, given in evidence.inputs()
        if given["source"] and given["verdict"] not in HARMLESS
    )
    yield from (f"{key} counted {times} times" for key, times in counted.items() if times > 1)
    ids = Counter(seen.envelope.id for seen in evidence.events)
    yield from (f"the event {id_} is there {times} times" for id_, times in ids.items() if times > 1)
    yield from _money(evidence)
    yield from _operations(evidence)


def _money(evidence: Evidence) -> Iterator[str]:
    """Money is neither made nor lost: what came in from outside is in accounts, or in a dead letter."""
    balances = sum(cell.state.cents for cell in evidence.cells() if isinstance(cell.state, Account))
    outside: set[str] = {given["id"] for _, _, given in evidence.inputs() if given["source"]}
    paid_in = 0
    for seen in evidence.events:
        if type(seen.record).__name__ == "Deposited" and seen.envelope.causation_id in outside:
            paid_in += seen.record.cents
    buried = sum(letter_cents(letter) for letter in evidence.dead_letters)
    if balances + buried != paid_in:
        yield f"{paid_in} cents came in; there are {balances} in accounts and {buried} in dead letters"


def clocks_agree(evidence: Evidence) -> Iterator[str]:
    """No decision is made by a clock that is far off the log's: a node that has such a one owns nothing."""
    for shard in evidence.shards:
        for commit in evidence.commits[shard]:
            off_us = commit.fields["now"] - commit.record.at_us
            if abs(off_us) > CLOCK_OFF_US_MAX + SLACK_US:
                yield f"shard {shard}: commit {commit.fields['sequence']} was made {off_us // 1_000} ms off the log's clock"


def letter_cents(letter: Any) -> int:
    """Return the money in a dead letter: of a transfer's deposit, or of a refusal on its way back."""
    try:
        envelope, record = behaviours().contract.decode(letter.value or b"")
    except MalformedRecord:
        return 0
    return (
        cast("Any", record).cents
        if type(record).__name__ == "Deposit" and envelope.source.startswith("account/")
        else 0
    )


def _operations(evidence: Evidence) -> Iterator[str]:
    """Every operation is in a register once, and those of one client on one lane in the order of its wishes."""
    lanes: dict[str, str] = {f"{wish.source}:{wish.number:03}": wish.priority for wish in evidence.witnesses.operations}
    for cell in evidence.cells():
        if not isinstance(cell.state, Register):
            continue
        operations = [name for name in cell.state.operations if not name.startswith("relay")]
        yield from (
            f"{cell.address} has {name} {times} times"
            for name, times in Counter(cell.state.operations).items()
            if times > 1
        )
        by_sender: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in operations:
            if name in lanes:
                by_sender[name.partition(":")[0], lanes[name]].append(name)
        for sender, names in by_sender.items():
            if names != sorted(names):
                yield f"{cell.address} got the operations of {sender} in the order {names}"


def fenced_records_are_never_visible(evidence: Evidence) -> Iterator[str]:
    """3: what can be seen is one chain a shard, dense and hashed, whose epochs only grow; its digests hold."""
    for shard in evidence.shards:
        previous, epoch, now = b"\0" * 32, 0, 0
        for number, commit in enumerate(evidence.commits[shard]):
            fields = commit.fields
            if fields["sequence"] != number or fields["previous"] != previous:
                yield f"shard {shard}: commit {fields['sequence']} of epoch {fields['epoch']} in place {number} breaks the chain"
            if fields["epoch"] < epoch or fields["now"] < now:
                yield f"shard {shard}: commit {number} goes back in epoch or time"
            previous, epoch, now = hashlib.sha256(commit.record.value or b"").digest(), fields["epoch"], fields["now"]


async def state_is_the_fold(evidence: Evidence) -> list[str]:
    """4: the live state, the restored one, and the fold from the first event on are equal."""
    broken: list[str] = []
    options = evidence.options
    bare = cast("Log", WithoutCheckpoints(evidence.log))
    for shard, memory in evidence.living.items():
        restored = await restore(evidence.log, shard, behaviours(), options, LogHistory(evidence.log))
        folded = await restore(bare, shard, behaviours(), options, LogHistory(bare))
        live = described(memory)
        broken += _differences(f"shard {shard}, restored", live, described(restored))
        broken += _differences(f"shard {shard}, folded from the beginning", live, described(folded))
    return broken


def described(memory: ShardMemory) -> dict[str, Any]:
    """Return what two memories of one shard have to agree on."""
    seen: dict[str, Any] = {"head": memory.head}
    for address in sorted(memory.actors.addresses()):
        cell = memory.actors.get(address)
        if cell is not None and cell.count:
            seen[address] = (cell.state, cell.count, cell.generation, cell.timers, cell.effects, bool(cell.quarantine))
    return seen


def _differences(what: str, expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    names = sorted(expected.keys() | got.keys())
    return [
        f"{what}: {name} is {expected.get(name)} live and {got.get(name)} there"
        for name in names
        if expected.get(name) != got.get(name)
    ]


async def replay_is_exact(evidence: Evidence) -> list[str]:
    """5: the recorded inputs, in their recorded order, through the same code, give the same events, byte for byte."""
    broken: list[str] = []
    for shard in evidence.shards:
        options = evidence.options
        found = await replay_shard(evidence.log, shard, behaviours(), options, evidence.commits[shard])
        broken += [f"shard {shard}, commit {difference.sequence}: {difference.what}" for difference in found]
    return broken


def bad_input_is_refused_or_buried(evidence: Evidence) -> Iterator[str]:
    """6: whatever could not be handled is a dead letter, whole."""
    letters = {(letter.topic, letter.partition, letter.offset): letter for letter in evidence.dead_letters}
    for shard, _, given in evidence.inputs():
        if given["verdict"] not in BURIED or given["lane"] == TIMER_LANE:
            continue
        place = (LANES[given["lane"]], shard, given["offset"])
        message = evidence.lanes[shard, given["lane"]][given["offset"]]
        if place not in letters or not _is_whole(letters[place], message.value or b""):
            yield f"{place} got the verdict {given['verdict']} and is no dead letter"
    consumed = {
        (LANES[given["lane"]], shard, given["offset"])
        for shard, _, given in evidence.inputs()
        if given["lane"] < TIMER_LANE
    }
    for topic, partition, offset, kind in evidence.witnesses.written:
        if (topic, partition, offset) not in consumed:
            yield f"the intruder's {kind} at {topic}/{partition}@{offset} got no verdict"


def _is_whole(letter: Any, value: bytes) -> bool:
    """Tell whether a dead letter holds the message, or its hash where it is too large."""
    kept: bytes | None = letter.value
    return letter.value_sha256 == hashlib.sha256(value).digest() if kept is None else kept == value


async def broken_promises(evidence: Evidence) -> list[str]:
    """Return everything that is broken, each line beginning with the promise's number or name."""
    before, calls = await evidence.ends(), len(evidence.witnesses.calls)
    broken: list[str] = []
    for name, check in CHECKS.items():
        broken += [f"{name}: {what}" for what in check(evidence)]
    broken += [f"promise 4: {what}" for what in await state_is_the_fold(evidence)]
    broken += [f"promise 5: {what}" for what in await replay_is_exact(evidence)]
    if await evidence.ends() != before or len(evidence.witnesses.calls) != calls:
        broken.append("promise 8: a restore or a replay wrote or did something")
    return broken


CHECKS = {
    "promise 1": acknowledged_means_durable,
    "promise 2": at_most_once,
    "promise 3": fenced_records_are_never_visible,
    "promise 6": bad_input_is_refused_or_buried,
    "clocks": clocks_agree,
    "timers": timers_are_exact,
    "effects": effects_act_after_the_commit,
}
