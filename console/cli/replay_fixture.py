"""`hms replay export` and `hms replay check`: one history as a fixture for anybody's tests."""

from pathlib import Path

from ...core.runtime.installed import Behaviours, code_version_of
from ...replay.fixtures.check import check as check_fixture
from ...replay.fixtures.export import export as export_fixture
from .archive_options import ArchiveOption
from .exit_codes import Exit
from .options import DEFAULTS, Form, FormOption, Options
from .replay_options import AppsOption, apps_named, history_of
from .replay_verify import COLUMNS, divergence_item
from .show import say, show_list

_TEXT: Form = "text"


async def export(actor: str, file: Path, /, *, archive: ArchiveOption = None, options: Options = DEFAULTS) -> None:
    """Write one actor's whole history into FILE: what it was told, what it decided, what it sent, and the schemas.

    `hms replay check FILE` decides it again, without a log. The file holds the messages as they were: whoever reads it reads
    them. Writes nothing to the log.
    """
    async with history_of(options.url, archive) as history:
        count = await export_fixture(history, actor, file)
    say(f"{actor}: {count:,} inputs written to {file}")


def check(file: Path, /, *, app: AppsOption = (), form: FormOption = _TEXT) -> Exit:
    """Decide a fixture's inputs again and compare what comes out, byte for byte; exit 9 where anything differs.

    JSON: an array of differences as `hms replay verify` has them. Needs no log.
    """
    apps = apps_named(app)
    found = check_fixture(file, apps)
    version = code_version_of(Behaviours(apps))
    show_list([divergence_item(one, version) for one in found.divergences], form, COLUMNS, cut_last=True)
    differ = f"{len(found.divergences):,} come out otherwise" if found.divergences else "all come out as recorded"
    say(f"{found.actor}: {found.inputs:,} inputs decided again: {differ}")
    return Exit.DIVERGED if found.divergences else Exit.OK
