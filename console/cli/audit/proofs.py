"""`hms audit prove` and `hms audit check`: one event of the history, provable to somebody who has no log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ....replay.audit.errors import NotAProof
from ....replay.audit.note import Note
from ..archive_options import ArchiveOption
from ..audit_options import TrustOption
from ..exit_codes import Exit, Stop
from ..options import DEFAULTS, Options
from ..plain_value import envelope_item, instant, plain
from ..show import say, show_one, write
from .places import history_of, notes_of, trust_of

if TYPE_CHECKING:
    from ....replay.audit.proof import Proved


async def prove(
    id: str,  # noqa: A002 - the envelope's name for it
    /,
    *,
    older: Annotated[
        Path | None, Parameter(help="A checkpoint from before: prove that the history has only grown since, too")
    ] = None,
    archive: ArchiveOption = None,
    options: Options = DEFAULTS,
) -> None:
    """Print the proof that an event is in the signed history, for `hms audit check`: a few kilobytes of JSON."""
    from ....replay.audit.prove import prove as proved  # noqa: PLC0415

    async with history_of(options.url, archive) as history:
        proof = await proved(history, id, None if older is None else _one_of(older, None))
        if older is not None:
            note = _one_of(older, proof.shard)
            proof = await proved(history, id, note)
    write(proof.model_dump_json(indent=None if options.form == "jsonl" else 1))


def _one_of(path: Path, shard: int | None) -> Note | None:
    """Return the checkpoint of a shard in a file, the largest of several; None while the shard is not known."""
    if shard is None:
        return None
    notes = [note for note in notes_of(path) if note.checkpoint.origin.endswith(f"/shard-{shard}")]
    if not notes:
        raise Stop(Exit.USAGE, f"{path}: expected a checkpoint of shard {shard}, which holds the event; found none")
    return max(notes, key=lambda note: note.checkpoint.size)


def _goes_on_from(found: "Proved", notes: list[Note]) -> bool:
    """Say whether the older checkpoint of a proof is one of these."""
    older = None if found.older is None else found.older.checkpoint
    kept = [note.checkpoint for note in notes]
    return older is not None and older[:3] in [one[:3] for one in kept]


def check(
    proof: Path,
    /,
    *,
    trust: TrustOption = None,
    against: Annotated[
        Path | None, Parameter(help="A checkpoint that you kept: the proof has to show that it only grew since")
    ] = None,
    options: Options = DEFAULTS,
) -> int:
    """Check a proof, without the log: show the event that it proves, and who signed; exit 1 if it does not hold.

    Without --trust it says `unanchored`: then the keys are the ones that came with the proof. JSON: `proved, envelope, data,
    shard, commit, signed_at, size, signed_by[], anchored, older_size`.
    """
    from ....replay.audit.proof import check as checked  # noqa: PLC0415
    from ....replay.audit.proof import read_proof  # noqa: PLC0415

    try:
        found = checked(read_proof(proof.read_text(encoding="utf-8")), trust_of(trust))
    except (NotAProof, UnicodeDecodeError) as error:
        raise Stop(Exit.FAILED, f"{proof}: {error}") from None
    if against is not None and not _goes_on_from(found, notes_of(against)):
        raise Stop(
            Exit.FAILED, f"{proof}: it proves nothing about a checkpoint in {against}; make it with `prove --older`"
        )
    checkpoint = found.note.checkpoint
    item = {
        "proved": True,
        "envelope": envelope_item(found.envelope),
        "data": plain(found.data),
        "shard": found.shard,
        "commit": found.commit,
        "signed_at": instant(checkpoint.at),
        "size": checkpoint.size,
        "signed_by": list(found.signers),
        "anchored": found.trusted,
        "older_size": None if found.older is None else found.older.checkpoint.size,
    }
    show_one(item, options.form)
    if not found.trusted:
        say("unanchored: the proof holds under the keys that came with it; --trust says whose keys count")
    return Exit.OK
