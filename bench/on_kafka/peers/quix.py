"""The peer `quixstreams`, exactly-once; its state is its own store (RocksDB with a changelog topic)."""

from quixstreams import Application, State
from work import Handled, Task, begins, handle


def fold(value: bytes, state: State) -> Handled:
    done = handle(value, *(state.get("total") or (0, 0)))
    state.set("total", (done.times, done.total))
    return done


def main() -> None:
    task = Task.given()
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=f"{task.prefix}-quix",
        processing_guarantee="exactly-once",
        commit_interval=task.interval_s,
        auto_offset_reset="earliest",
        state_dir=task.folder,
        loglevel="ERROR",
        producer_extra_config={"compression.type": "lz4"},
    )
    asked = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    written = {"key_serializer": "bytes", "value_serializer": "bytes"}
    commands = app.topic(f"{task.prefix}.commands", **asked)
    events, replies = (app.topic(f"{task.prefix}.{name}", **written) for name in ("events", "replies"))
    results = app.dataframe(commands).apply(fold, stateful=True)
    results.apply(lambda done: done.event).to_topic(events)
    results.apply(lambda done: done.reply).to_topic(replies)
    begins()
    app.run()


if __name__ == "__main__":
    main()
