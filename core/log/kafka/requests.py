"""Requests that aiokafka does not have: a transaction whose partitions are added by producing (KIP-890), and who has one (KIP-664).

With each end the broker counts the producer's epoch up, so nothing that comes late can fall into the next transaction, and
there is one question less to ask. The cluster says whether it speaks so: `transaction.version` 2, the default since 4.0.
"""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, Final

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

FEATURE: Final = "transaction.version"
IMPLICIT: Final = 2
"""From this level of the feature on."""
_TEXT: Final = CompactString("utf-8")
_TAGS: Final = ("tags", TaggedFields)
_NO_TAGS: Final[dict[int, bytes]] = {}
_FINALIZED: Final = 2
"""The tag of an answer's features that hold for the whole cluster."""
_LEVELS: Final = CompactArray(("name", _TEXT), ("max", Int16), ("min", Int16), _TAGS)


class ProduceResponse12(Response):  # type: ignore[misc] # aiokafka is not typed for others
    """To be read as aiokafka's."""

    API_KEY = 0
    API_VERSION = 12
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("offset", Int64),
                        ("timestamp", Int64),
                        ("log_start_offset", Int64),
                        ("record_errors", CompactArray(("number", Int32), ("message", _TEXT), _TAGS)),
                        ("error_message", _TEXT),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("throttle_time_ms", Int32),
        _TAGS,
    )


class ProduceRequest12(RequestStruct):  # type: ignore[misc] # as above
    """Records, each partition's with the partition added to the transaction."""

    API_KEY = 0
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = ProduceResponse12
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("required_acks", Int16),
        ("timeout", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                ("partitions", CompactArray(("partition", Int32), ("data", CompactBytes), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class EndTxnResponse5(Response):  # type: ignore[misc] # aiokafka is not typed for others
    """With the producer's id and epoch for the next transaction."""

    API_KEY = 26
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("producer_id", Int64), ("producer_epoch", Int16), _TAGS
    )


class EndTxnRequest5(RequestStruct):  # type: ignore[misc] # as above
    """Commit or abort, and begin the next epoch."""

    API_KEY = 26
    API_VERSION = 5
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = EndTxnResponse5
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("transaction_result", Boolean),
        _TAGS,
    )


class ApiVersionsResponse3(Response):  # type: ignore[misc] # aiokafka is not typed for others
    """What a broker speaks; its tags say what the cluster does."""

    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        ("api_versions", CompactArray(("api_key", Int16), ("min_version", Int16), ("max_version", Int16), _TAGS)),
        ("throttle_time_ms", Int32),
        _TAGS,
    )


class ApiVersionsRequest3(RequestStruct):  # type: ignore[misc] # as above
    """Ask what a broker speaks; its answer's head is the old one, so that whoever asks can read it."""

    API_KEY = 18
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = ApiVersionsResponse3
    SCHEMA = Schema(("software", _TEXT), ("version", _TEXT), _TAGS)

    def parse_response_header(self, read_buffer: Any) -> Any:
        """Read the head of the answer."""
        return ResponseHeader_v0.decode(read_buffer)


class DescribeTransactionsResponse0(Response):  # type: ignore[misc] # aiokafka is not typed for others
    """What a coordinator knows of transactional ids."""

    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", _TEXT),
                ("state", _TEXT),
                ("timeout_ms", Int32),
                ("began_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class DescribeTransactionsRequest0(RequestStruct):  # type: ignore[misc] # as above
    """Ask a coordinator what it knows."""

    API_KEY = 65
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = DescribeTransactionsResponse0
    SCHEMA = Schema(("transactional_ids", CompactArray(_TEXT)), _TAGS)


class DescribeProducersResponse0(Response):  # type: ignore[misc] # as above
    """Who writes to partitions, and from where on each one's transaction is open (-1: it has none)."""

    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", _TEXT),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("open_from", Int64),
                                _TAGS,
                            ),
                        ),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class DescribeProducersRequest0(RequestStruct):  # type: ignore[misc] # as above
    """Ask the leader of partitions who writes to them."""

    API_KEY = 61
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = DescribeProducersResponse0
    SCHEMA = Schema(("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS)


class Question:
    """A request that exists in one version here; what aiokafka's connections ask of a request."""

    def __init__(self, kind: type[RequestStruct], *fields: Any) -> None:
        self._kind = kind
        self._fields = fields

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """Return what is sent; raises `IncompatibleBrokerVersion` where the broker does not know it."""
        lowest, highest = versions.get(self._kind.API_KEY, (0, -1))
        if not lowest <= self._kind.API_VERSION <= highest:
            raise IncompatibleBrokerVersion(f"{self._kind.__name__}: the broker knows versions {lowest} to {highest}")
        return self._kind(*self._fields, _NO_TAGS)


def implicit_produce(transactional_id: str, acks: int, timeout_ms: int, topics: Iterable[Any]) -> Question:
    """Return the request to produce; `topics` as aiokafka takes them: (name, [(partition, data)])."""
    tagged = [(topic, [(*one, _NO_TAGS) for one in partitions], _NO_TAGS) for topic, partitions in topics]
    return Question(ProduceRequest12, transactional_id, acks, timeout_ms, tagged)


def implicit_end(transactional_id: str, producer_id: int, producer_epoch: int, *, committed: bool) -> Question:
    """Return the request to commit or abort."""
    return Question(EndTxnRequest5, transactional_id, producer_id, producer_epoch, committed)


def describe_transaction(transactional_id: str) -> Question:
    """Return the request that asks a coordinator about one id."""
    return Question(DescribeTransactionsRequest0, [transactional_id])


def describe_producers(topics: Mapping[str, Iterable[int]]) -> Question:
    """Return the request that asks who writes to partitions; `topics` by their names on the cluster."""
    return Question(DescribeProducersRequest0, [(name, list(numbers), _NO_TAGS) for name, numbers in topics.items()])


def features() -> Question:
    """Return the request that `level` reads the answer of."""
    return Question(ApiVersionsRequest3, "hms", "1")


def level(answer: Any) -> int:
    """Return the level of `transaction.version` that the whole cluster has; 0 where it says nothing of it."""
    finalized = answer.tags.get(_FINALIZED)
    found = _LEVELS.decode(BytesIO(finalized)) if finalized else []
    return next((highest for name, highest, *_ in found or [] if name == FEATURE), 0)
