"""`hms log init`: make a log, or say what it needs; what is there already is looked at and never changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from ...core.log.port import DEFAULT_PARTITIONS
from .exit_codes import Exit, Stop
from .log_address import log_file
from .opened import quiet
from .options import DEFAULTS, Options
from .show import Columns, say, show_list, show_one, write

if TYPE_CHECKING:
    from ...core.log.kafka.address import KafkaAddress
    from ...core.log.kafka.creation import Plan

PartitionsOption = Annotated[
    int | None,
    Parameter(
        help="Shards: how many nodes and cores can share the work, for ever", show_default=str(DEFAULT_PARTITIONS)
    ),
]
ReplicationOption = Annotated[
    int | None, Parameter(help="Copies of each topic (Kafka)", show_default="3, or as many as there are brokers")
]
PlanOption = Annotated[bool, Parameter(name="--plan", help="Only say what would be made")]
AclsOption = Annotated[
    bool, Parameter(name="--acls", help="Print the least rights of a node, a client, a reader, an operator")
]

COLUMNS: Final[Columns] = {
    "TOPIC": "topic",
    "STATE": "state",
    "PARTITIONS": "partitions",
    "REPLICAS": "replicas",
    "SETTINGS": lambda item: " ".join(f"{name}={value}" for name, value in item["settings"].items()),
}


async def init(
    *,
    partitions: PartitionsOption = None,
    replication: ReplicationOption = None,
    plan: PlanOption = False,
    acls: AclsOption = False,
    options: Options = DEFAULTS,
) -> int:
    """Make the log: on Kafka its topics with the settings they need, embedded its file. Doing it again changes nothing.

    Topics that are there and wrong are refused (exit 1, nothing is made), each with the line of Kafka's tools that
    repairs it. JSON: `url, made, partitions, topics[], deviations[], acls{}`; topics are `topic, state (made, there,
    missing, wrong), partitions, replicas, settings{}`; deviations `topic, what, expected, got, repair, grave`.
    """
    quiet()
    if options.url.startswith("kafka:"):
        return await _init_kafka(options, partitions, replication, plan=plan, acls=acls)
    if replication is not None or acls:
        raise Stop(Exit.USAGE, f"--replication and --acls are for logs on Kafka; {options.url} is not one")
    return await _init_file(options, partitions, plan=plan)


async def _init_file(options: Options, partitions: int | None, *, plan: bool) -> int:
    path = log_file(options.url)
    if path is None:
        raise Stop(
            Exit.USAGE, f"{options.url} is gone when its process ends; expected sqlite:PATH or kafka://HOST:PORT"
        )
    there = path.exists()
    count = partitions or DEFAULT_PARTITIONS
    if there or not plan:
        count = await _embedded(path, partitions)
    made = not there and not plan
    item = {"url": f"sqlite:{path}", "made": made, "partitions": count, "topics": [], "deviations": [], "acls": {}}
    show_one(item, options.form, leave_out=("topics", "deviations", "acls"))
    say(f"hms: {'made' if made else 'there already' if there else 'would be made'}: {path}, {count} partitions")
    return Exit.OK


async def _embedded(path: Path, partitions: int | None) -> int:
    """Open the file, making it where there is none; return how many partitions it has."""
    from ...core.log.sqlite import SqliteLog  # noqa: PLC0415 - whoever uses Kafka does not pay for it

    log = await SqliteLog.open(path, partitions=partitions)
    await log.close()
    return log.partitions


async def _init_kafka(
    options: Options, partitions: int | None, replication: int | None, *, plan: bool, acls: bool
) -> int:
    from ...core.log.kafka.address import KafkaAddress  # noqa: PLC0415 - the embedded log does not pay for aiokafka
    from ...core.log.kafka.creation import create, look  # noqa: PLC0415

    address = KafkaAddress.parse(options.url)
    found = await look(address, partitions, replication)
    made = not found.whole and not found.refused and not plan
    if made:
        await create(address, found)
    _show(address, found, options, made=made, acls=acls)
    say(_sentence(found, made=made))
    return Exit.FAILED if found.refused else Exit.OK


def _show(address: "KafkaAddress", found: "Plan", options: Options, *, made: bool, acls: bool) -> None:
    from ...core.log.kafka.acls import WHAT, acl_lines  # noqa: PLC0415

    rights = {role: acl_lines(address, role) for role in WHAT} if acls else {}
    item: dict[str, Any] = {
        "url": address.url,
        "made": made,
        "partitions": found.partitions,
        "topics": [_topic(name, found, made=made) for name in found.wanted],
        "deviations": [one._asdict() for one in found.deviations],
        "acls": rights,
    }
    if options.form != "text":
        show_one(item, options.form)
        return
    show_list(item["topics"], "text", COLUMNS)
    for line in _repairs(found):
        write(line)
    for role, lines in rights.items():
        write("")
        write(f"# hms-{role}: {WHAT[role]}")
        for line in lines:
            write(line)


def _topic(name: str, found: "Plan", *, made: bool) -> dict[str, Any]:
    want = found.wanted[name]
    if name in found.missing:
        state = "made" if made else "missing"
        return {
            "topic": name, "state": state, "partitions": want.partitions, "replicas": want.replication,
            "settings": dict(want.settings),
        }  # fmt: skip
    seen = found.cluster.topics[name]
    state = "wrong" if any(one.topic == name for one in found.refused) else "there"
    settings = {setting: seen.settings.get(setting) for setting in want.settings}
    return {
        "topic": name, "state": state, "partitions": len(seen.partitions), "replicas": seen.replication,
        "settings": settings,
    }  # fmt: skip


def _repairs(found: "Plan") -> Iterator[str]:
    """Yield what is wrong as comments, and below each what repairs it: to be read, and then pasted."""
    for one in found.deviations:
        yield ""
        yield f"# {'wrong' if one.grave else 'a risk'}: {one}"
        yield one.repair


def _sentence(found: "Plan", *, made: bool) -> str:
    if found.refused:
        return (
            f"hms: {len(found.refused)} settings are wrong and nothing was made; run the lines above, then this again"
        )
    if found.whole:
        return "hms: everything is there and as it should be"
    what = f"{len(found.missing)} topics with {found.partitions} partitions; copies of each: {found.replication}"
    return f"hms: {'made' if made else 'would make'} {what}"
