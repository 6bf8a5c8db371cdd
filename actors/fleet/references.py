"""What components and groups say of each other: ids, groups, dependencies, order."""

from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from typing import Any

from .document import Document
from .mistakes import Path, likely
from .shape import components_of, mappings_in

CYCLES_MAX = 20
"""Components that all depend on each other have thousands of circles; naming twenty is enough to begin with."""


def check_references(document: Document) -> None:
    """Note every name that is used twice or leads nowhere, every circle, every order that contradicts itself."""
    components = _named(document, "components")
    groups = _named(document, "groups")
    for path, component in components_of(document):
        _check_group(document, path, component, groups)
        _check_dependencies(document, path, component, components)
    _check_cycles(document, components)
    _check_order(document, components, groups)


def _named(document: Document, key: str) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return the first of each id; note the others."""
    named: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path, value in mappings_in(document, key):
        name = value.get("id")
        if name in named:
            first = document.value_place((*named[name][0], "id"))
            advice = f"rename one of the two (the first is on line {first.line})"
            document.wrong((*path, "id"), f"ids that differ among {key}", f"`{name}` again", advice)
        elif isinstance(name, str):
            named[name] = path, value
    return named


def _check_group(
    document: Document, path: Path, component: dict[str, Any], groups: dict[str, tuple[Path, dict[str, Any]]]
) -> None:
    name, group = component.get("id"), component.get("group")
    if "group" not in component and name in groups:
        advice = f"write `group: {name}` to be in it, or rename one of the two"
        document.wrong((*path, "id"), "an id that no group has", f"`{name}`, which `groups` has too", advice)
    elif isinstance(group, str) and group not in groups:
        advice = likely(group, groups, f"add `- {{id: {group or 'NAME'}}}` to `groups`, or remove the key")
        document.wrong((*path, "group"), "a group of this file", f"`{group}`", advice)


def _dependencies(component: dict[str, Any]) -> dict[str, Any]:
    dependencies = component.get("depends_on")
    return dependencies if isinstance(dependencies, dict) else {}


def _check_dependencies(
    document: Document, path: Path, component: dict[str, Any], components: dict[str, tuple[Path, dict[str, Any]]]
) -> None:
    for name, condition in _dependencies(component).items():
        at = (*path, "depends_on", name)
        if name not in components:
            others = [other for other in components if other != component.get("id")]
            advice = likely(name, others, "name a component of this file, or remove it")
            document.wrong_key(at, "a component of this file", f"`{name}`", advice)
        elif condition == "completed" and components[name][1].get("restart", "permanent") == "permanent":
            advice = f"make `{name}` transient or temporary, or wait for ready"
            document.wrong(at, "a component that ends", f"`{name}`, which is permanent and never completes", advice)


def _check_cycles(document: Document, components: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    """Name a circle, open it, look for the next: each round removes an edge."""
    edges = {name: set(_dependencies(value)) & set(components) for name, (_, value) in components.items()}
    for _ in range(CYCLES_MAX):
        cycle = _cycle(edges)
        if not cycle:
            return
        first = cycle[0]
        path = (*components[first][0], "depends_on", cycle[1])
        got = " -> ".join(cycle)
        document.wrong_key(
            path, "dependencies without a circle", f"the circle {got}", "remove one of these dependencies"
        )
        edges[first].discard(cycle[1])


def _cycle(edges: dict[str, set[str]]) -> list[str]:
    """Return a circle as `[a, b, a]`, a depending on b, beginning with the one that the file has first."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        ring = error.args[1][:0:-1]
        order = list(edges)
        begin = ring.index(min(ring, key=order.index))
        return [*ring[begin:], *ring[:begin], ring[begin]]
    return []


def _check_order(
    document: Document,
    components: dict[str, tuple[Path, dict[str, Any]]],
    groups: dict[str, tuple[Path, dict[str, Any]]],
) -> None:
    """In a rest_for_one group those listed after a crashed one are restarted: dependants must be among them."""
    later: dict[str, set[str]] = defaultdict(set)
    for name, (path, component) in reversed(components.items()):
        group = component.get("group")
        if not isinstance(group, str) or group not in groups:
            continue
        for other in sorted(_dependencies(component).keys() & later[group]):
            if groups[group][1].get("strategy") == "rest_for_one":
                got = f"`{other}` listed after `{name}`"
                advice = f"list `{other}` before `{name}`: the strategy rest_for_one restarts what comes after"
                document.wrong_key((*path, "depends_on", other), "dependencies listed before", got, advice)
        later[group].add(name)
