"""`hms event trace`: why something happened, and what it led to."""

from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

from ...replay.trace.gather import gather
from ...replay.trace.pictures import after, clock, dot, html, who
from ...replay.trace.tree import Node, tree_of
from .archive_options import ArchiveOption
from .exit_codes import Exit, Stop
from .log_address import log_url
from .options import LogOption
from .plain_value import instant_of_us, plain
from .replay_options import history_of
from .show import one_line, show_one, text, write

TraceForm: TypeAlias = Literal["text", "json", "dot", "html"]


async def trace(
    id: str,  # noqa: A002 - what it is called everywhere
    /,
    *,
    whole: Annotated[bool, Parameter(help="Also what the causes led to besides")] = False,
    limit: Annotated[int, Parameter(alias="-n", validator=Number(gte=1), help="Show at most so many steps")] = 1_000,
    archive: ArchiveOption = None,
    log: LogOption = None,
    form: Annotated[
        TraceForm, Parameter(name=("--output", "-o"), help="html is one page that needs nothing else")
    ] = "text",
) -> None:
    """Show the causes of an event or message, back to the first, and its consequences, as a tree with times.

    ID is an event's or a message's, a correlation's, or one in a record's fields: a task's, an incident's, a recovery's. Timers
    and effects are steps of their own; a message says what verdict it got. With -o dot: `| dot -Tsvg`.

    JSON: `kind, id, type, source, destination, at, after_ms, topic, partition, offset, verdict, handled_at, asked_for,
    left_out, earlier, data, consequences[]`, each consequence of the same form; `left_out` counts consequences that are not
    shown, `earlier` causes before the first one shown.
    """
    if not id.strip():
        raise Stop(Exit.USAGE, "expected an id, got an empty one; `hms event list -o json` shows ids")
    async with history_of(log_url(log), archive) as history:
        root = tree_of(await gather(history, id), whole=whole, nodes_max=limit)
    match form:
        case "dot":
            write(dot(root))
        case "html":
            write(html(root))
        case "json":
            show_one(node_item(root), "json")
        case "text":
            _show(root)


def node_item(node: Node) -> dict[str, Any]:
    """Return a tree as JSON has it."""
    topic, partition, offset = node.place or (None, None, None)
    return {
        "kind": node.kind,
        "id": node.id,
        "type": node.type,
        "source": node.source,
        "destination": node.destination,
        "at": instant_of_us(node.at_us),
        "after_ms": None if node.after_us is None else node.after_us / 1_000,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "verdict": node.handled and node.handled.verdict,
        "handled_at": node.handled and instant_of_us(node.handled.now_us),
        "asked_for": node.asked_for,
        "left_out": node.left_out,
        "earlier": node.earlier,
        "data": plain(node.data),
        "consequences": [node_item(one) for one in node.consequences],
    }


def _show(root: Node) -> None:
    """Write a line a step, indented by what it follows from; what was asked for has an arrow."""
    if root.earlier:
        write(f"{'':12} {root.earlier:,} causes before the first, not shown")
    for depth, node in root.walk():
        mark = "> " if node.asked_for else "  "
        verdict = f" [{node.handled.verdict}]" if node.handled else ""
        data = " ".join(
            f"{name}={text(value)}" for name, value in plain(node.data).items() if value not in (None, "", [], {})
        )
        line = f"{mark}{'  ' * depth}{node.kind} {node.type} {who(node)}{verdict} {after(node)}"
        write(one_line(f"{clock(node.at_us)[11:]} {line.rstrip()}{'  ' + data[:160] if data else ''}"))
        if node.left_out:
            write(f"{'':12} {'  ' * (depth + 2)}and {node.left_out} more, not shown (--whole, --limit)")
