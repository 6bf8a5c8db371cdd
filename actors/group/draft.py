"""A decision in the making: what was recorded so far, what goes out, and the state that it leads to."""

from collections.abc import Iterable
from typing import Final

from ...core.address import Address
from ...core.behaviour import Context
from ...core.decision import Decision, Send, Timer, accept, cancel, send, timer
from ...schemas import Message, Record
from ...schemas.group import DelayElapsed, Plan, Requester, ResendSteps, Step
from ...schemas.group_events import PlanAdvanced, PlanEnded
from ...schemas.recovery import RecoveryNotification, RecoveryOutcome
from ..well_known import RUNTIME_SUPERVISOR
from .evolve import GroupEvent, evolve
from .state import GroupState

LANE: Final = "high"
RESEND_MS: Final = 5_000


class Draft:
    """Local to one `decide`: it starts from the state and the context and ends as the decision."""

    def __init__(self, state: GroupState, context: Context) -> None:
        self.state = state
        self.context = context
        self.group = context.actor.partition("/")[2]
        self._events: list[GroupEvent] = []
        self._sends: list[Send] = []
        self._timers: list[Timer] = []
        self._awaited = any(_acknowledged(plan) for plan in state.plans)

    def record(self, *events: GroupEvent) -> None:
        """Let these happen."""
        for event in events:
            self.state = evolve(self.state, event)
            self._events.append(event)

    def tell(self, component: str, message: Message) -> None:
        """Say something to a component."""
        self._sends.append(send(Address(f"component/{component}"), message, priority=LANE))

    def tell_runtime(self, message: RecoveryNotification | RecoveryOutcome) -> None:
        """Say something to the runtime supervisor."""
        self._sends.append(send(RUNTIME_SUPERVISOR, message, priority=LANE))

    def set_timer(self, name: str, after_ms: int, message: Message) -> None:
        """Set one of the group's timers."""
        self._timers.append(timer(name, after_ms, message))

    def cancel_timer(self, name: str) -> None:
        """Cancel one of the group's timers."""
        self._timers.append(cancel(name))

    def tell_fleet(self, message: Message) -> None:
        """Answer the fleet that spoke."""
        self._sends.append(send(Address(self.context.sender), message, priority=LANE))

    def say_again_later(self) -> None:
        """Set the timer for repetition anew, if anything still waits."""
        self._awaited = False

    def ask(self, plan: Plan, step: Step) -> None:
        """Record that the step at the plan's cursor was commanded, and set the timer that belongs to it."""
        self.record(PlanAdvanced(plan=plan.id, cursor=plan.cursor, asked=True))
        if step.action == "wait":
            self.set_timer(f"wait:{plan.id}", step.delay_ms, DelayElapsed(plan=plan.id))

    def end(self, plan: Plan, outcome: str) -> None:
        """End a plan, whether or not it is through."""
        if plan.asked and plan.cursor < len(plan.steps) and plan.steps[plan.cursor].action == "wait":
            self.cancel_timer(f"wait:{plan.id}")
        self.record(PlanEnded(plan=plan.id, outcome=outcome))

    def settle_requesters(self, requesters: Iterable[Requester], outcome: str, reason: str) -> None:
        """Tell everybody who wanted to know how a recovery ended."""
        for requester in requesters:
            member = self.state.member(requester.component)
            self.tell_runtime(
                RecoveryOutcome(
                    component=requester.component,
                    incarnation=member.incarnation if member else 0,
                    outcome=outcome,
                    reason=reason,
                    task_id=requester.task_id,
                )
            )

    def decision(self, reply: Record | None = None) -> Decision[GroupEvent]:
        """Return the decision; steps that nobody acknowledges are said again after a while."""
        awaits = any(_acknowledged(plan) for plan in self.state.plans)
        if awaits and not self._awaited:
            self.set_timer("resend", RESEND_MS, ResendSteps())
        return accept(*self._events, send=self._sends, timers=self._timers, reply=reply)


def _acknowledged(plan: Plan) -> bool:
    """Whether the plan waits for a component's acknowledgement."""
    return plan.asked and plan.steps[plan.cursor].action in ("stop", "start", "remove")
