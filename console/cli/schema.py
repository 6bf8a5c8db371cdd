"""`hms schema`: the contract, as this HMS has it and as the log has it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from ...core.errors import LogUnreachable
from ...core.log.port import SCHEMAS, Log
from ...schemas.compatibility import check as check_releases
from ...schemas.compatibility import differences, releases
from ...schemas.golden import AVSC, RELEASED, read_avsc
from .exit_codes import Exit
from .freshness import freshness_line
from .opened import reading
from .options import DEFAULTS, Options
from .show import Columns, Item, say, show_list, show_one

app = App(name="schema", help="Schemas: of HMS, and of the log.")

Schemas = Mapping[str, dict[str, Any]]
COLUMNS: Final[Columns] = {
    "TYPE": "type",
    "ID": "id",
    "FIELDS": lambda item: str(len(item["schema"]["fields"])),
    "BUILT IN": "built_in",
    "IN LOG": "in_log",
}
PROBLEMS: Final[Columns] = {"TYPE": "type", "FIELD": "field", "AGAINST": "against", "REASON": "reason"}


@app.command(name="list")
async def list_schemas(*, options: Options = DEFAULTS) -> None:
    """List the types of the log, with the id of each of their schemas, and those of HMS that the log does not hold.

    JSON: an array of `type, id, built_in, in_log, schema`; the schema is the body's, without the envelope.
    """
    built_in = read_avsc(AVSC)
    written = await _written(options)
    here = [_item(name, id_, schema, name in built_in, in_log=True) for id_, (name, schema) in written.items()]
    known = {item["type"] for item in here}
    rest = [
        _item(name, None, body, built_in=True, in_log=False) for name, body in built_in.items() if name not in known
    ]
    show_list(sorted([*here, *rest], key=lambda item: str(item["type"])), options.form, COLUMNS)


@app.command
async def export(folder: Path, /, *, options: Options = DEFAULTS) -> None:
    """Write the body of every type as FOLDER/TYPE.avsc: those of HMS, and the newest of the log's others.

    Other files in the folder stay as they are.
    """
    schemas = dict((await _written(options)).values()) | read_avsc(AVSC)
    _write(folder, schemas)
    show_one({"folder": str(folder), "written": len(schemas)}, options.form)


@app.command
async def check(
    *,
    released: Annotated[Path, Parameter(help="A folder with a folder of .avsc for each release")] = RELEASED,
    current: Annotated[Path | None, Parameter(help="A folder of .avsc to check instead of HMS's own")] = None,
    options: Options = DEFAULTS,
) -> int:
    """Check that the types of now and of every release, and of the log, can read each other; exit 1 if not.

    JSON: an array of `type, field, against, reason`, empty if all is well.
    """
    schemas = read_avsc(current or AVSC)
    written = await _written(options)
    problems = [*_against_releases(released, schemas), *_against_log(written, schemas)]
    show_list(problems, options.form, PROBLEMS)
    say(f"{len(schemas)} types, against {len(releases(released))} releases and {len(written)} schemas of the log: "
        f"{len(problems)} problems")  # fmt: skip
    return Exit.FAILED if problems else Exit.OK


def _write(folder: Path, schemas: Schemas) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in schemas.items():
        (folder / f"{name}.avsc").write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def _against_releases(released: Path, schemas: Schemas) -> list[Item]:
    return [
        {"type": one.type, "field": one.path, "against": f"release {one.release}", "reason": one.reason}
        for one in check_releases(released, schemas)
    ]


def _against_log(written: Mapping[int, tuple[str, dict[str, Any]]], schemas: Schemas) -> list[Item]:
    return [
        {"type": name, "field": path, "against": f"the log's schema {id_}", "reason": reason}
        for id_, (name, body) in written.items()
        if name in schemas
        for path, reason in differences(body, schemas[name])
    ]


def _item(name: str, id_: int | None, schema: dict[str, Any], built_in: bool, *, in_log: bool) -> Item:  # noqa: FBT001
    return {"type": name, "id": id_, "built_in": built_in, "in_log": in_log, "schema": schema}


async def _written(options: Options) -> dict[int, tuple[str, dict[str, Any]]]:
    """Return type and body schema of what the log holds, by schema id; nothing where there is no log."""
    try:
        async with reading(options.url) as log:
            say(await freshness_line(log))
            return await _schemas_of(log)
    except LogUnreachable as error:
        say(f"only what is built in: {error}")
        return {}


async def _schemas_of(log: Log) -> dict[int, tuple[str, dict[str, Any]]]:
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    position = (await log.watermarks(SCHEMAS, 0)).start
    while True:
        read = await log.read(SCHEMAS, 0, position)
        for stored in read.records:
            if stored.value is not None:
                wire = json.loads(stored.value)
                body = {"type": "record", "name": wire["name"], "fields": wire["fields"][:-1]}
                found[int(stored.key)] = (wire["name"], body)
        if read.position == position:
            return found
        position = read.position
