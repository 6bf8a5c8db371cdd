"""The peer `faust-streaming`, exactly_once; its state is a table in memory with a changelog topic."""

import faust
from work import Task, begins, handle

PARTITIONS = 4

task = Task.given()
app = faust.App(
    f"{task.prefix}-faust",
    broker=f"kafka://{task.bootstrap}",
    processing_guarantee="exactly_once",
    topic_replication_factor=1,
    topic_partitions=PARTITIONS,
    datadir=task.folder,
    store="memory://",
    web_enabled=False,
    producer_compression_type="lz4",
)
commands, events, replies = (
    app.topic(f"{task.prefix}.{name}", key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")
    for name in ("commands", "events", "replies")
)
totals = app.Table("totals", default=lambda: (0, 0), partitions=PARTITIONS, key_type=str)


@app.agent(commands)
async def counters(stream: faust.StreamT[bytes]) -> None:
    async for key, value in stream.items():
        actor = key.decode()
        done = handle(value, *totals[actor])
        totals[actor] = (done.times, done.total)
        await events.send(key=key, value=done.event)
        await replies.send(key=done.reply_to, value=done.reply)


if __name__ == "__main__":
    begins()
    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()
