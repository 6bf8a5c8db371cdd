"""Causes and consequences as a tree: messages lead to events, sends, timers and effects, and these to further messages."""

from collections import defaultdict
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


@dataclass
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

    What the causes also led to is left out, and counted, unless the whole is asked for; so are nodes beyond `nodes_max`.
    """
    nodes = _nodes(gathered)
    parents = _linked(nodes)
    asked = next(one for one in nodes if one.place == _place(gathered.start))
    asked.asked_for = True
    path = [asked]
    while (parent := parents.get(id(path[-1]))) is not None:
        path.append(parent)
    if not whole:
        for cause, consequence in zip(path[1:], path, strict=False):
            cause.left_out = len(cause.consequences) - 1
            cause.consequences = [consequence]
    _cut(path[-1], nodes_max)
    return path[-1]


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
    by_id: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        by_id[node.id].append(node)
    parents: dict[int, Node] = {}
    for node in nodes:
        cause = _cause(node, by_id)
        if cause is not None:
            parents[id(node)] = cause
            node.after_us = node.at_us - cause.at_us
            cause.consequences.append(node)
    for node in nodes:
        node.consequences.sort(key=lambda one: (one.at_us, one.place or ("~", 0, 0)))
    return parents


def _cause(node: Node, by_id: Mapping[str, list[Node]]) -> Node | None:
    """Return what a node follows from; of several with one id (one message told to two actors) that of its actor."""
    candidates = [one for one in by_id.get(node.cause or "", ()) if one is not node]
    actor = node.source.removeprefix(EFFECT_SOURCE)
    return next((one for one in candidates if one.destination == actor), candidates[0] if candidates else None)


def _cut(root: Node, nodes_max: int) -> None:
    """Leave out what is beyond a number of nodes, counted in the order of the tree, and what is very deep."""
    first = [node for depth, node in root.walk() if depth <= DEPTH_MAX][:nodes_max]
    kept = {id(node) for node in first}
    for node in first:
        shown = [one for one in node.consequences if id(one) in kept]
        node.left_out += len(node.consequences) - len(shown)
        node.consequences = shown
