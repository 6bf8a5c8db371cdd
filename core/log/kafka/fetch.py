"""Kafka's Fetch: what is asked, what is answered, and the session that makes an idle poll of many partitions cheap.

aiokafka's own request has no sessions (KIP-227): with one, a broker remembers what is polled, only what changed is sent, and
only what has news is answered.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from aiokafka.protocol.api import Request
from aiokafka.protocol.fetch import FetchRequest_v11

from .address import KafkaAddress
from .failures import check_code

Place = tuple[str, int]
"""A topic, by its name in the port, and a partition."""

FETCH_BYTES: Final = 1 << 20
"""Of one partition in one answer; a larger batch comes alone, whole."""
READ_COMMITTED: Final = 1
NO_SESSION: Final = (0, -1)
FORGOTTEN: Final = (70, 71)
"""Codes that say so: no such session, or another epoch of it."""
_EPOCH_MAX: Final = 2**31 - 1
_CONSUMER: Final = -1
_ANY_EPOCH: Final = -1


class Ask(NamedTuple):
    """One Fetch: `bytes_max` is of each partition, `total_bytes_max` of the whole answer."""

    places: Mapping[Place, int]
    wait_ms: int = 0
    bytes_max: int = FETCH_BYTES
    total_bytes_max: int = 16 * FETCH_BYTES
    session: tuple[int, int] = NO_SESSION
    forgotten: tuple[Place, ...] = ()


class Answer(NamedTuple):
    """Of one partition; `error` is Kafka's code, 0 when all is well; marks are -1 with an error."""

    place: Place
    error: int
    start: int
    stable: int
    high: int
    aborted: tuple[tuple[int, int], ...]
    """Producer and first offset of the transactions in `data` that were aborted."""
    data: bytes


class FetchRequest(Request[FetchRequest_v11]):  # type: ignore[misc] # aiokafka is not typed for others
    """The request as Kafka 2.3 and later understand it."""

    API_KEY = 1

    def __init__(self, address: KafkaAddress, ask: Ask) -> None:
        self._address = address
        self._ask = ask

    def build(self, request_struct_class: type[FetchRequest_v11]) -> FetchRequest_v11:
        """Return the structure that goes over the wire."""
        ask = self._ask
        topics: dict[str, list[tuple[int, int, int, int, int]]] = {}
        for (topic, partition), offset in ask.places.items():
            wanted = (partition, _ANY_EPOCH, offset, _CONSUMER, ask.bytes_max)
            topics.setdefault(self._address.topic(topic), []).append(wanted)
        forgotten: dict[str, list[int]] = {}
        for topic, partition in ask.forgotten:
            forgotten.setdefault(self._address.topic(topic), []).append(partition)
        return request_struct_class(
            _CONSUMER,
            ask.wait_ms,
            1,  # byte: whatever there is ends the wait
            ask.total_bytes_max,
            READ_COMMITTED,
            *ask.session,
            list(topics.items()),
            list(forgotten.items()),
            "",  # rack: the leader answers
        )


def answers(response: Any, names: Mapping[str, str]) -> Iterator[Answer]:
    """Yield what a response says of each partition; `names`: Kafka's names of topics to the port's."""
    for topic, partitions in response.topics:
        for number, error, high, stable, start, aborted, _, data in partitions:
            yield Answer((names[topic], number), error, start, stable, high, tuple(aborted or ()), data or b"")


class FetchSession:
    """What one broker remembers of one poller."""

    def __init__(self) -> None:
        self._id = 0
        self._epoch = 0
        self._sent: dict[Place, int] = {}

    def ask(self, wanted: Mapping[Place, int], wait_ms: int) -> Ask:
        """Return the Fetch that makes the broker look at exactly these places."""
        changed = {place: offset for place, offset in wanted.items() if self._sent.get(place) != offset}
        forgotten = tuple(place for place in self._sent if place not in wanted)
        self._sent = dict(wanted)
        return Ask(changed, wait_ms, session=(self._id, self._epoch), forgotten=forgotten)

    def answered(self, error: int, session: int) -> bool:
        """Take in the head of the answer; return whether it answers, else the broker has forgotten the session: ask again."""
        if error or session == 0:
            self.forget()
        else:
            self._id = session
            self._epoch = self._epoch % _EPOCH_MAX + 1
        if error not in FORGOTTEN:
            check_code(error)
        return not error

    def forget(self) -> None:
        """Begin a session anew, ending the old one if the broker still has it."""
        self._epoch = 0
        self._sent = {}
