"""Looks at a log on a real Kafka: the process that looks opens it by its URL, and loses nothing between two looks."""

import asyncio
from datetime import UTC, datetime, timedelta

from hms.actors.analysis.looking.looker import looker_of
from hms.actors.app import hms_app
from hms.actors.telemetry import telemetry
from hms.actors.well_known import ANALYSIS_SUPERVISOR
from hms.core.client import Client, connect
from hms.core.log.port import EVENTS
from hms.core.runtime.node import Node
from hms.schemas.analysis import LookNow
from hms.schemas.analysis_event import AlertRaised, LookEnded
from hms.schemas.telemetry import ImportSamples, Sample

from .logs import make_log, opened

BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=8)


async def bring(client: Client, minutes: range, spike: int) -> None:
    samples = tuple(
        Sample(at=BEGIN + timedelta(minutes=minute), value=20.0 + minute % 7 + (60 if minute == spike else 0))
        for minute in minutes
    )
    await client.ask(telemetry("web"), ImportSamples(metric="load", samples=samples))


async def looked(client: Client) -> tuple[AlertRaised, LookEnded]:
    """Look, and return the first alert that this raised, and how the look ended."""
    ends = [(await client.log.watermarks(EVENTS, shard)).stable for shard in range(client.log.partitions)]
    after = ".".join(map(str, ends))
    await client.tell(ANALYSIS_SUPERVISOR, LookNow())
    async with asyncio.timeout(60):
        ended = await anext(aiter(client.subscribe(LookEnded, after=after)))
        raised = await anext(aiter(client.subscribe(AlertRaised, after=after)))
    return raised.data, ended.data


def test_an_onset_on_kafka_is_found_once_by_the_look_after_it(kafka_url: str) -> None:
    async def main() -> None:
        await make_log(kafka_url)
        async with opened(kafka_url) as log, Node(log, [hms_app], name="n1"), connect(log, name="test") as client:
            await bring(client, range(400), spike=300)
            first, ended = await looked(client)
            assert (first.at, ended.samples) == (BEGIN + timedelta(minutes=300), 400)
            await bring(client, range(400, 480), spike=470)
            second, ended = await looked(client)
            assert (second.at, ended.samples, ended.behind) == (BEGIN + timedelta(minutes=470), 80, False)
        looker_of(kafka_url).close()

    asyncio.run(main())
