"""The shut-in half: gets recorded commits through a pipe, decides them by the candidate's code, tells what differs.

Frames come in as four bytes of length and a marshalled tuple, from a parent that is trusted. Lines of JSON go out, to a
parent that trusts none of them.
"""

import json
import marshal
import sys
from collections.abc import Iterator
from typing import IO, Any, Final

import structlog

from ...core.log.port import EVENTS, LANES, Stored
from ...core.runtime.commit_record import commit_fields
from ...core.runtime.commits import Transaction
from ...core.runtime.installed import Behaviours, code_version_of
from ...core.runtime.replayer import Replayer
from ...core.runtime.shard_options import ShardOptions
from ..apps import behaviours_of
from ..schemas import learn_schema
from ..verify.shard import Doubt, ShardVerification, Tally

BEGIN: Final = "begin"
SHARD: Final = "shard"
COMMITS: Final = "commits"


def main(out: IO[str]) -> None:
    """Work until the pipe ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    frames = _frames(sys.stdin.buffer)
    _, begin = next(frames)
    candidate = Candidate(begin, out)
    for kind, content in frames:
        if kind == SHARD:
            candidate.begin(content)
        else:
            candidate.take(content)
    candidate.end()


def _frames(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    while size := stream.read(4):
        yield marshal.loads(stream.read(int.from_bytes(size, "big")))  # noqa: S302 - it comes from the parent


class Candidate:
    """The candidate's code on recorded shards, one after another."""

    def __init__(self, begin: dict[str, Any], out: IO[str]) -> None:
        self._begin = begin
        self._out = out
        self._behaviours: Behaviours = behaviours_of(tuple(begin["apps"]))
        contract = self._behaviours.contract
        own = [[id_, text] for id_, text in contract.schemas()]
        for key, value in begin["schemas"]:
            learn_schema(contract, key, value)
        self._tally: Tally | None = None
        self._replayer: Replayer
        self._say({"ready": code_version_of(self._behaviours), "schemas": own})

    def _say(self, line: dict[str, Any]) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()

    def begin(self, shard: int) -> None:
        """Begin a shard from nothing."""
        self.end()
        begin = self._begin
        self._replayer = Replayer(
            shard,
            begin["partitions"],
            self._behaviours,
            ShardOptions(),
            headers=begin["headers"],
            lockstep=begin["lockstep"],
        )
        self._tally = Tally(ShardVerification(shard), self._behaviours)

    def end(self) -> None:
        """Tell what the shard came to."""
        if self._tally is None:
            return
        found = self._tally.found
        for doubt in found.doubts:
            self._say({"doubt": _doubt_item(doubt)})
        counts = ("commits", "commits_skipped", "inputs", "sends_checked", "sends_unchecked")
        self._say({"shard": found.shard, **{name: getattr(found, name) for name in counts}})
        self._tally = None

    def take(self, commits: list[Any]) -> None:
        """Decide some commits."""
        tally = self._tally
        if tally is None:
            raise ValueError("expected a shard before its commits")
        shard = tally.found.shard
        for events, record, inputs, run in commits:
            stored = _event(shard, record)
            fields = commit_fields(self._behaviours.contract, stored.value or b"")
            transaction = Transaction([_event(shard, one) for one in events], fields, stored)
            if fields["now"] < self._begin["since_us"]:
                self._replayer.skip(transaction)
                tally.found.commits_skipped += 1
                continue
            consumed = [None if one is None else Stored(LANES[one[0]], shard, *one[1:]) for one in inputs]
            for divergence in tally.take(transaction, self._replayer.replay(transaction, consumed), run):
                self._say({"divergence": list(divergence)})
        self._say({"done": len(commits)})


def _event(shard: int, sent: tuple[int, int, bytes, bytes]) -> Stored:
    offset, at_us, key, value = sent
    return Stored(EVENTS, shard, offset, at_us, key, value, ())


def _doubt_item(doubt: Doubt) -> list[Any]:
    messages = {id_: [key.hex(), value.hex()] for id_, (key, value) in doubt.messages.items()}
    return [*doubt[:5], messages, doubt.alone]
