"""The order in which a fleet's components start, and what is wrong with one that cannot be ordered."""

from collections.abc import Sequence
from graphlib import CycleError

from ...schemas.fleet import ComponentSpec, FleetSpec
from .plan import waves


def start_order(components: Sequence[ComponentSpec]) -> tuple[ComponentSpec, ...]:
    """Return the components in the file's order, but each after what it depends on."""
    known = {spec.id: spec for spec in components}
    done: dict[str, ComponentSpec] = {}

    def visit(spec: ComponentSpec) -> None:
        """Place what it depends on, then it. The circle that a file cannot have would end here, too."""
        todo = [spec]
        while todo:
            last = todo[-1]
            missing = [known[name] for name in last.depends_on if name in known and name not in done]
            missing = [each for each in missing if each not in todo]
            if missing:
                todo.append(missing[0])
            else:
                done.setdefault(last.id, last)
                todo.pop()

    for spec in components:
        visit(spec)
    return tuple(done.values())


def mistake(spec: FleetSpec) -> str:
    """Return why a fleet cannot be run, or nothing. A file that was read has none of these."""
    ids = [component.id for component in spec.components]
    twice = sorted({name for name in ids if ids.count(name) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        return f"expected component ids that differ, got {', '.join(twice)} twice"
    groups = {group.id for group in spec.groups}
    lost = [component.id for component in spec.components if component.group not in groups]
    if lost:
        return f"expected every component to name one of the groups, which these do not: {', '.join(lost)}"
    unknown = sorted({name for component in spec.components for name in component.depends_on} - set(ids))
    if unknown:
        return f"expected dependencies on components of the fleet, got {', '.join(unknown)}"
    try:
        waves(spec.components)
    except CycleError as error:
        return f"expected dependencies without a circle, got {' -> '.join(error.args[1])}"
    return ""
