"""The transaction coordinator of one transactional id: fence the predecessor, add partitions, end.

Spoken directly to the broker, because one must know which of these was asked last: before the end was asked for nothing of a
transaction can ever be seen; after that, without an answer, nobody can say.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from aiokafka.client import CoordinationType
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest

from .answers import UNKNOWN, Attempts, Meaning, meaning, name
from .cluster import Cluster
from .failures import FAILURES, FORBIDDEN, describe, failure
from .requests import IMPLICIT, describe_transaction, features, implicit_end, level

TRANSACTION_TIMEOUT_MS: Final = 10_000
"""After so long the broker aborts what a writer that vanished has left open."""
_COMMITTED: Final = ("PrepareCommit", "CompleteCommit")
_OPEN: Final = "Ongoing"
_PREPARED: Final = "Prepare"
_ABORTED: Final = (_OPEN, "PrepareEpochFence", "PrepareAbort", "CompleteAbort")
"""States of a transaction that ends so when its id is opened anew."""
_UNHEARD_OF: Final = 105
"""The coordinator knows no such id."""
_NOT_ATTEMPTED: Final = 55
"""Said of a partition when another one of the same request failed: that one says why."""


class Transactions:
    """Of one transactional id; `lane` is its connections' name, `what` the writer's in messages."""

    def __init__(self, cluster: Cluster, lane: str, transactional_id: str, what: str) -> None:
        self.producer_id = -1
        self.producer_epoch = -1
        self.implicit = False
        """Whether producing adds partitions to the transaction, and each end begins a new epoch; see `requests`."""
        self.unanswered = False
        """Whether an answer to the last `end` was lost, or said nothing."""
        self._cluster = cluster
        self._lane = lane
        self._id = transactional_id
        self._what = what
        self._coordinator: int | None = None

    async def outcome(self, attempts: Attempts) -> bool | None:
        """Return whether the id's last transaction is committed or aborted; None when the coordinator does not say.

        Ask before `begin_epoch`, which makes it forget.
        """
        state = await self._state(attempts)
        return True if state in _COMMITTED else False if state in _ABORTED else None

    async def is_open(self, attempts: Attempts) -> bool:
        """Tell whether the coordinator knows of a transaction that nobody has begun to end."""
        return await self.wait_complete(attempts) == _OPEN

    async def wait_complete(self, attempts: Attempts) -> str:
        """Wait until the coordinator is done with ending a transaction; return Kafka's word for what is then."""
        while (state := await self._state(attempts)).startswith(_PREPARED):
            await attempts.pause("markers are being written")
        return state

    async def _state(self, attempts: Attempts) -> str:
        """Return Kafka's word; empty where the cluster has none."""
        try:
            answer = await self._insist(
                describe_transaction(self._id),
                lambda answer: [one[0] for one in answer.transactions if one[0] != _UNHEARD_OF],
                attempts,
            )
        except IncompatibleBrokerVersion:
            return ""
        return str(answer.transactions[0][2])

    async def begin_epoch(self, attempts: Attempts, *, modern: bool = False) -> None:
        """Fence whoever had the id, wait until its open transaction is resolved, and take the next epoch.

        `modern` lets the transactions be implicit where the cluster knows them.
        """
        self.implicit = modern and await self._is_implicit(attempts)
        request = InitProducerIdRequest(transactional_id=self._id, transaction_timeout_ms=TRANSACTION_TIMEOUT_MS)
        answer = await self._insist(request, lambda answer: [answer.error_code], attempts)
        self.producer_id, self.producer_epoch = answer.producer_id, answer.producer_epoch

    async def add(self, places: Iterable[tuple[str, int]], attempts: Attempts, *, always: bool = False) -> None:
        """Say which partitions (topics as on the cluster) the transaction will write to, where that must be said."""
        if self.implicit and not always:
            return
        topics: dict[str, list[int]] = defaultdict(list)
        for topic, partition in places:
            topics[topic].append(partition)
        request = AddPartitionsToTxnRequest(
            transactional_id=self._id,
            producer_id=self.producer_id,
            producer_epoch=self.producer_epoch,
            topics=[*topics.items()],
        )
        await self._insist(request, _partition_codes, attempts)

    async def end(self, attempts: Attempts, *, committed: bool) -> None:
        """Commit or abort. A lost answer is asked for again: the broker gives the same one."""
        producer = (self._id, self.producer_id, self.producer_epoch)
        request = implicit_end(*producer, committed=committed) if self.implicit else EndTxnRequest(*producer, committed)
        self.unanswered = False
        answer = await self._insist(request, lambda answer: [answer.error_code], attempts, ending=True)
        if self.implicit:
            self.producer_id, self.producer_epoch = answer.producer_id, answer.producer_epoch

    async def _is_implicit(self, attempts: Attempts) -> bool:
        try:
            answer = await self._insist(features(), lambda answer: [answer.error_code], attempts)
        except IncompatibleBrokerVersion:
            return False
        return level(answer) >= IMPLICIT

    async def _insist(
        self, request: Any, codes: Callable[[Any], list[int]], attempts: Attempts, *, ending: bool = False
    ) -> Any:
        """Return the answer without an error; raises what `meaning` raises. Has no end of its own."""
        while True:
            self._cluster.check_open()
            try:
                answer = await self._cluster.ask(await self._find(), request, self._lane)
            except IncompatibleBrokerVersion:
                raise
            except FORBIDDEN as error:
                raise failure(error, self._what) from error
            except FAILURES as error:
                self.unanswered = self.unanswered or ending
                await self._lost(describe(error), attempts)
                continue
            answered = codes(answer)
            self.unanswered = self.unanswered or (ending and UNKNOWN in answered)
            found = {code: meaning(code, self._what) for code in answered}
            failed = [code for code in found if found[code] is not Meaning.DONE]
            if not failed:
                return answer
            if Meaning.MOVED in found.values():
                self._coordinator = None
            await attempts.pause(f"transaction coordinator: {name(failed[0])}")

    async def _lost(self, failed_by: str, attempts: Attempts) -> None:
        self._coordinator = None
        await self._cluster.refresh()
        await attempts.pause(failed_by)

    async def _find(self) -> int:
        if self._coordinator is None:
            self._coordinator = await self._cluster.client.coordinator_lookup(CoordinationType.TRANSACTION, self._id)
        return self._coordinator


def _partition_codes(answer: Any) -> list[int]:
    codes = {code for _, partitions in answer.errors for _, code in partitions}
    return sorted(codes - {_NOT_ATTEMPTED}) or sorted(codes)
