"""The first connection: aiokafka only says that it could not; this says why."""

from typing import Any, Final

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn

from .address import KafkaAddress
from .failures import FAILURES, FORBIDDEN

ATTEMPT_MS: Final = 2_000


async def bootstrap(client: AIOKafkaClient, address: KafkaAddress) -> None:
    """Learn the cluster's brokers from the first ones. Raises one of `FAILURES`: a refused password as such."""
    try:
        await client.bootstrap()
    except errors.KafkaConnectionError as error:
        raise (await _cause(client.hosts, address)) or error from error


async def _cause(hosts: list[tuple[str, int, Any]], address: KafkaAddress) -> BaseException | None:
    """Knock at each of the first brokers again; a refusal tells more than one that is not there."""
    arguments = {name: value for name, value in address.client_kwargs().items() if name != "bootstrap_servers"}
    found: list[BaseException] = []
    for host, port, _ in hosts:
        try:
            connection = await create_conn(host, port, request_timeout_ms=ATTEMPT_MS, **arguments)
        except FAILURES as error:
            found.append(error)
        else:
            connection.close()
    refusals = [error for error in found if isinstance(error, FORBIDDEN)]
    return next(iter((*refusals, *found)), None)
