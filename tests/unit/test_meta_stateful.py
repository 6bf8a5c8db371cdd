"""Whatever comes in whatever order: every task ends exactly once, in its turn, and nobody gets too much."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hms.actors.meta import meta_supervisor
from hms.actors.meta.state import ActiveTask, MetaState
from hms.actors.task import task as task_behaviour
from hms.core.behaviour import Context
from hms.core.decision import Decision
from hms.core.testing.given import EPOCH
from hms.schemas.administrative import SupervisorDeregistration, SupervisorHeartbeat, SupervisorRegistration
from hms.schemas.task import ENDED, CancelTask, SubmitTask, TaskSchedule
from hms.schemas.task_event import (
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskFoundEnded,
    TaskTimedOut,
)
from hms.schemas.task_protocol import TaskAcceptance, TaskCompletion, TaskFailure, TaskProgress, TaskRejection

ENDS = (TaskCompleted, TaskFailed, TaskCancelled, TaskTimedOut, TaskFoundEnded)
SUPERVISORS = st.sampled_from(["first", "second", "third"])
TYPES = ("Recovery", "Cleanup")
NUMBERS = st.integers(0, 5)


def place(task: ActiveTask) -> tuple[int, int]:
    """The place in the queue; nobody is passed over often enough here for patience to count."""
    return ["critical", "high", "normal", "low"].index(task.priority), task.sequence


class Tasks(RuleBasedStateMachine):
    """One meta supervisor with its task records; messages of the outside come in any order, early, late and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.state = meta_supervisor.initial()
        self.records: dict[str, Any] = {}
        self.post: list[tuple[str, Any]] = []
        self.timers: dict[str, tuple[datetime, Any]] = {}
        self.now = EPOCH
        self.told = 0
        self.submitted: dict[str, None] = {}
        self.ends: Counter[str] = Counter()
        self.completed: set[str] = set()

    def tell(self, message: Any, sender: str) -> Decision[Any]:
        self.told += 1
        context = Context("meta_supervisor/main", sender, self.now, f"m{self.told}", "c")
        decision = meta_supervisor.decide(self.state, message, context)
        for event in decision.events:
            self.check(event)
            self.state = meta_supervisor.evolve(self.state, event)
        self.post += [(send.to, send.message) for send in decision.sends if send.to.startswith("task/")]
        for timer in decision.timers:
            self.timers.pop(timer.name, None)
            if timer.message is not None:
                self.timers[timer.name] = (self.now + timedelta(milliseconds=timer.after_ms), timer.message)
        return decision

    def check(self, event: Any) -> None:
        """Hold each event against the state that it meets."""
        if isinstance(event, TaskAssigned):
            self.check_assignment(event)
        if isinstance(event, ENDS):
            self.ends[event.task_id] += 1
        if isinstance(event, TaskCompleted):
            self.completed.add(event.task_id)

    def check_assignment(self, event: TaskAssigned) -> None:
        state: MetaState = self.state
        task, supervisor = state.tasks[event.task_id], state.supervisors[event.supervisor_id]
        assert task.assignable
        assert supervisor.available
        assert supervisor.takes(task.type)
        assert set(task.dependencies) <= self.completed
        assert len(state.tasks_of(supervisor.id)) < supervisor.max_tasks
        assert supervisor.id not in task.rejected_by
        for other in state.tasks.values():
            if other.assignable and place(other) < place(task):
                assert not supervisor.takes(other.type) or supervisor.id in other.rejected_by

    def pick(self, number: int) -> str:
        """One of the tasks that were submitted; a small number is a recent one."""
        return list(self.submitted)[-1 - number % len(self.submitted)] if self.submitted else "nobody"

    @initialize()
    def begin(self) -> None:
        self.register("first", set(TYPES), 1)

    @rule(
        number=st.none() | NUMBERS,
        task_type=st.sampled_from(TYPES),
        priority=st.sampled_from(["critical", "High", "Medium", "Low"]),
        dependencies=st.just([]) | st.lists(NUMBERS, max_size=2),
        timeout_ms=st.sampled_from([60_000, 1_000]),
        at_ms=st.none() | st.integers(-1_000, 30_000),
        deliver=st.booleans() | st.just(True),
    )
    def submit(
        self,
        number: int | None,
        task_type: str,
        priority: str,
        dependencies: list[int],
        timeout_ms: int,
        at_ms: int | None,
        *,
        deliver: bool,
    ) -> None:
        task_id = f"t{len(self.submitted)}" if number is None else self.pick(number)
        message = SubmitTask(
            id=task_id,
            type=task_type,
            priority=priority,
            parameters_json='{"component_id":"web"}',
            dependencies=tuple(self.pick(each) for each in dependencies),
            timeout_ms=timeout_ms,
            schedule=None if at_ms is None else TaskSchedule(at=EPOCH + timedelta(milliseconds=at_ms)),
        )
        if self.tell(message, "client/test").refusal is None:
            self.submitted[task_id] = None
        if deliver:
            self.deliver()

    @rule(fresh=st.booleans(), number=NUMBERS)
    def cancel(self, number: int, *, fresh: bool) -> None:
        task_id = f"t{len(self.submitted)}" if fresh else self.pick(number)
        task_id = "s" if number == 0 and fresh else task_id
        self.tell(CancelTask(task_id=task_id), "client/test")

    @rule(
        priorities=st.lists(st.sampled_from(["critical", "High", "Medium", "Low"]), min_size=2, max_size=5),
        chain=st.booleans(),
    )
    def submit_some(self, priorities: list[str], *, chain: bool) -> None:
        for number, priority in enumerate(priorities):
            before = [0] if chain and number else []
            self.submit(None, "Cleanup", priority, before, 60_000, None, deliver=True)

    @rule(every_ms=st.sampled_from([1_000, 20_000]))
    def submit_schedule(self, every_ms: int) -> None:
        message = SubmitTask(id="s", type="Cleanup", schedule=TaskSchedule(every_ms=every_ms), timeout_ms=5_000)
        self.tell(message, "client/test")

    @rule(name=SUPERVISORS, types=st.sets(st.sampled_from(TYPES), min_size=1), max_tasks=st.integers(1, 2))
    def register(self, name: str, types: set[str], max_tasks: int) -> None:
        message = SupervisorRegistration(
            supervisor_id=name, supervisor_type="runtime", capabilities=tuple(sorted(types)), max_tasks=max_tasks
        )
        self.tell(message, f"{name}/main")

    @rule(name=SUPERVISORS, leave=st.booleans())
    def beat_or_leave(self, name: str, *, leave: bool) -> None:
        message = SupervisorDeregistration if leave else SupervisorHeartbeat
        self.tell(message(supervisor_id=name), f"{name}/main")

    @rule(
        name=st.none() | SUPERVISORS,
        number=NUMBERS,
        attempt=st.none() | st.integers(1, 3),
        kind=st.sampled_from(["accept", "progress", "reject", "fail", "complete"]),
    )
    def report(self, name: str | None, number: int, attempt: int | None, kind: str) -> None:
        task_id = self.pick(number)
        task = self.state.tasks.get(task_id)
        attempt = attempt or (task.attempt if task else 1)
        reports = {
            "accept": TaskAcceptance(task_id=task_id, attempt=attempt),
            "progress": TaskProgress(task_id=task_id, attempt=attempt, progress=0.5),
            "reject": TaskRejection(task_id=task_id, attempt=attempt, reason="no"),
            "fail": TaskFailure(task_id=task_id, attempt=attempt, error="broken"),
            "complete": TaskCompletion(task_id=task_id, attempt=attempt),
        }
        sender = name or (task.assigned_to if task else None) or "first"
        self.tell(reports[kind], f"{sender}/main")

    @rule()
    def complete_what_runs(self) -> None:
        for task in [each for each in self.state.tasks.values() if each.assigned_to is not None]:
            self.tell(TaskCompletion(task_id=task.id, attempt=task.attempt), f"{task.assigned_to}/main")

    @rule()
    def deliver(self) -> None:
        """Let the task records hear what they were sent, and answer."""
        while self.post:
            address, message = self.post.pop(0)
            state = self.records.get(address, task_behaviour.initial())
            context = Context(address, "meta_supervisor/main", self.now, "m", "c")
            decision = task_behaviour.decide(state, message, context)
            for event in decision.events:
                state = task_behaviour.evolve(state, event)
            self.records[address] = state
            for answer in decision.sends:
                self.tell(answer.message, address)

    @rule(ms=st.sampled_from([1, 1_000, 15_000, 45_000, 400_000]), late=st.booleans())
    def wait(self, ms: int, *, late: bool) -> None:
        """Move time on; late timers all fire at the end of it, as after a downtime."""
        until = self.now + timedelta(milliseconds=ms)
        for _ in range(50):
            due = min(((at, name) for name, (at, _) in self.timers.items() if at <= until), default=None)
            if due is None:
                break
            self.now = until if late else max(self.now, due[0])
            self.tell(self.timers.pop(due[1])[1], "meta_supervisor/main")
        self.now = until

    @invariant()
    def a_task_ends_once(self) -> None:
        assert not [task_id for task_id, count in self.ends.items() if count > 1]
        for task_id in self.submitted:
            assert (self.ends[task_id] == 1) != (task_id in self.state.tasks)

    @invariant()
    def nobody_has_more_than_it_takes(self) -> None:
        for name, entry in self.state.supervisors.items():
            assert len(self.state.tasks_of(name)) <= max(entry.max_tasks, 2)

    @invariant()
    def nothing_waits_that_could_run(self) -> None:
        for task in self.state.tasks.values():
            if task.assignable:
                for entry in self.state.supervisors.values():
                    free = entry.available and len(self.state.tasks_of(entry.id)) < entry.max_tasks
                    assert not (free and entry.takes(task.type) and entry.id not in task.rejected_by)

    @invariant()
    def nobody_waits_for_what_is_over(self) -> None:
        for task in self.state.tasks.values():
            assert set(task.waiting_for) <= set(self.state.tasks)
            assert task.ready <= (not task.waiting_for)

    @invariant()
    def what_is_ready_has_a_deadline(self) -> None:
        ready = {f"deadline:{task.id}" for task in self.state.tasks.values() if task.ready}
        assert {name for name in self.timers if name.startswith("deadline:")} == ready

    @invariant()
    def who_has_a_task_is_there(self) -> None:
        for task in self.state.tasks.values():
            if task.assigned_to is not None:
                assert self.state.supervisors[task.assigned_to].available

    def teardown(self) -> None:
        """In the end every record says what happened, whatever was on the way."""
        self.deliver()
        for task_id in self.submitted:
            shown = self.records[f"task/{task_id}"].task
            assert (shown.status in ENDED) == (task_id not in self.state.tasks)


Tasks.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestTasks = Tasks.TestCase
