"""`hms dead-letter`: what could not be handled, why, and once more."""

from typing import Any, Final

from cyclopts import App

from ...core.errors import DestinationNotFound
from ...core.log.port import DEAD_LETTERS, Log
from .dead_letter_retry import Letter, attempts_of, original_of, send_again
from .freshness import freshness_line
from .journal import Entry, Journal
from .opened import asking, reading
from .options import DEFAULTS, Options
from .plain_value import envelope_item, plain
from .show import Columns, say, show_list, show_one

app = App(name="dead-letter", help="Messages that could not be handled.")

COLUMNS: Final[Columns] = {
    "ID": "id",
    "AT": "at",
    "REASON": "reason",
    "TYPE": "type",
    "TO": "destination",
    "FROM": "source",
    "RETRIED": "retries",
    "DETAIL": lambda item: str(item["detail"]).strip().rpartition("\n")[2][:100],
}


@app.command(name="list")
async def list_letters(*, options: Options = DEFAULTS) -> None:
    """List dead letters, oldest first.

    JSON: an array of `id, at, reason, detail, type, source, destination, message_id, topic, partition, offset,
    retries`; topic, partition and offset are where the message stood.
    """
    async with reading(options.url) as log:
        journal = Journal(log)
        items = [await _item(journal, letter) for letter in await _letters(journal)]
        show_list(items, options.form, COLUMNS)
        say(await freshness_line(log))


@app.command
async def show(letter: str, /, *, options: Options = DEFAULTS) -> None:
    """Show all of one dead letter, the message in it included."""
    async with reading(options.url) as log:
        journal = Journal(log)
        found = await _find(journal, letter)
        entry = await _message(journal, found)
        item = {
            **await _item(journal, found),
            "appended_at": plain(found.data["appended_at"]),
            "headers": {header["name"]: plain(header["value"]) for header in found.data["headers"]},
            "envelope": None if entry is None or entry.envelope is None else envelope_item(entry.envelope),
            "data": None if entry is None else plain(entry.data),
        }
        show_one(item, options.form)
        say(await freshness_line(log))


@app.command
async def retry(letter: str, /, *, options: Options = DEFAULTS) -> None:
    """Send the message of a dead letter again, as a new message: its id comes from the letter and the attempt.

    JSON: `id, message_id, attempt, topic, partition, offset`. The outcome is in the log: `hms event list --correlation`.
    """
    async with asking(options.url) as client:
        journal = Journal(client.log)
        found = await _find(journal, letter)
        show_one(await send_again(client.log, found, await _message(journal, found)), options.form)
        say(await freshness_line(client.log))


async def _letters(journal: Journal) -> list[Letter]:
    topics = (DEAD_LETTERS,)
    entries = journal.until(await journal.starts(topics), await journal.ends(topics))
    return [Letter(entry.envelope, entry.data) async for entry in entries if entry.envelope is not None]


async def _find(journal: Journal, wanted: str) -> Letter:
    for letter in await _letters(journal):
        if letter.id == wanted:
            return letter
    raise DestinationNotFound(f"no dead letter {wanted!r}; `hms dead-letter list` shows the ones there are")


async def _message(journal: Journal, letter: Letter) -> Entry | None:
    stored = await original_of(journal.log, letter)
    return None if stored is None else await journal.decoded(stored)


async def _item(journal: Journal, letter: Letter) -> dict[str, Any]:
    entry = await _message(journal, letter)
    envelope = None if entry is None else entry.envelope
    return {
        "id": letter.id,
        "at": plain(letter.envelope.at),
        "reason": letter.data["reason"],
        "detail": letter.data["detail"],
        "type": envelope and envelope.type,
        "source": envelope and envelope.source,
        "destination": envelope.destination if envelope else letter.envelope.destination,
        "message_id": envelope and envelope.id,
        "topic": letter.data["topic"],
        "partition": letter.data["partition"],
        "offset": letter.data["offset"],
        "retries": await _retries(journal.log, letter),
    }


async def _retries(log: Log, letter: Letter) -> int:
    return await attempts_of(log, letter.id)
