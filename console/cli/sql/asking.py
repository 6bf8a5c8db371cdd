"""Ask, show the answer and its moment; follow; list what can be asked."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from ....replay.sql.catalog import SOURCES, Catalog, own_schemas
from ....replay.sql.composed import COMPOSED
from ....replay.sql.errors import QueryRefused
from ....replay.sql.limits import default_limits
from ....replay.sql.named_query import named, parse, shipped
from ....replay.sql.session import Answer, Session
from ..exit_codes import Exit, Stop
from ..instants import instant_us
from ..options import Form as ListForm
from ..plain_value import instant_of_us
from ..show import Columns, say
from ..whole_history import whole_history
from .forms import form_of
from .options import SqlOptions

if TYPE_CHECKING:
    import pyarrow as pa

FOLLOW_MS: Final = 1_000
ENTIRE: Final = {
    "events": "A row per event and commit record, of all types, its own fields as JSON in `data`",
    "messages": "A row per message and answer, of all types, likewise",
}
_LIST: Final[Columns] = {"NAME": "name", "KIND": "kind", "WHAT": "what"}


@asynccontextmanager
async def opened(options: SqlOptions) -> AsyncIterator[Session]:
    """Open a session on a log that exists, with its archive if one is named."""
    limits = default_limits(options.timeout_ms, options.memory_mb)
    async with (
        whole_history(options.url, options.archive) as whole,
        Session(whole.history, whole.archive, limits) as session,
    ):
        yield session


async def ask(text: str, given: tuple[str, ...], options: SqlOptions, *, follow: bool) -> int:
    """Ask a query that may say itself what it takes."""
    query = parse("the query", text)
    values = parameters(given)
    if query.parameters:
        values = _usage(lambda: query.values(values, iso))
    return await _ask(text, values, options, follow=follow)


async def ask_named(name: str, given: tuple[str, ...], options: SqlOptions, *, follow: bool) -> int:
    """Ask a query by its name."""
    query = _usage(lambda: named(name))
    values = _usage(lambda: query.values(parameters(given), iso))
    return await _ask(query.sql, values, options, follow=follow)


async def _ask(sql: str, values: Mapping[str, Any], options: SqlOptions, *, follow: bool) -> int:
    async with opened(options) as session:
        try:
            if follow:
                await _follow(session, sql, values, options)
            else:
                await show(session, sql, values, options)
        except QueryRefused as error:
            raise Stop(Exit.USAGE, str(error)) from None
    return Exit.OK


async def show(session: Session, sql: str, values: Mapping[str, Any], options: SqlOptions) -> None:
    """Show one answer, and of which moment it is."""
    answer = await session.ask(sql, values)
    form = form_of(options.form, answer.schema)
    async for batch in answer.batches:
        form.take(batch)
    form.end()
    say(moment(answer))


async def _follow(session: Session, sql: str, values: Mapping[str, Any], options: SqlOptions) -> None:
    """Show an answer's rows; then, whenever the log has grown, those that the answer before did not have."""
    answer = await session.ask(sql, values)
    form = form_of(options.form, answer.schema, at_once=True)
    say(moment(answer))
    before: Counter[bytes] = Counter()
    while True:
        before = await _show_new(answer, before, form)
        while not await session.changed(answer.as_of, FOLLOW_MS):
            pass
        answer = await session.ask(sql, values)


async def _show_new(answer: Answer, before: Counter[bytes], form: Any) -> Counter[bytes]:
    """Show the rows that are more than before; return all of them, as hashes."""
    seen: Counter[bytes] = Counter()
    async for batch in answer.batches:
        new = []
        for index, row in enumerate(_hashes(batch)):
            seen[row] += 1
            if seen[row] > before[row]:
                new.append(index)
        if new:
            form.take(batch.take(new))
    return seen


def _hashes(batch: "pa.RecordBatch") -> list[bytes]:
    from hashlib import blake2b  # noqa: PLC0415 - of those who follow

    columns = [column.to_pylist() for column in batch.columns]
    return [blake2b(repr(row).encode(), digest_size=16).digest() for row in zip(*columns, strict=True)]


def moment(answer: Answer) -> str:
    """Say of which moment an answer is: when, how many records of each kind there were by then, and what is missing."""
    as_of = answer.as_of
    ends = {
        source: sum(end for (topic, _), end in as_of.positions.items() if topic in topics)
        for source, topics in SOURCES.items()
        if source in ENTIRE
    }
    gone = f" · without {answer.expired} ranges that the archive deleted by policy" if answer.expired else ""
    return f"as of {instant_of_us(as_of.taken_at_us)} · {', '.join(f'{name} to {end}' for name, end in ends.items())}{gone}"


def parameters(given: tuple[str, ...]) -> dict[str, str]:
    """Return NAME=VALUE as a mapping. Raises `Stop` (usage)."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier():
            raise Stop(Exit.USAGE, f"expected --param NAME=VALUE, got {one!r}")
        found[name] = value
    return found


def iso(text: str) -> str:
    """Return an instant as people write it as ISO 8601. Raises `Stop` (usage)."""
    return instant_of_us(instant_us(text, time.time_ns() // 1_000))


def _usage(make: Any) -> Any:
    try:
        return make()
    except QueryRefused as error:
        raise Stop(Exit.USAGE, str(error)) from None


def listed(options: SqlOptions) -> tuple[list[dict[str, str]], ListForm, Columns]:
    """Return what can be asked: what `show_list` takes. Types of others' apps are in the list where the log has them."""
    import asyncio  # noqa: PLC0415

    if options.form in {"csv", "parquet"}:
        raise Stop(Exit.USAGE, f"--list comes as text, json or jsonl, not as {options.form}")
    catalog = asyncio.run(_catalog(options))
    items = [{"name": name, "kind": "view", "what": what} for name, what in ENTIRE.items()]
    items += [{"name": name, "kind": "view", "what": view.what} for name, view in COMPOSED.items()]
    items += [{"name": query.name, "kind": "query", "what": query.what} for query in shipped()]
    items += [{"name": str(kind.view), "kind": "type", "what": kind.type} for kind in catalog.kinds.values()]
    form: Any = options.form
    return items, form, _LIST


async def _catalog(options: SqlOptions) -> Catalog:
    """Return the views of a log; where there is none yet, those of HMS."""
    from ....core.errors import LogUnreachable  # noqa: PLC0415

    try:
        async with opened(options) as session:
            return session.catalog
    except LogUnreachable as error:
        say(f"hms: {error}; these are HMS's own views")
        return Catalog((), own_schemas())
