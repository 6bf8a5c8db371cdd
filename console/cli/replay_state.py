"""`hms replay state` and `hms replay diff`: an actor as it was, and what changed between two moments."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from ...core.log.port import Stored
from ...replay.past.actor import BEGINNING, Difference, Past
from ...replay.past.changes import ABSENT, changes
from ...replay.past.everyone import everyone_at
from ...replay.past.folding import PastActor
from ...schemas import Contract, Unknown
from .archive_options import ArchiveOption
from .exit_codes import Exit, Stop
from .instants import instant_us
from .log_address import check_there
from .opened import quiet
from .options import DEFAULTS, Options
from .plain_value import instant_of_us, plain
from .replay_options import AppsOption, When, app_names, apps_named, history_of, moment_named
from .show import Columns, Item, show_list, show_one, text, write

EVENT_COLUMNS: Final[Columns] = {
    "OFFSET": "offset",
    "AT": "at",
    "TYPE": "type",
    "DATA": lambda item: " ".join(f"{name}={text(value)}" for name, value in item["data"].items()),
}
ACTOR_COLUMNS: Final[Columns] = {
    "ACTOR": "actor",
    "EVENTS": "event_count",
    "STATE": lambda item: " ".join(f"{name}={text(value)}" for name, value in item["state"].items()),
}
CHANGE_COLUMNS: Final[Columns] = {
    "FIELD": "field",
    "FROM": lambda item: value_text(item, "from"),
    "TO": lambda item: value_text(item, "to"),
}

SIDE_CHARS: Final = 80


async def state(
    actor: str,
    /,
    *,
    at: When = None,
    offset: Annotated[
        int | None,
        Parameter(validator=Number(gte=0), help="Of hms.events in the actor's shard: that event is the last one"),
    ] = None,
    app: AppsOption = (),
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> None:
    """Show an actor's state as it was at an instant or after an event, folded again from its first event.

    ACTOR may be a pattern such as 'component/*': then all that fit are shown, a line each (JSON: an array).

    An instant means the last commits up to it of all shards, made causally closed: nothing is in it whose cause is not.
    JSON: `actor, shard, sequence, at, event_count, quarantine, timers{name: due}, effects[], state`. Writes nothing.
    """
    if at is not None and offset is not None:
        raise Stop(Exit.USAGE, "expected --at or --offset, got both")
    if _is_pattern(actor):
        await _show_many(actor, at, offset, app, archive, options)
        return
    past_apps = apps_named(app)
    async with history_of(options.url, archive) as history:
        past = Past(history, past_apps)
        await past.learn()
        moment = await moment_named(history, past.shard_of(actor), at if offset is None else f"@{offset}")
        found = await past.actor(actor, moment)
    if found is None:
        raise Stop(Exit.NOT_FOUND, f"{actor} had no event by then; `hms event list --actor {actor}` shows when it had")
    show_state(actor_item(found), options)


def _is_pattern(actor: str) -> bool:
    return "*" in actor or "?" in actor


async def _show_many(
    pattern: str, at: str | None, offset: int | None, app: tuple[str, ...], archive: str | None, options: Options
) -> None:
    if offset is not None:
        raise Stop(Exit.USAGE, "expected one actor with --offset: an offset is one shard's")
    now_us = time.time_ns() // 1_000
    quiet()
    check_there(options.url)
    everyone = await everyone_at(options.url, archive, app_names(app), now_us if at is None else instant_us(at, now_us))
    found = [actor for address in everyone.addresses(pattern) if (actor := everyone.actor(address)) is not None]
    show_list([actor_item(actor) for actor in found], options.form, ACTOR_COLUMNS, cut_last=True)


async def diff(
    actor: str,
    /,
    *,
    from_: Annotated[When, Parameter(name="--from")] = None,
    to: When = None,
    app: AppsOption = (),
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> None:
    """Show what changed in an actor between two moments, field by field, with the events that did it.

    --from left out means before its first event, --to left out now. JSON: `actor, from, to, changes[] of field, from, to,
    events[] of offset, at, type, id, caused_by, data`; a field that was not there is left out. Writes nothing.
    """
    if _is_pattern(actor):
        raise Stop(Exit.USAGE, f"expected one actor such as component/web, got the pattern {actor!r}")
    past_apps = apps_named(app)
    async with history_of(options.url, archive) as history:
        past = Past(history, past_apps)
        await past.learn()
        shard = past.shard_of(actor)
        before = BEGINNING if from_ is None else await moment_named(history, shard, from_)
        found = await past.difference(actor, before, await moment_named(history, shard, to))
    if found.after is None:
        raise Stop(Exit.NOT_FOUND, f"{actor} had no event by then; `hms event list --actor {actor}` shows when it had")
    _show_difference(_difference_item(past.behaviours.contract, actor, found), options)


def actor_item(actor: PastActor) -> dict[str, Any]:
    """Return an actor of the past as JSON has it."""
    return {
        "actor": actor.address,
        "shard": actor.shard,
        "sequence": actor.sequence,
        "at": instant_of_us(actor.now_us),
        "event_count": actor.event_count,
        "quarantine": actor.quarantine or None,
        "timers": {name: instant_of_us(due_us) for name, due_us in sorted(actor.timers.items())},
        "effects": list(actor.effects),
        "state": plain(actor.state),
    }


def _difference_item(contract: Contract, actor: str, found: Difference) -> dict[str, Any]:
    before, after = (_compared(one) for one in (found.before, found.after))
    return {
        "actor": actor,
        "from": None if found.before is None else instant_of_us(found.before.now_us),
        "to": None if found.after is None else instant_of_us(found.after.now_us),
        "changes": [change_item(*change) for change in changes(before, after)],
        "events": [_event_item(contract, stored) for stored in found.events],
    }


def _compared(actor: PastActor | None) -> Any:
    """Return what of an actor is compared: its state, and what is pending."""
    if actor is None:
        return {}
    item = actor_item(actor)
    names = ("quarantine", "timers", "effects")
    return {**item["state"], **{f"({name})": item[name] for name in names if item[name]}}


def change_item(field: str, before: Any, after: Any) -> dict[str, Any]:
    """Return a change as JSON has it; what was not there is left out."""
    values = {"from": before, "to": after}
    return {"field": field, **{name: value for name, value in values.items() if value is not ABSENT}}


def _event_item(contract: Contract, stored: Stored) -> dict[str, Any]:
    envelope, record = contract.decode(stored.value or b"")
    return {
        "offset": stored.offset,
        "at": instant_of_us(envelope.at_us),
        "type": envelope.type,
        "id": envelope.id,
        "caused_by": envelope.causation_id,
        "data": plain(record.data if isinstance(record, Unknown) else record),
    }


def show_state(item: Mapping[str, Any], options: Options) -> None:
    """Show an actor: what it is, then its state, a field a line."""
    if options.form != "text":
        show_one(item, options.form)
        return
    show_one(item, "text", leave_out=("state",))
    write("")
    show_one(item["state"], "text")


def _show_difference(item: dict[str, Any], options: Options) -> None:
    if options.form != "text":
        show_one(item, options.form)
        return
    show_one(item, "text", leave_out=("changes", "events"))
    if not item["changes"]:
        write("nothing changed")
    for name, columns in (("changes", CHANGE_COLUMNS), ("events", EVENT_COLUMNS)):
        if item[name]:
            write("")
            show_list(item[name], "text", columns, cut_last=True)


def value_text(item: Item, side: str) -> str:
    """Return one side of a change for people, cut so that the two stand side by side."""
    shown = text(item[side]) if side in item else "(absent)"
    return shown if len(shown) <= SIDE_CHARS else shown[: SIDE_CHARS - 1] + "…"
