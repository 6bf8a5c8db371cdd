"""A group is configured, halted, resumed and removed by its fleet."""

from collections.abc import Sequence

from ...schemas.fleet import ComponentSpec
from ...schemas.group import ConfigureGroup, GroupStill, HaltGroup, Member, RemoveGroup
from ...schemas.group_events import GroupConfigured, GroupHalted, GroupRemoved, GroupResumed
from ...schemas.member import ConfigureComponent, ResetMember, UnwatchComponent, WatchComponent
from ..fleet.plan import spec_hash
from .draft import Draft
from .notices import drop
from .plans import begin_remove, begin_replace
from .state import GroupState, wanted


def configure(draft: Draft, message: ConfigureGroup) -> None:
    """Become what the message says; act on the difference, and tell every member what it is."""
    before = draft.state
    event = GroupConfigured(
        fleet=message.fleet,
        host=message.host,
        spec=message.spec,
        members=message.members,
        released=message.released,
    )
    if event != as_configured(before, message.released):
        draft.record(event)
    if before.halted:
        draft.record(GroupResumed())
        _forgive_members(draft, before)
    for spec in message.members:
        draft.tell(spec.id, _member_configuration(draft, message, spec))
    _watch(draft, before)
    _remove_leaving(draft)
    _replace_changed(draft, before)


def halt(draft: Draft, message: HaltGroup) -> None:
    """Heal and start nothing any more; the fleet stops the members, wave by wave, once it knows that."""
    draft.tell_fleet(GroupStill(group=draft.group))
    if draft.state.halted or draft.state.spec is None:
        return
    draft.record(GroupHalted(reason=message.reason))
    for plan in draft.state.plans:
        if plan.kind != "remove":
            drop(draft, plan, "ignored", f"halted: {message.reason}")


def remove(draft: Draft, message: RemoveGroup) -> None:
    """Stop and forget every member that no other group has taken over."""
    state = draft.state
    if state.spec is None:
        return
    event = GroupConfigured(fleet=state.fleet, host=state.host, spec=state.spec, members=(), released=message.released)
    draft.record(event)
    _watch(draft, state)
    _remove_leaving(draft)
    forget_if_empty(draft)


def forget_if_empty(draft: Draft) -> None:
    """End as a group once the last member is gone."""
    if draft.state.spec is not None and not draft.state.members:
        draft.record(GroupRemoved())


def as_configured(state: GroupState, released: Sequence[str]) -> GroupConfigured | None:
    """Return the configuration that the state is in, None if it has none."""
    if state.spec is None:
        return None
    known = {member.spec.id for member in state.members}
    return GroupConfigured(
        fleet=state.fleet,
        host=state.host,
        spec=state.spec,
        members=tuple(member.spec for member in state.members if not member.leaving),
        released=() if known & set(released) else tuple(released),
    )


def _member_configuration(draft: Draft, message: ConfigureGroup, spec: ComponentSpec) -> ConfigureComponent:
    # The host restarts by itself (while the log is away) only where the strategy concerns nobody else.
    alone = message.spec.strategy == "one_for_one" and spec.restart != "temporary"
    return ConfigureComponent(
        spec=spec,
        spec_hash=spec_hash(spec),
        group=draft.group,
        host=spec.host or message.host,
        budget_count=message.spec.max_restarts if alone else 0,
        budget_window_ms=message.spec.max_seconds * 1_000,
    )


def _forgive_members(draft: Draft, before: GroupState) -> None:
    for member in before.members if before.given_up else ():
        draft.tell(member.spec.id, ResetMember(group=draft.group, who="", why="a new session"))


def _watch(draft: Draft, before: GroupState) -> None:
    """Ask components of other groups on which members depend to report here; every time, because it is cheap."""
    now = [known.component for known in draft.state.dependencies]
    address = f"group/{draft.group}"
    for name in now:
        draft.tell(name, WatchComponent(watcher=address))
    for known in before.dependencies:
        if known.component not in now:
            draft.tell(known.component, UnwatchComponent(watcher=address))


def _remove_leaving(draft: Draft) -> None:
    leaving = [m for m in draft.state.members if m.leaving and not _is_being_removed(draft.state, m)]
    if leaving:
        begin_remove(draft, leaving)


def _is_being_removed(state: GroupState, member: Member) -> bool:
    name = member.spec.id
    return any(plan.kind == "remove" and any(step.component == name for step in plan.steps) for plan in state.plans)


def _replace_changed(draft: Draft, before: GroupState) -> None:
    """Replace the processes of members whose change needs a new one."""
    if draft.state.given_up:
        return
    for member in draft.state.members:
        old = before.member(member.spec.id)
        if (
            old is not None
            and wanted(member)
            and spec_hash(old.spec) != spec_hash(member.spec)
            and old.phase != "unknown"
        ):
            begin_replace(draft, member, "its specification changed")
