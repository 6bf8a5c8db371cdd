"""The first connection to a cluster, and a broker that answers its first question and no other."""

import asyncio
from struct import pack

import pytest
from aiokafka.client import AIOKafkaClient

from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.first_contact import bootstrap

API_VERSIONS, METADATA = 18, 3


async def _answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say which questions are understood, and then nothing more."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    correlation = (await reader.readexactly(size))[4:8]
    understood = [(METADATA, 0, 4), (API_VERSIONS, 0, 0)]
    body = correlation + pack(">hi", 0, len(understood)) + b"".join(pack(">hhh", *one) for one in understood)
    writer.write(pack(">i", len(body)) + body)


def test_a_first_contact_that_is_given_up_leaves_no_connection_open() -> None:
    async def main() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _answer_once(reader, writer)
            await reader.readexactly(4)
            asked.set()
            await reader.read()
            gone.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1") as server:
            address = KafkaAddress((f"127.0.0.1:{server.sockets[0].getsockname()[1]}",))
            client = AIOKafkaClient(**address.client_kwargs())
            asking = asyncio.create_task(bootstrap(client, address))
            await asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.wait_for(gone.wait(), 30)
            await client.close()

    asyncio.run(main())
