"""Causes and consequences as a tree: messages lead to events, sends, timers and effects, and these to further messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ...core.log.port import DEAD_LETTERS, EVENTS
from ...core.runtime.cause import EFFECT_SOURCE
from ...core.runtime.records import TimerSet
from ...schemas import derived_id
from .gather import Found, Gathered, Handled

TIMER_SET: Final = str(TimerSet.explicit_type)
DEPTH_MAX: Final = 200
"""A timer that sets itself again makes a chain for as long as the log is."""
CAUSES_MAX: Final = 100


@dataclass(eq=False)
class Node:
    """One step of the story: `kind` is message, event, timer, effect or `dead letter`; `at_us` when it was written, or due.

    `after_us` is how long after its cause. A timer and an effect are no records, so they have no place in the log.
    """

    kind: str
    id: str
    type: str
    source: str
    destination: str
    at_us: int
    place: tuple[str, int, int] | None
    data: Mapping[str, Any]
    cause: str | None
    """The id of what it follows from."""
    handled: Handled | None = None
    after_us: int | None = None
    asked_for: bool = False
    left_out: int = 0
    """Consequences that are not shown."""
    earlier: int = 0
    """Causes before this one that are not shown."""
    consequences: list["Node"] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[int, "Node"]]:
        """Yield the nodes of this tree with their depths, causes first."""
        waiting = [(0, self)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting += [(depth + 1, one) for one in reversed(node.consequences)]


def tree_of(gathered: Gathered, *, whole: bool = False, nodes_max: int = 1_000) -> Node:
    """Return the tree from its root: the causes of what was asked for, and all that this led to.

    An event comes out of one decision with other events and sends, so what that decision led to is what the event led to.
    What earlier causes also led to is left out, and counted, unless the whole is asked for; so are nodes beyond
    `nodes_max`, and causes before the nearest hundred. What was asked for, and its causes, are always there.
    """
    nodes = _nodes(gathered)
    parents = _linked(nodes)
    asked = next(one for one in nodes if one.place == _place(gathered.start))
    asked.asked_for = True
    causes = list(_causes(asked, parents))
    path = [asked, *causes[:CAUSES_MAX]]
    path[-1].earlier = len(causes[CAUSES_MAX:])
    if (before := parents.get(id(path[-1]))) is not None:  # one more cause, or the circle's end, which is its beginning
        before.consequences.remove(path[-1])
    if not whole:
        decided = asked.kind == "event" or gathered.by_field
        for cause, consequence in list(zip(path[1:], path, strict=False))[1 if decided else 0 :]:
            cause.left_out = len(cause.consequences) - 1
            cause.consequences = [consequence]
    _cut(path, nodes_max)
    return path[-1]


def _causes(node: Node, parents: Mapping[int, Node]) -> Iterator[Node]:
    """Yield what a node follows from, the nearest first; once each, even where a stranger's ids run in a circle."""
    seen = {id(node)}
    while (parent := parents.get(id(node))) is not None and id(parent) not in seen:
        seen.add(id(parent))
        yield parent
        node = parent


def _nodes(gathered: Gathered) -> list[Node]:
    letters = [one for one in gathered.records if one.stored.topic == DEAD_LETTERS]
    records = [one for one in gathered.records if one.stored.topic != DEAD_LETTERS]
    nodes = [_node(one, gathered.handled) for one in records]
    if all(one.place != _place(gathered.start) for one in nodes):
        nodes.append(_node(gathered.start, gathered.handled))
    places = {one.place: one.id for one in nodes}
    nodes += [_letter(one, places[_buried(one)]) for one in letters if _buried(one) in places]
    nodes += [_timer(one) for one in records if one.envelope.type == TIMER_SET]
    events = {one.envelope.id: one for one in records}
    nodes += [_effect(events[event], handler) for event, handler in gathered.begun if event in events]
    return nodes


def _place(found: Found) -> tuple[str, int, int]:
    return found.stored.topic, found.stored.partition, found.stored.offset


def _buried(letter: Found) -> tuple[str, int, int]:
    return letter.data["topic"], letter.data["partition"], letter.data["offset"]


def _node(found: Found, handled: Mapping[tuple[str, int, int], Handled]) -> Node:
    envelope, place = found.envelope, _place(found)
    kind = "event" if found.stored.topic == EVENTS else "message"
    addresses = (envelope.source, envelope.destination)
    return Node(
        kind,
        envelope.id,
        envelope.type,
        *addresses,
        envelope.at_us,
        place,
        found.data,
        envelope.causation_id,
        handled.get(place),
    )


def _letter(found: Found, message: str) -> Node:
    envelope = found.envelope
    data = {name: found.data[name] for name in ("reason", "detail")}
    addresses = (envelope.source, envelope.destination)
    return Node("dead letter", envelope.id, envelope.type, *addresses, envelope.at_us, _place(found), data, message)


def _timer(found: Found) -> Node:
    actor, data = found.envelope.source, found.data
    id_ = derived_id(actor, data["name"], "timer", str(data["generation"]))
    fields = {"name": data["name"], "generation": data["generation"]}
    return Node("timer", id_, f"timer {data['name']}", actor, actor, data["due_us"], None, fields, found.envelope.id)


def _effect(found: Found, handler: str) -> Node:
    actor = found.envelope.source
    id_ = derived_id(actor, found.envelope.id, "effect", handler)
    return Node(
        "effect",
        id_,
        f"effect {handler}",
        actor,
        actor,
        found.envelope.at_us,
        None,
        {"handler": handler},
        found.envelope.id,
    )


def _linked(nodes: list[Node]) -> dict[int, Node]:
    """Hang every node under its cause; return the causes by the nodes' identity."""
    first: dict[str, Node] = {}
    told: dict[tuple[str, str], Node] = {}
    for node in nodes:
        first.setdefault(node.id, node)
        told.setdefault((node.id, node.destination), node)
    parents: dict[int, Node] = {}
    for node in nodes:
        cause = _cause(node, first, told)
        if cause is not None:
            parents[id(node)] = cause
            node.after_us = node.at_us - cause.at_us
            cause.consequences.append(node)
    for node in nodes:
        node.consequences.sort(key=lambda one: (one.at_us, one.place or ("~", 0, 0)))
    return parents


def _cause(node: Node, first: Mapping[str, Node], told: Mapping[tuple[str, str], Node]) -> Node | None:
    """Return what a node follows from; of several with one id (one message told to two actors) that of its actor."""
    if node.cause is None or node.cause == node.id:
        return None
    actor = node.source.removeprefix(EFFECT_SOURCE)
    return told.get((node.cause, actor)) or first.get(node.cause)


def _cut(path: list[Node], nodes_max: int) -> None:
    """Leave out what is beyond a number of nodes, counted in the order of the tree, and what is very deep; never the path."""
    kept = {id(node): node for node in path}
    for depth, node in path[-1].walk():
        if len(kept) >= nodes_max:
            break
        if depth <= DEPTH_MAX:
            kept[id(node)] = node
    for node in kept.values():
        shown = [one for one in node.consequences if id(one) in kept]
        node.left_out += len(node.consequences) - len(shown)
        node.consequences = shown
