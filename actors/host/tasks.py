"""Tasks that never end in silence."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def begin(work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
    """Run `work`; an exception that leaves it is a bug and goes to the loop's exception handler at once."""

    def done(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": f"{name} ended by a bug", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(done)
    return task
