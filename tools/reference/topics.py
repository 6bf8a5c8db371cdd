"""The topics of the log, from the port."""

from hms.core.log import port

from . import markdown

WHAT = {
    port.OUTBOX: (
        "participant",
        "commands and replies to participants outside: host agents, clients",
        "24 h, then trimmed",
    ),
    port.CRITICAL: ("actor", "messages to actors that overtake all others", "for ever in this release"),
    port.HIGH: ("actor", "messages to actors: lifecycle reports, what operators ask", "for ever in this release"),
    port.NORMAL: ("actor", "messages to actors: the default", "for ever in this release"),
    port.LOW: ("actor", "messages to actors: telemetry", "for ever in this release"),
    port.EVENTS: (
        "actor, or `shard/N`",
        "what actors decided, and one commit record a commit",
        "for ever in this release",
    ),
    port.CHECKPOINTS: (
        "actor, or `shard/N`",
        "states, with pending timers and effects; what a restore begins with",
        "the newest of each key",
    ),
    port.DEAD_LETTERS: ("actor", "what could not be handled, whole, with the reason", "for ever in this release"),
    port.SCHEMAS: ("decimal schema id", "Avro schemas as JSON, each before the first record that uses it", "for ever"),
}
INTRODUCTION = """A log is a set of topics. All but the last have the same number of partitions ({partitions}, fixed
when the log is made), and an address is in the same partition of each: Kafka's murmur2 of the key. One partition
number across the topics is a shard, which one node owns at a time. On Kafka `hms` is the prefix that the log's URL names
(`kafka://HOST:PORT/shop`: `shop.events`), and one more topic, `PREFIX.settings`, is compacted, has one partition and holds
what the log says about itself: [operations](../operations/kafka.md)."""
READING = """`hms event list --topic NAME` reads any of them (short names do: `inbox.high`, `inbox`, `outbox`,
`all`); `hms log info` shows their offsets. A value is Confluent framing (a zero byte, four bytes of schema id,
big-endian) and Avro; its last field is the envelope, `id, source, destination, type, at, correlation_id,
causation_id, reply_to, priority, ttl_ms, version`. Headers are CloudEvents in binary mode, `traceparent` and
`content-type: application/avro`: a copy for tools of others, left out on the embedded log, where there are none
([why](../adr/0006-headers-where-tools-read-them.md)). Key, value and headers of one record are at most {bytes:,} bytes
together."""


def page() -> str:
    """Return docs/reference/topics.md."""
    head = ("topic", "partitions", "key", "what", "kept", "compacted")
    introduction = INTRODUCTION.format(partitions=port.DEFAULT_PARTITIONS)
    reading = READING.format(bytes=port.RECORD_BYTES_MAX)
    return markdown.page("Topics", introduction, markdown.table(head, map(_row, port.TOPICS)), reading)


def _row(topic: str) -> tuple[str, ...]:
    key, what, kept = WHAT[topic]
    partitions = str(port.DEFAULT_PARTITIONS) if topic in port.CO_PARTITIONED else "1"
    return f"`{topic}`", partitions, key, what, kept, "yes" if topic in port.COMPACTED else "no"
