"""What it takes to get from one fleet to another: who comes, who goes, who is restarted, in which waves."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from graphlib import TopologicalSorter
from typing import Any

from ...core.errors import CallerError
from ...schemas.fleet import ComponentSpec, FleetSpec, GroupSpec
from ...schemas.record import Record

RESTART_FIELDS = ("command", "working_folder", "environment", "user", "umask", "open_files", "host", "failover")
"""What a process gets once, when it starts. All else acts on the running one, `output` from its next start on."""

Waves = tuple[tuple[str, ...], ...]


class FleetMismatch(CallerError):
    """A log holds one fleet; the file describes another."""


class ComponentChange(Record):
    """A component that stays: what it becomes, which fields differ, and whether it must be restarted."""

    after: ComponentSpec
    fields: tuple[str, ...]
    restart: bool


class GroupChange(Record):
    """A group that stays; `order` among the fields means that members which stay are listed in another order."""

    after: GroupSpec
    fields: tuple[str, ...]


class Plan(Record):
    """A difference between two fleets. `stop` is done first, wave by wave, then the changes, then `start`."""

    fleet: str
    added: tuple[ComponentSpec, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[ComponentChange, ...] = ()
    groups_added: tuple[GroupSpec, ...] = ()
    groups_removed: tuple[str, ...] = ()
    groups_changed: tuple[GroupChange, ...] = ()
    stop: Waves = ()
    start: Waves = ()
    order: tuple[str, ...] = ()
    """All components of the desired fleet, as it lists them."""
    group_order: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """All hosts of the desired fleet."""
    hosts_changed: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        components = self.added or self.removed or self.changed
        groups = self.groups_added or self.groups_removed or self.groups_changed
        return not (components or groups or self.hosts_changed)

    def render(self) -> tuple[str, ...]:
        """Return the plan as lines: `+ web`, `- old`, `~ api: command (restart)`, then the waves."""
        if self.empty:
            return (f"{self.fleet}: no difference",)
        hosts = (f"~ hosts: {', '.join(self.hosts) or '-'}",) if self.hosts_changed else ()
        return (*hosts, *self._group_lines(), *self._component_lines(), *self._wave_lines())

    def as_json(self) -> dict[str, Any]:
        """Return the plan without the specifications: names and fields only, because environments hold secrets."""
        return {
            "fleet": self.fleet,
            "empty": self.empty,
            "hosts": list(self.hosts),
            "components": {
                "added": [spec.id for spec in self.added],
                "removed": list(self.removed),
                "changed": [_change(change) | {"restart": change.restart} for change in self.changed],
            },
            "groups": {
                "added": [spec.id for spec in self.groups_added],
                "removed": list(self.groups_removed),
                "changed": [_change(change) for change in self.groups_changed],
            },
            "stop": [list(wave) for wave in self.stop],
            "start": [list(wave) for wave in self.start],
        }

    def _component_lines(self) -> Iterable[str]:
        yield from (f"+ {spec.id}{_where(spec)}" for spec in self.added)
        yield from (f"- {name}" for name in self.removed)
        for change in self.changed:
            where = _where(change.after) if "host" in change.fields else ""
            yield f"~ {change.after.id}{where}: {', '.join(change.fields)}{' (restart)' if change.restart else ''}"

    def _group_lines(self) -> Iterable[str]:
        """Return no line for a group of its own: it comes and goes with its component."""
        mine = {spec.id for spec in self.added if spec.group == spec.id}
        mine |= {change.after.id for change in self.changed if change.after.group == change.after.id}
        yield from (f"+ group {spec.id}" for spec in self.groups_added if not (spec.id in mine and _is_plain(spec)))
        gone = {*self.removed, *(change.after.id for change in self.changed)}
        yield from (f"- group {name}" for name in self.groups_removed if name not in gone)
        yield from (f"~ group {change.after.id}: {', '.join(change.fields)}" for change in self.groups_changed)

    def _wave_lines(self) -> Iterable[str]:
        for verb, all_waves in (("stop", self.stop), ("start", self.start)):
            if all_waves:
                yield f"{verb}: {', then '.join(' '.join(wave) for wave in all_waves)}"


def plan(current: FleetSpec | None, desired: FleetSpec) -> Plan:
    """Return the difference from `current` (None: nothing runs yet) to `desired`.

    Raises `FleetMismatch` when both are fleets of different names.
    """
    before = current or FleetSpec(fleet=desired.fleet)
    if before.fleet != desired.fleet:
        got = f"expected the fleet `{before.fleet}`, which this log holds, got `{desired.fleet}`"
        raise FleetMismatch(f"{got}; use the file of that fleet, or another log (--log URL)")
    changed = _changed_components(before, desired)
    restarted = {change.after.id for change in changed if change.restart}
    old, new = ({spec.id for spec in fleet.components} for fleet in (before, desired))
    return Plan(
        fleet=desired.fleet,
        added=tuple(spec for spec in desired.components if spec.id not in old),
        removed=tuple(spec.id for spec in before.components if spec.id not in new),
        changed=changed,
        groups_added=_missing_groups(desired, before),
        groups_removed=tuple(group.id for group in _missing_groups(before, desired)),
        groups_changed=_changed_groups(before, desired),
        stop=_only(waves(before.components)[::-1], (old - new) | restarted),
        start=_only(waves(desired.components), (new - old) | restarted),
        order=tuple(spec.id for spec in desired.components),
        group_order=tuple(group.id for group in desired.groups),
        hosts=desired.hosts,
        hosts_changed=before.hosts != desired.hosts,
    )


def apply(current: FleetSpec | None, change: Plan) -> FleetSpec:
    """Return the fleet that `current` becomes by `change`: how the log folds the file's history."""
    before = current or FleetSpec(fleet=change.fleet)
    components = {spec.id: spec for spec in (*before.components, *change.added)}
    components |= {each.after.id: each.after for each in change.changed}
    groups = {spec.id: spec for spec in (*before.groups, *change.groups_added)}
    groups |= {each.after.id: each.after for each in change.groups_changed}
    return FleetSpec(
        fleet=change.fleet,
        hosts=change.hosts,
        groups=tuple(groups[name] for name in change.group_order),
        components=tuple(components[name] for name in change.order),
    )


def waves(components: Sequence[ComponentSpec]) -> Waves:
    """Return the ids in waves: each wave needs only the ones before it; reversed, it is the order of stopping.

    Within a wave the order is that of `components`; dependencies on others than these are ignored. Raises
    `graphlib.CycleError` on a circle, which a file that was read cannot have.
    """
    known = {spec.id: index for index, spec in enumerate(components)}
    sorter = TopologicalSorter({spec.id: spec.depends_on.keys() & known.keys() for spec in components})
    sorter.prepare()
    found: list[tuple[str, ...]] = []
    while ready := sorter.get_ready():
        found.append(tuple(sorted(ready, key=known.__getitem__)))
        sorter.done(*ready)
    return tuple(found)


def spec_hash(spec: ComponentSpec) -> str:
    """Return the SHA-256 (hex) of what needs a restart when it changes, as canonical JSON: equal on every machine.

    Defaults are left out, so that a version of HMS that knows one more field restarts nothing.
    """
    fields = spec.model_dump(mode="json", include=set(RESTART_FIELDS), exclude_defaults=True)
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _change(change: ComponentChange | GroupChange) -> dict[str, Any]:
    return {"id": change.after.id, "fields": list(change.fields)}


def _where(spec: ComponentSpec) -> str:
    return f" on {spec.host}" if spec.host else ""


def _is_plain(spec: GroupSpec) -> bool:
    return spec == GroupSpec(id=spec.id)


def _only(all_waves: Waves, names: Container[str]) -> Waves:
    chosen = (tuple(name for name in wave if name in names) for wave in all_waves)
    return tuple(wave for wave in chosen if wave)


def _different(before: Record, after: Record) -> tuple[str, ...]:
    return tuple(name for name in type(after).model_fields if getattr(before, name) != getattr(after, name))


def _changed_components(before: FleetSpec, after: FleetSpec) -> tuple[ComponentChange, ...]:
    old = {spec.id: spec for spec in before.components}
    found = ((spec, _different(old[spec.id], spec)) for spec in after.components if spec.id in old)
    return tuple(
        ComponentChange(after=spec, fields=fields, restart=any(name in RESTART_FIELDS for name in fields))
        for spec, fields in found
        if fields
    )


def _missing_groups(here: FleetSpec, there: FleetSpec) -> tuple[GroupSpec, ...]:
    others = {group.id for group in there.groups}
    return tuple(group for group in here.groups if group.id not in others)


def _changed_groups(before: FleetSpec, after: FleetSpec) -> tuple[GroupChange, ...]:
    old = {group.id: group for group in before.groups}
    first, second = _members(before), _members(after)
    found = []
    for group in after.groups:
        if group.id in old:
            moved = _moved(first[group.id], second[group.id])
            found.append((group, (*_different(old[group.id], group), *(("order",) if moved else ()))))
    return tuple(GroupChange(after=group, fields=fields) for group, fields in found if fields)


def _moved(before: dict[str, None], after: dict[str, None]) -> bool:
    """Return whether those in both are in another order."""
    return [name for name in before if name in after] != [name for name in after if name in before]


def _members(fleet: FleetSpec) -> defaultdict[str, dict[str, None]]:
    """Return the members of each group, in the file's order."""
    members: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for spec in fleet.components:
        members[spec.group][spec.id] = None
    return members
