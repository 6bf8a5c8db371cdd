"""`hms event`: what happened, from the log, read without the code that wrote it."""

import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Final, TypeAlias

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ...core.log.port import EVENTS, TOPICS
from .event_filter import EventFilter
from .event_trace import trace
from .exit_codes import Exit, Stop
from .freshness import freshness_line
from .instants import instant_us
from .journal import Entry, Journal, topics_named
from .opened import reading
from .options import DEFAULTS, Options
from .plain_value import plain
from .show import Columns, Item, say, show_line, show_list, show_one, text, write, write_line

app = App(name="event", help="Events: what happened, from the log.")
app.command(trace)

NOT_NEGATIVE: Final = Number(gte=0)
Ago: TypeAlias = Annotated[
    str | None, Parameter(allow_leading_hyphen=True, help="By append time: 2026-03-01T03:12:00Z, or -15m")
]
Names: TypeAlias = Annotated[
    tuple[str, ...], Parameter(help="May be repeated; `hms.ComponentExited`, short `ComponentExited`, or a pattern")
]
Actor: TypeAlias = Annotated[str | None, Parameter(help="Source or destination: component/web, or a pattern")]
Correlation: TypeAlias = Annotated[str | None, Parameter(help="All that one message led to")]
Topics: TypeAlias = Annotated[
    tuple[str, ...], Parameter(help="hms.events if not given; inbox.high, inbox, outbox, dead-letters, ..., all")
]
All: TypeAlias = Annotated[bool, Parameter(name="--all", help="The runtime's own too: commit records, timers, effects")]
Limit: TypeAlias = Annotated[int | None, Parameter(alias="-n", validator=NOT_NEGATIVE, help="Only the newest so many")]


def who(item: Item) -> str:
    """Return whose event it is; of a message, who sent it to whom."""
    envelope = item["envelope"]
    if envelope is None:
        return "-"
    source, destination = envelope["source"], envelope["destination"]
    return str(source) if source == destination else f"{source} -> {destination}"


def data_text(item: Item) -> str:
    """Return the fields in one line; empty ones are left out."""
    data: Mapping[str, object] = plain(item["data"])
    return " ".join(f"{name}={text(value)}" for name, value in data.items() if value not in (None, "", [], {}))


COLUMNS: Final[Columns] = {
    "AT": "appended_at",
    "TYPE": lambda item: text((item["envelope"] or {}).get("type", "(malformed)")),
    "ACTOR": who,
    "DATA": data_text,
}


@app.command(name="list")
async def list_events(
    *,
    since: Ago = None,
    until: Ago = None,
    type: Names = (),  # noqa: A002 - the option's name
    actor: Actor = None,
    correlation: Correlation = None,
    topic: Topics = (),
    all_: All = False,
    limit: Limit = None,
    options: Options = DEFAULTS,
) -> None:
    """List events in the order of the log, oldest first.

    As text, the data is cut to the terminal's width, elsewhere to 300 characters; -o json and -o jsonl have all of it.

    JSON: an array of `topic, partition, offset, appended_at, envelope, data`; bytes are base64, instants ISO 8601 in
    UTC. What the runtime notes for itself (commit records, timers, effects) is left out without --all or its --type.
    """
    wanted = EventFilter(type, actor, correlation, everything=all_)
    async with reading(options.url) as log:
        journal = Journal(log)
        found = _between(journal, _topics(topic), _us(since), _us(until), wanted)
        if options.form == "jsonl" and limit is None:
            async for entry in found:
                write_line(entry.item())
        else:
            newest = deque([entry.item() async for entry in found], maxlen=limit)
            show_list(list(newest), options.form, COLUMNS, cut_last=True)
        say(await freshness_line(log))


@app.command
async def count(
    *,
    since: Ago = None,
    until: Ago = None,
    type: Names = (),  # noqa: A002
    actor: Actor = None,
    correlation: Correlation = None,
    topic: Topics = (),
    all_: All = False,
    options: Options = DEFAULTS,
) -> None:
    """Count events; JSON: `{count}`."""
    wanted = EventFilter(type, actor, correlation, everything=all_)
    async with reading(options.url) as log:
        found = _between(Journal(log), _topics(topic), _us(since), _us(until), wanted)
        number = 0
        async for _ in found:
            number += 1
        if options.form == "text":
            write(str(number))
        else:
            show_one({"count": number}, options.form)
        say(await freshness_line(log))


@app.command
async def tail(
    *,
    since: Ago = None,
    type: Names = (),  # noqa: A002
    actor: Actor = None,
    correlation: Correlation = None,
    topic: Topics = (),
    all_: All = False,
    limit: Annotated[int | None, Parameter(alias="-n", validator=NOT_NEGATIVE, help="End after so many")] = None,
    options: Options = DEFAULTS,
) -> None:
    """Follow events from now on, or from --since on; json is an item a line here, as jsonl.

    As text, the data is cut to the terminal's width, elsewhere to 300 characters.
    """
    wanted = EventFilter(type, actor, correlation, everything=all_)
    topics = _topics(topic)
    async with reading(options.url) as log:
        journal = Journal(log)
        since_us = _us(since)
        positions = await journal.ends(topics) if since_us is None else await journal.starts(topics, since_us=since_us)
        say(await freshness_line(log))
        shown = 0
        async for entry in journal.follow(positions):
            if shown == limit:
                return
            if wanted.takes(entry):
                _show_line(entry, options)
                shown += 1
                if shown == limit:
                    return


def _show_line(entry: Entry, options: Options) -> None:
    item = entry.item()
    if options.form == "text":
        show_line(item, COLUMNS)
    else:
        write_line(item, at_once=True)


async def _between(
    journal: Journal, topics: tuple[str, ...], since_us: int | None, until_us: int | None, wanted: EventFilter
) -> AsyncIterator[Entry]:
    ends = await journal.ends(topics)
    async for entry in journal.until(await journal.starts(topics, since_us=since_us), ends):
        if until_us is not None and entry.stored.at_us >= until_us:
            return
        if wanted.takes(entry):
            yield entry


def _us(at: str | None) -> int | None:
    return None if at is None else instant_us(at, time.time_ns() // 1_000)


def _topics(names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return topics_named(names or (EVENTS,))
    except KeyError as error:
        raise Stop(
            Exit.USAGE, f"no topic {error.args[0]!r}; expected one of {', '.join(TOPICS)} (short: events, inbox, all)"
        ) from None
