"""`hms audit key`: the key with which this machine signs."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ....replay.audit.keys import PublicKey
from ..exit_codes import Exit, Stop
from ..options import DEFAULTS, Options
from ..show import Columns, say, show_list
from .places import key_folder, trust_of

key_app = App(
    name="key", help="The key with which this machine signs: show, rotate, retire; revoke one in a file of trust."
)
_COLUMNS: Columns = {"KEY": "key"}


@key_app.command
def show(*, options: Options = DEFAULTS) -> None:
    """Show the public keys that sign here, newest first, as a file for --trust has them. JSON: an array of `key`.

    The first use makes a key, in the state folder, mode 0600.
    """
    items = [{"key": str(signer.public)} for signer in key_folder().signers()]
    if options.form == "text":
        for item in items:
            print(item["key"])  # noqa: T201 - a file of trust takes it as it is
        return
    show_list(items, options.form, _COLUMNS)


@key_app.command
def rotate(*, options: Options = DEFAULTS) -> None:
    """Make a new key; the one before signs beside it until `hms audit key retire`.

    Who trusts the older comes to know the newer by a checkpoint that both have signed.
    """
    key_folder().signers()
    key_folder().rotate()
    show(options=options)


@key_app.command
def retire() -> None:
    """Let only the newest key sign from now on; what the older ones signed stays proved by them."""
    count = key_folder().retire()
    say(f"{count} older key{'' if count == 1 else 's'} retired")


@key_app.command
def revoke(
    key: str,
    /,
    *,
    trust: Annotated[Path, Parameter(help="The file of trusted keys to write it into")],
    from_: Annotated[
        int,
        Parameter(name="--from", validator=Number(gte=0), help="The first commit for which the key counts no longer"),
    ],
    shard: Annotated[int | None, Parameter(validator=Number(gte=0), help="Of this shard only")] = None,
) -> None:
    """Write into a file of trusted keys that one counts no longer from a commit on: it was lost, or stolen then.

    KEY is its line, its name, or its id.
    """
    known = trust_of(trust)
    assert known is not None  # noqa: S101 - a file was given
    found = [one for one in known.keys if key in {str(one), one.name, one.id.hex()}]
    if len(found) != 1:
        listed = ", ".join(f"{one.name}+{one.id.hex()}" for one in known.keys) or "none"
        raise Stop(Exit.NOT_FOUND, f"expected one key {key!r} in {trust}, found {len(found)}; there are {listed}")
    mark = f"revoked-from={from_}" if shard is None else f"revoked-from={shard}:{from_}"
    trust.write_text(_marked(trust.read_text(encoding="utf-8"), found[0], mark), encoding="utf-8")
    say(f"{found[0].name}+{found[0].id.hex()} {mark}")


def _marked(text: str, key: PublicKey, mark: str) -> str:
    lines = (f"{line.rstrip()} {mark}" if line.split()[:1] == [str(key)] else line for line in text.splitlines())
    return "\n".join(lines) + "\n"
