"""A log on Kafka: the client's own codecs, the brokers, the topics, a transaction, the clocks."""

from typing import Final

from .....core.errors import HmsError
from .....core.log.kafka.address import KafkaAddress
from .....core.log.kafka.creation import look
from .....core.log.kafka.inspection import inspect
from ..check import Check
from .brokers import broker_checks
from .codecs import codec_check
from .topics import topic_checks
from .transactions import transaction_checks

POINTER: Final = "; is the cluster healthy? `hms doctor` looks"
"""What an error says to those who have not come here yet."""


async def kafka_checks(url: str) -> list[Check]:
    """Look at a cluster as far as it can be seen from outside the log. Raises `ValidationFailed` for a URL that is none."""
    address = KafkaAddress.parse(url)
    checks = [codec_check()]
    try:
        cluster = await inspect(address)
        checks += broker_checks(cluster)
        # Before anything else is asked: a broker that takes no transaction does not take a setting either.
        checks += await transaction_checks(address, cluster)
        checks += topic_checks(address, await look(address, cluster=cluster))
    except HmsError as error:
        todo = "start the cluster, or name its brokers as this host reaches them (--log, HMS_LOG)"
        checks.append(Check("kafka", "fail", str(error).removesuffix(POINTER), todo))
    return checks
