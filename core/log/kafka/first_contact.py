"""The first connection. aiokafka's own says only that it could not, and stays open when nobody waits for it any more."""

from typing import Any, Final

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.util import create_task

from .address import KafkaAddress
from .failures import FAILURES, FORBIDDEN

ATTEMPT_MS: Final = 5_000
"""For each of the first brokers."""


async def bootstrap(client: AIOKafkaClient, address: KafkaAddress) -> None:
    """Learn the cluster's brokers from one of the first, and keep them up to date from then on.

    Raises one of `FAILURES`: a refusal, if there was one, tells more than a broker that is not there.
    """
    arguments = {name: value for name, value in address.client_kwargs().items() if name != "bootstrap_servers"}
    found: list[BaseException] = []
    for host, port, _ in client.hosts:
        try:
            metadata = await _ask(host, port, arguments)
        except FAILURES as error:
            found.append(error)
            continue
        client.cluster.update_metadata(metadata)
        if client._sync_task is None:  # noqa: SLF001 - as its own `bootstrap` does
            client._sync_task = create_task(client._md_synchronizer())  # noqa: SLF001
        return
    refusals = [error for error in found if isinstance(error, FORBIDDEN)]
    raise next(iter((*refusals, *found)), errors.KafkaConnectionError("no first broker is named"))


async def _ask(host: str, port: int, arguments: dict[str, Any]) -> Any:
    """Return what a broker says about its cluster: its brokers, and no topics."""
    connection = await create_conn(host, port, request_timeout_ms=ATTEMPT_MS, **arguments)
    try:
        metadata = await connection.send(MetadataRequest([]))
    finally:
        connection.close()
    if not metadata.brokers:
        raise errors.BrokerNotAvailableError(f"{host}:{port} names no broker of its cluster")
    return metadata
