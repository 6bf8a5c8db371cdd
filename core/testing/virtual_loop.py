"""An asyncio loop in virtual time: no clock, no sleep, no I/O; one seed gives one history.

Time stands on a grid of one millisecond and jumps to the next timer when nothing is ready. What is ready runs in an order
drawn from the seed, so whatever a program owes to the order of ready callbacks comes out. Tasks belong to simulated
processes (`process`): one can be stopped at any step, as SIGSTOP does, and continued, or never continued, as after
SIGKILL; nothing of it runs meanwhile, not even its `finally` blocks.
"""

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
OUTSIDE = ""
"""The process of whatever no simulated process has started."""

_process: ContextVar[str] = ContextVar("process", default=OUTSIDE)


class Stuck(AssertionError):
    """Everything waits for something that nobody will ever do, or nothing comes to an end."""


class _Timer(asyncio.TimerHandle):
    """A callback at an instant; on the heap it stands behind its millisecond and its number."""

    __slots__ = ()


class VirtualLoop(asyncio.AbstractEventLoop):
    """Give it coroutines with `run_until_complete`; everything else is asyncio's own."""

    def __init__(self, random: Random, *, steps_max: int = 1_000_000) -> None:
        self.now_ms = 0
        self.steps = 0
        """Callbacks run so far: the finest measure of progress."""
        self.failures: list[dict[str, Any]] = []
        """What asyncio reported as unhandled."""
        self._random = random.random
        self._steps_max = steps_max
        self._ready: list[tuple[str, asyncio.Handle]] = []
        self._timers: list[tuple[int, int, str, asyncio.TimerHandle]] = []
        self._timer_count = 0
        self._stopped: dict[str, list[asyncio.Handle]] = {}
        self._steps_due: list[tuple[int, int, Callable[[], None]]] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._closed = False

    # --- processes ----------------------------------------------------------------------------------------------

    @contextmanager
    def process(self, name: str) -> Iterator[None]:
        """Let the tasks created inside, and theirs, belong to a process."""
        token = _process.set(name)
        try:
            yield
        finally:
            _process.reset(token)

    def stop_process(self, name: str) -> None:
        """Run nothing of it any more, from now on."""
        self._stopped.setdefault(name, [])

    def continue_process(self, name: str) -> None:
        """Let it go on where it was; timers that came due meanwhile come at once."""
        self._ready.extend((name, handle) for handle in self._stopped.pop(name, []))

    def after_steps(self, steps: int, action: Callable[[], None]) -> None:
        """Do something between two callbacks, so many of them from now: at any `await` of anybody."""
        self._timer_count += 1
        heapq.heappush(self._steps_due, (self.steps + steps, self._timer_count, action))

    # --- running ------------------------------------------------------------------------------------------------

    def run_until_complete(self, future: Coroutine[Any, Any, T]) -> T:  # type: ignore[override]
        """Run a coroutine to its end; raises `Stuck` if that cannot come."""
        with self._running():
            task = self.create_task(future)
            while not task.done():
                self._step()
        result: T = task.result()
        return result

    def close(self) -> None:
        """End every task that is left, those of stopped processes too."""
        for name in list(self._stopped):
            self.continue_process(name)
        with self._running():
            self._steps_max += self.steps
            left = [task for task in self._tasks if not task.done()]
            for task in left:
                task.cancel()
            while any(not task.done() for task in left):
                self._step()
        self._closed = True

    @contextmanager
    def _running(self) -> Iterator[None]:
        asyncio.events._set_running_loop(self)  # noqa: SLF001 - asyncio's documented hook for those who write loops
        try:
            yield
        finally:
            asyncio.events._set_running_loop(None)  # noqa: SLF001

    def _step(self) -> None:
        if self._steps_due and self._steps_due[0][0] <= self.steps:
            heapq.heappop(self._steps_due)[2]()
        ready = self._ready
        if not ready:
            self._jump()
            return
        self.steps += 1
        if self.steps > self._steps_max:
            raise Stuck(f"expected an end within {self._steps_max} steps, got none by {self.now_ms} ms")
        index = int(self._random() * len(ready))
        process, handle = ready[index]
        ready[index] = ready[-1]
        ready.pop()
        held = self._stopped.get(process)
        if held is not None:
            held.append(handle)
        elif not handle.cancelled():
            handle._run()  # noqa: SLF001 - what every loop calls

    def _jump(self) -> None:
        """Go to the next instant at which something is due."""
        timers = self._timers
        while timers and timers[0][3].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Stuck(f"everything waits at {self.now_ms} ms, and no timer is set")
        self.now_ms = max(self.now_ms, timers[0][0])
        while timers and timers[0][0] <= self.now_ms:
            _, _, process, handle = heapq.heappop(timers)
            if not handle.cancelled():
                self._ready.append((process, handle))

    # --- what asyncio asks of a loop ----------------------------------------------------------------------------

    def time(self) -> float:
        """Return virtual seconds."""
        return self.now_ms / 1_000

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """Run a callback among the next."""
        handle = asyncio.Handle(callback, args, self, context)
        process = _process.get() if context is None else context.get(_process, OUTSIDE)
        self._ready.append((process, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback so many seconds from now, rounded up to the millisecond."""
        return self.call_at(self.now_ms / 1_000 + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at an instant, rounded up to the millisecond."""
        handle = _Timer(when, callback, args, self, context)
        process = _process.get() if context is None else context.get(_process, OUTSIDE)
        self._timer_count += 1
        at_ms = math.ceil(when * 1_000)
        if at_ms / 1_000 < when:  # rounding: who waits for the rest of a nanosecond would wait for ever
            at_ms += 1
        heapq.heappush(self._timers, (at_ms, self._timer_count, process, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        """Start a coroutine in the process of whoever starts it."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def get_debug(self) -> bool:
        """Return that asyncio's own checks are off."""
        return False

    def is_running(self) -> bool:
        """Return whether there is more to come."""
        return not self._closed

    def is_closed(self) -> bool:
        """Return whether it was closed."""
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody handled; whoever runs the loop looks at `failures`."""
        self.failures.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: cancelled timers are skipped when they come up."""


def new_loop(random: Random) -> VirtualLoop:
    """Return a loop; it has no I/O, signals or threads, so those of asyncio's methods are left out on purpose."""
    return VirtualLoop(random)  # type: ignore[abstract]
