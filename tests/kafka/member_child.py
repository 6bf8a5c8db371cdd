"""A node of its own process: joins the log at URL as NAME, releases what is taken from it, and does what it is told by lines.

`confirm N`, `open N`, `commit N TEXT`, `leave`, and `keep` and `give`: whether it releases; every answer is a line. Changes of
the assignment are lines too: `now 3 0,1,2`. Its session lasts as many milliseconds as a third argument says.
"""

import asyncio
import sys

from hms.core.errors import HmsError
from hms.core.log.kafka.log import KafkaLog
from hms.core.log.port import EVENTS, Membership, Writer
from tests.kafka.handles import PATIENT, draft


async def follow(log: KafkaLog, member: Membership, gives: asyncio.Event) -> None:
    known = await member.assignment()
    while True:
        print("now", known.generation, ",".join(map(str, sorted(known.shards))), flush=True)
        await gives.wait()
        for shard in set(range(log.partitions)) - known.shards:
            await member.release(shard)
        known = await member.wait_changed(known.generation, 3_600_000)


async def obey(
    log: KafkaLog, member: Membership, writers: dict[int, Writer], gives: asyncio.Event, words: list[str]
) -> object:
    match words:
        case ["confirm", shard]:
            return await member.confirm(int(shard), (await member.assignment()).generation)
        case ["open", shard]:
            writers[int(shard)] = await log.open_writer(int(shard), member.node)
            return "opened"
        case ["commit", shard, text]:
            return await writers[int(shard)].commit([draft(EVENTS, int(shard), text)])
        case ["keep"]:
            return gives.clear()
        case ["give"]:
            return gives.set()
        case ["leave"]:
            await member.leave()
            return "left"
    raise ValueError(words)


async def main(url: str, name: str, session_ms: str) -> None:
    log = await KafkaLog.open(url, times=PATIENT._replace(session_ms=int(session_ms)))
    member = await log.join(name)
    gives = asyncio.Event()
    gives.set()
    following = asyncio.create_task(follow(log, member, gives))
    writers: dict[int, Writer] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            answer = await obey(log, member, writers, gives, line.split())
        except HmsError as error:
            answer = type(error).__name__
        print("answer", answer, flush=True)
    following.cancel()
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
