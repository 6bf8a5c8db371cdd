"""Who calls whom: faults travel against the calls, from the called to the caller."""

from collections.abc import Iterable, Mapping

Edge = tuple[str, str]
"""Caller and callee."""


class CallGraph:
    """The calls between components; cycles, loops and components without calls are allowed."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        """Keep each edge once; a component that calls itself says nothing."""
        self.callees: dict[str, list[str]] = {}
        self.callers: dict[str, list[str]] = {}
        for caller, callee in dict.fromkeys(edges):
            self.callees.setdefault(caller, [])
            self.callers.setdefault(callee, [])
            self.callees.setdefault(callee, [])
            self.callers.setdefault(caller, [])
            if caller != callee:
                self.callees[caller].append(callee)
                self.callers[callee].append(caller)

    @property
    def components(self) -> list[str]:
        """All that calls or is called, in the order of the edges."""
        return list(self.callees)

    def below(self, component: str) -> dict[str, int]:
        """Return what the component calls, directly or not -> how many calls away."""
        return _reached(self.callees, component)

    def above(self, component: str) -> dict[str, int]:
        """Return who calls the component, directly or not -> how many calls away."""
        return _reached(self.callers, component)


def _reached(steps: Mapping[str, list[str]], start: str) -> dict[str, int]:
    distance = {start: 0}
    queue = [start]
    for at in queue:
        for to in steps.get(at, ()):
            if to not in distance:
                distance[to] = distance[at] + 1
                queue.append(to)
    del distance[start]
    return distance
